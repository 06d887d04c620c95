/* usher log list: a tenant's attempts, newest first, a page at a time. */
#include "cli/connect.h"
#include "cli/input.h"
#include "cli/log_rows.h"

static const struct conf_key options[] = {
    LOG_ROWS_TENANT("of this tenant; needed"),
    SETTING_STR("rule", offsetof(struct log_options, rule), NULL, NULL, 0, "of this rule only"),
    LOG_ROWS_PAGE,
    {.name = NULL},
};

static void check(const void *opts, struct buf *errors)
{
    const struct log_options *o = opts;

    if (o->tenant == NULL)
        buf_put_str(errors, "--tenant: the id of a tenant is expected\n");
    log_rows_check(opts, errors);
}

static int run_list(struct cmd_run *run)
{
    const struct log_options *o = run->options;
    struct id tenant = ID_ZERO, rule = ID_ZERO;
    struct store_page page = {0};
    struct db_session *db = NULL;
    struct db_result *rows = NULL;
    struct err_info info = {0};
    enum err err = input_id("--tenant", o->tenant, &tenant, &info);

    if (err == ERR_OK)
        err = input_id("--rule", o->rule, &rule, &info);
    if (err == ERR_OK)
        err = log_rows_page(o, &page, &info);
    int code = err == ERR_OK ? connect_db(run, &db) : cmd_fail(run, EXIT_USAGE, "%s", info.text);
    if (code != EXIT_OK)
        return code;
    err = o->rule ? store_history_rule(db, &tenant, &rule, &page, &rows, &info)
                  : store_history_list(db, &tenant, &page, &rows, &info);
    if (err == ERR_OK)
        log_rows_print(run, rows, o->limit);
    else
        code = cmd_fail(run, cmd_exit_code(err), "%s", info.text);
    db_result_free(rows);
    db_close(db);
    return code;
}

const struct cmd cmd_log_list = {
    .path = "log list",
    .summary = "list a tenant's execution log, newest first",
    .options = options,
    .options_size = sizeof(struct log_options),
    .details = "A row per attempt. Pages are found by key, so the hundredth is as quick as the first.",
    .examples = "usher log list --tenant 5b1d… --since 24h\n"
                "usher log list --tenant 5b1d… --rule 90c2… --kind send_email --json\n",
    .check = check,
    .run = run_list,
};
