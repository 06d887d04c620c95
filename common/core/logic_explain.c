/* logic_explain: a rule node by node, for people.
 *
 * Every operator outside iterators is evaluated by itself, parents before their children, with its operands' values;
 * nothing is short-circuited, so the same operand is evaluated more than once: rules are small. Failure: a node that
 * fails is reported unknown with its reason; memory for JSON aborts no one, values are then NULL. */
#include "common/core/logic_priv.h"

struct explain {
    const struct logic *logic;
    struct logic_facts *facts;
    void (*on_node)(void *ctx, const struct logic_trace *node);
    void *ctx;
};

static json_t *value_json(struct value v, struct logic_run *r)
{
    if (logic_stops(v) || (v.type == VALUE_NULL && v.u.why.why != LOGIC_WHY_NONE))
        return NULL;
    return value_to_json(v, &r->budget);
}

static json_t *json_of(const struct explain *e, uint32_t node)
{
    struct logic_run r;
    struct value v = logic_run_node(&r, e->logic, e->facts, node);

    return value_json(v, &r);
}

static bool is_null_test(const struct logic_node *n)
{
    return n->op == OP_ABSENT || n->op == OP_PRESENT;
}

/* The operands that can be evaluated outside any item. */
static uint32_t outer_operands(const struct logic_node *n)
{
    bool inner = logic_rows[n->op].flags & OP_ITERATOR || n->op == OP_TRY;

    return inner && n->n > 1 ? 1 : n->n;
}

static uint32_t operands_json(const struct explain *e, const struct logic_node *n, json_t **out)
{
    uint32_t count = outer_operands(n);

    for (uint32_t i = 0; i < count; i++)
        out[i] = json_of(e, n->first + i);
    if (!is_null_test(n))
        return count;
    if (e->logic->places[n->first].index == 0) {
        out[1] = json_null();
    } else {
        out[1] = out[0];
        out[0] = json_null();
    }
    return 2;
}

static void set_unknown(struct logic_trace *t, const struct logic_run *r, struct value v)
{
    struct value_why why = v.type == VALUE_FAILED ? r->failed : v.u.why;

    if (v.type == VALUE_NULL || logic_stops(v))
        t->reason = (struct logic_reason){.why = (enum logic_why)why.why, .node = why.node, .path = why.path};
}

static void report(const struct explain *e, uint32_t node, unsigned depth)
{
    const struct logic_node *n = &e->logic->nodes[node];
    bool field = n->op == OP_FIELD || n->op == OP_ITEM;
    char pointer[LOGIC_POINTER_SIZE];
    struct logic_trace t = {.depth = depth, .op = logic_rows[n->written].name};
    json_t **operands = mem_zalloc((outer_operands(n) + 2) * sizeof(json_t *));
    struct logic_run r;

    t.pointer = logic_pointer(e->logic, node, pointer);
    t.n_operands = operands_json(e, n, operands);
    t.operands = (const json_t *const *)operands;
    struct value v = logic_run_node(&r, e->logic, e->facts, node);
    t.is_condition = node == 0 || logic_rows[n->op].flags & OP_CONDITION;
    t.truth = logic_truth_of(&r, v, &t.reason);
    if (!t.is_condition)
        t.reason = (struct logic_reason){0};
    set_unknown(&t, &r, v);
    json_t *json = value_json(v, &r);
    t.value = json;
    t.field = field ? logic_fields_path(e->logic->fields, n->arg) : NULL;
    e->on_node(e->ctx, &t);
    json_decref(json);
    for (size_t i = 0; i < t.n_operands; i++)
        json_decref(operands[i]);
    mem_free(operands);
}

/* The compiler has bounded the depth. */
static void walk(const struct explain *e, uint32_t node, unsigned depth)
{
    const struct logic_node *n = &e->logic->nodes[node];
    bool silent = n->op == OP_CONST || n->op == OP_LIST;

    if (!silent || node == 0)
        report(e, node, depth);
    for (uint32_t i = 0; i < outer_operands(n); i++)
        walk(e, n->first + i, silent && node != 0 ? depth : depth + 1);
}

enum logic_truth logic_explain(const struct logic *logic, struct logic_facts *facts,
                               void (*on_node)(void *ctx, const struct logic_trace *node), void *ctx,
                               struct logic_reason *reason)
{
    struct explain e = {.logic = logic, .facts = facts, .on_node = on_node, .ctx = ctx};

    walk(&e, 0, 0);
    return logic_eval(logic, facts, reason);
}
