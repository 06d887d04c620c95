/* explain: see explain.h.
 *
 * Which steps a run comes by: a branch that is decided has one way, the others two. A step is taken when every way from the
 * first step leads through it, not taken when none does. Steps lead forward only, so one pass from the last to the first is
 * enough for each. */
#include "common/core/explain.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/core/each.h"
#include "common/core/vocab.h"

struct nodes {
    json_t *list;
    const char *at;
};

const char *explain_truth_text(enum logic_truth truth)
{
    switch (truth) {
    case LOGIC_FALSE: return "false";
    case LOGIC_TRUE: return "true";
    case LOGIC_UNKNOWN: return "unknown";
    }
    return "unknown";
}

static json_t *kept(const json_t *value)
{
    return value != NULL ? json_deep_copy(value) : json_null();
}

static void on_node(void *ctx, const struct logic_trace *node)
{
    struct nodes *nodes = ctx;
    char reason[LOGIC_REASON_SIZE], pointer[LOGIC_POINTER_SIZE * 2];
    json_t *operands = json_array();

    for (size_t i = 0; i < node->n_operands; i++)
        json_array_append_new(operands, kept(node->operands[i]));
    snprintf(pointer, sizeof(pointer), "%s%s", nodes->at, node->pointer);
    json_t *item = json_pack("{s:s,s:s,s:i,s:b,s:s?,s:s,s:s?,s:o,s:o}", "pointer", pointer, "op", node->op, "depth",
                             (int)node->depth, "condition", node->is_condition, "truth",
                             node->is_condition ? explain_truth_text(node->truth) : NULL, "reason",
                             logic_reason_text(&node->reason, reason), "field", node->field, "value", kept(node->value),
                             "operands", operands);
    json_array_append_new(nodes->list, item);
}

static json_t *explained(const struct logic *logic, struct logic_facts *facts, const char *at, enum logic_truth *truth)
{
    struct nodes nodes = {.list = json_array(), .at = at};
    struct logic_reason why = {0};
    char reason[LOGIC_REASON_SIZE];

    *truth = logic != NULL ? logic_explain(logic, facts, on_node, &nodes, &why) : LOGIC_TRUE;
    return json_pack("{s:s,s:s,s:o}", "truth", explain_truth_text(*truth), "reason", logic_reason_text(&why, reason),
                     "nodes", nodes.list);
}

json_t *explain_conditions(const struct logic *logic, struct logic_facts *facts, const char *at)
{
    enum logic_truth truth;

    return explained(logic, facts, at, &truth);
}

/* ---- steps -------------------------------------------------------------------------------------------------------------- */

struct ways {
    int next[2]; /* the same twice when there is one way */
};

struct walk {
    const struct program *program;
    struct ways ways[PROGRAM_STEPS_MAX];
};

static bool reaches(const struct walk *w, const bool *from, int next)
{
    return next > PROGRAM_END && next < w->program->n && from[next];
}

/* Does every way (or: any way) from the first step come by `target`? */
static bool leads_to(const struct walk *w, int target, bool every)
{
    bool from[PROGRAM_STEPS_MAX] = {false};

    for (int i = target; i >= 0; i--) {
        bool a = reaches(w, from, w->ways[i].next[0]);
        bool b = reaches(w, from, w->ways[i].next[1]);
        from[i] = i == target || (every ? a && b : a || b);
    }
    return from[0];
}

static const char *path_of(const struct walk *w, int target)
{
    if (!leads_to(w, target, false))
        return "not_taken";
    return leads_to(w, target, true) ? "taken" : "undecided";
}

static bool asks_for(const struct logic *logic, const struct logic_fields *fields, enum field_root root)
{
    const char *name = vocab_text(VOCAB_ROOT, (int)root);
    size_t n, length = strlen(name);
    const uint32_t *slots = logic_slots(logic, &n);

    for (size_t i = 0; i < n; i++) {
        const char *path = logic_fields_path(fields, slots[i]);
        if (strncmp(path, name, length) == 0 && (path[length] == '.' || path[length] == '\0'))
            return true;
    }
    return (logic_needs(logic) & LOGIC_NEEDS_ANY_FIELD) != 0;
}

struct steps {
    const struct rule *rule;
    struct logic_facts *facts;
    const struct logic_fields *fields;
    json_t *context; /* "item" comes and goes with the for_each around a step */
    struct walk walk;
};

static const char *way_text(bool decided, bool taken)
{
    if (!decided)
        return "undecided";
    return taken ? "taken" : "not_taken";
}

static void put_branch(struct steps *s, const struct step *step, json_t *out)
{
    char at[LOGIC_POINTER_SIZE];
    enum logic_truth truth;

    snprintf(at, sizeof(at), "%s/if", step->pointer);
    json_object_set_new(out, "condition", explained(step->condition, s->facts, at, &truth));
    bool decided = !asks_for(step->condition, s->fields, ROOT_STEPS);
    bool yes = program_next(step, truth) == step->next_true && truth == LOGIC_TRUE;
    int a = decided ? program_next(step, truth) : step->next_true;
    int b = decided ? a : step->next_false;
    s->walk.ways[step->index] =
        (struct ways){{program_ahead(s->walk.program, step->index, a), program_ahead(s->walk.program, step->index, b)}};
    json_object_set_new(out, "ways",
                        json_pack("{s:s,s:s}", "then", way_text(decided, yes), "else", way_text(decided, !yes)));
}

/* With the list as it is now: whether there is an item decides the ways; the steps are told for the first one. */
static void put_each(struct steps *s, const struct step *step, json_t *out)
{
    struct logic_reason why = {0};
    struct err_info info = {0};
    bool more = false, decided = !asks_for(step->list, s->fields, ROOT_STEPS);
    json_t *list = logic_value(step->list, s->facts, &why, NULL);
    json_t *state = each_step(step, NULL, list, &more, &info);
    int yes = decided && !more ? step->next_false : step->next_true;
    int no = decided && more ? step->next_true : step->next_false;

    s->walk.ways[step->index] = (struct ways){{yes, no}};
    json_object_set_new(out, "items",
                        decided && state != NULL ? json_integer((json_int_t)json_array_size(list)) : json_null());
    if (decided && state == NULL)
        json_object_set_new(out, "refused", json_string(info.text));
    json_object_del(s->context, "item");
    if (more)
        json_object_set(s->context, "item", json_array_get(list, 0));
    logic_facts_forget(s->facts);
    json_decref(state);
    json_decref(list);
}

static json_t *step_json(struct steps *s, const struct step *step)
{
    json_t *out = json_pack("{s:s,s:i,s:s,s:s}", "id", step->id, "index", step->index, "type",
                            vocab_text(VOCAB_ACTION, (int)step->type), "pointer", step->pointer);
    int next = program_ahead(s->walk.program, step->index, step->next);
    json_t *params;

    if (step->loop == PROGRAM_END)
        json_object_del(s->context, "item");
    params = explain_params(step, s->context);
    s->walk.ways[step->index] = (struct ways){{next, next}};
    if (step->type == ACTION_BRANCH)
        put_branch(s, step, out);
    if (step->type == ACTION_FOR_EACH)
        put_each(s, step, out);
    json_object_update(out, params);
    json_decref(params);
    return out;
}

json_t *explain_steps(const struct rule *rule, struct logic_facts *facts, const struct logic_fields *fields,
                      json_t *context)
{
    const struct program *p = &rule->program;
    struct steps s = {.rule = rule, .facts = facts, .fields = fields, .context = context, .walk = {.program = p}};
    json_t *out = json_array();

    assert(p->n <= PROGRAM_STEPS_MAX);
    for (int i = 0; i < p->n; i++)
        json_array_append_new(out, step_json(&s, &p->steps[i]));
    for (int i = 0; i < p->n; i++)
        json_object_set_new(json_array_get(out, (size_t)i), "path", json_string(path_of(&s.walk, i)));
    return out;
}

/* ---- loops -------------------------------------------------------------------------------------------------------------- */

/* The event that a step's effect publishes (triggers on weddings, emit_event), or NULL. */
static const char *event_of(const struct step *step)
{
    const char *path;

    if (step->type == ACTION_EMIT_EVENT)
        return json_string_value(json_object_get(step->params, "type"));
    if (step->type == ACTION_MOVE_STAGE)
        return "stage.changed";
    if (step->type != ACTION_SET_FIELD)
        return NULL;
    path = json_string_value(json_object_get(step->params, "path"));
    if (path != NULL && strcmp(path, "wedding.guest_count") == 0)
        return "guest_count.changed";
    return path != NULL && strcmp(path, "wedding.stage") == 0 ? "stage.changed" : NULL;
}

const struct step *explain_self_trigger(const struct rule *rule)
{
    if (rule->trigger.type != TRIGGER_EVENT)
        return NULL;
    for (int i = 0; i < rule->program.n; i++) {
        const char *event = event_of(&rule->program.steps[i]);
        if (event != NULL && strcmp(event, rule->trigger.event_type) == 0)
            return &rule->program.steps[i];
    }
    return NULL;
}
