/* log_rows: what the `usher log` commands share: their options, and rows of the execution log as they are printed. */
#ifndef CLI_LOG_ROWS_H
#define CLI_LOG_ROWS_H

#include "cli/cmd.h"
#include "common/base/id.h"
#include "common/io/db.h"
#include "common/io/store_query.h"

struct log_options {
    char *tenant;
    char *rule;
    char *kind;
    char *since;
    char *until;
    char *after;
    int64_t limit;
};

/* Rows of an option table; the ranges and --after are those of log_rows_page. */
#define LOG_ROWS_TENANT(text) SETTING_STR("tenant", offsetof(struct log_options, tenant), NULL, NULL, 0, text)
#define LOG_ROWS_PAGE                                                                                                  \
    SETTING_STR("kind", offsetof(struct log_options, kind), NULL, NULL, 0, "of this kind only"),                       \
        SETTING_STR("since", offsetof(struct log_options, since), NULL, NULL, 0,                                       \
                    "queued since this time, or for less than this duration"),                                         \
        SETTING_STR("until", offsetof(struct log_options, until), NULL, NULL, 0, "queued before this time"),           \
        SETTING_STR("after", offsetof(struct log_options, after), NULL, NULL, 0,                                       \
                    "the page behind this row, QUEUED_AT/EXECUTION_ID"),                                               \
        SETTING_INT("limit", offsetof(struct log_options, limit), NULL, "50", 1, STORE_PAGE_MAX, "most rows")

/* The check of these commands: a line per error. */
void log_rows_check(const void *options, struct buf *errors);
/* The page that checked options name; durations count back from the machine's clock. */
enum err log_rows_page(const struct log_options *o, struct store_page *page, struct err_info *info) MUST_USE;
/* Rows of store_history_*; when there are `limit` (0: none is wanted), a hint how to get the next page follows the table. */
void log_rows_print(const struct cmd_run *run, const struct db_result *rows, int64_t limit);

#endif
