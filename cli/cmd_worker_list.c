/* usher worker list: the processes that are registered, living or not yet swept. */
#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/out.h"
#include "cli/store_show.h"

#define WORKERS_SHOWN 1000

static const struct out_column columns[] = {
    {"worker_id", OUT_TEXT}, {"name", OUT_TEXT},  {"queues", OUT_TEXT},   {"started_at", OUT_TEXT},
    {"beat_ms", OUT_INT},    {"alive", OUT_BOOL}, {"in_flight", OUT_INT},
};

static void add_row(struct out *o, const struct db_result *rows, int row)
{
    struct id id = db_id(rows, row, 0);

    out_id(o, &id);
    out_str(o, db_text(rows, row, 1));
    out_str(o, db_text(rows, row, 2));
    out_time(o, db_time(rows, row, 3));
    out_int(o, db_i64(rows, row, 4));
    out_bool(o, db_bool(rows, row, 5));
    out_int(o, db_i64(rows, row, 6));
}

static int run_list(struct cmd_run *run)
{
    struct out *o = NULL;
    struct db_session *db = NULL;
    struct db_result *rows = NULL;
    struct err_info info = {0};
    int code = connect_db(run, &db);

    if (code != EXIT_OK)
        return code;
    enum err err = store_show_workers(db, WORKERS_SHOWN, &rows, &info);
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

const struct cmd cmd_worker_list = {
    .path = "worker list",
    .summary = "show the workers, their last beat and what they hold",
    .details = "A worker that has not beaten for 20 s is dead; the leader frees what it held and then removes it.",
    .examples = "usher worker list\n",
    .run = run_list,
};
