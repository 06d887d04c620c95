/* store_event: see store_event.h. */
#include "cli/store_event.h"

#include "common/base/mem.h"
#include "common/io/db.h"

enum err store_event_list(struct db_session *db, const struct id *tenant, int64_t limit, struct db_result **out,
                          struct err_info *info)
{
    static const struct db_stmt stmt = {
        "event_list", "select quarantined_at, event_id, tenant_id, event_type, wedding_id, occurred_at\n"
                      "from automation_priv.outbox_quarantine where $1::uuid is null or tenant_id = $1\n"
                      "order by quarantined_at desc, event_id limit $2"};
    struct arena arena = {0};
    struct db_args args;

    db_args_init(&args, &arena);
    db_arg_id(&args, id_is_zero(tenant) ? NULL : tenant);
    db_arg_i64(&args, limit);
    enum err err = db_query(db, &stmt, &args, out, info);
    arena_free(&arena);
    return err;
}

enum err store_event_retry(struct db_session *db, const struct id *events, size_t n, const char *by, int64_t *done,
                           struct err_info *info)
{
    static const struct db_stmt stmt = {"event_retry", "select automation_priv.retry_events($1, $2)"};
    struct arena arena = {0};
    struct db_args args;
    struct db_result *rows = NULL;

    db_args_init(&args, &arena);
    if (n > 0)
        db_arg_ids(&args, events, n);
    else
        db_arg_null(&args);
    db_arg_cstr(&args, by);
    enum err err = db_query(db, &stmt, &args, &rows, info);
    if (err == ERR_OK)
        *done = db_i64(rows, 0, 0);
    db_result_free(rows);
    arena_free(&arena);
    return err;
}
