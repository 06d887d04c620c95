/* usher event list: events that could not be dispatched. */
#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/input.h"
#include "cli/out.h"
#include "cli/store_event.h"
#include "common/io/db.h"

struct list_options {
    char *tenant;
    int64_t limit;
};

static const struct conf_key options[] = {
    SETTING_STR("tenant", offsetof(struct list_options, tenant), NULL, NULL, 0, "of this tenant only"),
    SETTING_INT("limit", offsetof(struct list_options, limit), NULL, "100", 1, 10000, "most events, the latest first"),
    {.name = NULL},
};

static void print(const struct cmd_run *run, const struct db_result *rows)
{
    static const struct out_column columns[] = {
        {"quarantined_at", OUT_TEXT}, {"event_id", OUT_TEXT}, {"tenant_id", OUT_TEXT},
        {"event", OUT_TEXT},          {"wedding", OUT_TEXT},  {"occurred_at", OUT_TEXT},
    };
    struct out *o = out_new(columns, sizeof(columns) / sizeof(columns[0]));

    for (int row = 0; row < db_rows(rows); row++) {
        const struct id event = db_id(rows, row, 1), tenant = db_id(rows, row, 2), wedding = db_id(rows, row, 4);
        out_time(o, db_time(rows, row, 0));
        out_id(o, &event);
        out_id(o, &tenant);
        out_str(o, db_text(rows, row, 3));
        out_id(o, &wedding);
        out_time(o, db_time(rows, row, 5));
    }
    out_print(o, run->json, stdout);
    out_free(o);
}

static void check(const void *given, struct buf *errors)
{
    const struct list_options *o = given;

    input_check_id("--tenant", o->tenant, errors);
}

static int run_list(struct cmd_run *run)
{
    const struct list_options *o = run->options;
    struct db_session *db = NULL;
    struct db_result *rows = NULL;
    struct err_info info = {0};
    struct id tenant;

    if (input_id("--tenant", o->tenant, &tenant, &info) != ERR_OK)
        return cmd_fail(run, EXIT_USAGE, "%s", info.text);
    int code = connect_db(run, &db);
    if (code != EXIT_OK)
        return code;
    enum err err = store_event_list(db, &tenant, o->limit, &rows, &info);
    if (err == ERR_OK)
        print(run, rows);
    db_result_free(rows);
    db_close(db);
    return err == ERR_OK ? EXIT_OK : cmd_fail(run, cmd_exit_code(err), "%s", info.text);
}

const struct cmd cmd_event_list = {
    .path = "event list",
    .summary = "list events that could not be dispatched",
    .options = options,
    .options_size = sizeof(struct list_options),
    .details = "Each failed twice by itself, or two leaders in turn died of it; the scheduler's log says why "
               "(event.failed).\n`usher event retry` gives them another try.",
    .examples = "usher event list\n",
    .check = check,
    .run = run_list,
};
