/* store_show: the statements of the commands that enqueue and show. Each returns at most as many rows as its limit says; times
 * are the domain clock's where it decides (what is due), the machine's for beats. */
#ifndef CLI_STORE_SHOW_H
#define CLI_STORE_SHOW_H

#include <stddef.h>
#include <stdint.h>

#include "cli/input.h"
#include "common/base/err.h"
#include "common/base/id.h"
#include "common/base/str.h"

struct db_session;
struct db_result;

#define STORE_SHOW_QUEUES_MAX 32 /* two streams each: as many as one XREADGROUP takes */
#define STORE_SHOW_ATTEMPTS_MAX                                                                                        \
    200 /* more than a job's attempts, crashes and replays allow (kinds: at most 100 attempts) */
#define STORE_SHOW_STEPS_MAX 1000 /* of a run */

/* ---- enqueue ---- */
struct store_enqueue {
    const char *kind;
    struct str payload; /* a JSON object */
    struct id tenant;   /* zero: the platform; likewise a zero wedding and NULL texts: none */
    struct id wedding;
    struct input_when at;
    struct input_when deadline;
    const char *queue;
    const char *key;
    int64_t priority;
    int64_t max_attempts; /* 0: the kind's */
};
/* One row: job_id, created, tenant_id. */
enum err store_show_enqueue(struct db_session *db, const struct store_enqueue *job, struct db_result **out,
                            struct err_info *info) MUST_USE;

/* ---- queues and workers ---- */
/* queue, due (unclaimed), in_flight, scheduled, parked, oldest_due_ms (null: none): every queue of a kind, of a living worker or
 * with unfinished jobs. */
enum err store_show_queues(struct db_session *db, struct db_result **out, struct err_info *info) MUST_USE;

/* worker_id, name, queues, started_at, beat_ms (age), alive, in_flight. */
enum err store_show_workers(struct db_session *db, int64_t limit, struct db_result **out, struct err_info *info) MUST_USE;

/* level, hits, misses, hit_rate (text, %; null: never asked), skipped, failed, counted_at. */
enum err store_show_rule_cache(struct db_session *db, struct db_result **out, struct err_info *info) MUST_USE;

/* ---- jobs and runs ---- */
/* tenant_id, run_id, wedding_id, kind, queue, state (in flight, waiting, scheduled, parked), reason, due_at, claimed_at, owner,
 * claim_no, attempt, max_attempts, crashes, snoozes, priority, deadline, unique_key, effect_key, replay_of, source, payload,
 * accepted_at. No row: the job is finished or unknown. */
enum err store_show_job(struct db_session *db, const struct id *job, struct db_result **out,
                        struct err_info *info) MUST_USE;

/* tenant_id, run_id, wedding_id, kind, queue, reason, error, died_at, attempt, crashes, effect_key, replayed_as, discarded_at,
 * source, payload, source_raw, accepted_at. */
enum err store_show_dead(struct db_session *db, const struct id *job, struct db_result **out,
                         struct err_info *info) MUST_USE;

/* Log rows of a job, oldest first: tenant_id, queued_at, attempt, outcome (code), started_at, duration_us, worker_id, reason, error,
 * kind, queue, run_id, wedding_id. The log is ordered by time within a tenant: `tenant` zero looks through every tenant's rows;
 * nothing older than since_us or, where that is DB_NULL_TIME, than the 31 days before the present is looked at. */
enum err store_show_attempts(struct db_session *db, const struct id *job, const struct id *tenant, int64_t since_us,
                             struct db_result **out, struct err_info *info) MUST_USE;

/* tenant_id, rule_id, rule_revision, rule, wedding_id, trigger_type, trigger_ref, generation, state, reason, due_at, started_at,
 * finished_at, failed_steps, acted, context. */
enum err store_show_run(struct db_session *db, const struct id *run, struct db_result **out,
                        struct err_info *info) MUST_USE;

/* Logged attempts of a run since its start, then its unfinished jobs: step, kind, attempt, outcome (code, null while unfinished),
 * state (null when logged), at, duration_us, job_id, reason, error. */
enum err store_show_steps(struct db_session *db, const struct id *tenant, const struct id *run, const struct id *wedding,
                          int64_t started_us, struct db_result **out, struct err_info *info) MUST_USE;

/* ---- dead letters ---- */
struct store_dead_filter {
    struct id tenant;   /* zero: all */
    const char *kind;   /* NULL: all */
    const char *reason; /* likewise */
    const char *like;   /* somewhere in the error, case ignored */
    struct input_when since;
    struct input_when until;
    struct id after; /* zero: from the newest; else the last job of the page before */
    int64_t limit;
};
/* Newest first: died_at, job_id, tenant_id, kind, queue, reason, error, attempt, crashes, run_id, replayed_as, discarded_at. */
enum err store_show_dead_list(struct db_session *db, const struct store_dead_filter *filter, struct db_result **out,
                              struct err_info *info) MUST_USE;

/* ---- accounting ---- */
/* One snapshot: the total (no tenant, no day), then up to `limit` rows, unbalanced ones first, then the newest. Columns: tenant_id,
 * day (text), accepted, done, dead, cancelled, superseded, skipped, in_flight, waiting, unaccounted, off (sum of absolute
 * differences), rows (in all). */
enum err store_show_audit(struct db_session *db, const struct id *tenant, int64_t limit, struct db_result **out,
                          struct err_info *info) MUST_USE;

#endif
