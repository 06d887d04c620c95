/* store_query: what programs ask of rules, the log and statistics. Each function is one statement over a blocking session,
 * names its tenant
 * (a superset of what row-level security shows), returns a bounded page and keeps nothing in the session, so that it may run behind a
 * transaction pooler (db_session_config.pooled). Rows are freed with db_result_free. Errors as in db.h. */
#ifndef COMMON_IO_STORE_QUERY_H
#define COMMON_IO_STORE_QUERY_H

#include "common/base/err.h"
#include "common/base/id.h"
#include "common/io/db.h"

#define STORE_PAGE_MAX 1000 /* larger limits are cut */

/* A page in time, newest first: from_us <= t < to_us, then what follows the last row of the page before. */
struct store_page {
    int64_t from_us, to_us;
    int64_t after_us; /* DB_NULL_TIME: the first page */
    struct id after;
    int limit;        /* 0 or less: 50 */
    const char *kind; /* of this kind only; NULL: any */
};

/* ---- rules: store_rules.c ------------------------------------------------------------------------------------------------------ */
/* A tenant's rules by name (in the order of its bytes): rule_id, name, status, trigger_type, event_type, revision, validated_revision,
 * updated_at. status NULL: any. The page begins behind (after_name, after); NULL: the first. */
enum err store_rules_list(struct db_session *s, const struct id *tenant, const char *status, const char *after_name,
                          const struct id *after, int limit, struct db_result **out, struct err_info *info) MUST_USE;
/* Definitions as they stand, of up to STORE_PAGE_MAX rules: rule_id, revision, definition. Unknown ids are missing. */
enum err store_rules_bodies(struct db_session *s, const struct id *tenant, const struct id *rules, size_t n,
                            struct db_result **out, struct err_info *info) MUST_USE;
/* Rules in force for a trigger: rule_id, validated_revision, by rule id. event_type NULL: those without (milestones,
 * schedules). From the index
 * alone: what a cache compares before it fetches bodies. */
enum err store_rules_live(struct db_session *s, const struct id *tenant, const char *trigger_type,
                          const char *event_type, struct db_result **out, struct err_info *info) MUST_USE;
/* The same with the definition of the validated revision: rule_id, revision, definition. */
enum err store_rules_set(struct db_session *s, const struct id *tenant, const char *trigger_type,
                         const char *event_type, struct db_result **out, struct err_info *info) MUST_USE;

/* ---- the log: store_history.c ---------------------------------------------------------------------------------------------------- */
/* Columns of all of them: queued_at, execution_id, tenant_id, job_id, run_id, rule_id, wedding_id, kind, queue, step, attempt, outcome,
 * started_at, duration_us, reason, error. Newest first; by run and by job oldest first. */
enum store_history_column {
    HISTORY_QUEUED_AT,
    HISTORY_EXECUTION,
    HISTORY_TENANT,
    HISTORY_JOB,
    HISTORY_RUN,
    HISTORY_RULE,
    HISTORY_WEDDING,
    HISTORY_KIND,
    HISTORY_QUEUE,
    HISTORY_STEP,
    HISTORY_ATTEMPT,
    HISTORY_OUTCOME,
    HISTORY_STARTED_AT,
    HISTORY_DURATION,
    HISTORY_REASON,
    HISTORY_ERROR
};
enum err store_history_list(struct db_session *s, const struct id *tenant, const struct store_page *page,
                            struct db_result **out, struct err_info *info) MUST_USE;
enum err store_history_rule(struct db_session *s, const struct id *tenant, const struct id *rule,
                            const struct store_page *page, struct db_result **out, struct err_info *info) MUST_USE;
/* Attempts that failed, died, were parked or lost their lease. */
enum err store_history_failures(struct db_session *s, const struct id *tenant, const struct store_page *page,
                                struct db_result **out, struct err_info *info) MUST_USE;
/* The same of all tenants: for operators. */
enum err store_history_failures_all(struct db_session *s, const struct store_page *page, struct db_result **out,
                                    struct err_info *info) MUST_USE;
/* At most STORE_PAGE_MAX rows. */
enum err store_history_run(struct db_session *s, const struct id *tenant, const struct id *run, struct db_result **out,
                           struct err_info *info) MUST_USE;
/* Attempts of a job that were queued from from_us to before to_us. They are found by their derived keys: STORE_CLAIMS_MAX claims are
 * known. */
#define STORE_CLAIMS_MAX 128
enum err store_history_job(struct db_session *s, const struct id *tenant, const struct id *job, int64_t from_us,
                           int64_t to_us, struct db_result **out, struct err_info *info) MUST_USE;

/* ---- statistics: store_stats.c
 * ---------------------------------------------------------------------------------------------------- */
/* First columns of those over attempts, as far as they apply: n, done, failed, dead, unrun, mean duration, then 50th, 95th,
 * 99th percentile
 * of duration and of lateness, all in µs (NULL: nothing ran); then what the row is of. Days are UTC, from inclusive, to
 * exclusive, given as
 * instants. What was logged in the last seconds is not counted yet; all but store_stats_rule are as old as the last refresh. */
enum store_stats_column {
    STATS_N,
    STATS_DONE,
    STATS_FAILED,
    STATS_DEAD,
    STATS_UNRUN,
    STATS_MEAN,
    STATS_TOOK_P50,
    STATS_TOOK_P95,
    STATS_TOOK_P99,
    STATS_LATE_P50,
    STATS_LATE_P95,
    STATS_LATE_P99,
    STATS_KEY
};
struct store_span {
    int64_t from_us, to_us;
};
/* One rule (zero: free jobs), by day, newest first: … day (text), kind. */
enum err store_stats_rule(struct db_session *s, const struct id *tenant, const struct id *rule,
                          const struct store_span *span, int limit, struct db_result **out,
                          struct err_info *info) MUST_USE;
/* A tenant's rules, most active first: … rule_id, name (NULL: deleted, or free jobs). */
enum err store_stats_rules(struct db_session *s, const struct id *tenant, const struct store_span *span, int limit,
                           struct db_result **out, struct err_info *info) MUST_USE;
/* By what started the rule: … trigger type, milestone or event type. */
enum err store_stats_milestones(struct db_session *s, const struct id *tenant, const struct store_span *span, int limit,
                                struct db_result **out, struct err_info *info) MUST_USE;
/* Newest year first: … year, in season. */
enum err store_stats_seasons(struct db_session *s, const struct id *tenant, int limit, struct db_result **out,
                             struct err_info *info) MUST_USE;
/* Months that begin in the span, most asked first: vendor_id, name, asked, confirmed, 50th and 95th percentile of the seconds
 * to the answer. */
enum err store_stats_vendors(struct db_session *s, const struct id *tenant, const struct store_span *span, int limit,
                             struct db_result **out, struct err_info *info) MUST_USE;
/* What a tenant uses, one row: rules, rules in force, weddings, unfinished jobs (as counted: what happened in the last seconds is
 * missing), open dead letters, then of the span: jobs accepted, done, dead, attempts, µs of work. */
enum err store_stats_tenant(struct db_session *s, const struct id *tenant, const struct store_span *span,
                            struct db_result **out, struct err_info *info) MUST_USE;
/* Refreshes the statistics that are due; text: the view's name, NULL when none is. */
void store_stats_refresh(struct db_conn *c, db_cb cb, void *arg);

/* ---- shared by these files ---- */
/* Runs the statement and frees the arguments' arena. */
enum err store_query_run(struct db_session *s, const struct db_stmt *stmt, struct db_args *a, struct db_result **out,
                         struct err_info *info) MUST_USE;
int store_query_limit(int limit);

#endif
