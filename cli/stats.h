/* stats: what the `usher stats` commands share: tenant, span and limit, and how a row of figures is printed. */
#ifndef CLI_STATS_H
#define CLI_STATS_H

#include "cli/cmd.h"
#include "cli/out.h"
#include "common/base/id.h"
#include "common/io/db.h"
#include "common/io/store_query.h"

struct stats_options {
    char *tenant;
    char *rule;
    char *since;
    char *until;
    int64_t limit;
};

#define STATS_TENANT                                                                                                   \
    SETTING_STR("tenant", offsetof(struct stats_options, tenant), NULL, NULL, 0, "of this tenant; needed")
#define STATS_LIMIT                                                                                                    \
    SETTING_INT("limit", offsetof(struct stats_options, limit), NULL, "50", 1, STORE_PAGE_MAX, "most rows")
#define STATS_SPAN                                                                                                     \
    SETTING_STR("since", offsetof(struct stats_options, since), NULL, "30d", 0,                                        \
                "from this day (UTC) on, or so long ago"),                                                             \
        SETTING_STR("until", offsetof(struct stats_options, until), NULL, NULL, 0, "before this day; unset: with today")

/* What a command asks, with its options read. */
struct stats_ask {
    struct id tenant, rule;
    struct store_span span;
    int limit;
};
typedef enum err stats_fn(struct db_session *db, const struct stats_ask *ask, struct db_result **out,
                          struct err_info *info);
typedef void stats_row_fn(struct out *o, const struct db_result *rows, int row);

/* The columns of attempts: n … late_p99_us, in the order of enum store_stats_column, and their cells. */
#define STATS_COLUMNS                                                                                                  \
    {"attempts", OUT_INT}, {"done", OUT_INT}, {"failed", OUT_INT}, {"dead", OUT_INT}, {"unrun", OUT_INT},              \
        {"mean_us", OUT_INT}, {"took_p50_us", OUT_INT}, {"took_p95_us", OUT_INT}, {"took_p99_us", OUT_INT},            \
        {"late_p50_us", OUT_INT}, {"late_p95_us", OUT_INT},                                                            \
    {                                                                                                                  \
        "late_p99_us", OUT_INT                                                                                         \
    }
void stats_figures(struct out *o, const struct db_result *rows, int row);
void stats_id(struct out *o, const struct db_result *rows, int row, int col);
void stats_int(struct out *o, const struct db_result *rows, int row, int col); /* null where it is */

void stats_check(const void *options, struct buf *errors);
/* Connects, asks, prints every row; `one`: the only row, as names and values. */
int stats_run(struct cmd_run *run, stats_fn *ask, const struct out_column *columns, size_t n, stats_row_fn *put,
              bool one);

#endif
