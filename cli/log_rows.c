/* log_rows: see log_rows.h. */
#include "cli/log_rows.h"

#include <string.h>

#include "cli/input.h"
#include "cli/out.h"
#include "common/base/clock.h"
#include "common/core/outcome.h"

static const struct out_column columns[] = {
    {"queued_at", OUT_TEXT}, {"execution_id", OUT_TEXT}, {"tenant_id", OUT_TEXT}, {"kind", OUT_TEXT},
    {"queue", OUT_TEXT},     {"outcome", OUT_TEXT},      {"attempt", OUT_INT},    {"took_us", OUT_INT},
    {"job_id", OUT_TEXT},    {"run_id", OUT_TEXT},       {"rule_id", OUT_TEXT},   {"wedding_id", OUT_TEXT},
    {"step", OUT_INT},       {"started_at", OUT_TEXT},   {"reason", OUT_TEXT},    {"error", OUT_TEXT},
};

/* "TIME/ID" */
static enum err cursor(const char *text, struct store_page *page, struct err_info *info)
{
    const char *slash = text ? strchr(text, '/') : NULL;

    page->after_us = DB_NULL_TIME;
    if (text == NULL || text[0] == '\0')
        return ERR_OK;
    if (slash && str_to_time((struct str){text, (size_t)(slash - text)}, &page->after_us) == ERR_OK &&
        id_parse(str_of(slash + 1), &page->after) == ERR_OK)
        return ERR_OK;
    return err_set(info, ERR_INVALID, "--after: \"%.90s\" is not of the form QUEUED_AT/EXECUTION_ID", text);
}

static enum err instant(const char *name, const char *text, int64_t unset_us, int64_t *us, struct err_info *info)
{
    struct input_when when;
    enum err err = input_when(name, text, &when, info);

    *us = !when.given ? unset_us : when.relative ? clock_wall_us() - when.us : when.us;
    return err;
}

enum err log_rows_page(const struct log_options *o, struct store_page *page, struct err_info *info)
{
    *page = (struct store_page){.kind = o->kind, .limit = (int)o->limit};
    enum err err = instant("--since", o->since, 0, &page->from_us, info);
    if (err == ERR_OK)
        err = instant("--until", o->until, INT64_MAX / 2, &page->to_us, info);
    if (err == ERR_OK)
        err = cursor(o->after, page, info);
    return err;
}

void log_rows_check(const void *options, struct buf *errors)
{
    const struct log_options *o = options;
    struct store_page page;
    struct err_info info = {0};

    input_check_id("--tenant", o->tenant, errors);
    input_check_id("--rule", o->rule, errors);
    if (log_rows_page(o, &page, &info) != ERR_OK)
        buf_printf(errors, "%s\n", info.text);
}

/* With microseconds: it is half of the key that --after takes. */
static void queued_at(char out[STR_TIME_SIZE], int64_t us)
{
    str_from_time(out, us);
    (void)snprintf(out + strlen(out) - 1, 5, "%03uZ", (unsigned)(us % 1000) % 1000);
}

static void put_id(struct out *o, const struct db_result *rows, int row, int col)
{
    const struct id id = db_id(rows, row, col);
    char text[ID_TEXT_SIZE];

    out_text(o, db_null(rows, row, col) ? NULL : id_format(&id, text)); /* the platform's tenant is all zeros */
}

static void add_row(struct out *o, const struct db_result *rows, int row)
{
    char at[STR_TIME_SIZE];

    queued_at(at, db_time(rows, row, HISTORY_QUEUED_AT));
    out_text(o, at);
    put_id(o, rows, row, HISTORY_EXECUTION);
    put_id(o, rows, row, HISTORY_TENANT);
    out_str(o, db_text(rows, row, HISTORY_KIND));
    out_str(o, db_text(rows, row, HISTORY_QUEUE));
    out_text(o, outcome_word((enum outcome)db_i64(rows, row, HISTORY_OUTCOME)));
    out_int(o, db_i64(rows, row, HISTORY_ATTEMPT));
    out_int(o, db_i64(rows, row, HISTORY_DURATION));
    put_id(o, rows, row, HISTORY_JOB);
    put_id(o, rows, row, HISTORY_RUN);
    put_id(o, rows, row, HISTORY_RULE);
    put_id(o, rows, row, HISTORY_WEDDING);
    if (db_null(rows, row, HISTORY_STEP))
        out_null(o);
    else
        out_int(o, db_i64(rows, row, HISTORY_STEP));
    out_time(o, db_time(rows, row, HISTORY_STARTED_AT));
    out_str(o, db_text(rows, row, HISTORY_REASON));
    out_str(o, db_text(rows, row, HISTORY_ERROR));
}

void log_rows_print(const struct cmd_run *run, const struct db_result *rows, int64_t limit)
{
    struct out *o = out_new(columns, sizeof(columns) / sizeof(columns[0]));
    int n = db_rows(rows);

    for (int row = 0; row < n; row++)
        add_row(o, rows, row);
    out_print(o, run->json, stdout);
    if (!run->json && n > 0 && n == limit) {
        const struct id last = db_id(rows, n - 1, HISTORY_EXECUTION);
        char at[STR_TIME_SIZE], id[ID_TEXT_SIZE];
        queued_at(at, db_time(rows, n - 1, HISTORY_QUEUED_AT));
        (void)printf("the next page: --after %s/%s\n", at, id_format(&last, id));
    }
    out_free(o);
}
