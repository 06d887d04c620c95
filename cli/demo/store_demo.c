/* store_demo: see store_demo.h. */
#include "cli/demo/store_demo.h"

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/io/db.h"

static enum err run_texts(struct db_session *db, const struct db_stmt *stmt, const char *a, const char *b,
                          struct db_result **out, struct err_info *info)
{
    struct arena arena = {0};
    struct db_args args;
    db_args_init(&args, &arena);
    if (a)
        db_arg_cstr(&args, a);
    if (b)
        db_arg_cstr(&args, b);
    enum err err = db_query(db, stmt, &args, out, info);
    arena_free(&arena);
    return err;
}

static enum err one_json(struct db_session *db, const struct db_stmt *stmt, json_t **out, struct err_info *info)
{
    struct db_result *res = NULL;
    enum err err = run_texts(db, stmt, NULL, NULL, &res, info);
    *out = NULL;
    if (err == ERR_OK) {
        struct str text = db_text(res, 0, 0);
        *out = json_loadb(text.p, text.n, 0, NULL);
        if (!*out)
            err = err_set(info, ERR_MALFORMED, "the summary is no JSON");
    }
    db_result_free(res);
    return err;
}

enum err store_demo_begin(struct db_session *db, const char *start, const char *until, struct err_info *info)
{
    static const struct db_stmt clock = {"demo_clock", "select automation_priv.clock_set($1::text::timestamptz)"};
    static const struct db_stmt parts = {
        "demo_partitions", "select automation_priv.ensure_partitions($1::text::timestamptz, $2::text::timestamptz)"};
    enum err err = run_texts(db, &clock, start, NULL, NULL, info);
    return err == ERR_OK ? run_texts(db, &parts, start, until, NULL, info) : err;
}

enum err store_demo_receiver(struct db_session *db, const char *url, struct err_info *info)
{
    static const struct db_stmt rules = {"demo_rules",
                                         "update automation.rules set definition = replace(definition::text, "
                                         "'https://hooks.season.example', $1::text)::jsonb "
                                         "where definition::text like '%https://hooks.season.example%'"};
    static const struct db_stmt kinds = {
        "demo_kinds", "insert into automation.kinds (kind, class, queue, handler, url, retry_base_ms) "
                      "values ('gallery.render', 'free', 'bulk', 'http', $1::text || '/fail-once', 1000) on conflict "
                      "(kind) do update set url = excluded.url"};
    enum err err = run_texts(db, &rules, url, NULL, NULL, info);
    return err == ERR_OK ? run_texts(db, &kinds, url, NULL, NULL, info) : err;
}

enum err store_demo_play(struct db_session *db, bool *played, struct err_info *info)
{
    static const struct db_stmt stmt = {"demo_play", "select season.play_next()"};
    struct db_result *res = NULL;
    enum err err = run_texts(db, &stmt, NULL, NULL, &res, info);
    *played = err == ERR_OK && !db_null(res, 0, 0);
    db_result_free(res);
    return err;
}

enum err store_demo_step(struct db_session *db, const char *until, struct store_step *out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "demo_step", "select at, stepped, busy, busy = '' or at >= $1::text::timestamptz "
                     "from automation_priv.clock_step(least(season.next_at(), $1::text::timestamptz))"};
    struct db_result *res = NULL;
    enum err err = run_texts(db, &stmt, until, NULL, &res, info);
    *out = (struct store_step){0};
    if (err == ERR_OK) {
        struct str busy = db_text(res, 0, 2);
        out->at_us = db_time(res, 0, 0);
        out->stepped = db_bool(res, 0, 1);
        if (busy.p)
            str_copy_n(out->busy, sizeof(out->busy), busy.p, busy.n);
        out->finished = !out->stepped && out->busy[0] == '\0' && db_bool(res, 0, 3);
    }
    db_result_free(res);
    return err;
}

enum err store_demo_progress(struct db_session *db, struct store_progress *out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "demo_progress",
        "select (select count(*) from automation.runs), a.accepted, a.done, a.dead, a.waiting, a.in_flight, "
        "(select count(*) from automation_priv.ledger where attempt > 1) "
        "from (select coalesce(sum(accepted), 0)::int8 as accepted, coalesce(sum(done), 0)::int8 as done, "
        "coalesce(sum(dead), 0)::int8 as dead, "
        "coalesce(sum(waiting), 0)::int8 as waiting, coalesce(sum(in_flight), 0)::int8 as in_flight from "
        "automation_priv.audit()) a"};
    struct db_result *res = NULL;
    enum err err = run_texts(db, &stmt, NULL, NULL, &res, info);
    *out = (struct store_progress){0};
    if (err == ERR_OK)
        *out = (struct store_progress){.runs = db_i64(res, 0, 0),
                                       .accepted = db_i64(res, 0, 1),
                                       .done = db_i64(res, 0, 2),
                                       .dead = db_i64(res, 0, 3),
                                       .waiting = db_i64(res, 0, 4),
                                       .in_flight = db_i64(res, 0, 5),
                                       .retries = db_i64(res, 0, 6)};
    db_result_free(res);
    return err;
}

enum err store_demo_summary(struct db_session *db, json_t **out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "demo_summary",
        "with a as (select coalesce(sum(accepted), 0)::int8 as accepted, coalesce(sum(done), 0)::int8 as done, "
        "coalesce(sum(dead), 0)::int8 as dead, "
        " coalesce(sum(cancelled), 0)::int8 as cancelled, coalesce(sum(superseded), 0)::int8 as superseded, "
        "coalesce(sum(skipped), 0)::int8 as skipped, "
        " coalesce(sum(in_flight), 0)::int8 as in_flight, coalesce(sum(waiting), 0)::int8 as waiting, "
        "coalesce(sum(abs(unaccounted)), 0)::int8 as unaccounted "
        " from automation_priv.audit()), "
        "r as (select state, coalesce(split_part(reason, ':', 1), '') as reason, count(*) as n from automation.runs "
        "group by 1, 2), "
        "k as (select kind, outcome, count(*) as n from automation.execution_logs group by 1, 2) "
        "select jsonb_build_object("
        "'weddings', (select count(*) from automation.weddings), "
        "'rules', (select count(*) from automation.rules where validated_revision = revision), "
        "'rules_rejected', (select count(*) from automation.rules where rejected_revision = revision), "
        "'events', (select count(*) from automation.trigger_events), "
        "'runs', (select coalesce(jsonb_object_agg(state, n), '{}') from (select state, sum(n) as n from r group by 1) "
        "x), "
        "'runs_by_reason', (select coalesce(jsonb_object_agg(state || case when reason = '' then '' else ':' || reason "
        "end, n), '{}') from r), "
        "'jobs', (select to_jsonb(a) - 'unaccounted' from a), "
        "'attempts', (select coalesce(jsonb_object_agg(kind, o), '{}') from (select kind, jsonb_object_agg(outcome, n) "
        "as o from k group by 1) x), "
        "'unaccounted', (select unaccounted from a), "
        "'tasks', (select count(*) from automation.tasks), "
        "'quarantined', (select count(*) from automation_priv.log_quarantine) + (select count(*) from "
        "automation_priv.outbox_quarantine), "
        "'digests', jsonb_build_object("
        " 'runs', (select md5(string_agg(run_id || state || coalesce(reason, ''), ',' order by run_id)) from "
        "automation.runs), "
        " 'jobs', (select md5(string_agg(job_id || outcome::text, ',' order by job_id, outcome)) from "
        "automation.execution_logs where outcome in (0, 2, 3, 4, 5)), "
        " 'tasks', (select md5(string_agg(task_id || title, ',' order by task_id)) from automation.tasks)), "
        "'log_rows', (select count(*) from automation.execution_logs), "
        "'partitions', (select coalesce(jsonb_object_agg(m, n), '{}') from (select to_char(queued_at at time zone "
        "'UTC', 'YYYY_MM') as m, count(*) as n "
        " from automation.execution_logs group by 1) x)) "};
    return one_json(db, &stmt, out, info);
}

enum err store_demo_changes(struct db_session *db, json_t **out, struct err_info *info)
{
    static const struct db_stmt stmt = {"demo_changes", "select season.changes_told()"};
    return one_json(db, &stmt, out, info);
}

enum err store_demo_stuck(struct db_session *db, json_t **out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "demo_stuck",
        "select jsonb_build_object('clock', automation.now(), 'busy', automation_priv.clock_busy(), "
        "'outbox', (select count(*) from automation_priv.outbox where available_at <= automation.now()), "
        "'timings', (select count(*) from automation.timings where state = 'pending' and due_at <= automation.now()), "
        "'moved', (select count(*) from automation_priv.wedding_changes), 'waits', (select count(*) from "
        "automation_priv.wait_checks), "
        "'leader', (select to_jsonb(l) from automation_priv.leader l), 'workers', (select count(*) from "
        "automation_priv.workers), "
        "'jobs', (select jsonb_agg(x) from (select job_id, kind, queue, due_at, owner, claim_no, attempt, crashes from "
        "automation_priv.ledger "
        " where due_at <= automation.now() or owner is not null order by due_at limit 5) x))"};
    return one_json(db, &stmt, out, info);
}
