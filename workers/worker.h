/* worker: the process's state. One loop; a control connection (beats, claims, second looks), two settling lanes, a
 * blocking reader and a
 * pipelined Redis connection. What each part does is in its own header: reader, claim, exec, lane (settling), bare.
 *
 * Phases: STARTING (kinds, registration, groups) → RUNNING ⇄ FENCED (could not beat for 15 s: stops acting, drops
 * what has not
 * acted, registers anew under a new id) → DRAINING (SIGTERM: reads no more, hands back what has not started,
 * finishes, settles) → CLOSING. */
#ifndef WORKERS_WORKER_H
#define WORKERS_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/id.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/io/queue.h"
#include "common/io/settings.h"
#include "workers/job.h"
#include "workers/kinds.h"
#include "workers/rules.h"
#include "workers/tenants.h"

struct db_conn;
struct loop;
struct outbound;
struct rconn;
struct timer;
struct reader;
struct claimer;
struct lane;

#define WORKER_LANES 2 /* settling transactions that overlap: one writes while the other waits for its fsync */
#define WORKER_UNSETTLED_MAX 4096 /* executed but not settled (design: bound of memory and of repeats after a kill) */
#define WORKER_BYTES_MAX ((size_t)64 << 20) /* in hand, and one read more: payloads are 256 KiB at most */
#define WORKER_BEAT_MS 5000
#define WORKER_FENCE_MS 15000 /* less than the lease of 20 s: a late worker stops before others take over */
#define WORKER_STREAMS_MAX (2 * SETTINGS_QUEUES_MAX)

enum worker_phase { WORKER_STARTING, WORKER_RUNNING, WORKER_FENCED, WORKER_DRAINING, WORKER_CLOSING };

struct worker {
    const struct worker_settings *settings;
    struct loop *loop;
    enum worker_phase phase;
    struct id id;
    char id_text[ID_TEXT_SIZE]; /* also the consumer's name */
    char name[128];

    struct db_conn *control;
    struct rconn *read_conn;
    struct rconn *redis;
    struct outbound *outbound;
    struct reader *reader;
    struct claimer *claimer;
    struct lane *lanes[WORKER_LANES];

    struct kinds kinds;
    bool kinds_ready;
    struct tenants tenants;
    bool registered;
    bool groups_ready;
    bool no_copy; /* COPY into the log is refused for this role (no BYPASSRLS): always stage */
    struct rules rules;

    struct list jobs[JOB_STATES];
    size_t n_jobs[JOB_STATES];
    struct list spare_jobs; /* ended, for reuse */
    size_t n_spare_jobs;
    struct map held; /* job id → struct job, for claimed ones */
    size_t suspects; /* claimed jobs that may have crashed others: at most one, and nothing else is claimed meanwhile */
    bool alone;      /* it runs, by itself */
    size_t looks;    /* second looks under way */
    bool adopting;   /* an adoption of slow entries is under way */
    struct map slow; /* bare id → struct job, for those in it */
    size_t adopt_n, adopt_most; /* of it: how many, and how many at most (0: as many as go into a statement) */
    struct id adopt_first;      /* and one of them */
    double mean_ms;             /* of recent executions, */
    double mean_bytes;          /* and of what was read lately: they size the reads */
    size_t bytes;               /* of payloads and fields in hand */
    bool full;                  /* of them; said in the log */

    char keys[WORKER_STREAMS_MAX][QUEUE_KEY_SIZE]; /* q: and in: of each queue, in turn */
    const char *key_list[WORKER_STREAMS_MAX];
    char queue_names[SETTINGS_QUEUES_MAX][SETTINGS_QUEUE_NAME_MAX + 1];
    size_t n_keys;

    struct timer *kick;
    struct timer *beat;
    struct timer *janitor;
    int64_t beat_ok_ms;
    bool beat_busy;
    int64_t started_ms;
    int64_t drain_until_ms;
    bool wake_wanted;
    int open_parts;
    int exit_code;
};

struct worker *worker_new(struct loop *loop, const struct worker_settings *settings,
                          struct err_info *info); /* NULL: bad setting */
void worker_drain(struct worker *w);              /* first SIGTERM or SIGINT */
void worker_immediate(struct worker *w);          /* second one */
void worker_free(struct worker *w);               /* after the loop has ended */

/* Looks, soon, at everything that may go on: slots, lanes, reader, the end of draining. Cheap, may be called any
 * time. */
void worker_kick(struct worker *w);
/* Entries that may be read now. */
size_t worker_room(struct worker *w);
bool worker_reads(const struct worker *w);

#endif
