/* usher partition list: the months of the log, where each of them is, and how far ahead they reach. */
#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/out.h"
#include "common/io/store_archive.h"

static const struct out_column columns[] = {
    {"partition", OUT_TEXT},     {"state", OUT_TEXT},      {"from", OUT_TEXT},       {"before", OUT_TEXT},
    {"since", OUT_TEXT},         {"bytes", OUT_INT},       {"quarantined", OUT_INT}, {"archived_rows", OUT_INT},
    {"archived_bytes", OUT_INT}, {"kept_until", OUT_TEXT},
};

static void put_count(struct out *o, const struct db_result *rows, int row, int col)
{
    if (db_null(rows, row, col))
        out_null(o);
    else
        out_int(o, db_i64(rows, row, col));
}

static void add_row(struct out *o, const struct db_result *rows, int row)
{
    out_str(o, db_text(rows, row, 0));
    out_str(o, db_text(rows, row, 1));
    out_time(o, db_time(rows, row, 2));
    out_time(o, db_time(rows, row, 3));
    out_time(o, db_time(rows, row, 4));
    put_count(o, rows, row, 8);
    out_int(o, db_i64(rows, row, 9));
    put_count(o, rows, row, 6);
    put_count(o, rows, row, 7);
    out_time(o, db_time(rows, row, 5));
}

static int run_list(struct cmd_run *run)
{
    struct db_session *db = NULL;
    struct db_result *rows = NULL;
    struct err_info info = {0};
    int code = connect_db(run, &db);

    if (code != EXIT_OK)
        return code;
    enum err err = store_archive_list(db, &rows, &info);
    if (err == ERR_OK) {
        struct out *o = out_new(columns, sizeof(columns) / sizeof(columns[0]));
        for (int row = 0; row < db_rows(rows); row++)
            add_row(o, rows, row);
        out_print(o, run->json, stdout);
        out_free(o);
    } else {
        code = cmd_fail(run, cmd_exit_code(err), "%s", info.text);
    }
    db_result_free(rows);
    db_close(db);
    return code;
}

const struct cmd cmd_partition_list = {
    .path = "partition list",
    .summary = "list the months of the execution log, oldest first",
    .details = "States: attached and restored are part of the log; detaching, detached, exported, verified are on "
               "their way out; dropped is in the archive "
               "alone. `quarantined` counts log rows of that month that wait outside: `usher partition replay` puts "
               "them in once there is a partition.",
    .examples = "usher partition list\nusher partition list --json\n",
    .run = run_list,
};
