/* usher run show: one firing of a rule, its steps and what they left in its context. */
#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/input.h"
#include "cli/out.h"
#include "cli/store_show.h"
#include "common/base/mem.h"
#include "common/core/outcome.h"

#define DAY_US INT64_C(86400000000)

static const struct out_column columns[] = {
    {"id", OUT_TEXT},           {"state", OUT_TEXT},        {"reason", OUT_TEXT},      {"tenant_id", OUT_TEXT},
    {"rule_id", OUT_TEXT},      {"rule_revision", OUT_INT}, {"rule", OUT_TEXT},        {"wedding_id", OUT_TEXT},
    {"trigger_type", OUT_TEXT}, {"trigger_ref", OUT_TEXT},  {"generation", OUT_INT},   {"due_at", OUT_TEXT},
    {"started_at", OUT_TEXT},   {"finished_at", OUT_TEXT},  {"failed_steps", OUT_INT}, {"acted", OUT_BOOL},
    {"context", OUT_JSON},      {"steps", OUT_JSON},
};
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static const struct out_column step_columns[] = {
    {"step", OUT_INT},        {"kind", OUT_TEXT},   {"attempt", OUT_INT}, {"outcome", OUT_TEXT}, {"at", OUT_TEXT},
    {"duration_us", OUT_INT}, {"job_id", OUT_TEXT}, {"reason", OUT_TEXT}, {"error", OUT_TEXT},
};
#define N_STEP_COLUMNS (sizeof(step_columns) / sizeof(step_columns[0]))

static void put_id(struct out *o, const struct db_result *r, int row, int col)
{
    struct id id = db_id(r, row, col);

    out_id(o, &id);
}

static void put_run(struct out *o, const struct id *run, const struct db_result *r, const char *steps)
{
    out_id(o, run);
    out_str(o, db_text(r, 0, 8));
    out_str(o, db_text(r, 0, 9));
    put_id(o, r, 0, 0);
    put_id(o, r, 0, 1);
    out_int(o, db_i64(r, 0, 2));
    out_str(o, db_text(r, 0, 3));
    put_id(o, r, 0, 4);
    out_str(o, db_text(r, 0, 5));
    put_id(o, r, 0, 6);
    out_int(o, db_i64(r, 0, 7));
    out_time(o, db_time(r, 0, 10));
    out_time(o, db_time(r, 0, 11));
    out_time(o, db_time(r, 0, 12));
    out_int(o, db_i64(r, 0, 13));
    out_bool(o, db_bool(r, 0, 14));
    out_str(o, db_text(r, 0, 15));
    if (steps != NULL)
        out_text(o, steps);
}

static void put_outcome(struct out *o, const struct db_result *r, int row)
{
    int64_t code = db_i64(r, row, 3);

    if (db_null(r, row, 3))
        out_str(o, db_text(r, row, 4));
    else
        out_text(o, code >= 0 && code < OUTCOME_COUNT ? outcome_word((enum outcome)code) : "?");
}

static struct out *steps_out(const struct db_result *r)
{
    struct out *o = out_new(step_columns, N_STEP_COLUMNS);

    for (int row = 0; row < db_rows(r); row++) {
        out_int(o, db_i64(r, row, 0));
        out_str(o, db_text(r, row, 1));
        out_int(o, db_i64(r, row, 2));
        put_outcome(o, r, row);
        out_time(o, db_time(r, row, 5));
        if (db_null(r, row, 6))
            out_null(o);
        else
            out_int(o, db_i64(r, row, 6));
        put_id(o, r, row, 7);
        out_str(o, db_text(r, row, 8));
        out_str(o, db_text(r, row, 9));
    }
    return o;
}

static void print(const struct cmd_run *run, const struct id *id, const struct db_result *row,
                  const struct db_result *steps)
{
    struct out *rows = steps_out(steps);
    struct out *o = out_new(columns, run->json ? N_COLUMNS : N_COLUMNS - 1);
    char *json = run->json ? out_json(rows) : NULL;

    put_run(o, id, row, json);
    out_print_one(o, run->json, stdout);
    if (!run->json && out_rows(rows) > 0) {
        (void)putchar('\n');
        out_print(rows, false, stdout);
    }
    mem_free(json);
    out_free(rows);
    out_free(o);
}

static enum err show(const struct cmd_run *run, struct db_session *db, const struct id *id, struct err_info *info)
{
    struct db_result *row = NULL, *steps = NULL;
    enum err err = store_show_run(db, id, &row, info);

    if (err == ERR_OK && db_rows(row) == 0)
        err = err_set(info, ERR_NOTFOUND, "no such run");
    if (err != ERR_OK)
        goto out;
    struct id tenant = db_id(row, 0, 0), wedding = db_id(row, 0, 4);
    err = store_show_steps(db, &tenant, id, &wedding, db_time(row, 0, 11) - DAY_US, &steps, info);
    if (err == ERR_OK)
        print(run, id, row, steps);
out:
    db_result_free(row);
    db_result_free(steps);
    return err;
}

static int run_show(struct cmd_run *run)
{
    struct db_session *db = NULL;
    struct err_info info = {0};
    struct id id;

    if (input_id("ID", run->operands[0], &id, &info) != ERR_OK)
        return cmd_fail(run, EXIT_USAGE, "%s", info.text);
    int code = connect_db(run, &db);
    if (code != EXIT_OK)
        return code;
    enum err err = show(run, db, &id, &info);
    db_close(db);
    return err == ERR_OK ? EXIT_OK : cmd_fail(run, cmd_exit_code(err), "%s", info.text);
}

const struct cmd cmd_run_show = {
    .path = "run show",
    .summary = "show a run, its steps and its context",
    .operands = "ID",
    .min_operands = 1,
    .max_operands = 1,
    .details =
        "Steps are the logged attempts in order, then what is still to be done. Exit code 3 when there is no such run.",
    .examples = "usher run show 8d03ae6f-055f-823e-b840-51066c04214b --json\n",
    .run = run_show,
};
