/* advance: see advance.h. */
#include "common/core/advance.h"

#include <stdbool.h>
#include <stdio.h>

#include "common/core/key.h"
#include "common/core/match.h"
#include "common/core/vocab.h"

static json_t *offset_due(const struct offset *o)
{
    return json_pack("{s:i,s:i,s:I}", "months", (int)o->months, "days", (int)o->days, "seconds", (json_int_t)o->seconds);
}

static void set_minute(json_t *due, const char *key, int32_t minute)
{
    char text[16];
    if (minute < 0)
        return;
    snprintf(text, sizeof(text), "%02d:%02d", (int)(minute / 60), (int)(minute % 60));
    json_object_set_new(due, key, json_string(text));
}

json_t *advance_window(const struct rule_window *w)
{
    return json_pack("{s:i,s:i,s:i}", "days", (int)w->days, "from", (int)w->from_minute, "to", (int)w->to_minute);
}

json_t *advance_timing(const struct rule_trigger *t)
{
    struct id id;
    char text[ID_TEXT_SIZE];

    match_timing_id(t, &id);
    json_t *key = json_pack("{s:s,s:s,s:i,s:i,s:I,s:s}", "id", id_format(&id, text), "milestone",
                            vocab_text(VOCAB_MILESTONE, (int)t->milestone), "months", (int)t->offset.months, "days",
                            (int)t->offset.days, "seconds", (json_int_t)t->offset.seconds, "zone", t->zone);
    set_minute(key, "at", t->at_minute);
    if (t->window.set)
        json_object_set_new(key, "window", advance_window(&t->window));
    if (t->yearly > 0)
        json_object_set_new(key, "yearly", json_integer(t->yearly));
    return key;
}

const char *advance_limit(const struct rule_trigger *t)
{
    bool before = t->type == TRIGGER_MILESTONE && (t->offset.months < 0 || t->offset.days < 0 || t->offset.seconds < 0);

    return before ? vocab_text(VOCAB_MILESTONE, (int)t->milestone) : NULL;
}

void advance_put_limit(const struct rule_trigger *t, json_t *spec)
{
    const char *limit = advance_limit(t);

    if (limit == NULL)
        return;
    json_object_set_new(spec, "limit", json_string(limit));
    if (t->yearly > 0)
        json_object_set_new(spec, "yearly", json_true());
}

static json_t *window_due(const struct rule *rule, const struct step *step)
{
    const struct rule_window *w = &rule->settings.window;
    json_t *window;

    if (!w->set || step->urgent || vocab_action_effect(step->type) != EFFECT_OUTWARD)
        return NULL;
    window = advance_window(w);
    json_object_set_new(window, "zone", json_string(rule->trigger.zone));
    json_object_set_new(window, "outside", json_string(vocab_text(VOCAB_OUTSIDE, (int)w->outside)));
    advance_put_limit(&rule->trigger, window);
    return json_pack("{s:o}", "window", window);
}

json_t *advance_due(const struct rule *rule, const struct step *step)
{
    json_t *due = NULL;
    if (step->type != ACTION_WAIT)
        return window_due(rule, step);
    switch (step->wait.kind) {
    case WAIT_DURATION:
    case WAIT_EVENT: return offset_due(&step->wait.duration);
    case WAIT_TIME:
        due = json_object();
        set_minute(due, "time", step->wait.at_minute);
        return due;
    case WAIT_MILESTONE:
        due = offset_due(&step->wait.offset);
        json_object_set_new(due, "milestone", json_string(vocab_text(VOCAB_MILESTONE, (int)step->wait.milestone)));
        set_minute(due, "at", step->wait.at_minute);
        return due;
    }
    return NULL;
}

void advance_job_id(const struct id *run, int step, int iteration, int generation, struct id *out)
{
    char run_text[ID_TEXT_SIZE], step_text[16], iteration_text[16], generation_text[16];
    snprintf(step_text, sizeof(step_text), "%d", step);
    snprintf(iteration_text, sizeof(iteration_text), "%d", iteration);
    snprintf(generation_text, sizeof(generation_text), "%d", generation);
    struct str parts[] = {str_of(id_format(run, run_text)), str_of(step_text), str_of(iteration_text),
                          str_of(generation_text)};
    key_derive(out, "job", parts, 4);
}
