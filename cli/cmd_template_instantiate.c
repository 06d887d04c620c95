/* usher template instantiate: makes a tenant's rule of a template. */
#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/out.h"
#include "cli/template_input.h"

static const struct conf_key options[] = {
    SETTING_STR("tenant", TEMPLATE_AT(tenant), NULL, NULL, 0, "whose rule it becomes"),
    SETTING_STR("params", TEMPLATE_AT(params), NULL, NULL, 0, "parameters: a JSON object, @FILE or -"),
    SETTING_INT("version", TEMPLATE_AT(version), NULL, "0", 0, 1000000, "version; 0: the newest"),
    SETTING_STR("name", TEMPLATE_AT(name), NULL, NULL, 0, "the rule's name; unset: the template's"),
    SETTING_BOOL("active", TEMPLATE_AT(active), NULL, "goes live at once; else it is a draft"),
    {.name = NULL},
};

static void check(const void *opts, struct buf *errors)
{
    template_input_check(opts, errors);
    if (((const struct template_options *)opts)->tenant == NULL)
        buf_put_str(errors, "--tenant is required\n");
}

static void print(const struct cmd_run *run, const struct db_result *r)
{
    static const struct out_column columns[] = {{"rule_id", OUT_TEXT}, {"status", OUT_TEXT}};
    const struct template_options *opts = run->options;
    struct out *o = out_new(columns, 2);
    struct id rule = db_id(r, 0, 0);

    out_id(o, &rule);
    out_text(o, opts->active ? "active" : "draft");
    out_print_one(o, run->json, stdout);
    out_free(o);
}

static int run_instantiate(struct cmd_run *run)
{
    const struct template_options *opts = run->options;
    struct store_template t;
    struct buf text = {0};
    struct db_session *db = NULL;
    struct db_result *r = NULL;
    struct err_info info = {0};
    enum err err = template_input(run, &t, &text, &info);
    int code = err == ERR_OK ? connect_db(run, &db) : cmd_fail(run, EXIT_USAGE, "%s", info.text);

    if (code != EXIT_OK)
        goto out;
    err = store_template_instantiate(db, &t, opts->name, opts->active, &r, &info);
    if (err == ERR_OK)
        print(run, r);
    else
        code = cmd_fail(run, cmd_exit_code(err), "%s", info.text);
out:
    db_result_free(r);
    db_close(db);
    buf_free(&text);
    return code;
}

const struct cmd cmd_template_instantiate = {
    .path = "template instantiate",
    .summary = "make a rule of a template",
    .operands = "KEY",
    .min_operands = 1,
    .max_operands = 1,
    .options = options,
    .options_size = sizeof(struct template_options),
    .details = "Every parameter has a default. A wrong one is refused with what was found and what is expected, and "
               "nothing is\n"
               "stored. The engine checks an active rule as any other.",
    .examples = "usher template instantiate day_before --tenant 10000000-0000-4000-8000-000000000001 --active\n",
    .check = check,
    .run = run_instantiate,
};
