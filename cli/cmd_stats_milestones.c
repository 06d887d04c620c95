/* usher stats milestones: attempts by what started their rule, most active first. */
#include "cli/stats.h"

static const struct conf_key options[] = {STATS_TENANT, STATS_SPAN, STATS_LIMIT, {.name = NULL}};

static const struct out_column columns[] = {{"trigger", OUT_TEXT}, {"name", OUT_TEXT}, STATS_COLUMNS};

static enum err ask(struct db_session *db, const struct stats_ask *a, struct db_result **out, struct err_info *info)
{
    return store_stats_milestones(db, &a->tenant, &a->span, a->limit, out, info);
}

static void put(struct out *o, const struct db_result *rows, int row)
{
    out_str(o, db_text(rows, row, STATS_KEY));
    out_str(o, db_text(rows, row, STATS_KEY + 1));
    stats_figures(o, rows, row);
}

static int run_stats(struct cmd_run *run)
{
    return stats_run(run, ask, columns, sizeof(columns) / sizeof(columns[0]), put, false);
}

const struct cmd cmd_stats_milestones = {
    .path = "stats milestones",
    .summary = "attempts by what started their rule, most active first",
    .options = options,
    .options_size = sizeof(struct stats_options),
    .details = "From statistics that the leader makes anew every 15 minutes. Percentiles are off by an eighth at most.",
    .examples = "usher stats milestones --tenant 5b1d…\n",
    .check = stats_check,
    .run = run_stats,
};
