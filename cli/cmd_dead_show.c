/* usher dead show: one dead letter with everything that is kept of it. */
#include <jansson.h>
#include <stdlib.h>

#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/input.h"
#include "cli/out.h"
#include "cli/store_dead.h"
#include "common/base/buf.h"
#include "common/core/base64.h"
#include "common/core/pack.h"

struct show_options {
    char *tenant;
};

#define AT(field) offsetof(struct show_options, field)
static const struct conf_key options[] = {
    SETTING_STR("tenant", AT(tenant), NULL, NULL, 0, "of this tenant only"),
    {.name = NULL},
};

/* Those of store_dead_show, in their order. */
static const struct out_column columns[] = {
    {"id", OUT_TEXT},      {"tenant_id", OUT_TEXT},   {"kind", OUT_TEXT},         {"queue", OUT_TEXT},
    {"reason", OUT_TEXT},  {"error", OUT_TEXT},       {"attempt", OUT_INT},       {"crashes", OUT_INT},
    {"run_id", OUT_TEXT},  {"step", OUT_INT},         {"wedding_id", OUT_TEXT},   {"effect_key", OUT_TEXT},
    {"source", OUT_TEXT},  {"accepted_at", OUT_TEXT}, {"died_at", OUT_TEXT},      {"ended_run", OUT_BOOL},
    {"replays", OUT_INT},  {"replayed_as", OUT_TEXT}, {"discarded_at", OUT_TEXT}, {"deadline", OUT_TEXT},
    {"priority", OUT_INT}, {"payload", OUT_JSON},     {"raw_base64", OUT_TEXT},
};
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))
enum { COL_PAYLOAD = 21, COL_RAW = 22 };

static const char id_columns[] = {0, 1, 8, 10, 11, 17};
static const char time_columns[] = {13, 14, 18, 19};

static void check(const void *opts, struct buf *errors)
{
    const struct show_options *o = opts;

    input_check_id("--tenant", o->tenant, errors);
}

static bool holds(const char *set, size_t n, size_t col)
{
    for (size_t i = 0; i < n; i++) {
        if ((size_t)set[i] == col)
            return true;
    }
    return false;
}

/* What can not be read: null. */
static void put_payload(struct out *o, struct str payload)
{
    struct err_info info = {0};
    json_t *value = payload.p == NULL ? NULL : pack_to_json(payload, &info);
    char *text = value == NULL ? NULL : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    out_text(o, text);
    free(text);
    json_decref(value);
}

static void put_raw(struct out *o, struct str raw)
{
    struct buf text = {0};

    if (raw.p != NULL)
        base64_encode(&text, raw.p, raw.n);
    out_text(o, raw.p == NULL ? NULL : buf_text(&text));
    buf_free(&text);
}

static void put_id(struct out *o, const struct db_result *r, int col)
{
    struct id id = db_id(r, 0, col);
    char text[ID_TEXT_SIZE];

    out_text(o, id_format(&id, text)); /* the platform's is all zeros */
}

static void put_cell(struct out *o, const struct db_result *r, size_t col)
{
    const int c = (int)col;

    if (col == COL_PAYLOAD)
        put_payload(o, db_text(r, 0, c));
    else if (col == COL_RAW)
        put_raw(o, db_text(r, 0, c));
    else if (db_null(r, 0, c))
        out_null(o);
    else if (holds(id_columns, sizeof(id_columns), col))
        put_id(o, r, c);
    else if (holds(time_columns, sizeof(time_columns), col))
        out_time(o, db_time(r, 0, c));
    else if (columns[col].type == OUT_INT)
        out_int(o, db_i64(r, 0, c));
    else if (columns[col].type == OUT_BOOL)
        out_bool(o, db_bool(r, 0, c));
    else
        out_str(o, db_text(r, 0, c));
}

static void print(const struct cmd_run *run, const struct db_result *r)
{
    struct out *o = out_new(columns, N_COLUMNS);

    for (size_t col = 0; col < N_COLUMNS; col++)
        put_cell(o, r, col);
    out_print_one(o, run->json, stdout);
    out_free(o);
}

static int run_show(struct cmd_run *run)
{
    const struct show_options *o = run->options;
    struct id tenant, job;
    struct db_session *db = NULL;
    struct db_result *row = NULL;
    struct err_info info = {0};
    enum err err = input_id("ID", run->operands[0], &job, &info);

    if (err == ERR_OK)
        err = input_id("--tenant", o->tenant, &tenant, &info);
    if (err != ERR_OK)
        return cmd_fail(run, EXIT_USAGE, "%s", info.text);
    int code = connect_db(run, &db);
    if (code != EXIT_OK)
        return code;
    err = store_dead_show(db, &tenant, &job, &row, &info);
    if (err == ERR_OK && db_rows(row) == 0)
        err = err_set(&info, ERR_NOTFOUND, "no such dead letter");
    if (err == ERR_OK)
        print(run, row);
    else
        code = cmd_fail(run, cmd_exit_code(err), "%s", info.text);
    db_result_free(row);
    db_close(db);
    return code;
}

const struct cmd cmd_dead_show = {
    .path = "dead show",
    .summary = "show a dead letter",
    .operands = "ID",
    .min_operands = 1,
    .max_operands = 1,
    .options = options,
    .options_size = sizeof(struct show_options),
    .details = "A replay has the effect key of the job that died first, its priority and its deadline. `usher job show "
               "ID` lists the attempts.",
    .examples = "usher dead show 8d03ae6f-055f-823e-b840-51066c04214b\n",
    .check = check,
    .run = run_show,
};
