/* store_restore: see store_restore.h. */
#include "cli/store_restore.h"

#include "common/base/mem.h"
#include "common/io/db.h"

enum err store_restore_resume(struct db_session *db, const struct input_when *since, const char *outward,
                              const char *by, struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {"restore_resume",
                                        "select epoch, freed, doubtful from automation_priv.restore_resume(\n"
                                        "    coalesce($1, automation.now() - $2 * interval '1 microsecond'), $3, $4)"};
    struct arena arena = {0};
    struct db_args args;

    db_args_init(&args, &arena);
    db_arg_time(&args, since->relative ? DB_NULL_TIME : since->us);
    if (since->relative)
        db_arg_i64(&args, since->us);
    else
        db_arg_null(&args);
    db_arg_cstr(&args, outward);
    db_arg_cstr(&args, by);
    enum err err = db_query(db, &stmt, &args, out, info);
    arena_free(&arena);
    return err;
}
