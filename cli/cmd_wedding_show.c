/* usher wedding show: a wedding's whole timeline. */
#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/input.h"
#include "cli/out.h"
#include "cli/store_wedding.h"
#include "common/base/mem.h"
#include "common/core/reason.h"
#include "common/io/db.h"

struct show_options {
    char *tenant;
};

static const struct conf_key options[] = {
    SETTING_STR("tenant", offsetof(struct show_options, tenant), NULL, NULL, 0, "whose wedding; unset: the only one's"),
    {.name = NULL},
};

static const struct out_column columns[] = {
    {"title", OUT_TEXT},     {"status", OUT_TEXT},   {"date", OUT_TEXT},     {"time", OUT_TEXT},
    {"time_zone", OUT_TEXT}, {"revision", OUT_TEXT}, {"timeline", OUT_JSON},
};
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static const struct out_column line_columns[] = {
    {"local_time", OUT_TEXT}, {"rule", OUT_TEXT}, {"version", OUT_INT}, {"what", OUT_TEXT}, {"state", OUT_TEXT},
    {"reason", OUT_TEXT},     {"why", OUT_TEXT},  {"run", OUT_TEXT},    {"at", OUT_TEXT},
};
#define N_LINE_COLUMNS (sizeof(line_columns) / sizeof(line_columns[0]))

static struct out *lines_of(const struct db_result *r)
{
    struct out *o = out_new(line_columns, N_LINE_COLUMNS);

    for (int row = 0; row < db_rows(r); row++) {
        struct id run = db_id(r, row, 6);
        out_str(o, db_text(r, row, 0));
        out_str(o, db_text(r, row, 1));
        if (db_null(r, row, 2))
            out_null(o);
        else
            out_int(o, db_i64(r, row, 2));
        for (int col = 3; col < 6; col++)
            out_str(o, db_text(r, row, col));
        out_text(o, reason_label(db_text(r, row, 5)));
        out_id(o, &run);
        out_time(o, db_time(r, row, 7));
    }
    return o;
}

static void print(const struct cmd_run *run, const struct db_result *wedding, const struct db_result *timeline)
{
    struct out *lines = lines_of(timeline);
    struct out *o = out_new(columns, run->json ? N_COLUMNS : N_COLUMNS - 1);
    char *json = run->json ? out_json(lines) : NULL;

    for (int col = 0; col < (int)N_COLUMNS - 1; col++)
        out_str(o, db_text(wedding, 0, col));
    if (json != NULL)
        out_text(o, json);
    out_print_one(o, run->json, stdout);
    if (!run->json && out_rows(lines) > 0) {
        (void)putchar('\n');
        out_print(lines, false, stdout);
    }
    mem_free(json);
    out_free(lines);
    out_free(o);
}

static enum err show(const struct cmd_run *run, struct db_session *db, struct id tenant, const struct id *wedding,
                     struct err_info *info)
{
    struct db_result *row = NULL, *timeline = NULL;
    enum err err = id_is_zero(&tenant) ? store_wedding_tenant(db, wedding, &tenant, info) : ERR_OK;

    if (err == ERR_OK)
        err = store_wedding_find(db, &tenant, wedding, &row, info);
    if (err == ERR_OK && db_rows(row) == 0)
        err = err_set(info, ERR_NOTFOUND, "the tenant has no such wedding");
    if (err == ERR_OK)
        err = store_wedding_timeline(db, &tenant, wedding, &timeline, info);
    if (err == ERR_OK)
        print(run, row, timeline);
    db_result_free(row);
    db_result_free(timeline);
    return err;
}

static void check(const void *given, struct buf *errors)
{
    const struct show_options *o = given;

    input_check_id("tenant", o->tenant, errors);
}

static int run_show(struct cmd_run *run)
{
    const struct show_options *o = run->options;
    struct db_session *db = NULL;
    struct err_info info = {0};
    struct id wedding, tenant;

    if (input_id("WEDDING", run->operands[0], &wedding, &info) != ERR_OK ||
        input_id("tenant", o->tenant, &tenant, &info) != ERR_OK)
        return cmd_fail(run, EXIT_USAGE, "%s", info.text);
    int code = connect_db(run, &db);
    if (code != EXIT_OK)
        return code;
    enum err err = show(run, db, tenant, &wedding, &info);
    db_close(db);
    return err == ERR_OK ? EXIT_OK : cmd_fail(run, cmd_exit_code(err), "%s", info.text);
}

const struct cmd cmd_wedding_show = {
    .path = "wedding show",
    .summary = "show a wedding's whole timeline: done, due, skipped and why",
    .operands = "WEDDING",
    .min_operands = 1,
    .max_operands = 1,
    .options = options,
    .options_size = sizeof(struct show_options),
    .details = "One line for each run of a rule, each step that waits, and each instant at which an active rule will "
               "start,\n"
               "in the wedding's local time, with the version of the rule. `suspended` says why there is no instant, "
               "`passed`\n"
               "that the rule was not active then. Exit code 3 when there is no such wedding.",
    .examples = "usher wedding show 8d03ae6f-055f-823e-b840-51066c04214b --json\n",
    .check = check,
    .run = run_show,
};
