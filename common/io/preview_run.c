/* preview_run: what the rule decides for this wedding and what its run would do (preview.h). */
#include <stdlib.h>

#include "common/core/advance.h"
#include "common/core/explain.h"
#include "common/core/message.h"
#include "common/core/spread.h"
#include "common/core/vocab.h"
#include "common/io/preview_private.h"
#include "common/io/store_preview.h"

/* automation_priv.request_approval: until the milestone, or so long, but at least an hour. */
#define APPROVAL_US (INT64_C(30) * 86400 * 1000000)
#define APPROVAL_LEAST_US (INT64_C(3600) * 1000000)

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

/* ---- steps -------------------------------------------------------------------------------------------------------------- */

/* When the run comes to a step. */
struct arrival {
    bool reached;
    bool at_latest;   /* an event may end an earlier wait sooner */
    bool at_earliest; /* a person must approve something before */
    int64_t us;       /* DB_NULL_TIME: nobody knows */
};

/* Of two ways the later one. */
static void arrive(struct arrival *arrivals, int n, int next, struct arrival from)
{
    if (next <= PROGRAM_END || next >= n)
        return;
    struct arrival *a = &arrivals[next];
    bool unknown = from.us == DB_NULL_TIME || (a->reached && a->us == DB_NULL_TIME);
    int64_t us = a->reached && a->us > from.us ? a->us : from.us;
    *a = (struct arrival){true, a->at_latest || from.at_latest, a->at_earliest || from.at_earliest,
                          unknown ? DB_NULL_TIME : us};
}

static const char *note_of(const struct step *step, const struct arrival *came, const struct arrival *leaves)
{
    if (came->us == DB_NULL_TIME)
        return "unknown";
    if (leaves->us == DB_NULL_TIME)
        return "parked:anchor_missing";
    if (leaves->at_latest && came->at_earliest)
        return "about";
    if (leaves->at_latest)
        return "at_latest";
    if (came->at_earliest)
        return "at_earliest";
    if (step->requires_approval)
        return "approval";
    if (step->type != ACTION_WAIT && leaves->us > came->us)
        return "window";
    return step->type == ACTION_WAIT ? "wait" : "at_once";
}

static void warn_anchor(struct preview *p, const struct step *step)
{
    const char *name = vocab_text(VOCAB_MILESTONE, (int)step->wait.milestone);
    const json_t *date = json_object_get(json_object_get(p->context, "timeline"), name);

    if (step->type == ACTION_WAIT && step->wait.kind == WAIT_MILESTONE && !json_is_string(date))
        preview_warn(p, "anchor_missing", "step %s waits for %s, which has no date", step->id, name);
}

/* Under a send window: from when to when, and why. */
static json_t *window_json(const struct preview *p, const json_t *spec, const struct arrival *came,
                           const struct arrival *leaves, int32_t offset_s)
{
    if (json_object_get(spec, "window") == NULL || came->us == DB_NULL_TIME || leaves->us == came->us)
        return json_null();
    return preview_window(&p->rule->settings.window, came->us, leaves->us, offset_s, offset_s);
}

/* A person decides; what is pending at its end expires and the run goes on without it. */
static json_t *approval_json(const struct preview *p, const struct step *step, const struct arrival *leaves)
{
    if (!step->requires_approval)
        return json_null();
    int64_t end_us = p->limit_us != DB_NULL_TIME ? p->limit_us : leaves->us + APPROVAL_US;
    if (end_us < leaves->us + APPROVAL_LEAST_US)
        end_us = leaves->us + APPROVAL_LEAST_US;
    return json_pack("{s:O,s:o}", "approved_by", p->approved_by, "expires_utc",
                     preview_utc(leaves->us != DB_NULL_TIME ? end_us : DB_NULL_TIME));
}

/* As automation_priv.plan_runs does with a run's first step: from where the window moved it, else from the instant that fires. */
static enum err spread_first(struct preview *p, const struct step *step, struct arrival *leaves, int32_t *offset_s,
                             bool *spread)
{
    const struct preview_request *q = p->request;
    int64_t planned_us = leaves->us > p->at_us ? leaves->us : p->due_us, due_us = DB_NULL_TIME;
    int64_t herd_s = 0;
    enum err err = ERR_OK;

    if (step->index != 0 || p->due_us == DB_NULL_TIME || leaves->us == DB_NULL_TIME)
        return ERR_OK;
    err = store_preview_herd(p->db, p->due_us, &herd_s, p->info);
    json_t *spec = spread_spec(p->rule, &q->tenant_id, &q->wedding_id, p->due_us, herd_s);
    char *text = spec != NULL ? json_dumps(spec, JSON_COMPACT) : NULL;
    if (err == ERR_OK && text != NULL)
        err = store_preview_spread(p->db, &q->tenant_id, &q->wedding_id, text, planned_us, &due_us, offset_s, p->info);
    *spread = err == ERR_OK && text != NULL && due_us > leaves->us;
    if (*spread)
        leaves->us = due_us;
    free(text);
    json_decref(spec);
    return err;
}

static enum err put_when(struct preview *p, const struct step *step, json_t *out, const struct arrival *came,
                         struct arrival *leaves)
{
    json_t *spec = advance_due(p->rule, step);
    char *text = spec != NULL ? json_dumps(spec, JSON_COMPACT) : NULL;
    int32_t offset_s = 0;
    bool spread = false;
    enum err err = ERR_OK;

    *leaves = *came;
    if (came->us != DB_NULL_TIME)
        err = store_preview_due(p->db, &p->request->tenant_id, &p->request->wedding_id, text, came->us, &leaves->us,
                                &offset_s, p->info);
    if (step->type == ACTION_WAIT && step->wait.kind == WAIT_EVENT)
        leaves->at_latest = true;
    json_object_set_new(out, "window", window_json(p, spec, came, leaves, offset_s));
    if (err == ERR_OK)
        err = spread_first(p, step, leaves, &offset_s, &spread);
    json_object_set_new(out, "approval", approval_json(p, step, leaves));
    json_object_set_new(out, "when",
                        json_pack("{s:o,s:o,s:o,s:s}", "due_utc", preview_utc(leaves->us), "due_local",
                                  preview_local(leaves->us, offset_s), "spec", spec != NULL ? spec : json_null(),
                                  "note", spread ? "spread" : note_of(step, came, leaves)));
    leaves->at_earliest = came->at_earliest || (step->requires_approval && json_is_null(p->approved_by));
    free(text);
    return err;
}

static enum err put_arrivals(struct preview *p, json_t *steps)
{
    const struct program *program = &p->rule->program;
    struct arrival arrivals[PROGRAM_STEPS_MAX] = {{.reached = true, .us = p->at_us}};
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
