/* store_jobs: see store_jobs.h. */
#include "common/io/store_jobs.h"

void store_worker_register(struct db_conn *c, const struct id *worker, const char *name, const char *queues, db_cb cb,
                           void *arg)
{
    static const struct db_stmt stmt = {"worker_register", "select automation_priv.worker_register($1, $2, $3)"};
    struct arena arena = {0};
    struct db_args a;
    db_args_init(&a, &arena);
    db_arg_id(&a, worker);
    db_arg_cstr(&a, name);
    db_arg_cstr(&a, queues);
    db_conn_query(c, &stmt, &a, cb, arg);
    arena_free(&arena);
}

static void by_id(struct db_conn *c, const struct db_stmt *stmt, const struct id *id, db_cb cb, void *arg)
{
    struct arena arena = {0};
    struct db_args a;
    db_args_init(&a, &arena);
    db_arg_id(&a, id);
    db_conn_query(c, stmt, &a, cb, arg);
    arena_free(&arena);
}

void store_worker_beat(struct db_conn *c, const struct id *worker, db_cb cb, void *arg)
{
    static const struct db_stmt stmt = {"worker_beat", "select automation_priv.worker_beat($1)"};
    by_id(c, &stmt, worker, cb, arg);
}

void store_worker_leave(struct db_conn *c, const struct id *worker, db_cb cb, void *arg)
{
    static const struct db_stmt stmt = {"worker_leave", "select automation_priv.worker_leave($1)"};
    by_id(c, &stmt, worker, cb, arg);
}

void store_tenants(struct db_conn *c, const struct id *digest, db_cb cb, void *arg)
{
    static const struct db_stmt stmt = {"tenant_ids", "select digest, ids from automation_priv.tenant_ids($1)"};
    by_id(c, &stmt, digest, cb, arg);
}

void store_kinds(struct db_conn *c, db_cb cb, void *arg)
{
    static const struct db_stmt stmt = {
        "kinds",
        "select kind, url, queue, handler, timeout_ms, retry_base_ms, retry_cap_ms, max_attempts, class = 'rule', "
        "on_unknown = 'ask' from automation.kinds order by kind"};
    struct arena arena = {0};
    struct db_args a;
    db_args_init(&a, &arena);
    db_conn_query(c, &stmt, &a, cb, arg);
    arena_free(&arena);
}

void store_kind(const struct db_result *r, int row, struct store_kind *out)
{
    *out = (struct store_kind){
        .kind = db_text(r, row, 0),
        .url = db_text(r, row, 1),
        .queue = db_text(r, row, 2),
        .handler = db_text(r, row, 3),
        .timeout_ms = db_i64(r, row, 4),
        .retry_base_ms = db_i64(r, row, 5),
        .retry_cap_ms = db_i64(r, row, 6),
        .max_attempts = (int)db_i64(r, row, 7),
        .rule = db_bool(r, row, 8),
        .ask_unknown = db_bool(r, row, 9),
    };
}

void store_claim(struct db_conn *c, const struct store_claim *ask, db_cb cb, void *arg)
{
    static const struct db_stmt stmt = {
        "claim_jobs", "select job_id, tenant_id, run_id, wedding_id, rule_id, effect_key, bare_id, "
                      "claimed_at, due_at, deadline, bare_at, "
                      "rule_revision, timeout_ms, claim_no, step, attempt, max_attempts, crashes, "
                      "generation, kind, queue, payload, verdict, wake, definition, "
                      "context, facts, snoozes, traceparent from automation_priv.claim_jobs($1, $2, $3, $4, $5)"};
    struct arena arena = {0};
    struct db_args a;
    db_args_init(&a, &arena);
    db_arg_id(&a, ask->owner);
    db_arg_ids(&a, ask->ids, ask->n);
    db_arg_ids(&a, ask->held, ask->n_held);
    db_arg_bool(&a, ask->wait);
    db_arg_bool(&a, ask->suspects);
    db_conn_query(c, &stmt, &a, cb, arg);
    arena_free(&arena);
}

void store_claimed(const struct db_result *r, int row, struct store_claimed *out)
{
    *out = (struct store_claimed){
        .job_id = db_id(r, row, 0),
        .tenant_id = db_id(r, row, 1),
        .run_id = db_id(r, row, 2),
        .wedding_id = db_id(r, row, 3),
        .rule_id = db_id(r, row, 4),
        .effect_key = db_id(r, row, 5),
        .bare_id = db_id(r, row, 6),
        .claimed_at_us = db_time(r, row, 7),
        .due_at_us = db_time(r, row, 8),
        .deadline_us = db_time(r, row, 9),
        .bare_at_us = db_time(r, row, 10),
        .rule_revision = db_i64(r, row, 11),
        .timeout_ms = db_i64(r, row, 12),
        .claim_no = (int)db_i64(r, row, 13),
        .step = (int)db_i64(r, row, 14),
        .attempt = (int)db_i64(r, row, 15),
        .max_attempts = (int)db_i64(r, row, 16),
        .crashes = (int)db_i64(r, row, 17),
        .generation = (int)db_i64(r, row, 18),
        .kind = db_text(r, row, 19),
        .queue = db_text(r, row, 20),
        .payload = db_text(r, row, 21),
        .verdict = db_text(r, row, 22),
        .wake = db_text(r, row, 23),
        .definition = db_text(r, row, 24),
        .context = db_text(r, row, 25),
        .facts = db_text(r, row, 26),
        .snoozes = (int)db_i64(r, row, 27),
        .traceparent = db_text(r, row, 28),
    };
}

void store_recheck(struct db_conn *c, const struct id *owner, const struct id *ids, const int32_t *claims, size_t n,
                   bool acting, db_cb cb, void *arg)
{
    static const struct db_stmt stmt = {"recheck_jobs",
                                        "select job_id, verdict from automation_priv.recheck_jobs($1, $2, $3, $4)"};
    struct arena arena = {0};
    struct db_args a;
    db_args_init(&a, &arena);
    db_arg_id(&a, owner);
    db_arg_ids(&a, ids, n);
    db_arg_i32s(&a, claims, n);
    db_arg_bool(&a, acting);
    db_conn_query(c, &stmt, &a, cb, arg);
    arena_free(&arena);
}

void store_settle(struct db_conn *c, const struct id *owner, struct str batch, db_cb cb, void *arg)
{
    static const struct db_stmt stmt = {"settle_jobs",
                                        "select job_id, result from automation_priv.settle_jobs($1, $2)"};
    struct arena arena = {0};
    struct db_args a;
    db_args_init(&a, &arena);
    db_arg_id(&a, owner);
    db_arg_json(&a, batch);
    db_conn_query(c, &stmt, &a, cb, arg);
    arena_free(&arena);
}

void store_settle_done(struct db_conn *c, const struct id *owner, const struct id *ids, const int32_t *claims, size_t n,
                       db_cb cb, void *arg)
{
    static const struct db_stmt stmt = {"settle_done",
                                        "select job_id, result from automation_priv.settle_done($1, $2, $3)"};
    struct arena arena = {0};
    struct db_args a;
    db_args_init(&a, &arena);
    db_arg_id(&a, owner);
    db_arg_ids(&a, ids, n);
    db_arg_i32s(&a, claims, n);
    db_conn_query(c, &stmt, &a, cb, arg);
    arena_free(&arena);
}

void store_adopt(struct db_conn *c, struct str entries, db_cb cb, void *arg)
{
    static const struct db_stmt stmt = {
        "adopt_entries", "select id, adopted, claimed_at, refused, busy from automation_priv.adopt_entries($1)"};
    struct arena arena = {0};
    struct db_args a;
    db_args_init(&a, &arena);
    db_arg_json(&a, entries);
    db_conn_query(c, &stmt, &a, cb, arg);
    arena_free(&arena);
}
