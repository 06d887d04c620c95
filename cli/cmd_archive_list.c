/* usher archive list: the months that have left the log, and whether their files are where they should be. */
#include <stdio.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/out.h"
#include "common/base/buf.h"
#include "common/io/store_archive.h"

static const struct out_column columns[] = {
    {"partition", OUT_TEXT}, {"state", OUT_TEXT}, {"since", OUT_TEXT},      {"rows", OUT_INT},
    {"bytes", OUT_INT},      {"file", OUT_TEXT},  {"kept_until", OUT_TEXT},
};

static const char *look_for(const char *dir, struct str leaf)
{
    struct buf path = {0};
    const char *found = NULL;

    if (dir == NULL)
        return NULL;
    buf_printf(&path, "%s/%.*s.csv.zst", dir, (int)leaf.n, leaf.p);
    found = access(buf_text(&path), R_OK) == 0 ? "there" : "missing";
    buf_free(&path);
    return found;
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
    struct out *o = out_new(columns, sizeof(columns) / sizeof(columns[0]));
    for (int row = 0; err == ERR_OK && row < db_rows(rows); row++) {
        if (db_null(rows, row, 6))
            continue; /* never archived */
        out_str(o, db_text(rows, row, 0));
        out_str(o, db_text(rows, row, 1));
        out_time(o, db_time(rows, row, 4));
        out_int(o, db_i64(rows, row, 6));
        out_int(o, db_i64(rows, row, 7));
        out_text(o, look_for(run->settings->archive_dir, db_text(rows, row, 0)));
        out_time(o, db_time(rows, row, 5));
    }
    if (err == ERR_OK)
        out_print(o, run->json, stdout);
    else
        code = cmd_fail(run, cmd_exit_code(err), "%s", info.text);
    out_free(o);
    db_result_free(rows);
    db_close(db);
    return code;
}

const struct cmd cmd_archive_list = {
    .path = "archive list",
    .summary = "list the archived months of the execution log",
    .details = "`file` says whether it is in the folder of --archive-dir; `usher archive verify` reads it.",
    .examples = "usher archive list\n",
    .run = run_list,
};
