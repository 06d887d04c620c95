/* usher stats vendors: how vendors answer, most asked first. */
#include "cli/stats.h"

static const struct conf_key options[] = {STATS_TENANT, STATS_SPAN, STATS_LIMIT, {.name = NULL}};

static const struct out_column columns[] = {{"vendor_id", OUT_TEXT},   {"name", OUT_TEXT},
                                            {"asked", OUT_INT},        {"confirmed", OUT_INT},
                                            {"answer_p50_s", OUT_INT}, {"answer_p95_s", OUT_INT}};

static enum err ask(struct db_session *db, const struct stats_ask *a, struct db_result **out, struct err_info *info)
{
    return store_stats_vendors(db, &a->tenant, &a->span, a->limit, out, info);
}

static void put(struct out *o, const struct db_result *rows, int row)
{
    stats_id(o, rows, row, 0);
    out_str(o, db_text(rows, row, 1));
    for (int col = 2; col <= 5; col++)
        stats_int(o, rows, row, col);
}

static int run_stats(struct cmd_run *run)
{
    return stats_run(run, ask, columns, sizeof(columns) / sizeof(columns[0]), put, false);
}

const struct cmd cmd_stats_vendors = {
    .path = "stats vendors",
    .summary = "how vendors answer, most asked first",
    .options = options,
    .options_size = sizeof(struct stats_options),
    .details = "Of months that begin in the span. A vendor is asked when a wedding is linked to it and has answered "
               "when it is confirmed.",
    .examples = "usher stats vendors --tenant 5b1d… --since 2027-01-01T00:00:00Z\n",
    .check = stats_check,
    .run = run_stats,
};
