/* usher job show: one job from the ledger, the dead letters or, when it is finished, its attempts alone. */
#include <jansson.h>
#include <stdlib.h>

#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/input.h"
#include "cli/out.h"
#include "cli/store_show.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/core/outcome.h"
#include "common/core/pack.h"

#define DAY_US INT64_C(86400000000)

struct job_options {
    char *tenant;
    char *since;
};

#define AT(field) offsetof(struct job_options, field)
static const struct conf_key options[] = {
    SETTING_STR("tenant", AT(tenant), NULL, NULL, 0, "the job's tenant: finds a finished job's attempts faster"),
    SETTING_STR("since", AT(since), NULL, NULL, 0, "look through the log from this time on; unset: 31 days"),
    {.name = NULL},
};

/* What is known of the job, wherever it stands. Texts are borrowed from the results. */
struct view {
    struct id job, tenant, run, wedding, owner, effect_key, replay;
    struct str state, reason, error, kind, queue, unique_key, source, payload;
    int64_t due_us, claimed_us, deadline_us, accepted_us, died_us;
    int64_t attempt, max_attempts, crashes, snoozes, priority, claim_no; /* -1: does not apply */
    bool found;
};

static const struct out_column columns[] = {
    {"id", OUT_TEXT},          {"state", OUT_TEXT},      {"reason", OUT_TEXT},      {"error", OUT_TEXT},
    {"tenant_id", OUT_TEXT},   {"kind", OUT_TEXT},       {"queue", OUT_TEXT},       {"attempt", OUT_INT},
    {"max_attempts", OUT_INT}, {"crashes", OUT_INT},     {"snoozes", OUT_INT},      {"priority", OUT_INT},
    {"due_at", OUT_TEXT},      {"deadline", OUT_TEXT},   {"accepted_at", OUT_TEXT}, {"claimed_at", OUT_TEXT},
    {"owner", OUT_TEXT},       {"claim_no", OUT_INT},    {"died_at", OUT_TEXT},     {"run_id", OUT_TEXT},
    {"wedding_id", OUT_TEXT},  {"unique_key", OUT_TEXT}, {"effect_key", OUT_TEXT},  {"replay", OUT_TEXT},
    {"source", OUT_TEXT},      {"payload", OUT_JSON},    {"attempts", OUT_JSON},
};
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static const struct out_column attempt_columns[] = {
    {"queued_at", OUT_TEXT},  {"attempt", OUT_INT},    {"outcome", OUT_TEXT}, {"started_at", OUT_TEXT},
    {"duration_us", OUT_INT}, {"worker_id", OUT_TEXT}, {"reason", OUT_TEXT},  {"error", OUT_TEXT},
};
#define N_ATTEMPT_COLUMNS (sizeof(attempt_columns) / sizeof(attempt_columns[0]))

static void check(const void *opts, struct buf *errors)
{
    const struct job_options *o = opts;

    input_check_id("--tenant", o->tenant, errors);
    input_check_when("--since", o->since, errors);
}

/* ---- reading --------------------------------------------------------------------------------------------------------- */

static void view_ledger(struct view *v, const struct db_result *r)
{
    v->found = true;
    v->tenant = db_id(r, 0, 0);
    v->run = db_id(r, 0, 1);
    v->wedding = db_id(r, 0, 2);
    v->kind = db_text(r, 0, 3);
    v->queue = db_text(r, 0, 4);
    v->state = db_text(r, 0, 5);
    v->reason = db_text(r, 0, 6);
    v->due_us = db_time(r, 0, 7);
    v->claimed_us = db_time(r, 0, 8);
    v->owner = db_id(r, 0, 9);
    v->claim_no = db_i64(r, 0, 10);
    v->attempt = db_i64(r, 0, 11);
    v->max_attempts = db_i64(r, 0, 12);
    v->crashes = db_i64(r, 0, 13);
    v->snoozes = db_i64(r, 0, 14);
    v->priority = db_i64(r, 0, 15);
    v->deadline_us = db_time(r, 0, 16);
    v->unique_key = db_text(r, 0, 17);
    v->effect_key = db_id(r, 0, 18);
    v->replay = db_id(r, 0, 19);
    v->source = db_text(r, 0, 20);
    v->payload = db_text(r, 0, 21);
    v->accepted_us = db_time(r, 0, 22);
}

static void view_dead(struct view *v, const struct db_result *r)
{
    v->found = true;
    v->tenant = db_id(r, 0, 0);
    v->run = db_id(r, 0, 1);
    v->wedding = db_id(r, 0, 2);
    v->kind = db_text(r, 0, 3);
    v->queue = db_text(r, 0, 4);
    v->state = !db_null(r, 0, 12) ? STR("discarded") : !db_null(r, 0, 11) ? STR("replayed") : STR("dead");
    v->reason = db_text(r, 0, 5);
    v->error = db_text(r, 0, 6);
    v->died_us = db_time(r, 0, 7);
    v->attempt = db_i64(r, 0, 8);
    v->crashes = db_i64(r, 0, 9);
    v->effect_key = db_id(r, 0, 10);
    v->replay = db_id(r, 0, 11);
    v->source = db_text(r, 0, 13);
    v->payload = db_text(r, 0, 14);
    v->accepted_us = db_time(r, 0, 16);
}

static const char *outcome_text(int64_t code)
{
    return code >= 0 && code < OUTCOME_COUNT ? outcome_word((enum outcome)code) : "?";
}

/* Finished: the last attempt says how. */
static void view_attempts(struct view *v, const struct db_result *r)
{
    int last = db_rows(r) - 1;

    if (v->found || last < 0)
        return;
    v->found = true;
    v->tenant = db_id(r, last, 0);
    v->attempt = db_i64(r, last, 2);
    v->state = str_of(outcome_text(db_i64(r, last, 3)));
    v->reason = db_text(r, last, 7);
    v->error = db_text(r, last, 8);
    v->kind = db_text(r, last, 9);
    v->queue = db_text(r, last, 10);
    v->run = db_id(r, last, 11);
    v->wedding = db_id(r, last, 12);
}

/* ---- printing -------------------------------------------------------------------------------------------------------- */

static void put_count(struct out *o, int64_t n)
{
    if (n < 0)
        out_null(o);
    else
        out_int(o, n);
}

static void put_payload(struct out *o, struct str payload)
{
    struct err_info info = {0};
    json_t *value = payload.p == NULL ? NULL : pack_to_json(payload, &info);
    char *text = value == NULL ? NULL : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    out_text(o, text); /* what can not be read: null */
    free(text);
    json_decref(value);
}

static void put_view(struct out *o, const struct view *v, const char *attempts)
{
    char tenant[ID_TEXT_SIZE];

    out_id(o, &v->job);
    out_str(o, v->state);
    out_str(o, v->reason);
    out_str(o, v->error);
    out_text(o, id_format(&v->tenant, tenant)); /* the platform's is all zeros */
    out_str(o, v->kind);
    out_str(o, v->queue);
    const int64_t counts[] = {v->attempt, v->max_attempts, v->crashes, v->snoozes, v->priority};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
        put_count(o, counts[i]);
    const int64_t times[] = {v->due_us, v->deadline_us, v->accepted_us, v->claimed_us};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        out_time(o, times[i]);
    out_id(o, &v->owner);
    put_count(o, v->claim_no);
    out_time(o, v->died_us);
    out_id(o, &v->run);
    out_id(o, &v->wedding);
    out_str(o, v->unique_key);
    out_id(o, &v->effect_key);
    out_id(o, &v->replay);
    out_str(o, v->source);
    put_payload(o, v->payload);
    if (attempts != NULL)
        out_text(o, attempts);
}

static struct out *attempts_out(const struct db_result *r)
{
    struct out *o = out_new(attempt_columns, N_ATTEMPT_COLUMNS);

    for (int row = 0; row < db_rows(r); row++) {
        struct id worker = db_id(r, row, 6);
        out_time(o, db_time(r, row, 1));
        out_int(o, db_i64(r, row, 2));
        out_text(o, outcome_text(db_i64(r, row, 3)));
        out_time(o, db_time(r, row, 4));
        out_int(o, db_i64(r, row, 5));
        out_id(o, &worker);
        out_str(o, db_text(r, row, 7));
        out_str(o, db_text(r, row, 8));
    }
    return o;
}

static void print(const struct cmd_run *run, const struct view *v, const struct db_result *attempts)
{
    struct out *rows = attempts_out(attempts);
    struct out *o = out_new(columns, run->json ? N_COLUMNS : N_COLUMNS - 1);
    char *json = run->json ? out_json(rows) : NULL;

    put_view(o, v, json);
    out_print_one(o, run->json, stdout);
    if (!run->json && out_rows(rows) > 0) {
        (void)putchar('\n');
        out_print(rows, false, stdout);
    }
    mem_free(json);
    out_free(rows);
    out_free(o);
}

/* From when on the log may hold attempts of it. */
static int64_t log_since(const struct view *v, const struct input_when *since)
{
    if (since->given)
        return since->us;
    return v->found && v->accepted_us != DB_NULL_TIME ? v->accepted_us - DAY_US : DB_NULL_TIME;
}

static enum err show(const struct cmd_run *run, struct db_session *db, struct view *v, const struct input_when *since,
                     struct err_info *info)
{
    struct db_result *row = NULL, *dead = NULL, *attempts = NULL;
    enum err err = store_show_job(db, &v->job, &row, info);

    if (err == ERR_OK && db_rows(row) == 1)
        view_ledger(v, row);
    if (err == ERR_OK && !v->found)
        err = store_show_dead(db, &v->job, &dead, info);
    if (err == ERR_OK && dead != NULL && db_rows(dead) == 1)
        view_dead(v, dead);
    if (err == ERR_OK)
        err = store_show_attempts(db, &v->job, &v->tenant, log_since(v, since), &attempts, info);
    if (err == ERR_OK)
        view_attempts(v, attempts);
    if (err == ERR_OK && !v->found)
        err = err_set(info, ERR_NOTFOUND,
                      "no such job in the ledger, the dead letters or the part of the log looked through");
    if (err == ERR_OK)
        print(run, v, attempts);
    db_result_free(row);
    db_result_free(dead);
    db_result_free(attempts);
    return err;
}

static int run_show(struct cmd_run *run)
{
    const struct job_options *o = run->options;
    struct view v = {.due_us = DB_NULL_TIME,
                     .claimed_us = DB_NULL_TIME,
                     .deadline_us = DB_NULL_TIME,
                     .accepted_us = DB_NULL_TIME,
                     .died_us = DB_NULL_TIME,
                     .max_attempts = -1,
                     .crashes = -1,
                     .snoozes = -1,
                     .priority = -1,
                     .claim_no = -1};
    struct input_when since;
    struct db_session *db = NULL;
    struct err_info info = {0};
    enum err err = input_id("ID", run->operands[0], &v.job, &info);

    if (err == ERR_OK)
        err = input_id("--tenant", o->tenant, &v.tenant, &info);
    if (err == ERR_OK)
        err = input_when("--since", o->since, &since, &info);
    if (err != ERR_OK)
        return cmd_fail(run, EXIT_USAGE, "%s", info.text);
    if (since.relative)
        since.us = clock_wall_us() - since.us;
    int code = connect_db(run, &db);
    if (code != EXIT_OK)
        return code;
    err = show(run, db, &v, &since, &info);
    db_close(db);
    return err == ERR_OK ? EXIT_OK : cmd_fail(run, cmd_exit_code(err), "%s", info.text);
}

const struct cmd cmd_job_show = {
    .path = "job show",
    .summary = "show a job and its attempts",
    .operands = "ID",
    .min_operands = 1,
    .max_operands = 1,
    .options = options,
    .options_size = sizeof(struct job_options),
    .details =
        "Unfinished jobs stand in the ledger, dead ones among the dead letters; of the others the execution log is "
        "what is\n"
        "left, and it is looked through for 31 days unless --since says otherwise. Exit code 3 when nothing is found.",
    .examples = "usher job show 8d03ae6f-055f-823e-b840-51066c04214b\n",
    .check = check,
    .run = run_show,
};
