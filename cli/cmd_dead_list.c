/* usher dead list: dead letters, newest first, a page at a time. */
#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/input.h"
#include "cli/out.h"
#include "cli/store_show.h"

struct dead_options {
    char *tenant;
    char *kind;
    char *reason;
    char *since;
    char *until;
    char *like;
    char *after;
    int64_t limit;
};

#define AT(field) offsetof(struct dead_options, field)
static const struct conf_key options[] = {
    SETTING_STR("tenant", AT(tenant), NULL, NULL, 0, "of this tenant only"),
    SETTING_STR("kind", AT(kind), NULL, NULL, 0, "of this kind only"),
    SETTING_STR("reason", AT(reason), NULL, NULL, 0, "with this reason only"),
    SETTING_STR("since", AT(since), NULL, NULL, 0, "dead since this time, or for less than this duration"),
    SETTING_STR("until", AT(until), NULL, NULL, 0, "dead before this time, or for longer than this duration"),
    SETTING_STR("like", AT(like), NULL, NULL, 0, "with this text in the error"),
    SETTING_STR("after", AT(after), NULL, NULL, 0, "the page behind this job"),
    SETTING_INT("limit", AT(limit), NULL, "50", 1, 1000, "most rows"),
    {.name = NULL},
};

static const struct out_column columns[] = {
    {"died_at", OUT_TEXT}, {"job_id", OUT_TEXT}, {"tenant_id", OUT_TEXT}, {"kind", OUT_TEXT},
    {"queue", OUT_TEXT},   {"reason", OUT_TEXT}, {"attempt", OUT_INT},    {"crashes", OUT_INT},
    {"run_id", OUT_TEXT},  {"state", OUT_TEXT},  {"error", OUT_TEXT},
};

static void check(const void *opts, struct buf *errors)
{
    const struct dead_options *o = opts;

    input_check_id("--tenant", o->tenant, errors);
    input_check_id("--after", o->after, errors);
    input_check_when("--since", o->since, errors);
    input_check_when("--until", o->until, errors);
}

static void put_id(struct out *o, const struct db_result *rows, int row, int col)
{
    struct id id = db_id(rows, row, col);

    if (db_null(rows, row, col))
        out_null(o);
    else
        out_id(o, &id);
}

static void add_row(struct out *o, const struct db_result *rows, int row)
{
    struct id tenant = db_id(rows, row, 2);
    char text[ID_TEXT_SIZE];

    out_time(o, db_time(rows, row, 0));
    put_id(o, rows, row, 1);
    out_text(o, id_format(&tenant, text)); /* the platform's is all zeros */
    out_str(o, db_text(rows, row, 3));
    out_str(o, db_text(rows, row, 4));
    out_str(o, db_text(rows, row, 5));
    out_int(o, db_i64(rows, row, 7));
    out_int(o, db_i64(rows, row, 8));
    put_id(o, rows, row, 9);
    out_text(o, !db_null(rows, row, 11) ? "discarded" : !db_null(rows, row, 10) ? "replayed" : "dead");
    out_str(o, db_text(rows, row, 6));
}

static void print(const struct cmd_run *run, const struct db_result *rows, int64_t limit)
{
    struct out *o = out_new(columns, sizeof(columns) / sizeof(columns[0]));
    char text[ID_TEXT_SIZE];

    for (int row = 0; row < db_rows(rows); row++)
        add_row(o, rows, row);
    out_print(o, run->json, stdout);
    if (!run->json && db_rows(rows) == limit) {
        struct id last = db_id(rows, db_rows(rows) - 1, 1);
        (void)printf("the next page: --after %s\n", id_format(&last, text));
    }
    out_free(o);
}

static int run_list(struct cmd_run *run)
{
    const struct dead_options *o = run->options;
    struct store_dead_filter filter = {.kind = o->kind, .reason = o->reason, .like = o->like, .limit = o->limit};
    struct db_session *db = NULL;
    struct db_result *rows = NULL;
    struct err_info info = {0};
    enum err err = input_id("--tenant", o->tenant, &filter.tenant, &info);

    if (err == ERR_OK)
        err = input_id("--after", o->after, &filter.after, &info);
    if (err == ERR_OK)
        err = input_when("--since", o->since, &filter.since, &info);
    if (err == ERR_OK)
        err = input_when("--until", o->until, &filter.until, &info);
    if (err != ERR_OK)
        return cmd_fail(run, EXIT_USAGE, "%s", info.text);
    int code = connect_db(run, &db);
    if (code != EXIT_OK)
        return code;
    err = store_show_dead_list(db, &filter, &rows, &info);
    if (err == ERR_OK)
        print(run, rows, o->limit);
    else
        code = cmd_fail(run, cmd_exit_code(err), "%s", info.text);
    db_result_free(rows);
    db_close(db);
    return code;
}

const struct cmd cmd_dead_list = {
    .path = "dead list",
    .summary = "list dead letters, newest first",
    .options = options,
    .options_size = sizeof(struct dead_options),
    .details = "`usher job show ID` shows one with its payload and attempts.",
    .examples = "usher dead list\nusher dead list --reason exhausted --since 24h --json\n",
    .check = check,
    .run = run_list,
};
