/* store_preview: see store_preview.h. */
#include "common/io/store_preview.h"

#include <stdlib.h>

#include "common/base/mem.h"
#include "common/core/advance.h"

/* Seconds that local time in zone `z` is ahead of UTC at instant `t`. */
#define OFFSET_SQL(t, z) "extract(epoch from (" t " at time zone " z ") - (" t " at time zone 'UTC'))::int8"

/* $3 is the trigger's timing (advance_timing), null without a milestone. */
#define KEY_SQL                                                                                                        \
    "cross join lateral jsonb_populate_record(null::automation.timing_keys, coalesce($3::jsonb || jsonb_build_object(" \
    "'at_time', $3 -> 'at', 'zone_mode', $3 -> 'zone', 'send_window', $3 -> 'window'), '{}')) k\n"

enum err store_preview_begin(struct db_session *s, struct err_info *info)
{
    return db_exec(s, "begin transaction isolation level repeatable read, read only", NULL, info);
}

void store_preview_end(struct db_session *s)
{
    /* A transaction that can not be ended is ended by the server with the session. */
    enum err err = db_exec(s, "rollback", NULL, NULL);
    (void)err;
}

static const struct id *or_null(const struct id *id)
{
    return id_is_zero(id) ? NULL : id;
}

static enum err query(struct db_session *s, const struct db_stmt *stmt, const struct db_args *args, struct arena *arena,
                      struct db_result **out, struct err_info *info)
{
    enum err err = db_query(s, stmt, args, out, info);

    arena_free(arena);
    return err;
}

enum err store_preview_wedding(struct db_session *s, const struct id *tenant, const struct id *wedding,
                               struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "preview_wedding",
        "select w.title, w.status, w.ceremony_date::text, w.time_zone, w.revision, n.time_zone, automation.now()\n"
        "from automation.weddings w join automation.tenants n using (tenant_id)\n"
        "where w.tenant_id = $1 and w.wedding_id = $2"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, tenant);
    db_arg_id(&a, wedding);
    return query(s, &stmt, &a, &arena, out, info);
}

enum err store_preview_rule(struct db_session *s, const struct id *tenant, const struct id *rule,
                            struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "preview_rule", "select r.definition, r.revision, r.validated_revision, r.rejected_revision, r.status, "
                        "r.warnings, r.rejection\n"
                        "from automation.rules r where r.tenant_id = $1 and r.rule_id = $2"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, tenant);
    db_arg_id(&a, rule);
    return query(s, &stmt, &a, &arena, out, info);
}

enum err store_preview_version(struct db_session *s, const struct id *tenant, const struct id *rule, int64_t revision,
                               struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {"preview_version",
                                        "select v.definition from automation.rule_versions v\n"
                                        "where v.tenant_id = $1 and v.rule_id = $2 and v.revision = $3"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, tenant);
    db_arg_id(&a, rule);
    db_arg_i64(&a, revision);
    return query(s, &stmt, &a, &arena, out, info);
}

enum err store_preview_messages(struct db_session *s, const struct id *tenant, const char *names,
                                struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {"preview_messages", "select automation_priv.message_snapshot($1, $2)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, tenant);
    db_arg_json(&a, str_of(names));
    return query(s, &stmt, &a, &arena, out, info);
}

enum err store_preview_facts(struct db_session *s, const struct id *tenant, const struct id *wedding, int64_t at_us,
                             struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {"preview_facts", "select automation_priv.facts($1, $2, $3)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, tenant);
    db_arg_id(&a, wedding);
    db_arg_time(&a, at_us);
    return query(s, &stmt, &a, &arena, out, info);
}

/* The key of its timing; null without a milestone. */
static void arg_timing(struct db_args *a, const struct rule_trigger *t)
{
    json_t *key = t->type == TRIGGER_MILESTONE ? advance_timing(t) : NULL;
    char *text = key != NULL ? json_dumps(key, JSON_COMPACT) : NULL;

    db_arg_json(a, text != NULL ? str_of(arena_strdup(a->arena, text)) : (struct str){NULL, 0});
    free(text);
    json_decref(key);
}

static void read_fire(const struct db_result *r, struct store_preview_fire *fire)
{
    fire->anchor_date = db_text(r, 0, 0);
    fire->anchor_time = db_text(r, 0, 1);
    fire->zone = db_text(r, 0, 2);
    fire->zone_known = db_bool(r, 0, 3);
    fire->fire_date = db_text(r, 0, 4);
    fire->due_us = db_time(r, 0, 5);
    fire->offset_s = (int32_t)db_i64(r, 0, 6);
    fire->gap = db_bool(r, 0, 7);
    fire->ambiguous = db_bool(r, 0, 8);
    fire->nominal_us = db_time(r, 0, 9);
    fire->nominal_offset_s = (int32_t)db_i64(r, 0, 10);
    fire->occurrence = (int)db_i64(r, 0, 11);
    fire->fired = str_is(db_text(r, 0, 12), "fired");
}

enum err store_preview_fire(struct db_session *s, const struct id *tenant, const struct id *wedding,
                            const struct rule_trigger *trigger, struct store_preview_fire *fire, struct db_result **out,
                            struct err_info *info)
{
    /* Zones change by an hour, or by half of one (Lord Howe Island). */
    static const struct db_stmt stmt = {
        "preview_fire",
        "select m.local_date::text, to_char(m.local_time, 'HH24:MI'), z.zone, y.known, x.day::text, d.due,\n"
        "    extract(epoch from (d.due at time zone z.zone) - (d.due at time zone 'UTC'))::int8,\n"
        "    k.at_time is not null and d.at at time zone z.zone <> x.day + k.at_time,\n"
        "    k.at_time is not null and ((d.at - interval '60 min') at time zone z.zone = d.at at time zone z.zone\n"
        "        or (d.at - interval '30 min') at time zone z.zone = d.at at time zone z.zone),\n"
        "    d.at, extract(epoch from (d.at at time zone z.zone) - (d.at at time zone 'UTC'))::int8, o.n, t.state\n"
        "from automation.weddings w join automation.tenants n using (tenant_id)\n" KEY_SQL
        "left join automation.milestones m on m.tenant_id = w.tenant_id and m.wedding_id = w.wedding_id and m.name = "
        "k.milestone\n"
        "left join automation.timings t on t.tenant_id = w.tenant_id and t.wedding_id = w.wedding_id\n"
        "    and t.timing_id = ($3 ->> 'id')::uuid\n"
        "cross join lateral (select coalesce(t.occurrence, 1) as n,\n"
        "    k.months + case when k.yearly is null then 0 else 12 * (coalesce(t.occurrence, 1) - 1) end as months) o\n"
        "cross join lateral (select case $4 when 'wedding' then w.time_zone when 'tenant' then n.time_zone else $4 end "
        "as zone) z\n"
        "cross join lateral (select case when $4 = 'wedding' then true\n"
        "    else exists (select from pg_catalog.pg_timezone_names t where t.name = z.zone) end as known) y\n"
        "cross join lateral (select (m.local_date + make_interval(months => o.months, days => k.days))::date as day) "
        "x\n"
        "cross join lateral (select case when y.known then automation_priv.timing_instant(k, m.local_date, "
        "m.local_time,\n"
        "        w.time_zone, n.time_zone, o.n) end as due,\n"
        "    case when y.known then automation_priv.instant(m.local_date, m.local_time, z.zone, o.months, k.days, "
        "k.seconds,\n"
        "        k.at_time) end as at) d\n"
        "where w.tenant_id = $1 and w.wedding_id = $2"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, tenant);
    db_arg_id(&a, wedding);
    arg_timing(&a, trigger);
    db_arg_cstr(&a, trigger->zone);
    enum err err = query(s, &stmt, &a, &arena, out, info);
    if (err == ERR_OK && db_rows(*out) == 0)
        err = err_set(info, ERR_NOTFOUND, "the tenant has no such wedding");
    if (err == ERR_OK)
        read_fire(*out, fire);
    return err;
}

enum err store_preview_occurrences(struct db_session *s, const struct id *tenant, const struct id *wedding,
                                   const struct rule_trigger *trigger, struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "preview_occurrences",
        "select i.n, d.due, extract(epoch from (d.due at time zone w.time_zone) - (d.due at time zone 'UTC'))::int8\n"
        "from automation.weddings w join automation.tenants n using (tenant_id)\n" KEY_SQL
        "join automation.milestones m on m.tenant_id = w.tenant_id and m.wedding_id = w.wedding_id and m.name = "
        "k.milestone\n"
        "cross join lateral generate_series(1, k.yearly::int4) i(n)\n"
        "cross join lateral (select automation_priv.timing_instant(k, m.local_date, m.local_time, w.time_zone, "
        "n.time_zone,\n"
        "    i.n) as due) d\n"
        "where w.tenant_id = $1 and w.wedding_id = $2 and d.due is not null order by i.n"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, tenant);
    db_arg_id(&a, wedding);
    arg_timing(&a, trigger);
    return query(s, &stmt, &a, &arena, out, info);
}

static enum err ask_due(struct db_session *s, const struct db_stmt *stmt, const struct id *tenant,
                        const struct id *wedding, const char *spec, int64_t at_us, int64_t *due_us, int32_t *offset_s,
                        struct err_info *info)
{
    struct arena arena = {0};
    struct db_result *r = NULL;
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, tenant);
    db_arg_id(&a, wedding);
    if (spec != NULL)
        db_arg_json(&a, str_of(spec));
    else
        db_arg_json(&a, (struct str){NULL, 0});
    db_arg_time(&a, at_us);
    enum err err = query(s, stmt, &a, &arena, &r, info);
    *due_us = DB_NULL_TIME;
    if (err == ERR_OK && db_rows(r) == 1) {
        *due_us = db_time(r, 0, 0);
        *offset_s = (int32_t)db_i64(r, 0, 1);
    }
    db_result_free(r);
    return err;
}

enum err store_preview_due(struct db_session *s, const struct id *tenant, const struct id *wedding, const char *spec,
                           int64_t at_us, int64_t *due_us, int32_t *offset_s, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "preview_due",
        "select d.due_at, " OFFSET_SQL("d.due_at", "w.time_zone") "\n"
                                                                  "from automation.weddings w cross join lateral "
                                                                  "automation_priv.resolve_due($1, $2, $3, $4) d\n"
                                                                  "where w.tenant_id = $1 and w.wedding_id = $2"};

    return ask_due(s, &stmt, tenant, wedding, spec, at_us, due_us, offset_s, info);
}

enum err store_preview_herd(struct db_session *s, int64_t due_us, int64_t *herd_s, struct err_info *info)
{
    static const struct db_stmt stmt = {"preview_herd", "select automation_priv.herd_seconds($1)"};
    struct arena arena = {0};
    struct db_result *r = NULL;
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_time(&a, due_us);
    enum err err = query(s, &stmt, &a, &arena, &r, info);
    *herd_s = err == ERR_OK ? db_i64(r, 0, 0) : 0;
    db_result_free(r);
    return err;
}

enum err store_preview_spread(struct db_session *s, const struct id *tenant, const struct id *wedding, const char *spec,
                              int64_t planned_us, int64_t *due_us, int32_t *offset_s, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "preview_spread",
        "select d.due_at, " OFFSET_SQL(
            "d.due_at", "w.time_zone") "\n"
                                       "from automation.weddings w cross join lateral (\n"
                                       "    select automation_priv.spread_due($1, $2, $3, $4) as due_at) d\n"
                                       "where w.tenant_id = $1 and w.wedding_id = $2"};

    return ask_due(s, &stmt, tenant, wedding, spec, planned_us, due_us, offset_s, info);
}

enum err store_preview_standing(struct db_session *s, const struct store_preview_start *start, struct db_result **out,
                                struct err_info *info)
{
    static const struct db_stmt stmt = {
        "preview_standing",
        "select r.run_id, r.state, r.reason, r.acted, c.running, c.counted, c.last_hour,\n"
        "    u.live, u.live_reason, u.live_due, b.at,\n"
        "    $5::timestamptz < date_trunc('milliseconds', b.at) and ($9 or w.created_at < b.at),\n"
        "    coalesce(u.booked_only and (w.booked_at is null or $5 < date_trunc('milliseconds', w.booked_at)), "
        "false),\n"
        "    coalesce(automation_priv.ran_before($1, $2, $3, $11, $12, $10, $5), false),\n"
        "    coalesce((select jsonb_agg(jsonb_build_object('rule_id', d.needs_rule_id, 'name', x.name, 'met',\n"
        "            exists (select from automation.runs o where o.tenant_id = $1 and o.rule_id = d.needs_rule_id\n"
        "                and o.wedding_id = $3 and o.state = 'succeeded')) order by x.name, d.needs_rule_id)\n"
        "        from automation.rule_dependencies d\n"
        "        join automation.rules x on x.tenant_id = d.tenant_id and x.rule_id = d.needs_rule_id\n"
        "        where d.tenant_id = $1 and d.rule_id = $2), '[]'),\n"
        "    (select p.granted_by from automation.preapprovals p where p.tenant_id = $1 and p.rule_id = $2\n"
        "        and (p.wedding_id is null or p.wedding_id = $3) order by p.wedding_id nulls last limit 1),\n"
        "    (select automation_priv.limit_ahead(m.local_date, m.local_time, w.time_zone, $10, $6) from "
        "automation.milestones m\n"
        "        where m.tenant_id = $1 and m.wedding_id = $3 and m.name = $8)\n"
        "from automation.weddings w\n"
        "left join automation.rules u on u.tenant_id = w.tenant_id and u.rule_id = $2\n"
        "left join automation.runs r on r.tenant_id = w.tenant_id and r.run_id = $4\n"
        "cross join lateral (select case when u.live then u.activated_at else $7::timestamptz end as at) b\n"
        "cross join lateral (select count(*) filter (where o.state = 'running') as running,\n"
        "        count(*) filter (where o.state not in ('skipped', 'superseded')) as counted,\n"
        "        count(*) filter (where o.state <> 'skipped' and o.started_at > $6::timestamptz - interval '1 hour') "
        "as last_hour\n"
        "    from automation.runs o where o.tenant_id = $1 and o.rule_id = $2 and o.wedding_id = $3\n"
        "        and o.run_id is distinct from $4) c\n"
        "where w.tenant_id = $1 and w.wedding_id = $3"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, &start->tenant_id);
    db_arg_id(&a, or_null(&start->rule_id));
    db_arg_id(&a, &start->wedding_id);
    db_arg_id(&a, or_null(&start->run_id));
    db_arg_time(&a, start->due_us);
    db_arg_time(&a, start->at_us);
    db_arg_time(&a, start->as_of_us);
    db_arg_cstr(&a, start->limit);
    db_arg_bool(&a, start->by_event);
    db_arg_bool(&a, start->yearly);
    db_arg_id(&a, or_null(&start->timing_id));
    db_arg_cstr(&a, start->once);
    return query(s, &stmt, &a, &arena, out, info);
}

enum err store_preview_conflicts(struct db_session *s, const struct id *tenant, const struct id *wedding,
                                 const struct id *rule, int64_t due_us, struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "preview_conflicts",
        "select r.rule_id, r.name, t.due_at, t.state, " OFFSET_SQL(
            "t.due_at",
            "w.time_zone") "\n"
                           "from automation.timings t\n"
                           "join automation.weddings w on w.tenant_id = t.tenant_id and w.wedding_id = t.wedding_id\n"
                           "join automation.rules r on r.tenant_id = t.tenant_id and r.timing_id = t.timing_id and "
                           "r.status = 'active'\n"
                           "where t.tenant_id = $1 and t.wedding_id = $2 and r.rule_id is distinct from $3\n"
                           "  and t.due_at between $4::timestamptz - interval '24 hours' and $4::timestamptz + "
                           "interval '24 hours'\n"
                           "order by abs(extract(epoch from t.due_at - $4::timestamptz)), r.name, r.rule_id limit $5"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, tenant);
    db_arg_id(&a, wedding);
    db_arg_id(&a, or_null(rule));
    db_arg_time(&a, due_us);
    db_arg_i64(&a, STORE_PREVIEW_CONFLICTS_MAX + 1);
    return query(s, &stmt, &a, &arena, out, info);
}

enum err store_preview_season(struct db_session *s, const struct id *tenant, int64_t as_of_us,
                              const struct rule_trigger *trigger, struct str after_date, const struct id *after,
                              int limit, struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "preview_season",
        "select p.wedding_id, p.ceremony_date::text, p.at,\n"
        "    case when p.at is not null then automation_priv.facts($1, p.wedding_id, p.at) end\n"
        "from (select w.wedding_id, w.ceremony_date,\n"
        "          case when $3::jsonb is null then $2::timestamptz\n"
        "               when d.due is not null then greatest($2::timestamptz, d.due) end as at\n"
        "      from automation.weddings w join automation.tenants n using (tenant_id)\n" KEY_SQL
        "      left join automation.milestones m\n"
        "          on m.tenant_id = w.tenant_id and m.wedding_id = w.wedding_id and m.name = k.milestone\n"
        "      cross join lateral (select automation_priv.timing_instant(k, m.local_date, m.local_time, w.time_zone,\n"
        "          n.time_zone, 1) as due) d\n"
        "      where w.tenant_id = $1 and w.status not in ('postponed', 'cancelled', 'archived')\n"
        "        and w.ceremony_date >= ($2::timestamptz at time zone w.time_zone)::date\n"
        "        and w.ceremony_date < ($2::timestamptz at time zone w.time_zone)::date + interval '12 months'\n"
        "        and ($4::text is null or (w.ceremony_date, w.wedding_id) > ($4::text::date, $5::uuid))\n"
        "      order by w.ceremony_date, w.wedding_id limit $6) p\n"
        "order by p.ceremony_date, p.wedding_id"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, tenant);
    db_arg_time(&a, as_of_us);
    arg_timing(&a, trigger);
    db_arg_text(&a, after_date.n > 0 ? after_date : (struct str){NULL, 0});
    db_arg_id(&a, after);
    db_arg_i64(&a, limit);
    return query(s, &stmt, &a, &arena, out, info);
}
