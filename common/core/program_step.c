/* program_step: see program_step.h. What a control action takes may stand in the action itself ({"type": "wait", "until": …}) or, as
 * for the others, in "params"; not in both. */
#include "common/core/program_step.h"

#define KEYS(array) (array), sizeof(array) / sizeof((array)[0])

static bool is_word_char(char ch, bool first)
{
    if ((ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') || ch == '_')
        return true;
    return !first && ch >= '0' && ch <= '9';
}

static const char *read_id(struct rule_check *c, const json_t *action, const char *at)
{
    const json_t *v = json_object_get(action, "id");
    const char *id = json_string_value(v);
    bool good = id != NULL && json_string_length(v) >= 1 && json_string_length(v) <= PROGRAM_STEP_ID_MAX;
    char shown[RULE_CHECK_SHOW_SIZE];

    for (size_t i = 0; good && i < json_string_length(v); i++)
        good = is_word_char(id[i], i == 0);
    if (v == NULL || good)
        return id == NULL ? NULL : arena_strdup(c->arena, id);
    rule_check_error(c, at, "id", "found %s; it must be 1 to %d letters, digits and _, not beginning with a digit",
                     rule_check_show(v, shown), PROGRAM_STEP_ID_MAX);
    return NULL;
}

static bool read_bool(struct rule_check *c, const json_t *action, const char *at, const char *key)
{
    const json_t *v = json_object_get(action, key);

    if (v != NULL && !json_is_boolean(v))
        rule_check_error(c, at, key, "must be true or false");
    return json_is_true(v);
}

static void read_until_event(struct rule_check *c, const json_t *until, const char *at, struct wait_spec *w)
{
    static const char *const keys[] = {"event", "where", "timeout"};

    w->kind = WAIT_EVENT;
    rule_check_keys(c, until, at, KEYS(keys));
    w->event_type = rule_check_event_type(c, until, at, "event");
    w->where = rule_check_condition(c, until, at, "where", true);
    rule_check_offset(c, until, at, "timeout", true, SIGN_POSITIVE, &w->duration);
}

static void read_until(struct rule_check *c, const json_t *until, const char *at, struct wait_spec *w)
{
    static const char *const time_keys[] = {"time"};
    static const char *const milestone_keys[] = {"milestone", "offset", "at"};

    if (json_object_get(until, "event") != NULL) {
        read_until_event(c, until, at, w);
    } else if (json_object_get(until, "milestone") != NULL) {
        w->kind = WAIT_MILESTONE;
        rule_check_keys(c, until, at, KEYS(milestone_keys));
        rule_check_anchor(c, until, at, &w->milestone, &w->offset, &w->at_minute);
    } else if (json_object_get(until, "time") != NULL) {
        w->kind = WAIT_TIME;
        rule_check_keys(c, until, at, KEYS(time_keys));
        w->at_minute = rule_check_minute(c, until, at, "time", false, -1);
    } else {
        rule_check_error(c, at, NULL, "must have one of \"time\", \"milestone\" or \"event\"");
    }
}

static void read_wait(struct rule_check *c, const json_t *spec, const char *at, struct wait_spec *w)
{
    const json_t *until;

    if ((json_object_get(spec, "for") == NULL) == (json_object_get(spec, "until") == NULL)) {
        rule_check_error(c, at, NULL, "a wait must have either \"for\" (a duration) or \"until\" (an object)");
        return;
    }
    if (json_object_get(spec, "for") != NULL) {
        w->kind = WAIT_DURATION;
        rule_check_offset(c, spec, at, "for", true, SIGN_POSITIVE, &w->duration);
        return;
    }
    until = rule_check_object(c, spec, at, "until", true);
    if (until != NULL)
        read_until(c, until, rule_check_join(c, at, "until"), w);
}

static void read_control(struct rule_check *c, struct step *s, const json_t *spec, const char *at)
{
    struct rule_check_text reason = {.min = 1, .max = RULE_NAME_MAX_BYTES};

    if (s->type == ACTION_WAIT)
        read_wait(c, spec, at, &s->wait);
    if (s->type == ACTION_FOR_EACH) {
        if (json_object_get(spec, "list") == NULL)
            rule_check_error(c, at, "list", "missing; it must be an expression such as {\"var\": \"vendors\"}");
        s->list = rule_check_condition(c, spec, at, "list", false);
    }
    if (s->type == ACTION_STOP)
        (void)rule_check_string(c, spec, at, "reason", &reason);
    if (s->type != ACTION_BRANCH)
        return;
    if (json_object_get(spec, "if") == NULL)
        rule_check_error(c, at, "if", "missing; it must be a condition");
    s->condition = rule_check_condition(c, spec, at, "if", false);
}

/* Keys a control action has of its own; *n = 0 for the others. */
static const char *const *control_keys(enum action_type type, size_t *n)
{
    static const char *const wait[] = {"for", "until"};
    static const char *const branch[] = {"if", "then", "else"};
    static const char *const each[] = {"list", "do"};
    static const char *const stop[] = {"reason"};
    static const char *const none[] = {""};
    static const struct {
        enum action_type type;
        const char *const *keys;
        size_t n;
    } rows[] = {{ACTION_WAIT, wait, 2}, {ACTION_BRANCH, branch, 3}, {ACTION_FOR_EACH, each, 2}, {ACTION_STOP, stop, 1}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].type == type) {
            *n = rows[i].n;
            return rows[i].keys;
        }
    }
    *n = 0;
    return none;
}

static void check_action_keys(struct rule_check *c, const json_t *action, const char *at, const char *const *own,
                              size_t n)
{
    enum { COMMON = 5, OWN_MAX = 3 };
    const char *keys[COMMON + OWN_MAX] = {"id", "type", "params", "requires_approval", "urgent"};

    for (size_t i = 0; i < n; i++)
        keys[COMMON + i] = own[i];
    rule_check_keys(c, action, at, keys, COMMON + n);
}

/* Branches and for_each hold whole lists and waits are compiled, so none of them keeps its JSON. */
static void keep_params(struct step *s, const json_t *spec)
{
    if (s->type != ACTION_BRANCH && s->type != ACTION_FOR_EACH && s->type != ACTION_WAIT && spec != NULL)
        s->params = json_incref((json_t *)(uintptr_t)spec);
}

bool program_step_read(struct rule_check *c, struct step *s, const json_t *action)
{
    const json_t *spec;
    const char *const *own;
    const char *at = s->pointer, *spec_at = s->pointer;
    char shown[RULE_CHECK_SHOW_SIZE];
    size_t n;
    int type;

    if (!json_is_object(action)) {
        rule_check_error(c, at, NULL, "found %s; an action is an object", rule_check_show(action, shown));
        return false;
    }
    s->id = read_id(c, action, at);
    s->requires_approval = read_bool(c, action, at, "requires_approval");
    s->urgent = read_bool(c, action, at, "urgent");
    type = rule_check_word(c, action, at, "type", VOCAB_ACTION, -1);
    if (type < 0)
        return false;
    s->type = (enum action_type)type;
    if (s->requires_approval && vocab_action_effect(s->type) == EFFECT_CONTROL)
        rule_check_error(c, at, "requires_approval", "not available for \"%s\": there is nothing to approve",
                         vocab_text(VOCAB_ACTION, type));
    own = control_keys(s->type, &n);
    spec = rule_check_object(c, action, at, "params", n == 0);
    check_action_keys(c, action, at, own, spec == NULL ? n : 0);
    if (spec != NULL)
        spec_at = rule_check_join(c, at, "params");
    if (n == 0 && spec != NULL)
        rule_params_check(c, s->type, spec, spec_at);
    if (n > 0 && spec != NULL)
        rule_check_keys(c, spec, spec_at, own, n);
    if (n > 0)
        read_control(c, s, spec != NULL ? spec : action, spec_at);
    keep_params(s, n > 0 && spec == NULL ? action : spec);
    return true;
}
