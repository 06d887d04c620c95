/* usher stats seasons: attempts by year, within and outside the season, newest first. */
#include "cli/stats.h"

static const struct conf_key options[] = {STATS_TENANT, STATS_LIMIT, {.name = NULL}};

static const struct out_column columns[] = {{"year", OUT_INT}, {"in_season", OUT_BOOL}, STATS_COLUMNS};

static enum err ask(struct db_session *db, const struct stats_ask *a, struct db_result **out, struct err_info *info)
{
    return store_stats_seasons(db, &a->tenant, a->limit, out, info);
}

static void put(struct out *o, const struct db_result *rows, int row)
{
    out_int(o, db_i64(rows, row, STATS_KEY));
    out_bool(o, db_bool(rows, row, STATS_KEY + 1));
    stats_figures(o, rows, row);
}

static int run_stats(struct cmd_run *run)
{
    return stats_run(run, ask, columns, sizeof(columns) / sizeof(columns[0]), put, false);
}

const struct cmd cmd_stats_seasons = {
    .path = "stats seasons",
    .summary = "attempts by year, within and outside the season, newest first",
    .options = options,
    .options_size = sizeof(struct stats_options),
    .details = "From statistics that the leader makes anew every 15 minutes. Percentiles are off by an eighth at most. "
               "The season is the tenant's setting season_months, else May to October.",
    .examples = "usher stats seasons --tenant 5b1d…\n",
    .check = stats_check,
    .run = run_stats,
};
