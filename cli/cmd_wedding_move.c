/* usher wedding move: another date, and what that means. */
#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/input.h"
#include "cli/out.h"
#include "cli/store_wedding.h"
#include "common/io/db.h"

#include <string.h>

struct move_options {
    char *tenant;
    char *date;
    char *time;
    char *zone;
    bool no_date;
    bool dry_run;
};

static const struct conf_key options[] = {
    SETTING_STR("date", offsetof(struct move_options, date), NULL, NULL, 0, "the new date, YYYY-MM-DD"),
    SETTING_STR("time", offsetof(struct move_options, time), NULL, NULL, 0,
                "the new local time, HH:MM; unset: as it was"),
    SETTING_STR("zone", offsetof(struct move_options, zone), NULL, NULL, 0, "the new IANA time zone; unset: as it was"),
    SETTING_BOOL("no-date", offsetof(struct move_options, no_date), NULL, "postponed without a date"),
    SETTING_STR("tenant", offsetof(struct move_options, tenant), NULL, NULL, 0, "whose wedding; unset: the only one's"),
    SETTING_BOOL("dry-run", offsetof(struct move_options, dry_run), NULL, "tell what would change, change nothing"),
    {.name = NULL},
};

static const struct out_column columns[] = {
    {"change", OUT_TEXT}, {"rule", OUT_TEXT}, {"what", OUT_TEXT}, {"from", OUT_TEXT}, {"to", OUT_TEXT},
};

/* "12 moved, 2 now_past, 3 sent": on standard error, since the rows are the data. */
static void summarise(const struct db_result *r)
{
    static const char *const changes[] = {"moved", "now_past", "sent", "fires_again", "unscheduled", "unchanged"};
    bool first = true;

    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        int n = 0;
        for (int row = 0; row < db_rows(r); row++)
            n += str_is(db_text(r, row, 0), changes[i]) ? 1 : 0;
        if (n > 0)
            fprintf(stderr, "%s%d %s", first ? "" : ", ", n, changes[i]);
        first = first && n == 0;
    }
    fprintf(stderr, "%s\n", first ? "no rule follows this wedding's date" : "");
}

static void print(const struct cmd_run *run, const struct db_result *r)
{
    struct out *o = out_new(columns, sizeof(columns) / sizeof(columns[0]));

    for (int row = 0; row < db_rows(r); row++) {
        for (int col = 0; col < 3; col++)
            out_str(o, db_text(r, row, col));
        out_time(o, db_time(r, row, 3));
        out_time(o, db_time(r, row, 4));
    }
    out_print(o, run->json, stdout);
    summarise(r);
    out_free(o);
}

static void check(const void *given, struct buf *errors)
{
    const struct move_options *o = given;

    if ((o->date == NULL) != o->no_date)
        buf_put_str(errors, "give either --date or --no-date\n");
    input_check_id("tenant", o->tenant, errors);
}

static enum err move(const struct cmd_run *run, struct db_session *db, struct store_wedding_move *m,
                     struct err_info *info)
{
    struct db_result *r = NULL;
    enum err err = id_is_zero(&m->tenant) ? store_wedding_tenant(db, &m->wedding, &m->tenant, info) : ERR_OK;

    if (err == ERR_OK)
        err = store_wedding_move(db, m, &r, info);
    if (err == ERR_OK)
        print(run, r);
    db_result_free(r);
    return err;
}

static int run_move(struct cmd_run *run)
{
    const struct move_options *o = run->options;
    struct store_wedding_move m = {.date = o->date, .time = o->time, .zone = o->zone, .dry_run = o->dry_run};
    struct db_session *db = NULL;
    struct err_info info = {0};

    if (input_id("WEDDING", run->operands[0], &m.wedding, &info) != ERR_OK ||
        input_id("tenant", o->tenant, &m.tenant, &info) != ERR_OK)
        return cmd_fail(run, EXIT_USAGE, "%s", info.text);
    int code = connect_db(run, &db);
    if (code != EXIT_OK)
        return code;
    enum err err = move(run, db, &m, &info);
    db_close(db);
    return err == ERR_OK ? EXIT_OK : cmd_fail(run, cmd_exit_code(err), "%s", info.text);
}

const struct cmd cmd_wedding_move = {
    .path = "wedding move",
    .summary = "move a wedding, or tell what moving it would mean",
    .operands = "WEDDING",
    .min_operands = 1,
    .max_operands = 1,
    .options = options,
    .options_size = sizeof(struct move_options),
    .details =
        "A row for each active rule and each waiting step that follows the wedding's dates: moved, now_past (late:\n"
        "its rule's policy decides), sent (and not sent again), fires_again, unscheduled, unchanged. The counts go "
        "to\n"
        "standard error. Of a postponed wedding it is what holds once its status says that it is on again. Exit code 3 "
        "when there is no such wedding.",
    .examples = "usher wedding move 8d03ae6f-055f-823e-b840-51066c04214b --date 2026-09-12 --dry-run\n"
                "usher wedding move 8d03ae6f-055f-823e-b840-51066c04214b --no-date\n",
    .check = check,
    .run = run_move,
};
