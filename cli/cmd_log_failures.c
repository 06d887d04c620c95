/* usher log failures: attempts that went wrong, newest first, a page at a time. */
#include "cli/connect.h"
#include "cli/input.h"
#include "cli/log_rows.h"

static const struct conf_key options[] = {
    LOG_ROWS_TENANT("of this tenant only"),
    LOG_ROWS_PAGE,
    {.name = NULL},
};

static int run_failures(struct cmd_run *run)
{
    const struct log_options *o = run->options;
    struct id tenant = ID_ZERO;
    struct store_page page = {0};
    struct db_session *db = NULL;
    struct db_result *rows = NULL;
    struct err_info info = {0};
    enum err err = input_id("--tenant", o->tenant, &tenant, &info);

    if (err == ERR_OK)
        err = log_rows_page(o, &page, &info);
    int code = err == ERR_OK ? connect_db(run, &db) : cmd_fail(run, EXIT_USAGE, "%s", info.text);
    if (code != EXIT_OK)
        return code;
    err = o->tenant ? store_history_failures(db, &tenant, &page, &rows, &info)
                    : store_history_failures_all(db, &page, &rows, &info);
    if (err == ERR_OK)
        log_rows_print(run, rows, o->limit);
    else
        code = cmd_fail(run, cmd_exit_code(err), "%s", info.text);
    db_result_free(rows);
    db_close(db);
    return code;
}

const struct cmd cmd_log_failures = {
    .path = "log failures",
    .summary = "list attempts that failed, died, were parked or lost their lease",
    .options = options,
    .options_size = sizeof(struct log_options),
    .details = "Newest first, of all tenants or of one.",
    .examples = "usher log failures --since 1h\nusher log failures --tenant 5b1d… --kind send_email --json\n",
    .check = log_rows_check,
    .run = run_failures,
};
