/* rule_lint: what can only be said about a whole rule, each part of which is good. Errors are what can never work or what this version
 * does not execute; warnings are what may be meant and mostly is not. Reads only. */
#include <string.h>

#include "common/core/rule_check.h"

/* What a wedding's facts are made of (automation_priv.facts); of the other roots nothing is known before a run. */
static const char *const wedding_facts[] = {"id",          "title",         "status",
                                            "date",        "ceremony_time", "time_zone",
                                            "guest_count", "date_local",    "service_types",
                                            "package",     "budget_cents",  "booked_on",
                                            "inquired_on", "revision",      "attributes"};
static const char *const client_facts[] = {"name", "email", "phone"};
static const char *const project_facts[] = {"stage", "tags"};
static const char *const tenant_facts[] = {"id", "name", "email", "time_zone", "season_months"};

struct fact_list {
    const char *const *words;
    size_t n;
};

#define LIST(array) ((struct fact_list){(array), sizeof(array) / sizeof((array)[0])})

static struct fact_list facts_of(int root)
{
    switch (root) {
    case ROOT_WEDDING: return LIST(wedding_facts);
    case ROOT_CLIENT: return LIST(client_facts);
    case ROOT_PROJECT: return LIST(project_facts);
    case ROOT_TENANT: return LIST(tenant_facts);
    default: return (struct fact_list){NULL, 0}; /* no enum: also -1 */
    }
}

/* Cuts the first part of a dotted path off and returns it. */
static struct str take_part(struct str *path)
{
    const char *dot = memchr(path->p, '.', path->n);
    struct str part = {path->p, dot == NULL ? path->n : (size_t)(dot - path->p)};
    size_t used = part.n + (dot == NULL ? 0 : 1);

    *path = (struct str){path->p + used, path->n - used};
    return part;
}

static bool is_listed(struct fact_list list, struct str word)
{
    for (size_t i = 0; i < list.n; i++) {
        if (str_is(word, list.words[i]))
            return true;
    }
    return false;
}

/* What a step leaves under its id; steps that failed leave "failed" and "reason". */
static bool leaves(const struct step *s, struct str word)
{
    if (str_is(word, "failed") || str_is(word, "reason"))
        return true;
    if (s->type == ACTION_WAIT)
        return s->wait.kind == WAIT_EVENT && (str_is(word, "timed_out") || str_is(word, "event"));
    if (s->type == ACTION_FOR_EACH)
        return str_is(word, "items") || str_is(word, "at");
    if (s->type == ACTION_BRANCH)
        return str_is(word, "taken") || str_is(word, "unknown");
    return vocab_action_effect(s->type) == EFFECT_OUTWARD && str_is(word, "code");
}

static void check_result(struct rule_check *c, const struct program *p, struct str path, const char *at)
{
    struct str rest = path, id, word;
    const struct step *s;

    (void)take_part(&rest);
    id = take_part(&rest);
    word = take_part(&rest);
    s = program_find(p, id);
    if (s != NULL && word.n > 0 && !leaves(s, word))
        rule_errors_warn(c->errors, at, "uses \"%.*s\", but the %s \"%s\" never leaves \"%.*s\"", (int)path.n, path.p,
                         vocab_text(VOCAB_ACTION, (int)s->type), s->id, (int)word.n, word.p);
}

void rule_lint_path(struct rule_check *c, const struct program *p, struct str path, const char *at)
{
    struct str rest = path, word;
    int root = vocab_find(VOCAB_ROOT, take_part(&rest));
    struct fact_list facts = facts_of(root);
    const char *nearest;

    if (root == ROOT_STEPS)
        check_result(c, p, path, at);
    word = take_part(&rest);
    if (word.n == 0 || (facts.n == 0 && root != ROOT_TIMELINE))
        return;
    if (root == ROOT_TIMELINE ? vocab_find(VOCAB_MILESTONE, word) >= 0 : is_listed(facts, word))
        return;
    nearest =
        root == ROOT_TIMELINE ? vocab_nearest_in(VOCAB_MILESTONE, word) : vocab_nearest(facts.words, facts.n, word);
    rule_errors_warn(c->errors, at, "uses \"%.*s\", which no wedding has%s%s%s", (int)path.n, path.p,
                     nearest == NULL ? "" : "; did you mean \"", nearest == NULL ? "" : nearest,
                     nearest == NULL ? "" : "\"?");
}

bool rule_lint_precedes(const struct program *p, const struct step *from, const struct step *to)
{
    bool reached[PROGRAM_STEPS_MAX] = {false};

    reached[from->index] = true;
    for (int i = from->index; i < to->index; i++) {
        const struct step *s = &p->steps[i];
        int yes = program_ahead(p, i, program_next(s, LOGIC_TRUE));
        int no = program_ahead(p, i, program_next(s, LOGIC_FALSE));

        if (!reached[i])
            continue;
        if (yes != PROGRAM_END)
            reached[yes] = true;
        if (no != PROGRAM_END)
            reached[no] = true;
    }
    return from->index < to->index && reached[to->index];
}

static bool is_item(struct str path)
{
    return path.n > strlen("item.") && str_is((struct str){path.p, strlen("item.")}, "item.");
}

/* Paths of a condition; `s` is the step it belongs to, NULL for those of the rule, which see all steps or none. */
static void lint_condition(struct rule_check *c, const struct rule *r, const struct logic *logic, const struct step *s,
                           const char *at)
{
    const uint32_t *slots;
    size_t n;

    if (logic == NULL)
        return;
    slots = logic_slots(logic, &n);
    for (size_t i = 0; i < n; i++) {
        struct str path = str_of(logic_fields_path(c->fields, slots[i])), rest = path;
        const struct step *used = NULL;

        if (str_is(take_part(&rest), "steps"))
            used = program_find(&r->program, take_part(&rest));
        if (used != NULL && s != NULL && !rule_lint_precedes(&r->program, used, s))
            rule_check_error(c, at, NULL, "uses \"%.80s\", but the action \"%s\" can not have run before", path.p,
                             used->id);
        else if (is_item(path) && (s == NULL || s->loop == PROGRAM_END || logic == s->wait.where))
            rule_check_error(c, at, NULL, "uses \"%.80s\", but %s", path.p,
                             s == NULL || s->loop == PROGRAM_END ? "only steps within a for_each have an item"
                                                                 : "a wait's \"where\" sees event and wedding only");
        else
            rule_lint_path(c, &r->program, path, at);
    }
}

/* Unknown when it depends on anything. */
static enum logic_truth constant(struct rule_check *c, const struct logic *logic)
{
    struct logic_facts *facts;
    enum logic_truth truth;
    size_t n = 0;

    if (logic == NULL)
        return LOGIC_UNKNOWN;
    (void)logic_slots(logic, &n);
    if (n > 0 || logic_needs(logic) != 0)
        return LOGIC_UNKNOWN;
    facts = logic_facts_new(c->fields);
    truth = logic_eval(logic, facts, NULL);
    logic_facts_free(facts);
    return truth;
}

static void lint_branch(struct rule_check *c, const struct step *s)
{
    enum logic_truth truth = constant(c, s->condition);

    if (truth == LOGIC_TRUE && s->next_false != s->next)
        rule_errors_warn(c->errors, s->pointer, "its condition is always true: \"else\" can never be reached");
    if (truth == LOGIC_FALSE && s->next_true != s->next)
        rule_errors_warn(c->errors, s->pointer, "its condition is always false: \"then\" can never be reached");
}

/* The same milestone as the trigger's, and an earlier offset: the moment is gone when the run starts. */
static bool is_past(const struct rule *r, const struct wait_spec *w)
{
    return r->trigger.type == TRIGGER_MILESTONE && w->milestone == r->trigger.milestone &&
           offset_cmp(&w->offset, &r->trigger.offset) < 0;
}

static void lint_wait(struct rule_check *c, const struct rule *r, const struct step *s)
{
    const struct wait_spec *w = &s->wait;
    bool timed = w->kind == WAIT_TIME || w->kind == WAIT_MILESTONE;

    if (timed && w->at_minute >= 0 && r->trigger.zone_mode != ZONE_WEDDING)
        rule_check_error(
            c, s->pointer, "until",
            "waits for a local time go by the wedding's time zone in this version: not available in a rule "
            "whose trigger has the time zone \"%s\"",
            r->trigger.zone);
    if (w->kind != WAIT_MILESTONE)
        return;
    if (r->settings.on_date_change == DATE_CHANGE_KEEP)
        rule_check_error(c, s->pointer, "until",
                         "waits for a milestone follow the wedding's date: not available with \"on_date_change\": "
                         "\"keep\" in this version");
    if (is_past(r, w))
        rule_errors_warn(c->errors, s->pointer, "its instant has passed when the rule starts, so it never waits");
}

/* Something bounds how often the step makes the rule start again, or may do so. */
static bool is_bounded(const struct rule *r, const struct step *s)
{
    bool bounded = r->conditions != NULL || r->settings.exit_when != NULL || r->settings.max_runs_per_wedding > 0;

    for (int i = 0; i < r->program.n; i++) {
        const struct step *other = &r->program.steps[i];

        bounded = bounded || other->type == ACTION_STOP;
        /* Of a single rule that still waits, another run is skipped. */
        bounded = bounded || (other->type == ACTION_WAIT && r->settings.mode == MODE_SINGLE &&
                              rule_lint_precedes(&r->program, s, other));
    }
    return bounded || s->depth > 0;
}

const char *rule_lint_change(const struct step *s)
{
    const char *path = json_string_value(json_object_get(s->params, "path"));

    if (s->type == ACTION_MOVE_STAGE)
        return "stage.changed";
    if (s->type != ACTION_SET_FIELD || path == NULL)
        return NULL;
    if (strcmp(path, "wedding.stage") == 0)
        return "stage.changed";
    return strcmp(path, "wedding.guest_count") == 0 ? "guest_count.changed" : NULL;
}

static void lint_loop(struct rule_check *c, const struct rule *r, const struct step *s)
{
    const char *trigger = r->trigger.event_type, *change = rule_lint_change(s);
    const char *emitted = s->type == ACTION_EMIT_EVENT ? json_string_value(json_object_get(s->params, "type")) : NULL;

    if (trigger == NULL)
        return;
    if (change != NULL && strcmp(change, trigger) == 0)
        rule_errors_warn(c->errors, s->pointer, "publishes \"%s\", which starts this rule again", trigger);
    if (emitted == NULL || strcmp(emitted, trigger) != 0)
        return;
    if (is_bounded(r, s))
        rule_errors_warn(c->errors, s->pointer, "emits \"%s\", which starts this rule again", trigger);
    else
        rule_check_error(c, s->pointer, "params",
                         "emits \"%s\", which starts this rule again without end; a condition, a branch or "
                         "\"max_runs_per_wedding\" would end it",
                         trigger);
}

void rule_lint(struct rule_check *c, const struct rule *r)
{
    if (constant(c, r->conditions) == LOGIC_FALSE)
        rule_errors_warn(c->errors, "/conditions", "always false: the rule never runs");
    lint_condition(c, r, r->conditions, NULL, "/conditions");
    lint_condition(c, r, r->settings.exit_when, NULL, "/settings/exit_when");
    for (int i = 0; i < r->program.n; i++) {
        const struct step *s = &r->program.steps[i];

        lint_condition(c, r, s->condition, s, s->pointer);
        lint_condition(c, r, s->list, s, s->pointer);
        lint_condition(c, r, s->wait.where, s, s->pointer);
        if (s->type == ACTION_BRANCH)
            lint_branch(c, s);
        if (s->type == ACTION_WAIT)
            lint_wait(c, r, s);
        lint_loop(c, r, s);
        rule_lint_templates(c, r, s);
    }
}
