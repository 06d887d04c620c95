/* store_log: rows of the execution log (store_jobs.h), in PostgreSQL's COPY BINARY form. */
#include <string.h>

#include "common/io/store_jobs.h"

#define LOG_COLUMNS                                                                                                    \
    "tenant_id, queued_at, execution_id, job_id, run_id, rule_id, wedding_id, worker_id, rule_revision, due_at, "      \
    "started_at, duration_us, step, attempt, outcome, kind, queue, reason, error, detail"
#define LOG_COLUMN_COUNT 20

static void put_optional_id(struct buf *copy, const struct id *id)
{
    db_copy_id(copy, id_is_zero(id) ? NULL : id);
}

/* Error texts come from outside: cut to the limit on a character boundary, and anything PostgreSQL refuses replaced. */
static void put_text(struct buf *copy, const char *text)
{
    char clean[STORE_LOG_ERROR_MAX_BYTES];
    if (!text) {
        db_copy_null(copy);
        return;
    }
    size_t n = strnlen(text, STORE_LOG_ERROR_MAX_BYTES);
    while (n && ((unsigned char)text[n] & 0xc0) == 0x80)
        n--;
    if (!str_is_utf8((struct str){text, n})) {
        for (size_t i = 0; i < n; i++)
            clean[i] = (unsigned char)text[i] >= 0x80 ? '?' : text[i];
        text = clean;
    }
    db_copy_text(copy, (struct str){text, n});
}

void store_log_row(struct buf *copy, const struct store_log *row, const struct id *batch)
{
    db_copy_row(copy, LOG_COLUMN_COUNT + (batch ? 1 : 0));
    if (batch)
        db_copy_id(copy, batch);
    db_copy_id(copy, &row->tenant_id);
    db_copy_time(copy, row->queued_at_us);
    db_copy_id(copy, &row->execution_id);
    db_copy_id(copy, &row->job_id);
    put_optional_id(copy, &row->run_id);
    put_optional_id(copy, &row->rule_id);
    put_optional_id(copy, &row->wedding_id);
    put_optional_id(copy, &row->worker_id);
    if (row->rule_revision)
        db_copy_i64(copy, row->rule_revision);
    else
        db_copy_null(copy);
    db_copy_time(copy, row->due_at_us);
    db_copy_time(copy, row->started_at_us);
    db_copy_i64(copy, row->duration_us);
    if (row->step >= 0)
        db_copy_i16(copy, (int16_t)row->step);
    else
        db_copy_null(copy);
    db_copy_i16(copy, (int16_t)row->attempt);
    db_copy_i16(copy, (int16_t)row->outcome);
    put_text(copy, row->kind);
    put_text(copy, row->queue);
    put_text(copy, row->reason);
    put_text(copy, row->error);
    if (row->detail.p)
        db_copy_jsonb(copy, row->detail);
    else
        db_copy_null(copy);
}

void store_log_copy(struct db_conn *c, const struct buf *copy, db_cb cb, void *arg)
{
    db_conn_copy_in(c, "copy automation.execution_logs (" LOG_COLUMNS ") from stdin (format binary)", copy, cb, arg);
}

void store_log_stage(struct db_conn *c, const struct buf *copy, db_cb cb, void *arg)
{
    db_conn_copy_in(c, "copy automation_priv.log_stage (batch_id, " LOG_COLUMNS ") from stdin (format binary)", copy,
                    cb, arg);
}

void store_log_merge(struct db_conn *c, const struct id *batch, db_cb cb, void *arg)
{
    static const struct db_stmt stmt = {"merge_logs", "select automation_priv.merge_logs($1)"};
    struct arena arena = {0};
    struct db_args a;
    db_args_init(&a, &arena);
    db_arg_id(&a, batch);
    db_conn_query(c, &stmt, &a, cb, arg);
    arena_free(&arena);
}

void store_log_quarantine(struct db_conn *c, const struct store_log *row, const char *reason, db_cb cb, void *arg)
{
    static const struct db_stmt stmt = {
        "log_quarantine",
        "insert into automation_priv.log_quarantine (tenant_id, job_id, reason, row_data) "
        "values ($1, $2, $3, jsonb_build_object('queued_at', $4::timestamptz, 'execution_id', $5::uuid, "
        "'outcome', $6::int4, 'attempt', $7::int4, 'kind', $8::text))"};
    struct arena arena = {0};
    struct db_args a;
    db_args_init(&a, &arena);
    db_arg_id(&a, &row->tenant_id);
    db_arg_id(&a, &row->job_id);
    db_arg_cstr(&a, reason);
    db_arg_time(&a, row->queued_at_us);
    db_arg_id(&a, &row->execution_id);
    db_arg_i32(&a, (int32_t)row->outcome);
    db_arg_i32(&a, row->attempt);
    db_arg_cstr(&a, row->kind);
    db_conn_query(c, &stmt, &a, cb, arg);
    arena_free(&arena);
}

int store_log_cmp(const struct store_log *a, const struct store_log *b)
{
    int order = id_cmp(&a->tenant_id, &b->tenant_id);
    if (order)
        return order;
    if (a->queued_at_us != b->queued_at_us)
        return a->queued_at_us < b->queued_at_us ? -1 : 1;
    return id_cmp(&a->execution_id, &b->execution_id);
}
