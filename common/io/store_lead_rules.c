/* store_lead_rules: the leader's statements on rules; see store_lead.h. */
#include "common/io/store_lead.h"

#include "common/io/store_lead_ask.h"

enum err store_lead_activate(struct db_session *s, int64_t term, int limit, int64_t *n, struct err_info *info)
{
    static const struct db_stmt stmt = {"activate_rules", "select automation_priv.activate_rules($1, $2)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_i64(&a, term);
    db_arg_i32(&a, limit);
    return store_lead_ask_i64(s, &stmt, &a, n, info);
}

enum err store_lead_unchecked_rules(struct db_session *s, int limit, struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "rules_to_check", "select tenant_id, rule_id, revision, definition from automation_priv.rules_to_check($1)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_i32(&a, limit);
    return store_lead_ask_rows(s, &stmt, &a, out, info);
}

void store_lead_unchecked_rule(const struct db_result *r, int row, struct store_rule *out)
{
    *out = (struct store_rule){db_id(r, row, 0), db_id(r, row, 1), db_i64(r, row, 2), db_text(r, row, 3)};
}

enum err store_lead_stamp(struct db_session *s, int64_t term, const struct store_rule *rule, struct str stamp,
                          struct err_info *info)
{
    static const struct db_stmt stmt = {"stamp_rule", "select automation_priv.stamp_rule($1, $2, $3, $4, $5)"};
    struct arena arena = {0};
    struct db_args a;
    struct db_result *r = NULL;
    enum err err;

    db_args_init(&a, &arena);
    db_arg_i64(&a, term);
    db_arg_id(&a, &rule->tenant_id);
    db_arg_id(&a, &rule->rule_id);
    db_arg_i64(&a, rule->revision);
    db_arg_json(&a, stamp);
    err = store_lead_ask_rows(s, &stmt, &a, &r, info);
    db_result_free(r);
    return err;
}

enum err store_lead_timing_keys(struct db_session *s, int64_t term, int limit, int64_t *settled, struct err_info *info)
{
    static const struct db_stmt stmt = {"timing_keys", "select automation_priv.settle_timing_keys($1, $2)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_i64(&a, term);
    db_arg_i32(&a, limit);
    return store_lead_ask_i64(s, &stmt, &a, settled, info);
}

enum err store_lead_rules_beside(struct db_session *s, const struct store_rule *rule, int limit, struct db_result **out,
                                 struct err_info *info)
{
    static const struct db_stmt stmt = {
        "rules_beside", "select 0, rule_id, revision, definition from automation_priv.rules_beside($1, $2, $3)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, &rule->tenant_id);
    db_arg_id(&a, &rule->rule_id);
    db_arg_i32(&a, limit);
    return store_lead_ask_rows(s, &stmt, &a, out, info);
}

enum err store_lead_missing_messages(struct db_session *s, const struct id *tenant, const struct str *names, size_t n,
                                     struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {"missing_messages", "select automation_priv.missing_messages($1, $2)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, tenant);
    db_arg_texts(&a, names, n);
    return store_lead_ask_rows(s, &stmt, &a, out, info);
}

enum err store_lead_ruleset(struct db_session *s, const struct id *tenant, int64_t *version, struct db_result **out,
                            struct err_info *info)
{
    static const struct db_stmt stmt = {
        "load_ruleset", "select version, rule_id, revision, definition from automation_priv.load_ruleset($1)"};
    struct arena arena = {0};
    struct db_args a;
    enum err err;

    db_args_init(&a, &arena);
    db_arg_id(&a, tenant);
    err = store_lead_ask_rows(s, &stmt, &a, out, info);
    *version = err == ERR_OK && db_rows(*out) > 0 ? db_i64(*out, 0, 0) : 0;
    return err;
}

bool store_lead_ruleset_rule(const struct db_result *r, int row, struct store_rule *out)
{
    *out = (struct store_rule){ID_ZERO, db_id(r, row, 1), db_i64(r, row, 2), db_text(r, row, 3)};
    return out->definition.p != NULL;
}
