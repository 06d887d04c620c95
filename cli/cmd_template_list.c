/* usher template list: the rule templates that a tenant can make rules of. */
#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/input.h"
#include "cli/out.h"
#include "cli/store_template.h"

struct list_options {
    char *tenant;
};

static const struct conf_key options[] = {
    SETTING_STR("tenant", offsetof(struct list_options, tenant), NULL, NULL, 0,
                "also this tenant's own, which come before everybody's of the same key"),
    {.name = NULL},
};

static const struct out_column columns[] = {{"key", OUT_TEXT},  {"version", OUT_INT},  {"category", OUT_TEXT},
                                            {"name", OUT_TEXT}, {"vendors", OUT_TEXT}, {"description", OUT_TEXT}};

static void check(const void *opts, struct buf *errors)
{
    input_check_id("--tenant", ((const struct list_options *)opts)->tenant, errors);
}

static void add_row(struct out *o, const struct db_result *rows, int row)
{
    out_str(o, db_text(rows, row, 0));
    out_int(o, db_i64(rows, row, 1));
    for (int i = 2; i <= 5; i++)
        out_str(o, db_text(rows, row, i));
}

static int run_list(struct cmd_run *run)
{
    const struct list_options *opts = run->options;
    struct id tenant = ID_ZERO;
    struct out *o = NULL;
    struct db_session *db = NULL;
    struct db_result *rows = NULL;
    struct err_info info = {0};
    enum err err = input_id("--tenant", opts->tenant, &tenant, &info);
    int code = err == ERR_OK ? connect_db(run, &db) : EXIT_USAGE;

    if (code != EXIT_OK)
        return code;
    err = store_template_list(db, &tenant, &rows, &info);
    if (err != ERR_OK) {
        code = cmd_fail(run, cmd_exit_code(err), "%s", info.text);
        goto out;
    }
    o = out_new(columns, sizeof(columns) / sizeof(columns[0]));
    for (int row = 0; row < db_rows(rows); row++)
        add_row(o, rows, row);
    out_print(o, run->json, stdout);
    out_free(o);
out:
    db_result_free(rows);
    db_close(db);
    return code;
}

const struct cmd cmd_template_list = {
    .path = "template list",
    .summary = "show the rule templates",
    .options = options,
    .options_size = sizeof(struct list_options),
    .details = "The newest published version of each. \"vendors\" are the roles that its rule writes to.",
    .examples = "usher template list\n",
    .check = check,
    .run = run_list,
};
