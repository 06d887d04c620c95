/* preview_standing: what earlier runs, other rules and the rule's own bounds say to a start, and so whether a run starts (preview.h).
 *
 * The order is planning's: lateness and conditions (fire_skip), then what automation_priv.plan_runs asks, then the send window. */
#include "common/core/advance.h"
#include "common/core/explain.h"
#include "common/core/fire.h"
#include "common/core/late.h"
#include "common/core/vocab.h"
#include "common/io/preview_private.h"
#include "common/io/store_lead.h"
#include "common/io/store_preview.h"

#include <stdlib.h>

#define GUARD_RUNS 16 /* within an hour: automation_priv.plan_runs */

enum standing_column {
    COL_RUN,
    COL_STATE,
    COL_REASON,
    COL_ACTED,
    COL_RUNNING,
    COL_COUNTED,
    COL_LAST_HOUR,
    COL_LIVE,
    COL_LIVE_REASON,
    COL_LIVE_DUE,
    COL_ACTIVATED,
    COL_BEFORE_ACTIVATION,
    COL_NOT_BOOKED,
    COL_RAN_BEFORE,
    COL_DEPENDENCIES,
    COL_APPROVED_BY,
    COL_LIMIT
};

static bool by_milestone(const struct preview *p)
{
    return p->rule->trigger.type == TRIGGER_MILESTONE;
}

/* ---- what stands -------------------------------------------------------------------------------------------------------- */

static const char *mode_effect(const struct preview *p, bool running)
{
    if (!running)
        return "starts";
    switch (p->rule->settings.mode) {
    case MODE_SINGLE: return "skipped";
    case MODE_RESTART: return "ends_the_running_one";
    case MODE_QUEUED: return "waits_for_the_running_one";
    case MODE_PARALLEL: return "starts_beside_it";
    case MODE_COUNT: break;
    }
    return "starts";
}

static json_t *after_move(const struct preview *p)
{
    enum date_change change = p->rule->settings.on_date_change;

    if (!by_milestone(p))
        return json_null();
    if (p->fired)
        return json_string(change == DATE_CHANGE_REFIRE ? "fires_again" : "stays_fired");
    return json_string(change == DATE_CHANGE_KEEP ? "moves_until_planned" : "moves");
}

static void put_standing(struct preview *p, const struct db_result *r)
{
    const struct rule_settings *s = &p->rule->settings;
    struct str dependencies = db_text(r, 0, COL_DEPENDENCIES);
    bool stored = !db_null(r, 0, COL_LIVE);

    json_object_set_new(
        p->out, "standing",
        json_pack("{s:s,s:s,s:I,s:o,s:I,s:I,s:i,s:o,s:o,s:o,s:o,s:o,s:s,s:o}", "mode",
                  vocab_text(VOCAB_MODE, (int)s->mode), "mode_effect", mode_effect(p, db_i64(r, 0, COL_RUNNING) > 0),
                  "running", (json_int_t)db_i64(r, 0, COL_RUNNING), "max_runs",
                  s->max_runs_per_wedding > 0 ? json_integer(s->max_runs_per_wedding) : json_null(), "runs",
                  (json_int_t)db_i64(r, 0, COL_COUNTED), "runs_last_hour", (json_int_t)db_i64(r, 0, COL_LAST_HOUR),
                  "loop_guard", GUARD_RUNS, "live", stored ? json_boolean(db_bool(r, 0, COL_LIVE)) : json_null(),
                  "live_reason", preview_text(db_text(r, 0, COL_LIVE_REASON)), "live_changes",
                  preview_utc(db_time(r, 0, COL_LIVE_DUE)), "activated_at",
                  stored && db_bool(r, 0, COL_LIVE) ? preview_utc(db_time(r, 0, COL_ACTIVATED)) : json_null(),
                  "dependencies", json_loadb(dependencies.p, dependencies.n, 0, NULL), "on_date_change",
                  vocab_text(VOCAB_DATE_CHANGE, (int)s->on_date_change), "after_move", after_move(p)));
}

/* ---- why not ------------------------------------------------------------------------------------------------------------ */

/* The run that holds the fire key gives it back when it was superseded or skipped before it acted; but what was late stays so. */
static bool is_spent(const struct db_result *r)
{
    struct str state = db_text(r, 0, COL_STATE), reason = db_text(r, 0, COL_REASON);

    if (db_null(r, 0, COL_RUN))
        return false;
    return !(str_is(state, "superseded") || str_is(state, "skipped")) || db_bool(r, 0, COL_ACTED) ||
           str_is(reason, "past_due") || str_is(reason, "before_activation");
}

static void warn_fired(struct preview *p, const struct db_result *r)
{
    struct str state = db_text(r, 0, COL_STATE);
    char id[ID_TEXT_SIZE];
    struct id run = db_id(r, 0, COL_RUN);

    if (state.p == NULL)
        preview_warn(p, "already_fired", "this instant has fired for the wedding, without a run of this rule");
    else
        preview_warn(p, "already_fired", "it has fired: run %s is %.*s", id_format(&run, id), (int)state.n, state.p);
}

static enum err is_outrun(struct preview *p, bool *outrun)
{
    const struct store_timing timing = {.tenant_id = p->request->tenant_id,
                                        .wedding_id = p->request->wedding_id,
                                        .due_us = p->due_us,
                                        .now_us = p->as_of_us};
    enum lateness late =
        p->due_us != DB_NULL_TIME ? late_judge(&p->rule->settings, p->due_us, p->as_of_us) : LATENESS_NONE;

    *outrun = late == LATENESS_PASSED;
    return late == LATENESS_UNLESS_LATER ? store_lead_later_timing(p->db, &timing, outrun, p->info) : ERR_OK;
}

static const char *unmet(const struct db_result *r, json_t **list)
{
    struct str text = db_text(r, 0, COL_DEPENDENCIES);
    size_t i;
    json_t *d;

    *list = json_loadb(text.p, text.n, 0, NULL);
    json_array_foreach(*list, i, d)
    {
        if (!json_is_true(json_object_get(d, "met")))
            return json_string_value(json_object_get(d, "name"));
    }
    return NULL;
}

/* What the database would answer (plan_runs), or NULL. All that speaks against it is also a warning. */
static const char *refusal(struct preview *p, const struct db_result *r)
{
    const struct rule_settings *s = &p->rule->settings;
    json_t *list = NULL;
    const char *needed = unmet(r, &list);
    const struct {
        bool holds;
        const char *reason, *text;
    } reasons[] = {
        {p->rule->trigger.type != TRIGGER_MANUAL && db_bool(r, 0, COL_BEFORE_ACTIVATION), "before_activation",
         "it had passed when the rule was activated: a rule begins with its activation"},
        {db_bool(r, 0, COL_NOT_BOOKED), "not_booked", "the rule is for booked weddings, from their booking on"},
        {needed != NULL, "dependency", "a rule that it needs has not succeeded for the wedding"},
        {db_bool(r, 0, COL_RAN_BEFORE), "ran_before", "it ran for the wedding and this milestone before it was edited"},
        {s->mode == MODE_SINGLE && db_i64(r, 0, COL_RUNNING) > 0, "already_running",
         "an earlier run of this rule for this wedding is not finished"},
        {s->max_runs_per_wedding > 0 && db_i64(r, 0, COL_COUNTED) >= s->max_runs_per_wedding, "max_runs",
         "the wedding has had as many runs of this rule as its settings allow"},
        {db_i64(r, 0, COL_LAST_HOUR) >= GUARD_RUNS, "loop_guard",
         "it ran 16 times within an hour for the wedding: the rule would be paused"},
    };
    const char *first = NULL;

    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (!reasons[i].holds)
            continue;
        preview_warn(p, reasons[i].reason, "%s%s%s", reasons[i].text, i == 2 ? ": " : "", i == 2 ? needed : "");
        first = first != NULL ? first : reasons[i].reason;
    }
    json_decref(list);
    return first;
}

/* The first step decides: it alone is planned with the run. */
static enum err outside_window(struct preview *p, bool *outside)
{
    json_t *spec = advance_due(p->rule, &p->rule->program.steps[0]);
    char *text = json_object_get(spec, "window") != NULL ? json_dumps(spec, JSON_COMPACT) : NULL;
    int64_t due_us = p->at_us;
    int32_t offset_s;
    enum err err = ERR_OK;

    if (text != NULL && p->rule->settings.window.outside == OUTSIDE_SKIP)
        err = store_preview_due(p->db, &p->request->tenant_id, &p->request->wedding_id, text, p->at_us, &due_us,
                                &offset_s, p->info);
    *outside = err == ERR_OK && due_us != DB_NULL_TIME && due_us > p->at_us;
    if (*outside)
        preview_warn(p, "outside_window", "its instant lies outside the send window, and the rule rather skips");
    free(text);
    json_decref(spec);
    return err;
}

/* A rule that is not active is told as if it were: that is a warning. But what bounds an active one decides. */
static bool is_dormant(struct preview *p, const struct db_result *r)
{
    struct str why = db_text(r, 0, COL_LIVE_REASON);
    int64_t changes_us = db_time(r, 0, COL_LIVE_DUE);
    char when[STR_TIME_SIZE];

    if (changes_us != DB_NULL_TIME && changes_us <= p->at_us) {
        str_from_time(when, changes_us);
        preview_warn(p, "live_changes", "the rule is %.*s now; that may change at %s, before it fires", (int)why.n,
                     why.p, when);
        return false;
    }
    return p->active && !db_bool(r, 0, COL_LIVE);
}

static enum err decide(struct preview *p, const struct db_result *r, char *reason, size_t size)
{
    const char *state = json_string_value(json_object_get(json_object_get(p->out, "fire"), "state"));
    bool outrun = false, outside = false, spent = p->fired || is_spent(r);
    enum err err = is_outrun(p, &outrun);

    if (err == ERR_OK)
        err = outside_window(p, &outside);
    if (err != ERR_OK)
        return err;
    if (outrun)
        preview_warn(p, "past_due", "its instant has passed by more than the grace: it would be skipped");
    const char *skip = fire_skip(outrun, p->truth, p->reason), *refused = refusal(p, r);
    struct str why = db_text(r, 0, COL_LIVE_REASON);
    reason[0] = '\0';
    if (spent)
        warn_fired(p, r);
    if (!p->scheduled)
        (void)str_copy(reason, size, state);
    else if (spent)
        (void)str_copy(reason, size, "already_fired");
    else if (is_dormant(p, r))
        (void)snprintf(reason, size, "not_live:%.*s", (int)why.n, why.p);
    else if (skip != NULL || refused != NULL)
        (void)str_copy(reason, size, skip != NULL ? skip : refused);
    else if (outside)
        (void)str_copy(reason, size, "outside_window");
    return ERR_OK;
}

static void warn_loop(struct preview *p)
{
    const struct step *loop = explain_self_trigger(p->rule);

    if (loop != NULL)
        preview_warn(p, "self_trigger", "step %s publishes %s, which starts this rule again", loop->id,
                     p->rule->trigger.event_type);
}

static void keep_approval(struct preview *p, const struct db_result *r)
{
    struct str by = db_text(r, 0, COL_APPROVED_BY);

    p->approved_by = by.p != NULL ? json_stringn(by.p, by.n) : json_null();
    p->limit_us = db_time(r, 0, COL_LIMIT);
}

enum err preview_standing(struct preview *p)
{
    const struct preview_request *q = p->request;
    struct store_preview_start start = {.tenant_id = q->tenant_id,
                                        .rule_id = q->rule_id,
                                        .wedding_id = q->wedding_id,
                                        .due_us = by_milestone(p) ? p->due_us : p->at_us,
                                        .at_us = p->at_us,
                                        .as_of_us = p->as_of_us,
                                        .limit = advance_limit(&p->rule->trigger),
                                        .by_event = p->rule->trigger.type == TRIGGER_EVENT,
                                        .yearly = p->rule->trigger.yearly > 0};
    char reason[LOGIC_REASON_SIZE];
    struct db_result *r = NULL;

    if (by_milestone(p) && !id_is_zero(&q->rule_id)) {
        if (p->rule->settings.on_date_change != DATE_CHANGE_REFIRE)
            start.once = vocab_text(VOCAB_MILESTONE, (int)p->rule->trigger.milestone);
        start.timing_id = p->timing;
        const struct fire fire = {q->tenant_id, q->rule_id, q->wedding_id, p->timing, p->occurrence};
        fire_run_id(&fire, p->rule, &start.run_id);
        id_format(&start.run_id, p->run_id);
    }
    enum err err = store_preview_standing(p->db, &start, &r, p->info);
    if (err == ERR_OK)
        err = decide(p, r, reason, sizeof(reason));
    if (err == ERR_OK) {
        put_standing(p, r);
        keep_approval(p, r);
        warn_loop(p);
        json_object_set_new(p->out, "verdict", json_pack("{s:b,s:s}", "starts", reason[0] == '\0', "reason", reason));
    }
    db_result_free(r);
    return err;
}
