/* listen: rings the duty thread's wake when somebody says that there may be work: NOTIFY automation_wake in PostgreSQL (events, enqueued
 * jobs, a stepped clock), PUBLISH usher:{0}:wake in Redis (workers, after settling). One thread each. Optimisations: with both off, the
 * poll finds everything within a second. */
#ifndef SCHEDULER_LISTEN_H
#define SCHEDULER_LISTEN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "common/io/settings.h"
#include "scheduler/wake.h"

struct listen {
    const struct scheduler_settings *settings;
    struct wake *wake;
    struct wake pause_db, pause_redis; /* between attempts, ended early by listen_stop */
    atomic_bool stop;
    pthread_t db, redis;
    bool started;
};

void listen_start(struct listen *l, const struct scheduler_settings *settings, struct wake *wake);
/* Ends and joins both threads. */
void listen_stop(struct listen *l);

#endif
