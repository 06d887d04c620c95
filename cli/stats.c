/* stats: see stats.h. */
#include "cli/stats.h"

#include "cli/connect.h"
#include "cli/input.h"
#include "common/base/clock.h"

#define DAY_US INT64_C(86400000000)

static enum err read_options(const struct stats_options *o, struct stats_ask *ask, struct err_info *info)
{
    const int64_t now_us = clock_wall_us();
    struct input_when since, until;
    enum err err = input_id("--tenant", o->tenant, &ask->tenant, info);

    if (err == ERR_OK)
        err = input_id("--rule", o->rule, &ask->rule, info);
    if (err == ERR_OK)
        err = input_when("--since", o->since, &since, info);
    if (err == ERR_OK)
        err = input_when("--until", o->until, &until, info);
    if (err != ERR_OK)
        return err;
    ask->limit = (int)o->limit;
    ask->span.from_us = !since.given ? 0 : since.relative ? now_us - since.us : since.us;
    ask->span.to_us = !until.given ? now_us + DAY_US : until.relative ? now_us - until.us : until.us;
    return ERR_OK;
}

void stats_check(const void *options, struct buf *errors)
{
    const struct stats_options *o = options;
    struct stats_ask ask = {0};
    struct err_info info = {0};

    if (o->tenant == NULL)
        buf_put_str(errors, "--tenant: the id of a tenant is expected\n");
    if (read_options(o, &ask, &info) != ERR_OK)
        buf_printf(errors, "%s\n", info.text);
}

void stats_int(struct out *o, const struct db_result *rows, int row, int col)
{
    if (db_null(rows, row, col))
        out_null(o);
    else
        out_int(o, db_i64(rows, row, col));
}

void stats_id(struct out *o, const struct db_result *rows, int row, int col)
{
    const struct id id = db_null(rows, row, col) ? ID_ZERO : db_id(rows, row, col);

    out_id(o, &id);
}

void stats_figures(struct out *o, const struct db_result *rows, int row)
{
    for (int col = STATS_N; col < STATS_KEY; col++)
        stats_int(o, rows, row, col);
}

static void print(const struct cmd_run *run, const struct db_result *rows, const struct out_column *columns, size_t n,
                  stats_row_fn *put, bool one)
{
    struct out *o = out_new(columns, n);

    for (int row = 0; row < db_rows(rows); row++)
        put(o, rows, row);
    if (one)
        out_print_one(o, run->json, stdout);
    else
        out_print(o, run->json, stdout);
    out_free(o);
}

int stats_run(struct cmd_run *run, stats_fn *fn, const struct out_column *columns, size_t n, stats_row_fn *put, bool one)
{
    struct stats_ask ask = {0};
    struct db_session *db = NULL;
    struct db_result *rows = NULL;
    struct err_info info = {0};
    enum err err = read_options(run->options, &ask, &info);
    int code = err == ERR_OK ? connect_db(run, &db) : cmd_fail(run, EXIT_USAGE, "%s", info.text);

    if (code != EXIT_OK)
        return code;
    err = fn(db, &ask, &rows, &info);
    if (err == ERR_OK)
        print(run, rows, columns, n, put, one);
    else
        code = cmd_fail(run, cmd_exit_code(err), "%s", info.text);
    db_result_free(rows);
    db_close(db);
    return code;
}
