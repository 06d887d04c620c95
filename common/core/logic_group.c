/* logic_group: and, or, !, !!, if, presence, ??, try, throw: operators that decide what is evaluated.
 *
 * Strict mode follows Kleene: false decides an `and`, true an `or`, whatever is unknown beside it; otherwise the first
 * reason met is the result's. Failure: what an operand fails with. */
#include "common/core/logic_priv.h"

struct value logic_condition(struct logic_run *r, const struct logic_node *n, uint32_t i)
{
    struct value v = logic_operand(r, n, i);

    if (v.type == VALUE_BOOL || logic_stops(v))
        return v;
    if (!r->exact)
        return value_bool(value_truthy(v, r->logic->certlogic));
    if (v.type == VALUE_NULL)
        return logic_unknown_of(v);
    return logic_unknown(r, LOGIC_WHY_TYPE_MISMATCH, n, logic_path_of(r, n->first + i));
}

/* `and` is decided by false, `or` by true. */
static struct value kleene(struct logic_run *r, const struct logic_node *n, bool decider)
{
    struct value result = value_bool(!decider);

    for (uint32_t i = 0; i < n->n; i++) {
        struct value v = logic_condition(r, n, i);
        if (v.type == VALUE_FAILED || (v.type == VALUE_BOOL && v.u.b == decider))
            return v;
        if (v.type == VALUE_UNKNOWN && result.type == VALUE_BOOL)
            result = v;
    }
    return result;
}

struct value logic_and(struct logic_run *r, const struct logic_node *n)
{
    return kleene(r, n, false);
}

struct value logic_or(struct logic_run *r, const struct logic_node *n)
{
    return kleene(r, n, true);
}

struct value logic_not(struct logic_run *r, const struct logic_node *n)
{
    struct value v = logic_condition(r, n, 0);

    if (v.type == VALUE_BOOL)
        v.u.b = !v.u.b;
    return v;
}

struct value logic_truthy(struct logic_run *r, const struct logic_node *n)
{
    struct value v = logic_operand(r, n, 0);

    if (logic_stops(v))
        return v;
    return v.type == VALUE_NULL ? logic_unknown_of(v) : value_bool(value_truthy(v, false));
}

static struct value if_from(struct logic_run *r, const struct logic_node *n)
{
    uint32_t i = 0;

    for (; i + 1 < n->n; i += 2) {
        struct value v = logic_condition(r, n, i);
        if (logic_stops(v))
            return v;
        if (v.u.b)
            return logic_operand(r, n, i + 1);
    }
    return i < n->n ? logic_operand(r, n, i) : value_null();
}

struct value logic_if(struct logic_run *r, const struct logic_node *n)
{
    return if_from(r, n);
}

struct value js_if(struct logic_run *r, const struct logic_node *n)
{
    return if_from(r, n);
}

/* JavaScript returns the deciding operand itself, the last one otherwise, undefined without operands. */
static struct value js_group(struct logic_run *r, const struct logic_node *n, bool decider)
{
    struct value v = value_undefined();

    for (uint32_t i = 0; i < n->n; i++) {
        v = logic_node_value(r, n->first + i);
        if (logic_stops(v) || value_truthy(v, r->logic->certlogic) == decider)
            return v;
    }
    return v;
}

struct value js_and(struct logic_run *r, const struct logic_node *n)
{
    return js_group(r, n, false);
}

struct value js_or(struct logic_run *r, const struct logic_node *n)
{
    return js_group(r, n, true);
}

/* Operands beyond the first are evaluated, as JavaScript does, and forgotten. */
static struct value first_of_all(struct logic_run *r, const struct logic_node *n)
{
    struct value first = value_undefined();

    for (uint32_t i = 0; i < n->n; i++) {
        struct value v = logic_node_value(r, n->first + i);
        if (logic_stops(v))
            return v;
        if (i == 0)
            first = v;
    }
    return first;
}

struct value js_not(struct logic_run *r, const struct logic_node *n)
{
    struct value v = first_of_all(r, n);

    return logic_stops(v) ? v : value_bool(!value_truthy(v, r->logic->certlogic));
}

struct value js_truthy(struct logic_run *r, const struct logic_node *n)
{
    struct value v = first_of_all(r, n);

    return logic_stops(v) ? v : value_bool(value_truthy(v, r->logic->certlogic));
}

struct value logic_absent(struct logic_run *r, const struct logic_node *n)
{
    struct value v = logic_operand(r, n, 0);

    return logic_stops(v) ? v : value_bool(v.type == VALUE_NULL);
}

struct value logic_present(struct logic_run *r, const struct logic_node *n)
{
    struct value v = logic_operand(r, n, 0);

    return logic_stops(v) ? v : value_bool(v.type != VALUE_NULL);
}

struct value logic_coalesce(struct logic_run *r, const struct logic_node *n)
{
    struct value v = value_null();

    for (uint32_t i = 0; i < n->n; i++) {
        v = logic_node_value(r, n->first + i);
        if (!value_is_nil(v))
            return v;
    }
    return v;
}

struct value logic_log(struct logic_run *r, const struct logic_node *n)
{
    return first_of_all(r, n);
}

/* Bounds are not for the rule to catch. */
static bool catchable(const struct logic_run *r, struct value v)
{
    uint32_t why = v.type == VALUE_FAILED ? r->failed.why : v.u.why.why;

    if (v.type == VALUE_UNKNOWN)
        return why == LOGIC_WHY_NOT_A_NUMBER;
    return v.type == VALUE_FAILED && (why == LOGIC_WHY_THROWN || why == LOGIC_WHY_NOT_A_NUMBER ||
                                      why == LOGIC_WHY_OPERATOR || why == LOGIC_WHY_ARGUMENTS);
}

/* Each operand after the first sees what the one before it failed with. */
struct value logic_try(struct logic_run *r, const struct logic_node *n)
{
    struct value v = value_null();
    struct logic_scope scope = {.outer = r->scope};

    for (uint32_t i = 0; i < n->n; i++) {
        r->trying++;
        r->scope = i == 0 ? scope.outer : &scope;
        v = logic_node_value(r, n->first + i);
        r->scope = scope.outer;
        r->trying--;
        if (!catchable(r, v))
            return v;
        if (v.type == VALUE_UNKNOWN)
            v = logic_no_number(r, n);
        scope.item = r->thrown;
    }
    return v;
}

struct value logic_throw(struct logic_run *r, const struct logic_node *n)
{
    struct value v = logic_operand(r, n, 0);
    struct value failure;
    struct value_record *record;
    struct str type;

    if (logic_stops(v))
        return v;
    if (v.type == VALUE_OBJECT || v.type == VALUE_RECORD) {
        failure = logic_fail(r, LOGIC_WHY_THROWN, n);
        r->thrown = v;
        return failure;
    }
    if (!logic_js_text(r, n, v, &type, &failure) || (record = logic_record_new(r, n, &failure)) == NULL)
        return failure;
    logic_record_add(record, "type", value_str(type));
    failure = logic_fail(r, LOGIC_WHY_THROWN, n);
    r->thrown = (struct value){.type = VALUE_RECORD, .u.record = record};
    return failure;
}
