/* upkeep: what the leader does that takes minutes, on a thread and sessions of its own, so that no duty waits for it: the log's
 * statistics, the books of accepted jobs (usher audit), host tables that want a person, and archiving where a folder is set
 * (common/io/archive.h). Nothing of it holds the term: it is safe when two leaders do it (one has the archiver's lock), and when it is
 * cut off anywhere. */
#ifndef SCHEDULER_UPKEEP_H
#define SCHEDULER_UPKEEP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "common/base/err.h"
#include "common/io/archive.h"
#include "common/io/settings.h"
#include "scheduler/wake.h"

struct upkeep {
    const struct scheduler_settings *settings;
    struct wake pause, done;
    atomic_bool stop, ended;
    pthread_mutex_t lock;    /* over `archive` */
    struct archive *archive; /* at work; NULL */
    int64_t unaccounted;     /* jobs, when it was last asked */
    int sources;             /* host tables that want a person, when it was last asked */
    enum err failed;         /* what was logged of the archiver as a whole */
    pthread_t thread;
    bool started;
};

void upkeep_start(struct upkeep *u, const struct scheduler_settings *settings);
/* Cancels what runs and joins. Does nothing where it was never started. */
void upkeep_stop(struct upkeep *u);

/* For tests: without the thread. One round; *archived counts steps that were done. */
void upkeep_init(struct upkeep *u, const struct scheduler_settings *settings);
void upkeep_fini(struct upkeep *u);
enum err upkeep_round(struct upkeep *u, int *archived, struct err_info *info) MUST_USE;

#endif
