/* store_template: see store_template.h. */
#include "cli/store_template.h"

#include "common/base/mem.h"

static const struct id *or_null(const struct id *id)
{
    return id_is_zero(id) ? NULL : id;
}

/* $1 tenant, $2 key, $3 parameters, $4 version. */
static enum err query(struct db_session *db, const struct db_stmt *stmt, const struct store_template *t,
                      const char *const more[2], struct db_result **out, struct err_info *info)
{
    struct arena arena = {0};
    struct db_args args;

    db_args_init(&args, &arena);
    db_arg_id(&args, or_null(&t->tenant));
    db_arg_cstr(&args, t->key);
    db_arg_json(&args, t->params);
    db_arg_i64(&args, t->version);
    for (int i = 0; more != NULL && i < 2; i++)
        db_arg_cstr(&args, more[i]);
    enum err err = db_query(db, stmt, &args, out, info);
    arena_free(&arena);
    return err;
}

enum err store_template_list(struct db_session *db, const struct id *tenant, struct db_result **out,
                             struct err_info *info)
{
    static const struct db_stmt stmt = {
        "template_list",
        "select key, version, category, name, vendors, description from (\n"
        "    select distinct on (t.key) t.key, t.version::int8, t.category, t.name, t.description,\n"
        "        (select string_agg(distinct r #>> '{}', ', ') from\n"
        "            jsonb_path_query(t.definition, '$.**.params.role') r) as vendors\n"
        "    from automation.rule_templates t where (t.tenant_id = $1 or t.tenant_id is null) and t.published\n"
        "    order by t.key, t.tenant_id nulls last, t.version desc) x\n"
        "order by array_position(array['lead', 'booking', 'planning', 'payment', 'final', 'day', 'delivery', 'after',\n"
        "    'exception'], category), key"};
    struct arena arena = {0};
    struct db_args args;

    db_args_init(&args, &arena);
    db_arg_id(&args, or_null(tenant));
    enum err err = db_query(db, &stmt, &args, out, info);
    arena_free(&arena);
    return err;
}

enum err store_template_show(struct db_session *db, const struct store_template *t, struct db_result **out,
                             struct err_info *info)
{
    static const struct db_stmt stmt = {
        "template_show", "select $2, r.version::int8, r.name, jsonb_pretty(r.definition), r.params::text\n"
                         "from automation.render_template($1, $2, $3, nullif($4::int8, 0)::integer) r"};

    return query(db, &stmt, t, NULL, out, info);
}

enum err store_template_params(struct db_session *db, const struct store_template *t, struct db_result **out,
                               struct err_info *info)
{
    static const struct db_stmt stmt = {
        "template_params",
        "select p.key, automation_priv.param_expected(p.value), (p.value -> 'default')::text, p.value ->> 'title' from "
        "(\n"
        "    select t.params_schema from automation.rule_templates t\n"
        "    where (t.tenant_id = $1 or t.tenant_id is null) and t.key = $2 and $3::jsonb is not null\n"
        "        and case when $4::int8 = 0 then t.published else t.version = $4::int8 end\n"
        "    order by t.tenant_id nulls last, t.version desc limit 1) s\n"
        "cross join lateral jsonb_each(s.params_schema -> 'properties') p order by p.key"};

    return query(db, &stmt, t, NULL, out, info);
}

enum err store_template_instantiate(struct db_session *db, const struct store_template *t, const char *name,
                                    bool active, struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "template_instantiate",
        "select automation.instantiate_template($1, $2, $3, nullif($4::int8, 0)::integer, $5, $6)"};
    const char *const more[2] = {active ? "active" : "draft", name};

    return query(db, &stmt, t, more, out, info);
}
