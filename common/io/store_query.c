/* store_query: see store_query.h. */
#include "common/io/store_query.h"

#include "common/base/mem.h"

#define PAGE_DEFAULT 50

enum err store_query_run(struct db_session *s, const struct db_stmt *stmt, struct db_args *a, struct db_result **out,
                         struct err_info *info)
{
    /* A plan for any range takes each to be short, and reads a tenant's whole log for a rule. */
    enum err err = db_query_once(s, stmt, a, out, info);

    arena_free(a->arena);
    return err;
}

int store_query_limit(int limit)
{
    if (limit <= 0)
        return PAGE_DEFAULT;
    return limit < STORE_PAGE_MAX ? limit : STORE_PAGE_MAX;
}
