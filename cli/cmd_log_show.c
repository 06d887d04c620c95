/* usher log show: the attempts of a run, or of a job, oldest first. */
#include "cli/connect.h"
#include "cli/input.h"
#include "cli/log_rows.h"

static const struct conf_key options[] = {
    LOG_ROWS_TENANT("whose run or job it is; needed"),
    {.name = NULL},
};

static void check(const void *opts, struct buf *errors)
{
    if (((const struct log_options *)opts)->tenant == NULL)
        buf_put_str(errors, "--tenant: the id of a tenant is expected\n");
    log_rows_check(opts, errors);
}

static int run_show(struct cmd_run *run)
{
    const struct log_options *o = run->options;
    struct id tenant = ID_ZERO, id = ID_ZERO;
    struct db_session *db = NULL;
    struct db_result *rows = NULL;
    struct err_info info = {0};
    enum err err = input_id("--tenant", o->tenant, &tenant, &info);

    if (err == ERR_OK)
        err = input_id("ID", run->operands[0], &id, &info);
    int code = err == ERR_OK ? connect_db(run, &db) : cmd_fail(run, EXIT_USAGE, "%s", info.text);
    if (code != EXIT_OK)
        return code;
    err = store_history_run(db, &tenant, &id, &rows, &info);
    if (err == ERR_OK && db_rows(rows) == 0) {
        db_result_free(rows);
        rows = NULL;
        err = store_history_job(db, &tenant, &id, 0, INT64_MAX / 2, &rows, &info);
    }
    if (err != ERR_OK)
        code = cmd_fail(run, cmd_exit_code(err), "%s", info.text);
    else if (db_rows(rows) == 0)
        code = cmd_fail(run, EXIT_NOT_FOUND, "the log has nothing of a run or job %s of this tenant", run->operands[0]);
    else
        log_rows_print(run, rows, 0);
    db_result_free(rows);
    db_close(db);
    return code;
}

const struct cmd cmd_log_show = {
    .path = "log show",
    .summary = "show the attempts of a run or of a job, oldest first",
    .operands = "ID",
    .min_operands = 1,
    .max_operands = 1,
    .options = options,
    .options_size = sizeof(struct log_options),
    .details = "At most 1000 rows. What is still to be done of them is shown by `usher run show` and `usher job show`.",
    .examples = "usher log show 7f0e… --tenant 5b1d…\n",
    .check = check,
    .run = run_show,
};
