/* rule_lint_chain: see rule_lint_chain.h. A breadth-first search from the rule over the rules that it may start; the first way back is
 * a shortest one. Nothing fails: a message that is too long is cut. */
#include "common/core/rule_lint_chain.h"

#include <string.h>

#include "common/base/buf.h"
#include "common/core/rule_check.h"

/* How the search came to a rule. */
struct reached {
    size_t from;
    const struct step *by; /* NULL: not reached */
};

struct search {
    const struct rule_lint_peer *rules;
    size_t n;
    size_t self;
    const struct logic_fields *fields;
    struct reached *reached;
    size_t *queue; /* rules in the order in which they were reached; the first is self */
    size_t queued;
};

static const char *param(const struct step *s, const char *key)
{
    return json_string_value(json_object_get(s->params, key));
}

/* The event that a step publishes, or NULL. */
static const char *event_of(const struct step *s)
{
    return s->type == ACTION_EMIT_EVENT ? param(s, "type") : rule_lint_change(s);
}

/* What the event says under `key`, as far as the step has it written out; NULL: known when it runs. */
static const json_t *told(const struct step *s, const char *key)
{
    const json_t *v = NULL;

    if (s->type == ACTION_EMIT_EVENT)
        v = json_object_get(json_object_get(s->params, "payload"), key);
    else if (strcmp(key, "to") == 0)
        v = json_object_get(s->params, s->type == ACTION_MOVE_STAGE ? "stage" : "value");
    if (json_is_string(v) && strstr(json_string_value(v), "{{") != NULL)
        return NULL;
    return v;
}

static bool is_among(const json_t *v, const struct logic_leaf *leaf)
{
    struct logic_scalar found = {.type = LOGIC_STRING};
    bool among = false;

    if (json_is_string(v))
        found.u.s = (struct str){json_string_value(v), json_string_length(v)};
    else if (json_is_integer(v))
        found = (struct logic_scalar){.type = LOGIC_INT, .u.i = json_integer_value(v)};
    else
        return true;
    for (uint32_t i = 0; i < leaf->n_values; i++)
        among = among || logic_scalar_eq(&found, &leaf->values[i]);
    return among;
}

/* False when the rule's conditions ask for a value of the event that is not the one published. */
static bool may_match(const struct search *x, const struct rule *to, const struct step *s)
{
    static const char event[] = "event.";
    const struct logic_leaf *leaves;
    size_t n = 0;

    if (to->conditions == NULL)
        return true;
    leaves = logic_leaves(to->conditions, &n);
    for (size_t i = 0; i < n; i++) {
        const char *path = logic_fields_path(x->fields, leaves[i].slot);
        const json_t *v = str_starts(str_of(path), event) ? told(s, path + sizeof(event) - 1) : NULL;

        if (v != NULL && !is_among(v, &leaves[i]))
            return false;
    }
    return true;
}

static bool starts(const struct search *x, const struct step *s, size_t to)
{
    const struct rule_lint_peer *peer = &x->rules[to];
    const char *event = event_of(s), *trigger = peer->rule->trigger.event_type;
    const char *named = s->type == ACTION_START_RULE ? param(s, "rule") : NULL;
    struct id id;

    if (named != NULL)
        return peer->id != NULL && id_parse(str_of(named), &id) == ERR_OK && id_eq(&id, peer->id);
    return event != NULL && trigger != NULL && strcmp(event, trigger) == 0 && may_match(x, peer->rule, s);
}

static void say(struct buf *out, const struct rule *r, const struct step *s)
{
    buf_printf(out, "\"%s\" ", r->name);
    if (s->type == ACTION_START_RULE)
        buf_printf(out, "starts ");
    else if (s->type == ACTION_EMIT_EVENT)
        buf_printf(out, "emits \"%s\" \xe2\x86\x92 ", event_of(s));
    else
        buf_printf(out, "publishes \"%s\" by %s \xe2\x86\x92 ", event_of(s), vocab_text(VOCAB_ACTION, (int)s->type));
}

/* The way to `last` is known backwards only: recursion turns it round, as deep as the chain is long. */
static void say_way(const struct search *x, struct buf *out, size_t last, const struct step *by)
{
    if (last != x->self)
        say_way(x, out, x->reached[last].from, x->reached[last].by);
    say(out, x->rules[last].rule, by);
}

static void report(const struct search *x, size_t last, const struct step *by, struct rule_errors *errors)
{
    const struct step *first = by;
    struct buf text = {0};

    for (size_t at = last; at != x->self; at = x->reached[at].from)
        first = x->reached[at].by;
    say_way(x, &text, last, by);
    rule_errors_warn(errors, first->pointer, "may start this rule again: %s\"%s\"", buf_text(&text),
                     x->rules[x->self].rule->name);
    buf_free(&text);
}

/* A rule that starts itself by an event needs no others to be seen. */
static bool is_told_elsewhere(const struct search *x, size_t from, const struct step *s)
{
    return from == x->self && s->type != ACTION_START_RULE;
}

/* Goes on from one rule by one step; the way back to self when it is one. */
static bool follow(struct search *x, size_t from, const struct step *s)
{
    if (event_of(s) == NULL && s->type != ACTION_START_RULE)
        return false;
    if (!is_told_elsewhere(x, from, s) && starts(x, s, x->self))
        return true;
    for (size_t to = 0; to < x->n; to++) {
        if (to == x->self || x->reached[to].by != NULL || !starts(x, s, to))
            continue;
        x->reached[to] = (struct reached){from, s};
        x->queue[x->queued++] = to;
    }
    return false;
}

bool rule_lint_chain_possible(const struct rule *r)
{
    bool possible = false;

    for (int i = 0; i < r->program.n && r->trigger.type != TRIGGER_MILESTONE; i++) {
        const struct step *s = &r->program.steps[i];

        possible = possible || s->type == ACTION_START_RULE || event_of(s) != NULL;
    }
    return possible;
}

void rule_lint_chain(const struct rule_lint_peer *rules, size_t n, size_t self, const struct logic_fields *fields,
                     struct rule_errors *errors)
{
    struct search x = {.rules = rules, .n = n, .self = self, .fields = fields, .queued = 1};
    bool found = false;

    x.reached = mem_zalloc(n * sizeof(*x.reached));
    x.queue = mem_zalloc(n * sizeof(*x.queue));
    x.queue[0] = self;
    for (size_t q = 0; q < x.queued && !found; q++) {
        const struct program *p = &rules[x.queue[q]].rule->program;

        for (int i = 0; i < p->n && !found; i++) {
            found = follow(&x, x.queue[q], &p->steps[i]);
            if (found)
                report(&x, x.queue[q], &p->steps[i], errors);
        }
    }
    mem_free(x.queue);
    mem_free(x.reached);
}
