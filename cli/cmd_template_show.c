/* usher template show: a template's parameters, and the rule that it becomes with them. */
#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/out.h"
#include "cli/template_input.h"

static const struct conf_key options[] = {
    SETTING_STR("tenant", TEMPLATE_AT(tenant), NULL, NULL, 0, "also this tenant's own templates"),
    SETTING_STR("params", TEMPLATE_AT(params), NULL, NULL, 0, "parameters: a JSON object, @FILE or -"),
    SETTING_INT("version", TEMPLATE_AT(version), NULL, "0", 0, 1000000, "version; 0: the newest"),
    {.name = NULL},
};

static const struct out_column param_columns[] = {
    {"parameter", OUT_TEXT}, {"default", OUT_JSON}, {"expected", OUT_TEXT}, {"title", OUT_TEXT}};
static const struct out_column columns[] = {{"key", OUT_TEXT},        {"version", OUT_INT}, {"name", OUT_TEXT},
                                            {"definition", OUT_JSON}, {"params", OUT_JSON}, {"parameters", OUT_JSON}};

static struct out *params_of(const struct db_result *rows)
{
    struct out *o = out_new(param_columns, sizeof(param_columns) / sizeof(param_columns[0]));

    for (int row = 0; row < db_rows(rows); row++) {
        out_str(o, db_text(rows, row, 0));
        out_str(o, db_text(rows, row, 2));
        out_str(o, db_text(rows, row, 1));
        out_str(o, db_text(rows, row, 3));
    }
    return o;
}

static void print(const struct cmd_run *run, const struct db_result *shown, const struct db_result *params)
{
    struct out *o = out_new(columns, sizeof(columns) / sizeof(columns[0])), *list = params_of(params);
    struct str definition = db_text(shown, 0, 3), name = db_text(shown, 0, 2);
    char *json = out_json(list);

    out_str(o, db_text(shown, 0, 0));
    out_int(o, db_i64(shown, 0, 1));
    out_str(o, name);
    out_str(o, definition);
    out_str(o, db_text(shown, 0, 4));
    out_text(o, json);
    if (run->json) {
        out_print_one(o, true, stdout);
    } else {
        printf("%.*s, version %lld\n\n", (int)name.n, name.p, (long long)db_i64(shown, 0, 1));
        out_print(list, false, stdout);
        printf("\n%.*s\n", (int)definition.n, definition.p);
    }
    mem_free(json);
    out_free(list);
    out_free(o);
}

static int run_show(struct cmd_run *run)
{
    struct store_template t;
    struct buf text = {0};
    struct db_session *db = NULL;
    struct db_result *shown = NULL, *params = NULL;
    struct err_info info = {0};
    enum err err = template_input(run, &t, &text, &info);
    int code = err == ERR_OK ? connect_db(run, &db) : cmd_fail(run, EXIT_USAGE, "%s", info.text);

    if (code != EXIT_OK)
        goto out;
    err = store_template_show(db, &t, &shown, &info);
    if (err == ERR_OK)
        err = store_template_params(db, &t, &params, &info);
    if (err == ERR_OK)
        print(run, shown, params);
    else
        code = cmd_fail(run, cmd_exit_code(err), "%s", info.text);
out:
    db_result_free(shown);
    db_result_free(params);
    db_close(db);
    buf_free(&text);
    return code;
}

const struct cmd cmd_template_show = {
    .path = "template show",
    .summary = "show a rule template's parameters and the rule it becomes",
    .operands = "KEY",
    .min_operands = 1,
    .max_operands = 1,
    .options = options,
    .options_size = sizeof(struct template_options),
    .details = "The rule is shown with the parameters given, and the defaults of the others. Nothing is stored.",
    .examples =
        "usher template show timeline_call_30\nusher template show timeline_call_30 --params '{\"days\": 45}'\n",
    .check = template_input_check,
    .run = run_show,
};
