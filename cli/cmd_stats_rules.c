/* usher stats rules: a tenant's rules, or one of them by day. */
#include "cli/stats.h"

static const struct conf_key options[] = {STATS_TENANT,
                                          SETTING_STR("rule", offsetof(struct stats_options, rule), NULL, NULL, 0,
                                                      "this rule by day, to the last minute; all zeros: free jobs"),
                                          STATS_SPAN,
                                          STATS_LIMIT,
                                          {.name = NULL}};

static const struct out_column of_rules[] = {{"rule_id", OUT_TEXT}, {"name", OUT_TEXT}, STATS_COLUMNS};
static const struct out_column of_days[] = {{"day", OUT_TEXT}, {"kind", OUT_TEXT}, STATS_COLUMNS};
enum { N_COLUMNS = sizeof(of_rules) / sizeof(of_rules[0]) };

static enum err ask_rules(struct db_session *db, const struct stats_ask *a, struct db_result **out, struct err_info *info)
{
    return store_stats_rules(db, &a->tenant, &a->span, a->limit, out, info);
}

static enum err ask_days(struct db_session *db, const struct stats_ask *a, struct db_result **out, struct err_info *info)
{
    return store_stats_rule(db, &a->tenant, &a->rule, &a->span, a->limit, out, info);
}

static void put_rule(struct out *o, const struct db_result *rows, int row)
{
    stats_id(o, rows, row, STATS_KEY);
    out_str(o, db_text(rows, row, STATS_KEY + 1));
    stats_figures(o, rows, row);
}

static void put_day(struct out *o, const struct db_result *rows, int row)
{
    out_str(o, db_text(rows, row, STATS_KEY));
    out_str(o, db_text(rows, row, STATS_KEY + 1));
    stats_figures(o, rows, row);
}

static int run_rules(struct cmd_run *run)
{
    const struct stats_options *o = run->options;

    return o->rule ? stats_run(run, ask_days, of_days, N_COLUMNS, put_day, false)
                   : stats_run(run, ask_rules, of_rules, N_COLUMNS, put_rule, false);
}

const struct cmd cmd_stats_rules = {
    .path = "stats rules",
    .summary = "attempts of a tenant's rules, most active first, or of one by day",
    .options = options,
    .options_size = sizeof(struct stats_options),
    .details =
        "From statistics that the leader makes anew every 15 minutes; with --rule from the rollups, seconds old. "
        "Free jobs have no rule.\n"
        "Percentiles are off by an eighth at most.",
    .examples = "usher stats rules --tenant 5b1d…\nusher stats rules --tenant 5b1d… --rule 90c2… --since 90d --json\n",
    .check = stats_check,
    .run = run_rules,
};
