/* store_wedding: see store_wedding.h. */
#include "cli/store_wedding.h"

#include "common/base/mem.h"
#include "common/io/db.h"

static enum err ask(struct db_session *db, const struct db_stmt *stmt, const struct id *tenant,
                    const struct id *wedding, struct db_result **out, struct err_info *info)
{
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    if (tenant != NULL)
        db_arg_id(&a, tenant);
    db_arg_id(&a, wedding);
    enum err err = db_query(db, stmt, &a, out, info);
    arena_free(&arena);
    return err;
}

enum err store_wedding_tenant(struct db_session *db, const struct id *wedding, struct id *tenant, struct err_info *info)
{
    static const struct db_stmt stmt = {"wedding_tenant",
                                        "select tenant_id from automation.weddings where wedding_id = $1 limit 2"};
    struct db_result *r = NULL;
    enum err err = ask(db, &stmt, NULL, wedding, &r, info);

    if (err == ERR_OK && db_rows(r) == 0)
        err = err_set(info, ERR_NOTFOUND, "no such wedding");
    else if (err == ERR_OK && db_rows(r) > 1)
        err = err_set(info, ERR_INVALID, "several tenants have a wedding of that id: name one with --tenant");
    if (err == ERR_OK)
        *tenant = db_id(r, 0, 0);
    db_result_free(r);
    return err;
}

enum err store_wedding_find(struct db_session *db, const struct id *tenant, const struct id *wedding,
                            struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "wedding_find", "select w.title, w.status, w.ceremony_date::text, to_char(w.ceremony_time, 'HH24:MI'), "
                        "w.time_zone, w.revision::text\n"
                        "from automation.weddings w where w.tenant_id = $1 and w.wedding_id = $2"};

    return ask(db, &stmt, tenant, wedding, out, info);
}

enum err store_wedding_timeline(struct db_session *db, const struct id *tenant, const struct id *wedding,
                                struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "wedding_timeline", "select t.local_at, t.rule, t.rule_revision, t.what, t.state, t.reason, t.run_id, t.at\n"
                            "from automation.wedding_timeline($1, $2) t"};

    return ask(db, &stmt, tenant, wedding, out, info);
}

enum err store_wedding_move(struct db_session *db, const struct store_wedding_move *move, struct db_result **out,
                            struct err_info *info)
{
    static const struct db_stmt stmt = {
        "wedding_move", "select m.change, m.rule, m.what, m.from_at, m.to_at\n"
                        "from automation.move_wedding($1, $2, $3::text::date, $4::text::time, $5, $6) m"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, &move->tenant);
    db_arg_id(&a, &move->wedding);
    db_arg_cstr(&a, move->date);
    db_arg_cstr(&a, move->time);
    db_arg_cstr(&a, move->zone);
    db_arg_bool(&a, move->dry_run);
    enum err err = db_query(db, &stmt, &a, out, info);
    arena_free(&arena);
    return err;
}

enum err store_wedding_zones(struct db_session *db, struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {"refresh_zones", "select z from automation_priv.refresh_zones() z"};

    return db_query(db, &stmt, NULL, out, info);
}
