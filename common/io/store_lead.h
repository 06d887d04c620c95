/* store_lead: the leader's statements over a blocking session: leadership, duties over events, timings and rules, admission, sweep
 * and upkeep. Each runs one statement or SQL function of migrations/030–032; errors as in db.h. What takes a term fails with ERR_STATE
 * when that term has ended. Results are freed with db_result_free; rows are read with the struct beside the call, whose texts are
 * borrowed from the result. */
#ifndef COMMON_IO_STORE_LEAD_H
#define COMMON_IO_STORE_LEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/id.h"
#include "common/base/str.h"
#include "common/io/db.h"

/* ---- leadership ---------------------------------------------------------------------------------------------------------- */
/* The session advisory lock that makes a leader: "usher" in ASCII as one number. Held by whoever leads, on a direct connection (behind a
 * transaction pooler a session lock belongs to nobody). */
#define STORE_LEAD_LOCK INT64_C(504447395186) /* 0x7573686572 */
enum err store_lead_lock(struct db_session *s, bool *got, struct err_info *info) MUST_USE;
/* Who holds that lock, and the age of the leader's last beat by the server's clock. pid 0: nobody. */
struct store_holder {
    int pid;
    int64_t beat_age_ms;
};
enum err store_lead_holder(struct db_session *s, struct store_holder *out, struct err_info *info) MUST_USE;
/* Ends that backend, if it still holds the lock. */
enum err store_lead_terminate(struct db_session *s, int pid, struct err_info *info) MUST_USE;
/* Raises the term; waits for the duty transactions of the leader before. */
enum err store_lead_take(struct db_session *s, const char *name, int64_t *term, struct err_info *info) MUST_USE;
/* *valid: the term is still the present one. */
enum err store_lead_beat(struct db_session *s, int64_t term, bool *valid, struct err_info *info) MUST_USE;

/* ---- what there is to do --------------------------------------------------------------------------------------------------- */
/* One look at everything, so that an idle round costs one round trip. */
struct store_work {
    bool rules, events, waits, weddings, timings;
    int64_t next_us; /* until the next timing, event or job is due, in domain time; INT64_MAX: nothing is */
    struct id epoch; /* changes when the database is restored; zero: none */
};
enum err store_lead_work(struct db_session *s, struct store_work *out, struct err_info *info) MUST_USE;

struct store_clock {
    bool stepped;
    int64_t domain_us;
    int64_t machine_us; /* the server's */
};
enum err store_lead_clock(struct db_session *s, struct store_clock *out, struct err_info *info) MUST_USE;

/* ---- events ---------------------------------------------------------------------------------------------------------------- */
/* only = 0: the next `limit` events. */
enum err store_lead_events(struct db_session *s, int64_t term, int limit, int64_t only, struct db_result **out,
                           struct err_info *info) MUST_USE;
struct store_event {
    struct id event_id, tenant_id, wedding_id;              /* zero: none */
    struct str type, payload, facts, wedding_status, waits; /* p == NULL: none; waits: JSON, see take_events */
    int64_t occurred_us, seq, ruleset_version, wedding_revision, now_us;
    int hops;
};
void store_lead_event(const struct db_result *r, int row, struct store_event *out);
/* *id = 0: nothing is available. */
enum err store_lead_mark(struct db_session *s, int64_t term, int64_t *id, struct err_info *info) MUST_USE;
enum err store_lead_unmark(struct db_session *s, int64_t id, struct err_info *info) MUST_USE; /* by whoever marked it */

enum err store_lead_wait_checks(struct db_session *s, int64_t term, int limit, struct db_result **out,
                                struct err_info *info) MUST_USE;
struct store_wait {
    struct id job_id, tenant_id, wedding_id, rule_id;
    int64_t rule_revision, now_us;
    int step;
    struct str definition, events, facts;
};
void store_lead_wait(const struct db_result *r, int row, struct store_wait *out);
/* `events`: JSON array, one for each job. */
enum err store_lead_wake(struct db_session *s, int64_t term, const struct id *jobs, size_t n, struct str events,
                         int64_t *woken, struct err_info *info) MUST_USE;

/* ---- timings, runs, weddings -------------------------------------------------------------------------------------------------- */
/* From now on minutes with more runs than `above` (0: none) are spread, over at most `within_s`. */
enum err store_lead_shape(struct db_session *s, int64_t term, int above, int within_s, struct err_info *info) MUST_USE;
/* Before store_lead_timings of the same limit: minute, seconds of the minutes among them that are spread. */
enum err store_lead_herds(struct db_session *s, int64_t term, int limit, struct db_result **out,
                          struct err_info *info) MUST_USE;
enum err store_lead_timings(struct db_session *s, int64_t term, int limit, struct db_result **out,
                            struct err_info *info) MUST_USE;
struct store_timing {
    struct id tenant_id, wedding_id, timing_id;
    int64_t due_us, ruleset_version, wedding_revision, now_us;
    struct str wedding_status;
    int occurrence; /* from 1 */
    int64_t herd_s; /* over how many seconds its minute is spread; 0 unless the caller knows (store_lead_herds) */
};
void store_lead_timing(const struct db_result *r, int row, struct store_timing *out);
/* Of these weddings, in their order, those parts of the facts: a row each with the document. */
struct store_facts {
    const struct id *tenants, *weddings;
    size_t n;
    const struct str *parts;
    size_t n_parts;
    int64_t now_us;
};
enum err store_lead_facts(struct db_session *s, const struct store_facts *asked, struct db_result **out,
                          struct err_info *info) MUST_USE;
/* Is a later timing of that wedding due already that a rule with late policy fire_latest_only uses? */
enum err store_lead_later_timing(struct db_session *s, const struct store_timing *t, bool *later,
                                 struct err_info *info) MUST_USE;
/* Sends runs to be planned and does not wait (db_send); then how many of them started. */
enum err store_lead_plan(struct db_session *s, int64_t term, struct str runs, struct err_info *info) MUST_USE;
enum err store_lead_planned(struct db_session *s, int64_t *started, struct err_info *info) MUST_USE;
enum err store_lead_replan(struct db_session *s, int64_t term, int limit, int64_t *handled,
                           struct err_info *info) MUST_USE;

/* Lets the next run of each rule and wedding go on that waited for an earlier one (mode `queued`). */
enum err store_lead_queued(struct db_session *s, int64_t term, int limit, int64_t *released,
                           struct err_info *info) MUST_USE;

/* ---- rules -------------------------------------------------------------------------------------------------------------------- */
/* Rules that go live or expire now; *n is how many were looked at. */
enum err store_lead_activate(struct db_session *s, int64_t term, int limit, int64_t *n, struct err_info *info) MUST_USE;
enum err store_lead_unchecked_rules(struct db_session *s, int limit, struct db_result **out,
                                    struct err_info *info) MUST_USE;
struct store_rule {
    struct id tenant_id, rule_id; /* a rule set's rows name no tenant */
    int64_t revision;
    struct str definition;
};
void store_lead_unchecked_rule(const struct db_result *r, int row, struct store_rule *out);
enum err store_lead_stamp(struct db_session *s, int64_t term, const struct store_rule *rule, struct str stamp,
                          struct err_info *info) MUST_USE;
/* Timing keys whose making no transaction overlaps any more: their timings take in the weddings that were written meanwhile. */
enum err store_lead_timing_keys(struct db_session *s, int64_t term, int limit, int64_t *settled,
                                struct err_info *info) MUST_USE;
/* At most `limit` other active rules of its tenant that an event or a rule may start. Rows as those of a rule set. */
enum err store_lead_rules_beside(struct db_session *s, const struct store_rule *rule, int limit, struct db_result **out,
                                 struct err_info *info) MUST_USE;
/* Those of the names that are no message template of the tenant or ours. One text column. */
enum err store_lead_missing_messages(struct db_session *s, const struct id *tenant, const struct str *names, size_t n,
                                     struct db_result **out, struct err_info *info) MUST_USE;
/* A tenant's active rules. *version = 0 and no rows: the tenant never had a rule. */
enum err store_lead_ruleset(struct db_session *s, const struct id *tenant, int64_t *version, struct db_result **out,
                            struct err_info *info) MUST_USE;
/* False: that row is no rule (a tenant without active rules has one such row). */
bool store_lead_ruleset_rule(const struct db_result *r, int row, struct store_rule *out);

/* ---- admission ------------------------------------------------------------------------------------------------------------------ */
/* Names of queues: of the kinds and of the ledger. One text column. */
enum err store_lead_queues(struct db_session *s, struct db_result **out, struct err_info *info) MUST_USE;
enum err store_lead_due_jobs(struct db_session *s, const char *queue, int limit, int share, struct db_result **out,
                             struct err_info *info) MUST_USE;
struct store_due {
    struct id job_id, tenant_id;
    int32_t claim_no;
};
void store_lead_due_job(const struct db_result *r, int row, struct store_due *out);
/* Which of them are still due and unclaimed at that claim number: one id column. */
enum err store_lead_still_waiting(struct db_session *s, const struct id *jobs, const int32_t *claims, size_t n,
                                  struct db_result **out, struct err_info *info) MUST_USE;

/* ---- sweep and upkeep --------------------------------------------------------------------------------------------------------------- */
/* `all`: the whole ledger is read for owners that have no row any more, too. */
enum err store_lead_sweep(struct db_session *s, int64_t term, int limit, bool all, struct db_result **out,
                          struct err_info *info) MUST_USE;
struct store_swept {
    struct id worker_id;
    struct str name; /* p == NULL: its row was gone */
    int64_t freed, poisoned, left_over;
};
void store_lead_swept(const struct db_result *r, int row, struct store_swept *out);
/* Which of these ids are of workers that have no row: one id column. */
enum err store_lead_unknown_workers(struct db_session *s, const struct id *ids, size_t n, struct db_result **out,
                                    struct err_info *info) MUST_USE;
enum err store_lead_fold(struct db_session *s, int64_t *folded, struct err_info *info) MUST_USE;
/* Folds about `groups` groups of logged rows into the rollups; *folded: how many it were. */
enum err store_lead_fold_rollups(struct db_session *s, int groups, int64_t *folded, struct err_info *info) MUST_USE;
/* Derives instants anew of zones whose rules have changed with the time zone database: their number. */
enum err store_lead_zones(struct db_session *s, int64_t *changed, struct err_info *info) MUST_USE;
/* Partitions for the months of both instants and three more. */
enum err store_lead_partitions(struct db_session *s, const struct store_clock *clock, int64_t *made,
                               struct err_info *info) MUST_USE;
/* How long the log has partitions without a gap, from now on by the server's clock; 0: not even now. */
enum err store_lead_runway(struct db_session *s, int64_t *runway_us, struct err_info *info) MUST_USE;
/* One batch of the retention list's first purged table behind `table` by name, which is replaced by that table's name; ""
 * when there is none. */
#define STORE_TABLE_SIZE 128
struct store_purged {
    int64_t rows;
    bool more; /* the same table has more to purge */
};
enum err store_lead_purge(struct db_session *s, int64_t term, char table[STORE_TABLE_SIZE], struct store_purged *out,
                          struct err_info *info) MUST_USE;
/* Adopts bare entries: a JSON array of common/core/adoption.h. What was adopted before, or logged, is skipped. *busy: one column, the ids
 * of those that wait for another transaction's unique key and may not be acknowledged. */
enum err store_lead_relieve(struct db_session *s, struct str entries, struct db_result **busy,
                            struct err_info *info) MUST_USE;
/* Kinds that may not stand in bare entries: one text column. */
enum err store_lead_rule_kinds(struct db_session *s, struct db_result **out, struct err_info *info) MUST_USE;
/* Dead letters that are not in the stream for onlookers yet, oldest first: tenant_id, job_id, kind, queue, reason, error, attempt,
 * run_id, wedding_id, died_at. */
enum err store_lead_dead_unfed(struct db_session *s, int limit, struct db_result **out, struct err_info *info) MUST_USE;
enum err store_lead_dead_fed(struct db_session *s, int64_t term, const struct id *tenants, const struct id *jobs,
                             size_t n, struct err_info *info) MUST_USE;
/* What the rule cache answered, by level. */
#define STORE_CACHE_LEVELS 3
struct store_cache_counts {
    int64_t hits[STORE_CACHE_LEVELS], misses[STORE_CACHE_LEVELS], skipped[STORE_CACHE_LEVELS],
        failed[STORE_CACHE_LEVELS];
};
/* Adds to what is counted in automation_priv.rule_cache. */
enum err store_lead_count_cache(struct db_session *s, int64_t term, const struct store_cache_counts *more,
                                struct err_info *info) MUST_USE;
enum err store_lead_beacon(struct db_session *s, int64_t *seq, struct err_info *info) MUST_USE;
enum err store_lead_beacon_next(struct db_session *s, int64_t term, int64_t *seq, struct err_info *info) MUST_USE;
/* Redis's is `seq`, and ahead. *decided: 0 no, 1 yes, but there is still something to plan, 2 the sequence has caught up. */
enum err store_lead_beacon_raise(struct db_session *s, int64_t term, int64_t seq, int64_t *decided,
                                 struct err_info *info) MUST_USE;
/* Host tables that want a person: rows (name, off, backfilled, errors). */
enum err store_lead_sources(struct db_session *s, struct db_result **out, struct err_info *info) MUST_USE;
/* Accepted jobs that are neither finished nor unfinished, or the other way round: reads the whole ledger. */
enum err store_lead_unaccounted(struct db_session *s, int64_t *jobs, struct err_info *info) MUST_USE;

#endif
