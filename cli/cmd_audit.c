/* usher audit: is every accepted job accounted for? */
#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/input.h"
#include "cli/out.h"
#include "cli/store_show.h"

#define FIRST_COUNT 2 /* columns of the statement: accepted to unaccounted */
#define N_COUNTS 9
#define OFF_COLUMN 11
#define ROWS_COLUMN 12

struct audit_options {
    char *tenant;
    int64_t limit;
};

#define AT(field) offsetof(struct audit_options, field)
static const struct conf_key options[] = {
    SETTING_STR("tenant", AT(tenant), NULL, NULL, 0, "of this tenant only"),
    SETTING_INT("limit", AT(limit), NULL, "100", 0, 100000, "most rows beside the total"),
    {.name = NULL},
};

/* The first row is the total of all, shown or not. */
static const struct out_column columns[] = {
    {"tenant_id", OUT_TEXT}, {"day", OUT_TEXT},      {"accepted", OUT_INT},    {"done", OUT_INT},
    {"dead", OUT_INT},       {"cancelled", OUT_INT}, {"superseded", OUT_INT},  {"skipped", OUT_INT},
    {"in_flight", OUT_INT},  {"waiting", OUT_INT},   {"unaccounted", OUT_INT},
};

static void check(const void *opts, struct buf *errors)
{
    const struct audit_options *o = opts;

    input_check_id("--tenant", o->tenant, errors);
}

static void add_row(struct out *o, const struct db_result *rows, int row, const char *total)
{
    struct id tenant = db_id(rows, row, 0);
    char text[ID_TEXT_SIZE];

    out_text(o, db_null(rows, row, 0) ? total : id_format(&tenant, text));
    out_str(o, db_text(rows, row, 1));
    for (int c = FIRST_COUNT; c < FIRST_COUNT + N_COUNTS; c++)
        out_int(o, db_i64(rows, row, c));
}

/* JSON: {"balanced":…,"total":{…},"rows":[…]}. */
static void print(const struct cmd_run *run, const struct db_result *rows, bool balanced)
{
    struct out *total = out_new(columns, sizeof(columns) / sizeof(columns[0]));
    struct out *o = out_new(columns, sizeof(columns) / sizeof(columns[0]));

    add_row(total, rows, 0, NULL);
    for (int row = run->json ? 1 : 0; row < db_rows(rows); row++)
        add_row(o, rows, row, "total");
    if (run->json) {
        (void)printf("{\"balanced\":%s,\"total\":", balanced ? "true" : "false");
        out_print_one(total, true, stdout);
        (void)printf(",\"rows\":");
    }
    out_print(o, run->json, stdout);
    if (run->json)
        (void)printf("}\n");
    else if (db_i64(rows, 0, ROWS_COLUMN) > db_rows(rows) - 1)
        (void)printf("(%lld of %lld rows; --limit shows more)\n", (long long)(db_rows(rows) - 1),
                     (long long)db_i64(rows, 0, ROWS_COLUMN));
    out_free(total);
    out_free(o);
}

static int run_audit(struct cmd_run *run)
{
    const struct audit_options *o = run->options;
    struct db_session *db = NULL;
    struct db_result *rows = NULL;
    struct err_info info = {0};
    struct id tenant;
    int code = EXIT_OK;

    if (input_id("--tenant", o->tenant, &tenant, &info) != ERR_OK)
        return cmd_fail(run, EXIT_USAGE, "%s", info.text);
    code = connect_db(run, &db);
    if (code != EXIT_OK)
        return code;
    enum err err = store_show_audit(db, &tenant, o->limit, &rows, &info);
    if (err != ERR_OK) {
        code = cmd_fail(run, cmd_exit_code(err), "%s", info.text);
    } else {
        int64_t off = db_i64(rows, 0, OFF_COLUMN);
        print(run, rows, off == 0);
        if (off != 0)
            code = cmd_fail(run, EXIT_FAILED, "%lld jobs are not accounted for", (long long)off);
    }
    db_result_free(rows);
    db_close(db);
    return code;
}

const struct cmd cmd_audit = {
    .path = "audit",
    .summary = "check that every accepted job is accounted for",
    .options = options,
    .options_size = sizeof(struct audit_options),
    .details = "accepted = done + dead + cancelled + superseded + skipped + in flight + waiting, per tenant and UTC "
               "day of acceptance, in\n"
               "one snapshot of PostgreSQL; waiting counts held, scheduled and parked jobs too. Exit code 1 when a day "
               "does not balance.",
    .examples = "usher audit\nusher audit --json --limit 0\n",
    .check = check,
    .run = run_audit,
};
