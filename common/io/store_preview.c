/* store_preview: see store_preview.h. */
#include "common/io/store_preview.h"

#include <stdio.h>

#include "common/base/mem.h"
#include "common/core/vocab.h"

/* Seconds that local time in zone `z` is ahead of UTC at instant `t`. */
#define OFFSET_SQL(t, z) "extract(epoch from (" t " at time zone " z ") - (" t " at time zone 'UTC'))::int8"

/* $3 to $8 are the trigger's milestone, months, days, seconds, local time (null: exact) and zone. */
#define ZONE_SQL "case $8 when 'wedding' then w.time_zone when 'tenant' then n.time_zone else $8 end"
#define INSTANT_SQL(zone)                                                                                              \
    "automation_priv.instant(m.local_date, m.local_time, " zone ", $4::int4, $5::int4, $6::int8, $7::text::time)"

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
        "preview_rule", "select r.definition, r.revision, r.validated_revision, r.rejected_revision, r.status\n"
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

/* Six arguments; without a milestone (another kind of trigger) all but the zone are null. */
static void arg_trigger(struct db_args *a, const struct rule_trigger *t)
{
    bool anchored = t->type == TRIGGER_MILESTONE;
    char at[16];

    snprintf(at, sizeof(at), "%02d:%02d", (int)(t->at_minute / 60), (int)(t->at_minute % 60));
    db_arg_cstr(a, anchored ? vocab_text(VOCAB_MILESTONE, (int)t->milestone) : NULL);
    db_arg_i32(a, anchored ? t->offset.months : 0);
    db_arg_i32(a, anchored ? t->offset.days : 0);
    db_arg_i64(a, anchored ? t->offset.seconds : 0);
    db_arg_cstr(a, anchored && t->at_minute >= 0 ? at : NULL);
    db_arg_cstr(a, t->zone);
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
}

enum err store_preview_fire(struct db_session *s, const struct id *tenant, const struct id *wedding,
                            const struct rule_trigger *trigger, struct store_preview_fire *fire, struct db_result **out,
                            struct err_info *info)
{
    /* Zones change by an hour, or by half of one (Lord Howe Island). */
    static const struct db_stmt stmt = {
        "preview_fire",
        "select m.local_date::text, to_char(m.local_time, 'HH24:MI'), z.zone, k.known, x.day::text, d.due,\n"
        "    " OFFSET_SQL(
            "d.due",
            "z.zone") ", $7::text is not null and d.due at time zone z.zone <> x.day + $7::text::time,\n"
                      "    $7::text is not null and ((d.due - interval '60 min') at time zone z.zone = d.due at time "
                      "zone z.zone\n"
                      "        or (d.due - interval '30 min') at time zone z.zone = d.due at time zone z.zone)\n"
                      "from automation.weddings w join automation.tenants n using (tenant_id)\n"
                      "left join automation.milestones m on m.tenant_id = w.tenant_id and m.wedding_id = w.wedding_id "
                      "and m.name = $3\n"
                      "cross join lateral (select " ZONE_SQL " as zone) z\n"
                      "cross join lateral (select case when $8 = 'wedding' then true\n"
                      "    else exists (select from pg_catalog.pg_timezone_names t where t.name = z.zone) end as "
                      "known) k\n"
                      "cross join lateral (select (m.local_date + make_interval(months => $4::int4, days => "
                      "$5::int4))::date as day) x\n"
                      "cross join lateral (select case when k.known then " INSTANT_SQL(
                          "z.zone") " end as due) d\n"
                                    "where w.tenant_id = $1 and w.wedding_id = $2"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, tenant);
    db_arg_id(&a, wedding);
    arg_trigger(&a, trigger);
    enum err err = query(s, &stmt, &a, &arena, out, info);
    if (err == ERR_OK && db_rows(*out) == 0)
        err = err_set(info, ERR_NOTFOUND, "the tenant has no such wedding");
    if (err == ERR_OK)
        read_fire(*out, fire);
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
    enum err err = query(s, &stmt, &a, &arena, &r, info);
    *due_us = DB_NULL_TIME;
    if (err == ERR_OK && db_rows(r) == 1) {
        *due_us = db_time(r, 0, 0);
        *offset_s = (int32_t)db_i64(r, 0, 1);
    }
    db_result_free(r);
    return err;
}

enum err store_preview_standing(struct db_session *s, const struct id *tenant, const struct id *rule,
                                const struct id *wedding, const struct id *timing, struct db_result **out,
                                struct err_info *info)
{
    static const struct db_stmt stmt = {
        "preview_standing",
        "select r.run_id, r.state, r.reason, r.acted, r.due_at,\n"
        "    (select t.state from automation.timings t where t.tenant_id = $1 and t.wedding_id = $3 and t.timing_id = "
        "$4),\n"
        "    (select count(*) from automation.runs o where o.tenant_id = $1 and o.rule_id = $2 and o.wedding_id = $3\n"
        "        and o.state = 'running' and o.run_id is distinct from k.id),\n"
        "    (select count(*) from automation.runs o where o.tenant_id = $1 and o.rule_id = $2 and o.wedding_id = $3\n"
        "        and o.state not in ('skipped', 'superseded') and o.run_id is distinct from k.id), k.id\n"
        "from (select automation_priv.derive('run', $1::uuid::text, $2::uuid::text, $3::uuid::text, $4::uuid::text, "
        "'1')\n"
        "    as id) k\n"
        "left join automation.runs r on r.tenant_id = $1 and r.run_id = k.id"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, tenant);
    db_arg_id(&a, or_null(rule));
    db_arg_id(&a, wedding);
    db_arg_id(&a, or_null(timing));
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
        "          case when $3::text is null then $2::timestamptz\n"
        "               when m.local_date is not null and ($7::text is not null or m.local_time is not null) then "
        "greatest($2::timestamptz, " INSTANT_SQL(
            ZONE_SQL) ") end as at\n"
                      "      from automation.weddings w join automation.tenants n using (tenant_id)\n"
                      "      left join automation.milestones m\n"
                      "          on m.tenant_id = w.tenant_id and m.wedding_id = w.wedding_id and m.name = $3\n"
                      "      where w.tenant_id = $1 and w.status not in ('postponed', 'cancelled', 'archived')\n"
                      "        and w.ceremony_date >= ($2::timestamptz at time zone w.time_zone)::date\n"
                      "        and w.ceremony_date < ($2::timestamptz at time zone w.time_zone)::date + interval '12 "
                      "months'\n"
                      "        and ($9::text is null or (w.ceremony_date, w.wedding_id) > ($9::text::date, "
                      "$10::uuid))\n"
                      "      order by w.ceremony_date, w.wedding_id limit $11) p\n"
                      "order by p.ceremony_date, p.wedding_id"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, tenant);
    db_arg_time(&a, as_of_us);
    arg_trigger(&a, trigger);
    db_arg_text(&a, after_date.n > 0 ? after_date : (struct str){NULL, 0});
    db_arg_id(&a, after);
    db_arg_i64(&a, limit);
    return query(s, &stmt, &a, &arena, out, info);
}
