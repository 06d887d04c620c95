/* store_rules: rules as they are listed, fetched and started (store_query.h). */
#include "common/io/store_query.h"

#include "common/base/mem.h"

enum err store_rules_list(struct db_session *s, const struct id *tenant, const char *status, const char *after_name,
                          const struct id *after, int limit, struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "rules_list",
        "select rule_id, name, status, trigger_type, event_type, revision, validated_revision, updated_at\n"
        "from automation.rules\n"
        "where tenant_id = $1 and (name collate \"C\", rule_id) > ($2, $3) and ($4::text is null or status = $4)\n"
        "order by name collate \"C\", rule_id limit $5"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, tenant);
    db_arg_cstr(&a, after_name ? after_name : ""); /* no rule has an empty name */
    db_arg_id(&a, after_name ? after : &ID_ZERO);
    db_arg_cstr(&a, status);
    db_arg_i64(&a, store_query_limit(limit));
    return store_query_run(s, &stmt, &a, out, info);
}

enum err store_rules_bodies(struct db_session *s, const struct id *tenant, const struct id *rules, size_t n,
                            struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {"rules_bodies", "select rule_id, revision, definition from automation.rules\n"
                                                        "where tenant_id = $1 and rule_id = any ($2) order by rule_id"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, tenant);
    db_arg_ids(&a, rules, n < STORE_PAGE_MAX ? n : STORE_PAGE_MAX);
    return store_query_run(s, &stmt, &a, out, info);
}

/* Two statements each, with and without an event type: "is not distinct from" is no index condition. */
static enum err by_trigger(struct db_session *s, const struct db_stmt stmts[2], const struct id *tenant,
                           const char *trigger_type, const char *event_type, struct db_result **out,
                           struct err_info *info)
{
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_id(&a, tenant);
    db_arg_cstr(&a, trigger_type);
    if (event_type)
        db_arg_cstr(&a, event_type);
    return store_query_run(s, &stmts[event_type != NULL], &a, out, info);
}

#define LIVE "status = 'active' and validated_revision is not null"

enum err store_rules_live(struct db_session *s, const struct id *tenant, const char *trigger_type,
                          const char *event_type, struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmts[2] = {
        {"rules_live",
         "select rule_id, validated_revision from automation.rules\n"
         "where tenant_id = $1 and trigger_type = $2 and event_type is null and " LIVE " order by rule_id"},
        {"rules_live_event",
         "select rule_id, validated_revision from automation.rules\n"
         "where tenant_id = $1 and trigger_type = $2 and event_type = $3 and " LIVE " order by rule_id"},
    };

    return by_trigger(s, stmts, tenant, trigger_type, event_type, out, info);
}

/* Most rules stand at the revision that runs: their body is the rule's own, without a second look-up. */
#define SET_FROM                                                                                                       \
    "select r.rule_id, r.validated_revision, case when r.revision = r.validated_revision then r.definition\n"          \
    "    else (select v.definition from automation.rule_versions v where v.tenant_id = $1\n"                           \
    "        and v.rule_id = r.rule_id and v.revision = r.validated_revision) end\n"                                   \
    "from automation.rules r\n"                                                                                        \
    "where r.tenant_id = $1 and r.trigger_type = $2 and r.status = 'active'\n"                                         \
    "    and r.validated_revision is not null and r.event_type "
#define SET_ORDER " order by r.rule_id"

enum err store_rules_set(struct db_session *s, const struct id *tenant, const char *trigger_type,
                         const char *event_type, struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmts[2] = {{"rules_set", SET_FROM "is null" SET_ORDER},
                                            {"rules_set_event", SET_FROM "= $3" SET_ORDER}};

    return by_trigger(s, stmts, tenant, trigger_type, event_type, out, info);
}
