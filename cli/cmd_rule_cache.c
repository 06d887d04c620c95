/* usher rule cache: how often each level of the rule cache could answer. */
#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/out.h"
#include "cli/store_show.h"

static const struct out_column columns[] = {
    {"level", OUT_TEXT},  {"hits", OUT_INT},   {"misses", OUT_INT},      {"hit_percent", OUT_TEXT},
    {"skipped", OUT_INT}, {"failed", OUT_INT}, {"counted_at", OUT_TEXT},
};

static void add_row(struct out *o, const struct db_result *rows, int row)
{
    out_str(o, db_text(rows, row, 0));
    out_int(o, db_i64(rows, row, 1));
    out_int(o, db_i64(rows, row, 2));
    if (db_null(rows, row, 3))
        out_null(o);
    else
        out_str(o, db_text(rows, row, 3));
    out_int(o, db_i64(rows, row, 4));
    out_int(o, db_i64(rows, row, 5));
    if (db_null(rows, row, 6))
        out_null(o);
    else
        out_time(o, db_time(rows, row, 6));
}

static int run_cache(struct cmd_run *run)
{
    struct out *o = NULL;
    struct db_session *db = NULL;
    struct db_result *rows = NULL;
    struct err_info info = {0};
    int code = connect_db(run, &db);

    if (code != EXIT_OK)
        return code;
    enum err err = store_show_rule_cache(db, &rows, &info);
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

const struct cmd cmd_rule_cache = {
    .path = "rule cache",
    .summary = "show how often each level of the rule cache could answer",
    .details = "A look-up asks the leader's memory, then Redis, then PostgreSQL, until one hits. Counters of all "
               "leaders since the "
               "database was\nmade, a few seconds behind; skipped: Redis was off and not asked.",
    .examples = "usher rule cache\nusher rule cache --json\n",
    .run = run_cache,
};
