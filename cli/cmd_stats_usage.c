/* usher stats usage: what a tenant has and used. */
#include "cli/stats.h"

static const struct conf_key options[] = {STATS_TENANT, STATS_SPAN, {.name = NULL}};

static const struct out_column columns[] = {{"rules", OUT_INT},        {"rules_live", OUT_INT},
                                            {"weddings", OUT_INT},     {"jobs_unfinished", OUT_INT},
                                            {"dead_letters", OUT_INT}, {"jobs_accepted", OUT_INT},
                                            {"jobs_done", OUT_INT},    {"jobs_dead", OUT_INT},
                                            {"attempts", OUT_INT},     {"worked_us", OUT_INT}};

static enum err ask(struct db_session *db, const struct stats_ask *a, struct db_result **out, struct err_info *info)
{
    return store_stats_tenant(db, &a->tenant, &a->span, out, info);
}

static void put(struct out *o, const struct db_result *rows, int row)
{
    for (int col = 0; col < 10; col++)
        stats_int(o, rows, row, col);
}

static int run_stats(struct cmd_run *run)
{
    return stats_run(run, ask, columns, sizeof(columns) / sizeof(columns[0]), put, true);
}

const struct cmd cmd_stats_usage = {
    .path = "stats usage",
    .summary = "what a tenant has and used",
    .options = options,
    .options_size = sizeof(struct stats_options),
    .details = "The first five are of now, the others of the span.",
    .examples = "usher stats usage --tenant 5b1d…\n",
    .check = stats_check,
    .run = run_stats,
};
