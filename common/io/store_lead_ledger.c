/* store_lead_ledger: the part of store_lead.h about the ledger: admission, sweep and upkeep. */
#include "common/io/store_lead.h"

#include "common/io/store_lead_ask.h"

/* ---- admission ------------------------------------------------------------------------------------------------------------------ */

enum err store_lead_queues(struct db_session *s, struct db_result **out, struct err_info *info)
{
    /* The index leads with the queue: one descent for each distinct name, however long the ledger is. */
    static const struct db_stmt stmt = {
        "queues",
        "with recursive l(q) as ((select queue from automation_priv.ledger where due_at is not null order by queue "
        "limit 1)"
        " union all select (select x.queue from automation_priv.ledger x where x.due_at is not null and x.queue > l.q"
        " order by x.queue limit 1) from l where l.q is not null)"
        " select q, false from l where q is not null union all select queue, false from automation.kinds"
        " union all select q, true from automation_priv.workers w, string_to_table(w.queues, ',') as s(t), btrim(s.t) "
        "as q"
        " order by 2 desc, 1"};

    return db_query(s, &stmt, NULL, out, info);
}

enum err store_lead_due_jobs(struct db_session *s, const char *queue, int limit, int share, struct db_result **out,
                             struct err_info *info)
{
    static const struct db_stmt stmt = {"due_jobs",
                                        "select job_id, tenant_id, claim_no from automation_priv.due_jobs($1, $2, $3)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_cstr(&a, queue);
    db_arg_i32(&a, limit);
    db_arg_i32(&a, share);
    return store_lead_ask_rows(s, &stmt, &a, out, info);
}

void store_lead_due_job(const struct db_result *r, int row, struct store_due *out)
{
    *out = (struct store_due){db_id(r, row, 0), db_id(r, row, 1), (int32_t)db_i64(r, row, 2)};
}

enum err store_lead_still_waiting(struct db_session *s, const struct id *jobs, const int32_t *claims, size_t n,
                                  struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {"still_waiting", "select automation_priv.still_waiting($1, $2)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_ids(&a, jobs, n);
    db_arg_i32s(&a, claims, n);
    return store_lead_ask_rows(s, &stmt, &a, out, info);
}

/* ---- sweep and upkeep --------------------------------------------------------------------------------------------------------------- */

enum err store_lead_sweep(struct db_session *s, int64_t term, int limit, bool all, struct db_result **out,
                          struct err_info *info)
{
    static const struct db_stmt known = {
        "sweep_workers",
        "select worker_id, name, freed, poisoned, left_over from automation_priv.sweep_workers($1, $2, false)"};
    static const struct db_stmt whole = {
        "sweep_ledger",
        "select worker_id, name, freed, poisoned, left_over from automation_priv.sweep_workers($1, $2, true)"};

    return store_lead_ask_batch(s, all ? &whole : &known, term, limit, out, info);
}

void store_lead_swept(const struct db_result *r, int row, struct store_swept *out)
{
    *out = (struct store_swept){db_id(r, row, 0), db_text(r, row, 1), db_i64(r, row, 2), db_i64(r, row, 3),
                                db_i64(r, row, 4)};
}

enum err store_lead_unknown_workers(struct db_session *s, const struct id *ids, size_t n, struct db_result **out,
                                    struct err_info *info)
{
    static const struct db_stmt stmt = {"unknown_workers",
                                        "select i from unnest($1::uuid[]) i where not exists (select from "
                                        "automation_priv.workers w where w.worker_id = i)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_ids(&a, ids, n);
    return store_lead_ask_rows(s, &stmt, &a, out, info);
}

enum err store_lead_zones(struct db_session *s, int64_t *changed, struct err_info *info)
{
    static const struct db_stmt stmt = {"lead_zones", "select count(*) from automation_priv.refresh_zones()"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    return store_lead_ask_i64(s, &stmt, &a, changed, info);
}

enum err store_lead_fold(struct db_session *s, int64_t *folded, struct err_info *info)
{
    static const struct db_stmt stmt = {"fold_deltas", "select automation_priv.fold_deltas()"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    return store_lead_ask_i64(s, &stmt, &a, folded, info);
}

enum err store_lead_fold_rollups(struct db_session *s, int groups, int64_t *folded, struct err_info *info)
{
    static const struct db_stmt stmt = {"fold_rollups",
                                        "select automation_priv.fold_rollups($1) from automation_priv.fold_vendors()"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_i32(&a, groups);
    return store_lead_ask_i64(s, &stmt, &a, folded, info);
}

enum err store_lead_partitions(struct db_session *s, const struct store_clock *clock, int64_t *made,
                               struct err_info *info)
{
    static const struct db_stmt stmt = {
        "partitions", "select automation_priv.ensure_partitions($1, $1) + automation_priv.ensure_partitions($2, $2)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_time(&a, clock->machine_us);
    db_arg_time(&a, clock->domain_us);
    return store_lead_ask_i64(s, &stmt, &a, made, info);
}

enum err store_lead_runway(struct db_session *s, int64_t *runway_us, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "log_runway",
        "select coalesce((extract(epoch from automation_priv.log_runway(clock_timestamp()) - clock_timestamp()) "
        "* 1000000)::bigint, 0)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    return store_lead_ask_i64(s, &stmt, &a, runway_us, info);
}

enum err store_lead_purge(struct db_session *s, int64_t term, char table[STORE_TABLE_SIZE], struct store_purged *out,
                          struct err_info *info)
{
    static const struct db_stmt stmt = {"purge", "select table_name, purged, more from automation_priv.purge($1, $2)"};
    struct arena arena = {0};
    struct db_args a;
    struct db_result *res = NULL;
    enum err err = ERR_OK;

    *out = (struct store_purged){0};
    db_args_init(&a, &arena);
    db_arg_i64(&a, term);
    db_arg_cstr(&a, table);
    err = store_lead_ask_rows(s, &stmt, &a, &res, info);
    if (err != ERR_OK)
        return err;
    table[0] = '\0';
    if (db_rows(res) > 0) {
        struct str name = db_text(res, 0, 0);
        (void)str_copy_n(table, STORE_TABLE_SIZE, name.p, name.n);
        *out = (struct store_purged){db_i64(res, 0, 1), db_bool(res, 0, 2)};
    }
    db_result_free(res);
    return err;
}

enum err store_lead_relieve(struct db_session *s, struct str entries, struct db_result **busy, struct err_info *info)
{
    static const struct db_stmt stmt = {"relieve_entries", "select b from automation_priv.relieve_entries($1) b"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_json(&a, entries);
    enum err err = db_query(s, &stmt, &a, busy, info);
    arena_free(&arena);
    return err;
}

enum err store_lead_rule_kinds(struct db_session *s, struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {"rule_kinds", "select kind from automation.kinds where class = 'rule'"};

    return db_query(s, &stmt, NULL, out, info);
}

enum err store_lead_dead_unfed(struct db_session *s, int limit, struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {"dead_unfed",
                                        "select tenant_id, job_id, kind, queue, reason, error, attempt, "
                                        "run_id, wedding_id, died_at from automation_priv.dead_unfed($1)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_i32(&a, limit);
    return store_lead_ask_rows(s, &stmt, &a, out, info);
}

enum err store_lead_dead_fed(struct db_session *s, int64_t term, const struct id *tenants, const struct id *jobs,
                             size_t n, struct err_info *info)
{
    static const struct db_stmt stmt = {"dead_fed", "select automation_priv.dead_fed($1, $2, $3)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_i64(&a, term);
    db_arg_ids(&a, tenants, n);
    db_arg_ids(&a, jobs, n);
    enum err err = db_query(s, &stmt, &a, NULL, info);
    arena_free(&arena);
    return err;
}

enum err store_lead_count_cache(struct db_session *s, int64_t term, const struct store_cache_counts *more,
                                struct err_info *info)
{
    static const struct db_stmt stmt = {"count_rule_cache",
                                        "select automation_priv.count_rule_cache($1, $2, $3, $4, $5)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_i64(&a, term);
    db_arg_i64s(&a, more->hits, STORE_CACHE_LEVELS);
    db_arg_i64s(&a, more->misses, STORE_CACHE_LEVELS);
    db_arg_i64s(&a, more->skipped, STORE_CACHE_LEVELS);
    db_arg_i64s(&a, more->failed, STORE_CACHE_LEVELS);
    enum err err = db_query(s, &stmt, &a, NULL, info);
    arena_free(&arena);
    return err;
}

enum err store_lead_beacon(struct db_session *s, int64_t *seq, struct err_info *info)
{
    static const struct db_stmt stmt = {"beacon", "select seq from automation_priv.beacon"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    return store_lead_ask_i64(s, &stmt, &a, seq, info);
}

enum err store_lead_beacon_next(struct db_session *s, int64_t term, int64_t *seq, struct err_info *info)
{
    static const struct db_stmt stmt = {"beacon_next", "select automation_priv.beacon_next($1)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_i64(&a, term);
    return store_lead_ask_i64(s, &stmt, &a, seq, info);
}

enum err store_lead_beacon_raise(struct db_session *s, int64_t term, int64_t seq, int64_t *decided, struct err_info *info)
{
    static const struct db_stmt stmt = {"beacon_raise", "select automation_priv.beacon_raise($1, $2)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_i64(&a, term);
    db_arg_i64(&a, seq);
    return store_lead_ask_i64(s, &stmt, &a, decided, info);
}

enum err store_lead_unaccounted(struct db_session *s, int64_t *jobs, struct err_info *info)
{
    static const struct db_stmt stmt = {"unaccounted_jobs", "select jobs from automation.usher_unaccounted_jobs"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    return store_lead_ask_i64(s, &stmt, &a, jobs, info);
}

enum err store_lead_sources(struct db_session *s, struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "sources", "select host_name, state = 'off', backfilled, errors from automation.usher_sources"
                   " where state = 'off' or not backfilled or errors > 0 order by host_name"};

    return db_query(s, &stmt, NULL, out, info);
}
