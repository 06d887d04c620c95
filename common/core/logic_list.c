/* logic_list: operators over lists: all, some, none, filter, map, reduce, merge.
 *
 * The second operand is evaluated once per item with the item as its scope. Strict mode: a list that is missing makes
 * the result unknown. jsonlogic mode: what is no list counts as an empty one; to ask all, some or none of its items is
 * an error inside `try`. Failure: the bounds on budget and made lists. */
#include "common/core/logic_priv.h"

/* The first operand; *v is the list, or *out the result without one. `empty` is the result for no list in jsonlogic
 * mode. */
static bool take_list(struct logic_run *r, const struct logic_node *n, struct value *v, struct value *out,
                      struct value empty)
{
    *v = logic_operand(r, n, 0);
    *out = *v;
    if (logic_stops(*v))
        return false;
    if (value_is_list(*v))
        return true;
    if (!r->exact && r->trying > 0 && empty.type == VALUE_BOOL)
        *out = logic_lacks(r, n);
    else if (!r->exact)
        *out = empty;
    else if (v->type == VALUE_NULL)
        *out = logic_unknown_of(*v);
    else
        *out = logic_mismatch(r, n);
    return false;
}

static void enter(struct logic_run *r, struct logic_scope *scope)
{
    *scope = (struct logic_scope){.outer = r->scope};
    r->scope = scope;
}

static void leave(struct logic_run *r, const struct logic_scope *scope)
{
    r->scope = scope->outer;
}

static bool next_item(struct logic_run *r, const struct logic_node *n, struct logic_scope *scope, struct value list,
                      size_t i, struct value *failure)
{
    if (!logic_spend(r, n, failure))
        return false;
    scope->item = value_at(list, i, r->exact);
    scope->index = i;
    return true;
}

struct quantifier {
    bool decider; /* the item's truth that ends the search */
    bool decided; /* the result then */
    bool empty;   /* the result without items */
};

static struct value quantify(struct logic_run *r, const struct logic_node *n, struct quantifier q)
{
    struct logic_scope scope;
    struct value list;
    struct value result;

    if (!take_list(r, n, &list, &result, value_bool(q.empty)))
        return result;
    size_t len = value_length(list);
    if (len == 0)
        return value_bool(q.empty);
    result = value_bool(!q.decided);
    enter(r, &scope);
    for (size_t i = 0; i < len; i++) {
        struct value v = result;
        if (next_item(r, n, &scope, list, i, &v))
            v = logic_condition(r, n, 1);
        if (v.type == VALUE_UNKNOWN && result.type == VALUE_BOOL)
            result = v;
        if (v.type == VALUE_FAILED || (v.type == VALUE_BOOL && v.u.b == q.decider)) {
            result = v.type == VALUE_FAILED ? v : value_bool(q.decided);
            break;
        }
    }
    leave(r, &scope);
    return result;
}

struct value logic_all(struct logic_run *r, const struct logic_node *n)
{
    return quantify(r, n, (struct quantifier){.decider = false, .decided = false, .empty = false});
}

struct value logic_some(struct logic_run *r, const struct logic_node *n)
{
    return quantify(r, n, (struct quantifier){.decider = true, .decided = true, .empty = false});
}

struct value logic_none(struct logic_run *r, const struct logic_node *n)
{
    return quantify(r, n, (struct quantifier){.decider = true, .decided = false, .empty = true});
}

static struct value empty_list(struct logic_run *r, const struct logic_node *n)
{
    struct value failure;
    struct value_list *list = logic_list_new(r, n, 0, &failure);

    return list != NULL ? logic_list_done(list) : failure;
}

/* One item of filter; a count over items that may or may not be in can not be trusted, so unknown ends it. */
static bool filter_item(struct logic_run *r, const struct logic_node *n, struct value item, struct value_list *out,
                        struct value *stop)
{
    struct value v = logic_condition(r, n, 1);

    if (logic_stops(v)) {
        *stop = v;
        return false;
    }
    if (v.u.b)
        logic_list_set(out, out->n++, item);
    return true;
}

/* One item of map; what is unknown becomes a null that remembers why. */
static bool map_item(struct logic_run *r, const struct logic_node *n, struct value_list *out, struct value *stop)
{
    struct value v = logic_operand(r, n, 1);

    if (v.type == VALUE_FAILED) {
        *stop = v;
        return false;
    }
    if (v.type == VALUE_UNKNOWN)
        v.type = VALUE_NULL;
    logic_list_set(out, out->n++, v);
    return true;
}

static struct value make_list(struct logic_run *r, const struct logic_node *n, bool filtering)
{
    struct logic_scope scope;
    struct value list;
    struct value result;
    struct value stop = value_null();

    if (!take_list(r, n, &list, &result, value_undefined()))
        return result.type == VALUE_UNDEFINED ? empty_list(r, n) : result;
    size_t len = value_length(list);
    struct value_list *out = logic_list_new(r, n, len, &stop);
    if (out == NULL)
        return stop;
    out->n = 0;
    enter(r, &scope);
    for (size_t i = 0; i < len; i++) {
        if (!next_item(r, n, &scope, list, i, &stop))
            break;
        if (!(filtering ? filter_item(r, n, scope.item, out, &stop) : map_item(r, n, out, &stop)))
            break;
    }
    leave(r, &scope);
    return logic_stops(stop) ? stop : logic_list_done(out);
}

struct value logic_filter(struct logic_run *r, const struct logic_node *n)
{
    return make_list(r, n, true);
}

struct value logic_map(struct logic_run *r, const struct logic_node *n)
{
    return make_list(r, n, false);
}

/* {current, accumulator} and, for CertLogic, the outer data. */
static bool reduce_scope(struct logic_run *r, const struct logic_node *n, struct logic_scope *scope,
                         struct value accumulator, struct value *failure)
{
    struct value_record *record = logic_record_new(r, n, failure);

    if (record == NULL)
        return false;
    logic_record_add(record, "current", scope->item);
    logic_record_add(record, "accumulator", accumulator);
    if (r->logic->certlogic)
        logic_record_add(record, "data",
                         scope->outer != NULL ? scope->outer->item : value_of_json(r->facts->root, r->exact));
    if (record->depth > VALUE_DEPTH_MAX) {
        *failure = logic_fail(r, LOGIC_WHY_DEPTH, n);
        return false;
    }
    scope->item = (struct value){.type = VALUE_RECORD, .u.record = record};
    return true;
}

struct value logic_reduce(struct logic_run *r, const struct logic_node *n)
{
    struct logic_scope scope;
    struct value list;
    struct value none;
    bool has_list = take_list(r, n, &list, &none, value_undefined());

    if (!has_list && logic_stops(none))
        return none;
    struct value result = n->n > 2 ? logic_operand(r, n, 2) : value_null();
    if (result.type == VALUE_FAILED || !has_list)
        return result;
    if (result.type == VALUE_UNKNOWN)
        result.type = VALUE_NULL;
    size_t len = value_length(list);
    enter(r, &scope);
    for (size_t i = 0; i < len && result.type != VALUE_FAILED; i++) {
        if (!next_item(r, n, &scope, list, i, &result) || !reduce_scope(r, n, &scope, result, &result))
            break;
        result = logic_operand(r, n, 1);
        if (result.type == VALUE_UNKNOWN)
            result.type = VALUE_NULL;
    }
    leave(r, &scope);
    return result;
}

static size_t merged_length(const struct value_list *parts)
{
    size_t n = 0;

    for (uint32_t i = 0; i < parts->n; i++)
        n += value_is_list(parts->v[i]) ? value_length(parts->v[i]) : 1;
    return n;
}

static bool append_part(struct logic_run *r, const struct logic_node *n, struct value_list *out, struct value part,
                        struct value *failure)
{
    if (!value_is_list(part)) {
        logic_list_set(out, out->n++, part);
        return true;
    }
    for (size_t i = 0; i < value_length(part); i++) {
        if (!logic_spend(r, n, failure))
            return false;
        logic_list_set(out, out->n++, value_at(part, i, r->exact));
    }
    return true;
}

struct value logic_merge(struct logic_run *r, const struct logic_node *n)
{
    struct value parts = logic_list(r, n);
    struct value failure;

    if (logic_stops(parts))
        return parts;
    struct value_list *out = logic_list_new(r, n, merged_length(parts.u.list), &failure);
    if (out == NULL)
        return failure;
    out->n = 0;
    for (uint32_t i = 0; i < parts.u.list->n; i++) {
        struct value part = parts.u.list->v[i];
        if (r->exact && part.type == VALUE_NULL && part.u.why.why != LOGIC_WHY_NONE)
            return logic_unknown_of(part);
        if (!append_part(r, n, out, part, &failure))
            return failure;
    }
    return logic_list_done(out);
}
