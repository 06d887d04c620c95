/* lead: what the leader does, on a thread of its own with one PostgreSQL and one Redis session.
 *
 * The duties run one after another, then the thread waits until it is woken, something falls due, or a second has passed. A
 * duty's transaction begins by holding the leader's term, so a leader of the past changes nothing (ERR_STATE ends the thread). A
 * duty that fails is logged once, put off with growing delays, and the others go on: without Redis, or with a Redis that is full,
 * events and timings are still planned and only admission waits. */
#ifndef SCHEDULER_LEAD_H
#define SCHEDULER_LEAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/io/db.h"
#include "common/io/rconn.h"
#include "common/io/settings.h"
#include "common/io/store_lead.h"
#include "scheduler/admit.h"
#include "scheduler/plan.h"
#include "scheduler/rulesets.h"
#include "scheduler/upkeep.h"
#include "scheduler/wake.h"

#define LEAD_DUTIES_MAX 17

/* Back-off and state of one duty. */
struct lead_duty {
    int64_t next_ms;  /* not before, by the monotonic clock */
    int64_t delay_ms; /* 0: the last run succeeded */
    enum err failed;  /* what was logged */
};

struct lead {
    const struct scheduler_settings *settings;
    struct wake *wake;
    atomic_bool stop;  /* asked to end after the present transaction */
    atomic_bool ended; /* the thread has ended or is about to */
    int64_t term;

    struct db_session *db; /* NULL: not connected */
    struct rsession *redis;
    int64_t db_retry_ms, redis_retry_ms; /* not before; the delays grow */
    int64_t db_delay_ms, redis_delay_ms;
    enum err db_failed, redis_failed;
    bool in_transaction;
    struct lead_duty duties[LEAD_DUTIES_MAX];

    struct upkeep upkeep; /* a thread beside this one */

    struct cache *cache; /* second level of `rules` */
    struct rulesets *rules;
    struct store_cache_counts counted; /* of `rules`, in the database */
    struct plan plan;
    struct admit admit;
    int singles;          /* events still to be taken one by one */
    int64_t marked_event; /* its mark could not be taken back yet; 0: none. Survives the term */
    bool careful;         /* the last tick failed: a savepoint before each timing */
    int64_t wake_due_us;  /* domain time until something falls due */

    bool behind;       /* PostgreSQL is behind Redis's beacon: no dispatching, ticking, admission */
    bool resuming;     /* still behind, but an operator has decided: all but admission */
    bool clocks_apart; /* no ticking */
    bool clocks_warned;
    bool clock_stepped;     /* development's stepped clock */
    int64_t beacon_written; /* what this leader wrote to Redis last; 0: nothing yet */
    int64_t sweep_all_ms;   /* when consumers are looked through next */
    int64_t partitions_ms, clocks_ms, zones_ms;
    bool shaped;                        /* load_shape has this leader's settings */
    bool runway_short;                  /* warned that the log has too few partitions ahead */
    char purge_after[STORE_TABLE_SIZE]; /* the table that was purged last in this round; "": a round begins */
    int64_t purge_ms;                   /* when the next round begins */
};

/* Fills `l` for a term; lead_fini ends both sessions. The thread is started and joined by the caller: lead_main(l). Tests call
 * lead_connect and single duties. */
void lead_init(struct lead *l, const struct scheduler_settings *settings, struct wake *wake, int64_t term);
void lead_fini(struct lead *l);
void *lead_main(void *lead);
/* From other threads: the duty thread ends after its transaction. */
void lead_stop(struct lead *l);

/* Opens what is not open and due to be tried. ERR_OK when PostgreSQL is there; Redis may be missing (l->redis == NULL). */
enum err lead_connect(struct lead *l, struct err_info *info) MUST_USE;
/* One round of all duties. *more: some duty has more to do at once. ERR_STATE: the term has ended. */
enum err lead_round(struct lead *l, bool *more) MUST_USE;

/* A transaction of a duty: begin, statements, end. lead_end commits when err is ERR_OK, else rolls back, and returns the first error. */
enum err lead_begin(struct lead *l, struct err_info *info) MUST_USE;
enum err lead_end(struct lead *l, enum err err, struct err_info *info) MUST_USE;

/* ---- the duties: one file each. `more`: run again at once. ----------------------------------------------------------------- */
enum err activate_run(struct lead *l, bool *more, struct err_info *info) MUST_USE; /* rules go live, expire */
enum err check_run(struct lead *l, bool *more, struct err_info *info) MUST_USE;    /* validates rules */
enum err dispatch_run(struct lead *l, bool *more, struct err_info *info) MUST_USE; /* events → runs, waits woken */
/* Takes the mark back that a lost session left; over any session, leading or not. */
enum err dispatch_unmark(struct lead *l, struct db_session *db, struct err_info *info) MUST_USE;
enum err waits_run(struct lead *l, bool *more, struct err_info *info) MUST_USE;  /* new event waits look back */
enum err replan_run(struct lead *l, bool *more, struct err_info *info) MUST_USE; /* moved and cancelled weddings */
enum err tick_run(struct lead *l, bool *more, struct err_info *info) MUST_USE;   /* due timings → runs */
enum err sweep_run(struct lead *l, bool *more, struct err_info *info) MUST_USE;  /* dead workers' jobs and consumers */
enum err fold_run(struct lead *l, bool *more, struct err_info *info) MUST_USE;   /* counters */
enum err rollup_run(struct lead *l, bool *more, struct err_info *info) MUST_USE; /* statistics of what was logged */
enum err count_run(struct lead *l, bool *more, struct err_info *info) MUST_USE;  /* the rule cache's hits */
enum err maintain_run(struct lead *l, bool *more, struct err_info *info) MUST_USE; /* partitions, clocks */
enum err trim_run(struct lead *l, bool *more, struct err_info *info) MUST_USE;    /* streams: groups, finished prefix */
enum err relieve_run(struct lead *l, bool *more, struct err_info *info) MUST_USE; /* bare entries of too long streams */
enum err purge_run(struct lead *l, bool *more, struct err_info *info) MUST_USE;   /* what is older than it is kept */
enum err feed_run(struct lead *l, bool *more, struct err_info *info) MUST_USE;    /* dead letters for onlookers */
enum err beacon_run(struct lead *l, bool *more, struct err_info *info) MUST_USE; /* is either store behind the other? */

#endif
