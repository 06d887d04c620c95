/* store_lead: the shape of load: which minutes are spread. */
#include "common/io/store_lead.h"

#include "common/io/store_lead_ask.h"

enum err store_lead_shape(struct db_session *s, int64_t term, int above, int within_s, struct err_info *info)
{
    static const struct db_stmt stmt = {"shape_load", "select automation_priv.shape_load($1, $2, $3)"};
    struct arena arena = {0};
    struct db_args a;
    bool changed;

    db_args_init(&a, &arena);
    db_arg_i64(&a, term);
    db_arg_i32(&a, above);
    db_arg_i32(&a, within_s);
    return store_lead_ask_bool(s, &stmt, &a, &changed, info);
}

enum err store_lead_herds(struct db_session *s, int64_t term, int limit, struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {"due_herds", "select minute, seconds from automation_priv.due_herds($1, $2)"};

    return store_lead_ask_batch(s, &stmt, term, limit, out, info);
}
