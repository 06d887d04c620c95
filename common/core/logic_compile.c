/* logic_compile: JSON to nodes.
 *
 * One descent over the rule. An operator's operands get a block of nodes before any of them is compiled, so a node's
 * operands lie side by side and its place is known for messages. Specialised while at it: field access with a constant
 * path becomes a slot (logic_access.c), a list of literals one constant, and in strict mode a comparison with a written
 * null the question for presence. Failure: the first offence ends the compilation with its JSON pointer; the descent is
 * bounded by the depth limit. */
#include <stdio.h>
#include <string.h>

#include "common/core/logic_build.h"

#define NUMBER_BYTES_MAX 32 /* the longest number with brackets, quotes, colon and comma */
#define ESCAPED_BYTES_MAX 6 /* "\\u0001" */

static enum err compile(struct logic_build *b, const json_t *json, struct logic_at at);

/* ---- literals ---- */

static enum err check_text(struct logic_build *b, const json_t *json, uint32_t node)
{
    size_t n = json_string_length(json);

    return n <= b->limits.string_bytes
               ? ERR_OK
               : logic_build_over(b, LOGIC_LIMIT_STRING, node, n, b->limits.string_bytes, "bytes of text");
}

static void set_const(struct logic_build *b, uint32_t node, struct value v)
{
    uint32_t arg = logic_build_const(b, v);

    b->nodes[node].op = OP_CONST;
    b->nodes[node].written = OP_CONST;
    b->nodes[node].arg = arg;
}

static enum err compile_scalar(struct logic_build *b, const json_t *json, uint32_t node)
{
    enum err err = check_text(b, json, node);

    if (err == ERR_OK)
        set_const(b, node, value_of_json(json, b->mode == LOGIC_STRICT));
    return err;
}

static bool all_scalars(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (!logic_json_is_scalar(json_array_get(list, i)))
            return false;
    }
    return true;
}

static enum err const_list(struct logic_build *b, const json_t *json, uint32_t node)
{
    size_t n = json_array_size(json);
    struct value_list *list = arena_alloc(&b->arena, sizeof(*list) + n * sizeof(struct value));

    list->n = (uint32_t)n;
    list->depth = 1;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(json, i);
        enum err err = check_text(b, item, node);
        if (err != ERR_OK)
            return err;
        list->v[i] = value_of_json(item, true);
    }
    set_const(b, node, (struct value){.type = VALUE_LIST, .u.list = list});
    return ERR_OK;
}

static enum err check_list(struct logic_build *b, size_t n, uint32_t node)
{
    return n <= b->limits.list ? ERR_OK : logic_build_over(b, LOGIC_LIMIT_LIST, node, n, b->limits.list, "items");
}

static enum err compile_list(struct logic_build *b, const json_t *json, struct logic_at at)
{
    size_t n = json_array_size(json);
    enum err err = check_list(b, n, at.node);

    if (err != ERR_OK)
        return err;
    /* jsonlogic mode makes a new list each time: JavaScript compares lists by identity. */
    if (b->mode == LOGIC_STRICT && all_scalars(json))
        return const_list(b, json, at.node);
    uint32_t first = logic_build_nodes(b, (uint32_t)n, at.node);
    b->nodes[at.node] = (struct logic_node){.op = OP_LIST, .written = OP_LIST, .n = (uint32_t)n, .first = first};
    for (uint32_t i = 0; i < n && err == ERR_OK; i++) {
        struct logic_at below = at;
        below.node = first + i;
        below.depth++;
        err = compile(b, json_array_get(json, i), below);
    }
    return err;
}

/* ---- operators ---- */

static enum logic_op find_op(const char *name)
{
    for (enum logic_op op = 0; op < LOGIC_OP_COUNT; op++) {
        if (logic_rows[op].name[0] == name[0] && !(logic_rows[op].flags & OP_INNER) &&
            strcmp(logic_rows[op].name, name) == 0)
            return op;
    }
    return OP_UNKNOWN;
}

enum err logic_compile_operands(struct logic_build *b, const struct logic_operands *o, uint32_t from, struct logic_at at)
{
    uint32_t count = o->n > from ? o->n - from : 0;
    uint32_t first = logic_build_nodes(b, count, at.node);
    enum logic_op op = b->nodes[at.node].op;
    unsigned flags = logic_rows[op].flags;
    enum err err = ERR_OK;

    b->nodes[at.node].first = first;
    b->nodes[at.node].n = count;
    for (uint32_t i = 0; i < count && err == ERR_OK; i++) {
        struct logic_at below = at;
        b->places[first + i].index = from + i;
        below.node = first + i;
        below.depth++;
        below.in_try = at.in_try || op == OP_TRY;
        below.in_item = at.in_item || ((flags & OP_ITERATOR) && i == 1) || (op == OP_TRY && i > 0);
        err = compile(b, logic_operand_json(o, from + i), below);
    }
    return err;
}

static bool is_null_test(const struct logic_build *b, const struct logic_node *n, const struct logic_operands *o)
{
    bool equality = n->op == OP_EQ || n->op == OP_IS || n->op == OP_NE || n->op == OP_IS_NOT;

    return b->mode == LOGIC_STRICT && equality && o->n == 2 &&
           (json_is_null(logic_operand_json(o, 0)) || json_is_null(logic_operand_json(o, 1)));
}

static enum err compile_null_test(struct logic_build *b, const struct logic_operands *o, struct logic_at at)
{
    uint32_t which = json_is_null(logic_operand_json(o, 1)) ? 0 : 1;
    struct logic_node *n = &b->nodes[at.node];
    struct logic_at below = at;

    n->op = n->op == OP_EQ || n->op == OP_IS ? OP_ABSENT : OP_PRESENT;
    below.node = logic_build_nodes(b, 1, at.node);
    below.depth++;
    b->nodes[at.node].first = below.node;
    b->nodes[at.node].n = 1;
    b->places[below.node].index = which;
    return compile(b, logic_operand_json(o, which), below);
}

/* What operand `i` of `op` may be when the literal `v` there can never be right; NULL when it can. */
static const char *refused_literal(enum logic_op op, uint32_t i, const json_t *v)
{
    bool ordered = op == OP_LT || op == OP_LE || op == OP_GT || op == OP_GE;
    bool dated = op == OP_BEFORE || op == OP_AFTER || op == OP_NOT_BEFORE || op == OP_NOT_AFTER;
    bool equality = op == OP_EQ || op == OP_NE || op == OP_IS || op == OP_IS_NOT;

    if (ordered && (json_is_null(v) || json_is_boolean(v) || json_is_array(v)))
        return "a number, a text, a date or an expression";
    if (dated && !json_is_string(v) && !json_is_object(v))
        return "a date, an instant (RFC 3339) or an expression";
    if (op == OP_IN && i == 1 && !json_is_array(v) && !json_is_string(v) && !json_is_object(v))
        return "a list, a text or an expression";
    if (equality && json_is_array(v))
        return "a single value; membership is {\"in\": [value, list]}";
    return NULL;
}

/* Caught when the rule is written, instead of silently never matching. */
static enum err check_literals(struct logic_build *b, enum logic_op op, const struct logic_operands *o, uint32_t node)
{
    for (uint32_t i = 0; i < o->n; i++) {
        const json_t *v = logic_operand_json(o, i);
        const char *allowed = refused_literal(op, i, v);
        if (allowed != NULL)
            return logic_build_refuse(b, LOGIC_BAD_OPERAND,
                                      logic_build_spot(node, logic_rows[op].name, o->sugar ? -1 : (int)i), v, allowed);
    }
    return ERR_OK;
}

static enum err check_count(struct logic_build *b, const struct logic_row *row, const struct logic_operands *o,
                            uint32_t node)
{
    char found[LOGIC_TEXT_SIZE];
    char allowed[LOGIC_TEXT_SIZE];

    if (o->n >= row->least && o->n <= row->most)
        return ERR_OK;
    (void)snprintf(found, sizeof(found), "%u operands", (unsigned)o->n);
    if (row->most == OP_ANY)
        (void)snprintf(allowed, sizeof(allowed), "%u or more", (unsigned)row->least);
    else if (row->most == row->least)
        (void)snprintf(allowed, sizeof(allowed), "exactly %u", (unsigned)row->least);
    else
        (void)snprintf(allowed, sizeof(allowed), "%u to %u", (unsigned)row->least, (unsigned)row->most);
    return logic_build_error(b, LOGIC_BAD_COUNT, logic_build_spot(node, row->name, -1), found, allowed);
}

static enum err count_node(struct logic_build *b, const struct logic_row *row, const struct logic_operands *o,
                           struct logic_at *at)
{
    if (row->flags & OP_GROUP)
        at->groups++;
    if (at->groups > b->limits.group_depth)
        return logic_build_over(b, LOGIC_LIMIT_GROUPS, at->node, at->groups, b->limits.group_depth, "nested groups");
    if (!(row->flags & (OP_GROUP | OP_ACCESS)) && ++b->leaves > b->limits.leaves)
        return logic_build_over(b, LOGIC_LIMIT_LEAVES, at->node, b->leaves, b->limits.leaves, "predicates");
    return check_list(b, o->n, at->node);
}

static enum err compile_by_kind(struct logic_build *b, const struct logic_operands *o, struct logic_at at)
{
    const struct logic_node *n = &b->nodes[at.node];

    if (n->op == OP_VAR)
        return logic_access_var(b, o, at);
    if (n->op == OP_VAL)
        return logic_access_val(b, o, at);
    if (n->op == OP_EXISTS)
        return logic_access_exists(b, o, at);
    if (n->op == OP_MISSING || n->op == OP_MISSING_SOME)
        return logic_access_missing(b, o, at);
    if (n->op == OP_CHANGED || n->op == OP_CHANGED_TO)
        return logic_access_changed(b, o, at);
    if (is_null_test(b, n, o))
        return compile_null_test(b, o, at);
    return logic_compile_operands(b, o, 0, at);
}

static enum err compile_unknown(struct logic_build *b, const char *name, const struct logic_operands *o,
                                struct logic_at at)
{
    char found[LOGIC_TEXT_SIZE];

    if (b->mode == LOGIC_JSONLOGIC)
        return logic_compile_operands(b, o, 0, at);
    (void)snprintf(found, sizeof(found), "the operator \"%.*s\"", LOGIC_TEXT_SIZE / 2, name);
    return logic_build_error(
        b, LOGIC_BAD_OPERATOR, logic_build_spot(at.node, name, -1), found,
        "JsonLogic's operators, startsWith, endsWith, before, after, plusTime, days_until, changed, …");
}

/* The community's proposals, in `try` of jsonlogic mode; what can not be seen here fails when evaluated. */
static bool lacks_operands(enum logic_op op, const struct logic_operands *o)
{
    bool compares = op >= OP_EQ && op <= OP_GE;
    bool iterates = logic_rows[op].flags & OP_ITERATOR;
    bool chooses = op == OP_AND || op == OP_OR || op == OP_IF || op == OP_IF_SIGN;

    if (o->sugar && (compares || iterates || chooses))
        return true;
    if ((compares || iterates || op == OP_MOD) && o->n < 2)
        return true;
    if (iterates)
        return json_is_null(logic_operand_json(o, 0)) || json_is_null(logic_operand_json(o, 1));
    return o->n == 0 && (op == OP_SUB || op == OP_DIV);
}

static enum err compile_operator(struct logic_build *b, const char *name, const json_t *value, struct logic_at at)
{
    struct logic_operands o = {.value = value, .sugar = !json_is_array(value)};
    enum logic_op op = find_op(name);
    const struct logic_row *row = &logic_rows[op];
    enum err err;

    o.n = o.sugar ? 1 : (uint32_t)json_array_size(value);
    b->nodes[at.node] =
        (struct logic_node){.op = (uint8_t)op, .written = (uint8_t)op, .flags = o.sugar ? NODE_SUGAR : 0};
    err = count_node(b, row, &o, &at);
    if (err != ERR_OK)
        return err;
    if (op == OP_UNKNOWN)
        return compile_unknown(b, name, &o, at);
    if (b->mode == LOGIC_STRICT) {
        err = check_count(b, row, &o, at.node);
        if (err == ERR_OK)
            err = check_literals(b, op, &o, at.node);
        if (err != ERR_OK)
            return err;
    }
    if (b->mode == LOGIC_JSONLOGIC && at.in_try && lacks_operands(op, &o)) {
        b->nodes[at.node].op = OP_LACKS;
        return ERR_OK;
    }
    if (row->flags & OP_TODAY || (op == OP_IN_SEASON && o.n == 1))
        b->needs |= LOGIC_NEEDS_TODAY;
    if (op == OP_PRESERVE) {
        set_const(b, at.node,
                  logic_json_is_scalar(value) ? value_of_json(value, b->mode == LOGIC_STRICT)
                                              : logic_build_keep(b, value));
        return ERR_OK;
    }
    return compile_by_kind(b, &o, at);
}

static enum err compile_object(struct logic_build *b, const json_t *json, struct logic_at at)
{
    /* jansson iterates over const objects by a cast only. */
    json_t *object = (json_t *)(uintptr_t)json;
    void *only = json_object_iter(object);

    if (json_object_size(json) == 1)
        return compile_operator(b, json_object_iter_key(only), json_object_iter_value(only), at);
    if (b->mode == LOGIC_STRICT)
        return logic_build_refuse(b, LOGIC_BAD_SHAPE, logic_build_spot(at.node, NULL, -1), json,
                                  "an object with one key, the operator");
    set_const(b, at.node, logic_build_keep(b, json));
    return ERR_OK;
}

static enum err compile(struct logic_build *b, const json_t *json, struct logic_at at)
{
    if (!logic_json_is_scalar(json) && at.depth >= b->limits.depth)
        return logic_build_over(b, LOGIC_LIMIT_DEPTH, at.node, (size_t)at.depth + 1, b->limits.depth, "levels");
    if (json_is_array(json))
        return compile_list(b, json, at);
    if (json_is_object(json))
        return compile_object(b, json, at);
    return compile_scalar(b, json, at.node);
}

/* At least the bytes of `json` as compact JSON. */
static size_t bytes_at_most(const json_t *json)
{
    json_t *object = (json_t *)(uintptr_t)json;
    size_t n = NUMBER_BYTES_MAX;

    for (size_t i = 0; json_is_array(json) && i < json_array_size(json); i++)
        n += bytes_at_most(json_array_get(json, i));
    for (void *at = json_object_iter(object); at != NULL; at = json_object_iter_next(object, at))
        n += ESCAPED_BYTES_MAX * strlen(json_object_iter_key(at)) + bytes_at_most(json_object_iter_value(at));
    return n + ESCAPED_BYTES_MAX * json_string_length(json);
}

/* Writing JSON out to measure it costs more than all the rest, so only what might be too large is. */
static enum err check_bytes(struct logic_build *b, const json_t *rule)
{
    if (bytes_at_most(rule) <= b->limits.rule_bytes)
        return ERR_OK;
    size_t n = json_dumpb(rule, NULL, 0, JSON_COMPACT | JSON_ENCODE_ANY);
    return n <= b->limits.rule_bytes
               ? ERR_OK
               : logic_build_over(b, LOGIC_LIMIT_BYTES, 0, n, b->limits.rule_bytes, "bytes of JSON");
}

enum err logic_compile(const json_t *rule, struct logic_fields *fields, const struct logic_options *options,
                       struct logic **out, struct logic_error *why)
{
    struct logic_build b = {.fields = fields,
                            .limits = options->limits != NULL ? *options->limits : logic_limits_stored,
                            .mode = options->mode,
                            .certlogic = options->certlogic && options->mode == LOGIC_JSONLOGIC,
                            .why = why};
    enum err err;

    *out = NULL;
    if (why != NULL)
        *why = (struct logic_error){0};
    (void)logic_build_nodes(&b, 1, 0);
    err = check_bytes(&b, rule);
    if (err == ERR_OK)
        err = compile(&b, rule, (struct logic_at){0});
    if (err == ERR_OK)
        *out = logic_build_pack(&b);
    logic_build_free(&b);
    return err;
}
