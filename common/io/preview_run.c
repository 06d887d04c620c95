/* preview_run: what the rule decides for this wedding and what its run would do (preview.h). */
#include <stdlib.h>

#include "common/core/advance.h"
#include "common/core/explain.h"
#include "common/core/late.h"
#include "common/core/message.h"
#include "common/core/vocab.h"
#include "common/io/preview_private.h"
#include "common/io/store_lead.h"
#include "common/io/store_preview.h"

static enum err read_context(struct preview *p)
{
    struct db_result *r = NULL;
    enum err err = store_preview_facts(p->db, &p->request->tenant_id, &p->request->wedding_id, p->at_us, &r, p->info);

    if (err == ERR_OK) {
        p->context = context_new(db_text(r, 0, 0));
        preview_set_event(p, p->context);
    }
    db_result_free(r);
    return err;
}

static void set_facts(struct preview *p)
{
    struct logic_env env;

    context_env(p->context, p->at_us, p->changes, &env);
    logic_facts_set(p->facts, p->context, &env);
}

enum err preview_run_conditions(struct preview *p)
{
    struct logic_reason why = {0};
    enum err err = read_context(p);

    if (err != ERR_OK)
        return err;
    set_facts(p);
    json_t *conditions = explain_conditions(p->rule->conditions, p->facts, "/conditions");
    json_object_set_new(conditions, "evaluated_at", preview_utc(p->at_us));
    json_object_set_new(p->out, "conditions", conditions);
    p->truth = p->rule->conditions != NULL ? logic_eval(p->rule->conditions, p->facts, &why) : LOGIC_TRUE;
    logic_reason_text(&why, p->reason);
    if (p->rule->trigger.type == TRIGGER_EVENT && p->request->event == NULL)
        preview_warn(p, "event_unknown", "nothing is known of the event's payload: event.* is missing here");
    if (p->rule->settings.exit_when != NULL && logic_eval(p->rule->settings.exit_when, p->facts, NULL) == LOGIC_TRUE)
        preview_warn(p, "exit_when", "exit_when holds already: the run would end before its first step");
    return ERR_OK;
}

/* ---- verdict ------------------------------------------------------------------------------------------------------------ */

/* The timing's row fires once; a run that was superseded or skipped before it acted gives its key back. */
static bool has_fired(const struct db_result *r)
{
    struct str state = db_text(r, 0, 1), reason = db_text(r, 0, 2);

    if (str_is(db_text(r, 0, 5), "fired"))
        return true;
    if (db_null(r, 0, 0))
        return false;
    return !(str_is(state, "superseded") || str_is(state, "skipped")) || db_bool(r, 0, 3) || str_is(reason, "past_due");
}

static enum err is_past_due(struct preview *p, bool *past)
{
    const struct rule_settings *settings = &p->rule->settings;
    const struct store_timing timing = {.tenant_id = p->request->tenant_id,
                                        .wedding_id = p->request->wedding_id,
                                        .due_us = p->due_us,
                                        .now_us = p->as_of_us};

    *past = p->due_us != DB_NULL_TIME && late_is_beyond(settings, p->due_us, p->as_of_us);
    if (!*past)
        return ERR_OK;
    switch (settings->late) {
    case LATE_SKIP:
    case LATE_ASK: return ERR_OK;
    case LATE_FIRE_LATEST_ONLY: return store_lead_later_timing(p->db, &timing, past, p->info);
    case LATE_FIRE_ALL:
    case LATE_COUNT: *past = false; return ERR_OK;
    }
    return ERR_OK;
}

static bool at_most_reached(const struct preview *p, int64_t counted)
{
    int64_t most = p->rule->settings.max_runs_per_wedding;

    return most > 0 && counted >= most;
}

/* The reason that a skipped run would carry, or "": in the order in which planning asks. Always also as a warning. */
static const char *skip_reason(struct preview *p, const struct db_result *r, bool past)
{
    bool running = p->rule->settings.mode == MODE_SINGLE && db_i64(r, 0, 6) > 0;
    bool full = at_most_reached(p, db_i64(r, 0, 7));

    if (past)
        preview_warn(p, "past_due", "its instant has passed by more than the grace: it would be skipped");
    if (running)
        preview_warn(p, "already_running", "an earlier run of this rule for this wedding is not finished");
    if (full)
        preview_warn(p, "max_runs", "the wedding has had as many runs of this rule as its settings allow");
    if (past)
        return "past_due";
    if (p->truth == LOGIC_FALSE)
        return "conditions_not_met";
    if (p->truth == LOGIC_UNKNOWN)
        return p->reason;
    if (running)
        return "already_running";
    return full ? "max_runs" : "";
}

static void warn_fired(struct preview *p, const struct db_result *r)
{
    struct str state = db_text(r, 0, 1);
    char id[ID_TEXT_SIZE];
    struct id run = db_id(r, 0, 0);

    if (state.p == NULL)
        preview_warn(p, "already_fired", "this instant has fired for the wedding, without a run of this rule");
    else
        preview_warn(p, "already_fired", "it has fired: run %s is %.*s", id_format(&run, id), (int)state.n, state.p);
}

static void warn_settings(struct preview *p)
{
    const struct step *loop = explain_self_trigger(p->rule);

    if (loop != NULL)
        preview_warn(p, "self_trigger", "step %s publishes %s, which starts this rule again", loop->id,
                     p->rule->trigger.event_type);
}

enum err preview_run_verdict(struct preview *p)
{
    const struct preview_request *q = p->request;
    struct db_result *r = NULL;
    const char *state = json_string_value(json_object_get(json_object_get(p->out, "fire"), "state"));
    const char *reason = "";
    bool past = false;
    enum err err = store_preview_standing(p->db, &q->tenant_id, &q->rule_id, &q->wedding_id, &p->timing, &r, p->info);

    if (err == ERR_OK)
        err = is_past_due(p, &past);
    if (err == ERR_OK) {
        bool fired = has_fired(r);
        struct id run = db_id(r, 0, 8);
        if (!id_is_zero(&run))
            id_format(&run, p->run_id);
        reason = skip_reason(p, r, past);
        if (fired)
            warn_fired(p, r);
        if (!p->scheduled)
            reason = state;
        else if (fired)
            reason = "already_fired";
        json_object_set_new(p->out, "verdict", json_pack("{s:b,s:s}", "starts", reason[0] == '\0', "reason", reason));
        warn_settings(p);
    }
    db_result_free(r);
    return err;
}

/* ---- steps -------------------------------------------------------------------------------------------------------------- */

/* When the run comes to a step. */
struct arrival {
    bool reached;
    bool at_latest; /* an event may end an earlier wait sooner */
    int64_t us;     /* DB_NULL_TIME: nobody knows */
};

/* Of two ways the later one. */
static void arrive(struct arrival *arrivals, int n, int next, struct arrival from)
{
    if (next <= PROGRAM_END || next >= n)
        return;
    struct arrival *a = &arrivals[next];
    bool unknown = from.us == DB_NULL_TIME || (a->reached && a->us == DB_NULL_TIME);
    int64_t us = a->reached && a->us > from.us ? a->us : from.us;
    *a = (struct arrival){true, a->at_latest || from.at_latest, unknown ? DB_NULL_TIME : us};
}

static const char *note_of(const struct step *step, const struct arrival *came, const struct arrival *leaves)
{
    if (came->us == DB_NULL_TIME)
        return "unknown";
    if (leaves->us == DB_NULL_TIME)
        return "parked:anchor_missing";
    if (leaves->at_latest)
        return "at_latest";
    return step->type == ACTION_WAIT ? "wait" : "at_once";
}

static void warn_anchor(struct preview *p, const struct step *step)
{
    const char *name = vocab_text(VOCAB_MILESTONE, (int)step->wait.milestone);
    const json_t *date = json_object_get(json_object_get(p->context, "timeline"), name);

    if (step->type == ACTION_WAIT && step->wait.kind == WAIT_MILESTONE && !json_is_string(date))
        preview_warn(p, "anchor_missing", "step %s waits for %s, which has no date", step->id, name);
}

static enum err put_when(struct preview *p, const struct step *step, json_t *out, const struct arrival *came,
                         struct arrival *leaves)
{
    json_t *spec = advance_due(p->rule, step);
    char *text = spec != NULL ? json_dumps(spec, JSON_COMPACT) : NULL;
    int32_t offset_s = 0;
    enum err err = ERR_OK;

    *leaves = *came;
    if (came->us != DB_NULL_TIME)
        err = store_preview_due(p->db, &p->request->tenant_id, &p->request->wedding_id, text, came->us, &leaves->us,
                                &offset_s, p->info);
    if (step->type == ACTION_WAIT && step->wait.kind == WAIT_EVENT)
        leaves->at_latest = true;
    json_object_set_new(out, "when",
                        json_pack("{s:o,s:o,s:o,s:s}", "due_utc", preview_utc(leaves->us), "due_local",
                                  preview_local(leaves->us, offset_s), "spec", spec != NULL ? spec : json_null(),
                                  "note", note_of(step, came, leaves)));
    free(text);
    return err;
}

static enum err put_arrivals(struct preview *p, json_t *steps)
{
    const struct program *program = &p->rule->program;
    struct arrival arrivals[PROGRAM_STEPS_MAX] = {{true, false, p->at_us}};
    enum err err = ERR_OK;

    for (int i = 0; i < program->n && err == ERR_OK; i++) {
        const struct step *step = &program->steps[i];
        json_t *out = json_array_get(steps, (size_t)i);
        struct arrival leaves;
        if (!arrivals[i].reached || str_is(str_of(json_string_value(json_object_get(out, "path"))), "not_taken")) {
            json_object_set_new(out, "when", json_null());
            continue;
        }
        warn_anchor(p, step);
        err = put_when(p, step, out, &arrivals[i], &leaves);
        arrive(arrivals, program->n, program_ahead(program, i, program_next(step, LOGIC_TRUE)), leaves);
        arrive(arrivals, program->n, program_ahead(program, i, program_next(step, LOGIC_FALSE)), leaves);
    }
    return err;
}

/* The message templates that a run planned now would keep. */
static enum err read_messages(struct preview *p)
{
    json_t *names = message_names(&p->rule->program), *kept = NULL;
    char *text = json_dumps(names != NULL ? names : json_null(), JSON_ENCODE_ANY);
    struct db_result *r = NULL;
    enum err err = store_preview_messages(p->db, &p->request->tenant_id, text, &r, p->info);

    if (err == ERR_OK) {
        kept = context_new(db_text(r, 0, 0));
        message_keep(p->context, json_object_get(kept, MESSAGE_TEMPLATES));
    }
    json_decref(kept);
    json_decref(names);
    free(text);
    db_result_free(r);
    return err;
}

enum err preview_run_steps(struct preview *p)
{
    char id[ID_TEXT_SIZE] = "";
    enum err err = read_messages(p);

    if (err != ERR_OK)
        return err;
    if (!id_is_zero(&p->request->rule_id))
        id_format(&p->request->rule_id, id);
    json_object_set_new(p->context, "steps", json_object());
    json_object_set_new(p->context, "rule", json_pack("{s:s,s:s}", "id", id, "name", p->rule->name));
    json_object_set_new(p->context, "run", json_pack("{s:s}", "id", p->run_id));
    set_facts(p);
    json_t *steps = explain_steps(p->rule, p->facts, p->fields, p->context);
    logic_facts_set(p->facts, NULL, NULL);
    json_object_set_new(p->out, "steps", steps);
    return put_arrivals(p, steps);
}
