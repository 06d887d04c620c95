/* usher rule explain: why a run started or was skipped, and what became of each step. The facts that decided are not stored:
 * conditions are shown on the wedding's present facts, dated at the run's start, and the output says so. */
#include <stdlib.h>

#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/input.h"
#include "cli/preview_text.h"
#include "cli/store_show.h"
#include "common/core/outcome.h"
#include "common/io/preview.h"
#include "common/io/store_preview.h"

#define DAY_US INT64_C(86400000000)
#define FACTS_NOTE "facts as they are now, dated at the run's start; they may have changed since"

struct explain_options {
    char *tenant;
};

#define AT(field) offsetof(struct explain_options, field)
static const struct conf_key options[] = {
    SETTING_STR("tenant", AT(tenant), NULL, NULL, 0, "only a run of this tenant"),
    {.name = NULL},
};

static void check(const void *opts, struct buf *errors)
{
    const struct explain_options *o = opts;

    input_check_id("--tenant", o->tenant, errors);
}

/* ---- reading ------------------------------------------------------------------------------------------------------------ */

static json_t *text_json(const struct db_result *r, int row, int col)
{
    struct str s = db_text(r, row, col);

    return s.p != NULL ? json_stringn(s.p, s.n) : json_null();
}

static json_t *id_json(const struct db_result *r, int row, int col)
{
    struct id id = db_id(r, row, col);
    char text[ID_TEXT_SIZE];

    return db_null(r, row, col) ? json_null() : json_string(id_format(&id, text));
}

static json_t *time_json(const struct db_result *r, int row, int col)
{
    char text[STR_TIME_SIZE];

    if (db_null(r, row, col))
        return json_null();
    str_from_time(text, db_time(r, row, col));
    return json_string(text);
}

static json_t *run_json(const char *id, const struct db_result *r)
{
    struct str context = db_text(r, 0, 15);

    return json_pack("{s:s,s:o,s:o,s:I,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "id", id, "rule_id", id_json(r, 0, 1),
                     "rule", text_json(r, 0, 3), "rule_revision", (json_int_t)db_i64(r, 0, 2), "wedding_id",
                     id_json(r, 0, 4), "trigger_type", text_json(r, 0, 5), "trigger_ref", id_json(r, 0, 6), "state",
                     text_json(r, 0, 8), "reason", text_json(r, 0, 9), "due_at", time_json(r, 0, 10), "started_at",
                     time_json(r, 0, 11), "finished_at", time_json(r, 0, 12), "failed_steps",
                     json_integer(db_i64(r, 0, 13)), "context",
                     context.p != NULL ? json_loadb(context.p, context.n, 0, NULL) : json_null());
}

static json_t *outcome_json(const struct db_result *r, int row)
{
    int64_t code = db_i64(r, row, 3);

    if (db_null(r, row, 3))
        return text_json(r, row, 4);
    return json_string(code >= 0 && code < OUTCOME_COUNT ? outcome_word((enum outcome)code) : "?");
}

/* Unfinished jobs are what comes next. */
static json_t *steps_json(const struct db_result *r)
{
    json_t *out = json_array();

    for (int i = 0; i < db_rows(r); i++)
        json_array_append_new(out, json_pack("{s:I,s:o,s:I,s:o,s:o,s:o,s:o,s:o,s:b}", "step",
                                             (json_int_t)db_i64(r, i, 0), "kind", text_json(r, i, 1), "attempt",
                                             (json_int_t)db_i64(r, i, 2), "outcome", outcome_json(r, i), "at",
                                             time_json(r, i, 5), "job_id", id_json(r, i, 7), "reason",
                                             text_json(r, i, 8), "error", text_json(r, i, 9), "next", db_null(r, i, 3)));
    return out;
}

/* The run's own revision on the wedding as it is now; without it (gone, or no wedding) nothing is said. */
static enum err put_conditions(struct db_session *db, const struct db_result *run, json_t *out, struct err_info *info)
{
    struct preview_request q = {.tenant_id = db_id(run, 0, 0),
                                .wedding_id = db_id(run, 0, 4),
                                .rule_id = db_id(run, 0, 1),
                                .as_of_us = db_time(run, 0, 11),
                                .event =
                                    json_object_get(json_object_get(json_object_get(out, "run"), "context"), "event")};
    struct db_result *version = NULL;
    json_t *preview = NULL;
    enum err err = ERR_OK;

    if (!db_null(run, 0, 4))
        err = store_preview_version(db, &q.tenant_id, &q.rule_id, db_i64(run, 0, 2), &version, info);
    if (err == ERR_OK && version != NULL && db_rows(version) == 1) {
        q.document = db_text(version, 0, 0);
        err = preview_rule(db, &q, &preview, info);
    }
    if (err == ERR_OK && preview != NULL) {
        json_object_set(out, "conditions", json_object_get(preview, "conditions"));
        json_object_set(out, "fire", json_object_get(preview, "fire"));
        json_object_set_new(out, "facts", json_string(FACTS_NOTE));
    }
    json_decref(preview);
    db_result_free(version);
    return err == ERR_NOTFOUND || err == ERR_INVALID ? ERR_OK : err;
}

/* ---- printing ----------------------------------------------------------------------------------------------------------- */

static const char *text(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));

    return s != NULL ? s : "-";
}

static void print_step(const json_t *s)
{
    const char *error = json_string_value(json_object_get(s, "error"));

    printf("  %s%lld %s  attempt %lld  %s  %s", json_is_true(json_object_get(s, "next")) ? "next: " : "",
           (long long)json_integer_value(json_object_get(s, "step")), text(s, "kind"),
           (long long)json_integer_value(json_object_get(s, "attempt")), text(s, "outcome"), text(s, "at"));
    if (json_is_string(json_object_get(s, "reason")))
        printf("  (%s)", text(s, "reason"));
    printf("%s%s\n", error != NULL ? "  " : "", error != NULL ? error : "");
}

static void print_text(const json_t *out)
{
    const json_t *run = json_object_get(out, "run"), *steps = json_object_get(out, "steps");
    const json_t *event = json_object_get(json_object_get(run, "context"), "event");
    const json_t *conditions = json_object_get(out, "conditions");

    printf("run: %s\nrule: %s (%s, revision %lld)\nwedding: %s\n", text(run, "id"), text(run, "rule"),
           text(run, "rule_id"), (long long)json_integer_value(json_object_get(run, "rule_revision")),
           text(run, "wedding_id"));
    printf("trigger: %s %s, due %s\n", text(run, "trigger_type"),
           event != NULL ? text(event, "type") : text(json_object_get(run, "context"), "milestone"),
           text(run, "due_at"));
    printf("state: %s", text(run, "state"));
    if (json_is_string(json_object_get(run, "reason")))
        printf(" (%s)", text(run, "reason"));
    printf(", started %s, finished %s\n", text(run, "started_at"), text(run, "finished_at"));
    if (conditions != NULL) {
        printf("conditions: %s %s\n  (%s)\n", text(conditions, "truth"), text(conditions, "reason"), text(out, "facts"));
        preview_text_conditions(conditions, 2, stdout);
    }
    printf("steps:%s\n", json_array_size(steps) == 0 ? " none" : "");
    for (size_t i = 0; i < json_array_size(steps); i++)
        print_step(json_array_get(steps, i));
}

static enum err explain(const struct cmd_run *run, struct db_session *db, const struct id *id, const struct id *tenant,
                        struct err_info *info)
{
    struct db_result *row = NULL, *steps = NULL;
    json_t *out = json_object();
    enum err err = store_show_run(db, id, &row, info);

    if (err != ERR_OK)
        goto out;
    struct id owner = db_rows(row) > 0 ? db_id(row, 0, 0) : ID_ZERO, wedding = ID_ZERO;
    if (db_rows(row) == 0 || (!id_is_zero(tenant) && !id_eq(tenant, &owner))) {
        err = err_set(info, ERR_NOTFOUND, "no such run");
        goto out;
    }
    wedding = db_id(row, 0, 4);
    json_object_set_new(out, "run", run_json(run->operands[0], row));
    err = store_show_steps(db, &owner, id, &wedding, db_time(row, 0, 11) - DAY_US, &steps, info);
    if (err == ERR_OK) {
        json_object_set_new(out, "steps", steps_json(steps));
        err = put_conditions(db, row, out, info);
    }
    if (err == ERR_OK && run->json) {
        (void)json_dumpf(out, stdout, JSON_INDENT(2));
        (void)putchar('\n');
    } else if (err == ERR_OK) {
        print_text(out);
    }
out:
    db_result_free(row);
    db_result_free(steps);
    json_decref(out);
    return err;
}

static int run_explain(struct cmd_run *run)
{
    const struct explain_options *o = run->options;
    struct db_session *db = NULL;
    struct err_info info = {0};
    struct id id, tenant;
    enum err err = input_id("RUN_ID", run->operands[0], &id, &info);

    if (err == ERR_OK)
        err = input_id("--tenant", o->tenant, &tenant, &info);
    if (err != ERR_OK)
        return cmd_fail(run, EXIT_USAGE, "%s", info.text);
    int code = connect_db(run, &db);
    if (code != EXIT_OK)
        return code;
    err = explain(run, db, &id, &tenant, &info);
    db_close(db);
    return err == ERR_OK ? EXIT_OK : cmd_fail(run, cmd_exit_code(err), "%s", info.text);
}

const struct cmd cmd_rule_explain = {
    .path = "rule explain",
    .summary = "show why a run started or was skipped, and its steps",
    .operands = "RUN_ID",
    .min_operands = 1,
    .max_operands = 1,
    .options = options,
    .options_size = sizeof(struct explain_options),
    .details = "Conditions of the run's own revision are shown on the wedding's facts as they are now: the facts that "
               "decided\n"
               "are not stored. Exit code 3 when there is no such run.",
    .examples = "usher rule explain 8d03ae6f-055f-823e-b840-51066c04214b\n",
    .check = check,
    .run = run_explain,
};
