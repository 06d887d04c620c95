/* store_lead: see store_lead.h. */
#include "common/io/store_lead.h"

#include "common/io/store_lead_ask.h"

enum err store_lead_ask_i64(struct db_session *s, const struct db_stmt *stmt, struct db_args *a, int64_t *out,
                            struct err_info *info)
{
    struct db_result *r = NULL;
    enum err err = db_query(s, stmt, a, &r, info);

    *out = err == ERR_OK && db_rows(r) > 0 ? db_i64(r, 0, 0) : 0;
    db_result_free(r);
    arena_free(a->arena);
    return err;
}

enum err store_lead_ask_bool(struct db_session *s, const struct db_stmt *stmt, struct db_args *a, bool *out,
                             struct err_info *info)
{
    struct db_result *r = NULL;
    enum err err = db_query(s, stmt, a, &r, info);

    *out = err == ERR_OK && db_rows(r) > 0 && db_bool(r, 0, 0);
    db_result_free(r);
    arena_free(a->arena);
    return err;
}

enum err store_lead_ask_rows(struct db_session *s, const struct db_stmt *stmt, struct db_args *a,
                             struct db_result **out, struct err_info *info)
{
    enum err err = db_query(s, stmt, a, out, info);

    arena_free(a->arena);
    return err;
}

enum err store_lead_ask_batch(struct db_session *s, const struct db_stmt *stmt, int64_t term, int limit,
                              struct db_result **out, struct err_info *info)
{
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_i64(&a, term);
    db_arg_i32(&a, limit);
    return store_lead_ask_rows(s, stmt, &a, out, info);
}

/* ---- leadership ---------------------------------------------------------------------------------------------------------- */

enum err store_lead_lock(struct db_session *s, bool *got, struct err_info *info)
{
    static const struct db_stmt stmt = {"lead_lock", "select pg_catalog.pg_try_advisory_lock($1)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_i64(&a, STORE_LEAD_LOCK);
    return store_lead_ask_bool(s, &stmt, &a, got, info);
}

/* How pg_locks shows an advisory lock by one number: PostgreSQL manual, "pg_locks". */
#define HOLDS_LOCK                                                                                                     \
    "l.locktype = 'advisory' and l.granted and l.objsubid = 1 and l.classid = ($1::bigint >> 32)::oid"                 \
    " and l.objid = ($1::bigint & 4294967295)::oid"                                                                    \
    " and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())"

enum err store_lead_holder(struct db_session *s, struct store_holder *out, struct err_info *info)
{
    static const struct db_stmt stmt = {"lead_holder",
                                        "select (select l.pid from pg_catalog.pg_locks l where " HOLDS_LOCK "),"
                                        " least(extract(epoch from pg_catalog.clock_timestamp() - greatest(b.beat_at, "
                                        "'2000-01-01')) * 1000, 1e15)::bigint"
                                        " from automation_priv.leader_beat b"};
    struct arena arena = {0};
    struct db_args a;
    struct db_result *r = NULL;
    enum err err;

    db_args_init(&a, &arena);
    db_arg_i64(&a, STORE_LEAD_LOCK);
    err = store_lead_ask_rows(s, &stmt, &a, &r, info);
    *out = (struct store_holder){0};
    if (err == ERR_OK && db_rows(r) > 0)
        *out = (struct store_holder){(int)db_i64(r, 0, 0), db_i64(r, 0, 1)};
    db_result_free(r);
    return err;
}

enum err store_lead_terminate(struct db_session *s, int pid, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "lead_terminate",
        "select pg_catalog.pg_terminate_backend(l.pid) from pg_catalog.pg_locks l where l.pid = $2 and " HOLDS_LOCK};
    struct arena arena = {0};
    struct db_args a;
    bool done = false;

    db_args_init(&a, &arena);
    db_arg_i64(&a, STORE_LEAD_LOCK);
    db_arg_i32(&a, pid);
    return store_lead_ask_bool(s, &stmt, &a, &done, info);
}

enum err store_lead_take(struct db_session *s, const char *name, int64_t *term, struct err_info *info)
{
    static const struct db_stmt stmt = {"lead_take", "select automation_priv.leader_take($1)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_cstr(&a, name);
    return store_lead_ask_i64(s, &stmt, &a, term, info);
}

enum err store_lead_beat(struct db_session *s, int64_t term, bool *valid, struct err_info *info)
{
    static const struct db_stmt stmt = {"lead_beat", "select automation_priv.leader_beat($1)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_i64(&a, term);
    return store_lead_ask_bool(s, &stmt, &a, valid, info);
}

/* ---- what there is to do --------------------------------------------------------------------------------------------------- */

enum err store_lead_work(struct db_session *s, struct store_work *out, struct err_info *info)
{
    /* An index's first against the time: a third of a table counts as before an unknown time, and is read whole. */
    static const struct db_stmt stmt = {
        "lead_work", "with n as materialized (select automation.now() as t)"
                     " select exists (select from automation_priv.rules_to_check(1))"
                     " or exists (select from automation.rules r where r.live_due <= n.t)"
                     " or exists (select from automation.timing_keys k where k.made_in < "
                     "pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())),"
                     " (select min(o.available_at) from automation_priv.outbox o) <= n.t is true,"
                     " exists (select from automation_priv.wait_checks),"
                     " exists (select from automation_priv.wedding_changes) or exists (select from "
                     "automation_priv.queued_ready(1)),"
                     " (select min(t.due_at) from automation.timings t where t.state = 'pending') <= n.t is true,"
                     " least((select min(o.available_at) from automation_priv.outbox o where o.available_at > n.t),"
                     " (select min(t.due_at) from automation.timings t where t.state = 'pending' and t.due_at > n.t),"
                     " (select min(r.live_due) from automation.rules r where r.live_due > n.t),"
                     " (select min(l.due_at) from automation_priv.ledger l where l.due_at > n.t)), n.t,"
                     " (select e.epoch from automation_priv.epoch e) from n"};
    struct db_result *r = NULL;
    enum err err = db_query(s, &stmt, NULL, &r, info);

    *out = (struct store_work){.next_us = INT64_MAX};
    if (err == ERR_OK && db_rows(r) > 0) {
        out->rules = db_bool(r, 0, 0);
        out->events = db_bool(r, 0, 1);
        out->waits = db_bool(r, 0, 2);
        out->weddings = db_bool(r, 0, 3);
        out->timings = db_bool(r, 0, 4);
        if (!db_null(r, 0, 5))
            out->next_us = db_time(r, 0, 5) - db_time(r, 0, 6);
        out->epoch = db_id(r, 0, 7);
    }
    db_result_free(r);
    return err;
}

enum err store_lead_clock(struct db_session *s, struct store_clock *out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "lead_clock",
        "select c.mode = 'stepped', automation.now(), pg_catalog.clock_timestamp() from automation_priv.clock c"};
    struct db_result *r = NULL;
    enum err err = db_query(s, &stmt, NULL, &r, info);

    *out = (struct store_clock){0};
    if (err == ERR_OK && db_rows(r) > 0)
        *out = (struct store_clock){db_bool(r, 0, 0), db_time(r, 0, 1), db_time(r, 0, 2)};
    db_result_free(r);
    return err;
}

/* ---- events ---------------------------------------------------------------------------------------------------------------- */

enum err store_lead_events(struct db_session *s, int64_t term, int limit, int64_t only, struct db_result **out,
                           struct err_info *info)
{
    static const struct db_stmt stmt = {
        "take_events", "select event_id, tenant_id, event_type, wedding_id, payload, hops, occurred_at, seq, "
                       "ruleset_version, facts, wedding_revision,"
                       " wedding_status, waits, now from automation_priv.take_events($1, $2, nullif($3::bigint, 0))"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_i64(&a, term);
    db_arg_i32(&a, limit);
    db_arg_i64(&a, only);
    return store_lead_ask_rows(s, &stmt, &a, out, info);
}

void store_lead_event(const struct db_result *r, int row, struct store_event *out)
{
    *out = (struct store_event){
        .event_id = db_id(r, row, 0),
        .tenant_id = db_id(r, row, 1),
        .type = db_text(r, row, 2),
        .wedding_id = db_id(r, row, 3),
        .payload = db_text(r, row, 4),
        .hops = (int)db_i64(r, row, 5),
        .occurred_us = db_time(r, row, 6),
        .seq = db_i64(r, row, 7),
        .ruleset_version = db_i64(r, row, 8),
        .facts = db_text(r, row, 9),
        .wedding_revision = db_i64(r, row, 10),
        .wedding_status = db_text(r, row, 11),
        .waits = db_text(r, row, 12),
        .now_us = db_time(r, row, 13),
    };
}

enum err store_lead_mark(struct db_session *s, int64_t term, int64_t *id, struct err_info *info)
{
    static const struct db_stmt stmt = {"mark_event", "select coalesce(automation_priv.mark_event($1), 0)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_i64(&a, term);
    return store_lead_ask_i64(s, &stmt, &a, id, info);
}

enum err store_lead_unmark(struct db_session *s, int64_t id, struct err_info *info)
{
    static const struct db_stmt stmt = {"unmark_event", "select automation_priv.unmark_event($1)"};
    struct arena arena = {0};
    struct db_args a;
    struct db_result *r = NULL;
    enum err err;

    db_args_init(&a, &arena);
    db_arg_i64(&a, id);
    err = store_lead_ask_rows(s, &stmt, &a, &r, info);
    db_result_free(r);
    return err;
}

enum err store_lead_wait_checks(struct db_session *s, int64_t term, int limit, struct db_result **out,
                                struct err_info *info)
{
    static const struct db_stmt stmt = {
        "take_wait_checks",
        "select job_id, tenant_id, wedding_id, rule_id, rule_revision, step, definition, events, facts, now"
        " from automation_priv.take_wait_checks($1, $2)"};

    return store_lead_ask_batch(s, &stmt, term, limit, out, info);
}

void store_lead_wait(const struct db_result *r, int row, struct store_wait *out)
{
    *out = (struct store_wait){
        .job_id = db_id(r, row, 0),
        .tenant_id = db_id(r, row, 1),
        .wedding_id = db_id(r, row, 2),
        .rule_id = db_id(r, row, 3),
        .rule_revision = db_i64(r, row, 4),
        .step = (int)db_i64(r, row, 5),
        .definition = db_text(r, row, 6),
        .events = db_text(r, row, 7),
        .facts = db_text(r, row, 8),
        .now_us = db_time(r, row, 9),
    };
}

enum err store_lead_wake(struct db_session *s, int64_t term, const struct id *jobs, size_t n, struct str events,
                         int64_t *woken, struct err_info *info)
{
    static const struct db_stmt stmt = {"wake_waits", "select automation_priv.wake_waits($1, $2, $3)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_i64(&a, term);
    db_arg_ids(&a, jobs, n);
    db_arg_json(&a, events);
    return store_lead_ask_i64(s, &stmt, &a, woken, info);
}

/* ---- timings, runs, weddings -------------------------------------------------------------------------------------------------- */

enum err store_lead_timings(struct db_session *s, int64_t term, int limit, struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {"due_timings", "select tenant_id, wedding_id, timing_id, due_at, "
                                                       "ruleset_version, wedding_revision, wedding_status, now, "
                                                       "occurrence from automation_priv.due_timings($1, $2)"};

    return store_lead_ask_batch(s, &stmt, term, limit, out, info);
}

void store_lead_timing(const struct db_result *r, int row, struct store_timing *out)
{
    *out = (struct store_timing){
        .tenant_id = db_id(r, row, 0),
        .wedding_id = db_id(r, row, 1),
        .timing_id = db_id(r, row, 2),
        .due_us = db_time(r, row, 3),
        .ruleset_version = db_i64(r, row, 4),
        .wedding_revision = db_i64(r, row, 5),
        .wedding_status = db_text(r, row, 6),
        .now_us = db_time(r, row, 7),
        .occurrence = (int)db_i64(r, row, 8),
    };
}

enum err store_lead_facts(struct db_session *s, const struct store_facts *asked, struct db_result **out,
                          struct err_info *info)
{
    static const struct db_stmt stmt = {"timing_facts", "select automation_priv.timing_facts($1, $2, $3, $4)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_ids(&a, asked->tenants, asked->n);
    db_arg_ids(&a, asked->weddings, asked->n);
    db_arg_texts(&a, asked->parts, asked->n_parts);
    db_arg_time(&a, asked->now_us);
    return store_lead_ask_rows(s, &stmt, &a, out, info);
}

enum err store_lead_queued(struct db_session *s, int64_t term, int limit, int64_t *released, struct err_info *info)
{
    static const struct db_stmt stmt = {"release_queued", "select automation_priv.release_queued($1, $2)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_i64(&a, term);
    db_arg_i32(&a, limit);
    return store_lead_ask_i64(s, &stmt, &a, released, info);
}

enum err store_lead_later_timing(struct db_session *s, const struct store_timing *t, bool *later, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "later_timing", "select exists (select from automation.timings t join automation.rules r on r.tenant_id = "
                        "t.tenant_id and r.timing_id = t.timing_id"
                        " where t.tenant_id = $1 and t.wedding_id = $2 and t.due_at > $3 and t.due_at <= $4 and "
                        "t.state in ('pending', 'fired')"
                        " and r.status = 'active' and r.definition #>> '{settings,late,policy}' = 'fire_latest_only')"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, &t->tenant_id);
    db_arg_id(&a, &t->wedding_id);
    db_arg_time(&a, t->due_us);
    db_arg_time(&a, t->now_us);
    return store_lead_ask_bool(s, &stmt, &a, later, info);
}

enum err store_lead_plan(struct db_session *s, int64_t term, struct str runs, struct err_info *info)
{
    static const struct db_stmt stmt = {"plan_runs", "select automation_priv.plan_runs($1, $2)"};
    struct arena arena = {0};
    struct db_args a;
    enum err err;

    db_args_init(&a, &arena);
    db_arg_i64(&a, term);
    db_arg_json(&a, runs);
    err = db_send(s, &stmt, &a, info);
    arena_free(&arena);
    return err;
}

enum err store_lead_planned(struct db_session *s, int64_t *started, struct err_info *info)
{
    struct db_result *res = NULL;
    enum err err = db_receive(s, &res, info);

    *started = err == ERR_OK ? db_i64(res, 0, 0) : 0;
    db_result_free(res);
    return err;
}

enum err store_lead_replan(struct db_session *s, int64_t term, int limit, int64_t *handled, struct err_info *info)
{
    static const struct db_stmt stmt = {"replan_weddings", "select automation_priv.replan_weddings($1, $2)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_i64(&a, term);
    db_arg_i32(&a, limit);
    return store_lead_ask_i64(s, &stmt, &a, handled, info);
}
