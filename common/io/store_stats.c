/* store_stats: statistics from the rollups and the materialized views over them (store_query.h). */
#include "common/io/store_query.h"

#include "common/base/mem.h"

#define P(hist, share) "automation_priv.hist_percentile(" hist ", " share ")"
#define SUMS                                                                                                           \
    "select t.n, t.done, t.failed, t.dead, t.unrun, t.us / nullif(t.n - t.unrun, 0), " P("t.took", "0.5") ", " P(      \
        "t.took", "0.95") ", " P("t.took", "0.99") ", " P("t.late", "0.5") ", " P("t.late",                            \
                                                                                  "0.95") ", " P("t.late",             \
                                                                                                 "0.99") ", "
#define OF                                                                                                             \
    "sum(n)::int8 as n, sum(done)::int8 as done, sum(failed)::int8 as failed, sum(dead)::int8 as dead, "               \
    "sum(unrun)::int8 as unrun, sum(took_us)::int8 as us, automation_priv.hist_sum(took) as took, "                    \
    "automation_priv.hist_sum(late) as late\n"
#define DAYS "day >= ($2 at time zone 'UTC')::date and day < ($3 at time zone 'UTC')::date"

static void args_span(struct db_args *a, struct arena *arena, const struct id *tenant, const struct store_span *span,
                      int limit)
{
    db_args_init(a, arena);
    db_arg_id(a, tenant);
    db_arg_time(a, span->from_us);
    db_arg_time(a, span->to_us);
    db_arg_i64(a, store_query_limit(limit));
}

enum err store_stats_rule(struct db_session *s, const struct id *tenant, const struct id *rule,
                          const struct store_span *span, int limit, struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "stats_rule",
        SUMS "t.day::text, t.kind\n"
             "from (select (hour at time zone 'UTC')::date as day, kind, " OF "    from automation.execution_rollup\n"
             "    where tenant_id = $1 and rule_id = $5 and hour >= $2 and hour < $3 group by 1, 2) t\n"
             "order by t.day desc, t.kind limit $4"};
    struct arena arena = {0};
    struct db_args a;

    args_span(&a, &arena, tenant, span, limit);
    db_arg_id(&a, rule);
    return store_query_run(s, &stmt, &a, out, info);
}

enum err store_stats_rules(struct db_session *s, const struct id *tenant, const struct store_span *span, int limit,
                           struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {"stats_rules", SUMS
                                        "t.rule_id, r.name\n"
                                        "from (select rule_id, " OF "    from automation_priv.stats_rule\n"
                                        "    where tenant_id = $1 and " DAYS
                                        " group by 1 order by 2 desc, 1 limit $4) t\n"
                                        "left join automation.rules r on r.tenant_id = $1 and r.rule_id = t.rule_id\n"
                                        "order by t.n desc, t.rule_id"};
    struct arena arena = {0};
    struct db_args a;

    args_span(&a, &arena, tenant, span, limit);
    return store_query_run(s, &stmt, &a, out, info);
}

enum err store_stats_milestones(struct db_session *s, const struct id *tenant, const struct store_span *span, int limit,
                                struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {"stats_milestones",
                                        SUMS "t.trigger_type, t.trigger_name\n"
                                             "from (select trigger_type, trigger_name, " OF
                                             "    from automation_priv.stats_milestone\n"
                                             "    where tenant_id = $1 and " DAYS " group by 1, 2) t\n"
                                             "order by t.n desc, t.trigger_type, t.trigger_name limit $4"};
    struct arena arena = {0};
    struct db_args a;

    args_span(&a, &arena, tenant, span, limit);
    return store_query_run(s, &stmt, &a, out, info);
}

enum err store_stats_seasons(struct db_session *s, const struct id *tenant, int limit, struct db_result **out,
                             struct err_info *info)
{
    static const struct db_stmt stmt = {
        "stats_seasons",
        "select n, done, failed, dead, unrun, took_us / nullif(n - unrun, 0), took_p50_us, took_p95_us, took_p99_us,\n"
        "    late_p50_us, late_p95_us, late_p99_us, year, in_season\n"
        "from automation_priv.stats_season where tenant_id = $1 order by year desc, in_season desc limit $2"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, tenant);
    db_arg_i64(&a, store_query_limit(limit));
    return store_query_run(s, &stmt, &a, out, info);
}

enum err store_stats_vendors(struct db_session *s, const struct id *tenant, const struct store_span *span, int limit,
                             struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "stats_vendors",
        "select t.vendor_id, v.name, t.asked, t.confirmed, " P("t.answer", "0.5") ", " P(
            "t.answer",
            "0.95") "\n"
                    "from (select vendor_id, sum(asked)::int8 as asked, sum(confirmed)::int8 as confirmed,\n"
                    "        automation_priv.hist_sum(answer) as answer from automation_priv.stats_vendor\n"
                    "    where tenant_id = $1 and month >= ($2 at time zone 'UTC')::date and month < ($3 at time zone "
                    "'UTC')::date\n"
                    "    group by 1) t\n"
                    "left join automation.vendors v on v.tenant_id = $1 and v.vendor_id = t.vendor_id\n"
                    "order by t.asked desc, t.vendor_id limit $4"};
    struct arena arena = {0};
    struct db_args a;

    args_span(&a, &arena, tenant, span, limit);
    return store_query_run(s, &stmt, &a, out, info);
}

enum err store_stats_tenant(struct db_session *s, const struct id *tenant, const struct store_span *span,
                            struct db_result **out, struct err_info *info)
{
    /* Unfinished ones are what was accepted and did not end: the ledger has no index by tenant, and would be read whole. */
    static const struct db_stmt stmt = {
        "stats_tenant",
        "select (select count(*) from automation.rules where tenant_id = $1),\n"
        "    (select count(*) from automation.rules where tenant_id = $1 and status = 'active'\n"
        "        and validated_revision is not null),\n"
        "    (select count(*) from automation.weddings where tenant_id = $1),\n"
        "    c.unfinished,\n"
        "    (select count(*) from automation.dead_letters where tenant_id = $1 and replayed_as is null\n"
        "        and discarded_at is null),\n"
        "    c.accepted, c.done, c.dead, u.n, u.us\n"
        "from (select coalesce(sum(case outcome when 'accepted' then n else -n end), 0)::int8 as unfinished,\n"
        "        coalesce(sum(n) filter (where outcome = 'accepted' and " DAYS "), 0)::int8 as accepted,\n"
        "        coalesce(sum(n) filter (where outcome = 'done' and " DAYS "), 0)::int8 as done,\n"
        "        coalesce(sum(n) filter (where outcome = 'dead' and " DAYS "), 0)::int8 as dead\n"
        "    from automation.job_counts where tenant_id = $1) c,\n"
        "    (select coalesce(sum(n), 0)::int8 as n, coalesce(sum(took_us), 0)::int8 as us\n"
        "    from automation_priv.stats_rule where tenant_id = $1 and " DAYS ") u"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, tenant);
    db_arg_time(&a, span->from_us);
    db_arg_time(&a, span->to_us);
    return store_query_run(s, &stmt, &a, out, info);
}

void store_stats_refresh(struct db_conn *c, db_cb cb, void *arg)
{
    static const struct db_stmt stmt = {"stats_refresh", "select automation_priv.refresh_stats()"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_conn_query(c, &stmt, &a, cb, arg);
    arena_free(&arena);
}
