/* elect: leadership, on a thread of its own with a session of its own.
 *
 * Standby: tries the advisory lock every second. Leader: holds the lock, has raised the term, beats every second, and runs the duty
 * thread. A leader that can not beat, or whose term was taken, stops its duties and is a standby again. */
#ifndef SCHEDULER_ELECT_H
#define SCHEDULER_ELECT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "common/io/settings.h"
#include "scheduler/wake.h"

struct elect {
    const struct scheduler_settings *settings;
    struct wake *work; /* rings the duty thread */
    struct wake pause; /* between looks; ended early by elect_stop */
    atomic_bool stop;
    atomic_bool leading; /* for whoever wants to know */
    atomic_bool refused; /* the thread has ended: the database is behind a transaction pooler, or its clock is stepped and this is no
                          * development environment */
    void (*on_refused)(void *arg); /* called on the thread; may be NULL */
    void *arg;
    pthread_t thread;
    bool started;
};

/* Fills and starts. on_refused and arg may be NULL. */
void elect_start(struct elect *e, const struct scheduler_settings *settings, struct wake *work,
                 void (*on_refused)(void *arg), void *arg);
/* Ends the duties after their transaction, releases the lock by closing the session, joins. */
void elect_stop(struct elect *e);

#endif
