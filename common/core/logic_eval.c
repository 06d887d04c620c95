/* logic_eval: the ground every operator stands on: operands, reasons, bounds, lists made while evaluating.
 *
 * Happy path: logic_node_value calls the node's function in the table of the rule's mode. Failure: budget, memory, list
 * and text bounds end the evaluation with VALUE_FAILED; `run.failed` says why and where. */
#include <string.h>

#include "common/core/logic_priv.h"

#define LOGIC_OP_ROW(op, name_, strict, loose, least_, most_, flags_)                                                  \
    [op] = {.name = name_, .least = least_, .most = most_, .flags = flags_},
const struct logic_row logic_rows[LOGIC_OP_COUNT] = {LOGIC_OP_MAP(LOGIC_OP_ROW)};
#undef LOGIC_OP_ROW

#define LOGIC_OP_STRICT(op, name, strict, loose, least, most, flags) [op] = strict,
#define LOGIC_OP_LOOSE(op, name, strict, loose, least, most, flags) [op] = loose,
logic_fn *const logic_calls[2][LOGIC_OP_COUNT] = {
    [LOGIC_STRICT] = {LOGIC_OP_MAP(LOGIC_OP_STRICT)},
    [LOGIC_JSONLOGIC] = {LOGIC_OP_MAP(LOGIC_OP_LOOSE)},
};
#undef LOGIC_OP_STRICT
#undef LOGIC_OP_LOOSE

void logic_run_init(struct logic_run *r, const struct logic *logic, struct logic_facts *facts)
{
    /* By member: `failed` and `thrown` are set when something fails and read only then. */
    r->logic = logic;
    r->nodes = logic->nodes;
    r->calls = logic_calls[logic->mode];
    r->facts = facts;
    r->scope = NULL;
    r->budget = logic->limits.budget_ops;
    r->trying = 0;
    r->exact = logic->mode == LOGIC_STRICT;
}

static uint32_t index_of(const struct logic_run *r, const struct logic_node *n)
{
    return (uint32_t)(n - r->nodes);
}

struct value logic_fail(struct logic_run *r, enum logic_why why, const struct logic_node *n)
{
    r->failed = (struct value_why){.why = why, .node = index_of(r, n)};
    r->thrown = value_null();
    return (struct value){.type = VALUE_FAILED};
}

struct value logic_fail_typed(struct logic_run *r, enum logic_why why, const struct logic_node *n, const char *type)
{
    struct value failure;
    struct value_record *record = logic_record_new(r, n, &failure);

    if (record == NULL)
        return failure;
    logic_record_add(record, "type", value_str(str_of(type)));
    failure = logic_fail(r, why, n);
    r->thrown = (struct value){.type = VALUE_RECORD, .u.record = record};
    return failure;
}

struct value logic_no_number(struct logic_run *r, const struct logic_node *n)
{
    return logic_fail_typed(r, LOGIC_WHY_NOT_A_NUMBER, n, "NaN");
}

struct value logic_unknown(const struct logic_run *r, enum logic_why why, const struct logic_node *n, const char *path)
{
    return (struct value){.type = VALUE_UNKNOWN, .u.why = {.why = why, .node = index_of(r, n), .path = path}};
}

struct value logic_unknown_of(struct value null)
{
    null.type = VALUE_UNKNOWN;
    if (null.u.why.why == LOGIC_WHY_NONE)
        null.u.why.why = LOGIC_WHY_MISSING_FIELD;
    return null;
}

const char *logic_path_of(const struct logic_run *r, uint32_t node)
{
    const struct logic_node *n = &r->nodes[node];

    if (n->op != OP_FIELD && n->op != OP_ITEM)
        return NULL;
    return logic_fields_path(r->logic->fields, n->arg);
}

struct value logic_mismatch(const struct logic_run *r, const struct logic_node *n)
{
    const char *path = NULL;

    for (uint32_t i = 0; path == NULL && i < n->n; i++)
        path = logic_path_of(r, n->first + i);
    return logic_unknown(r, LOGIC_WHY_TYPE_MISMATCH, n, path);
}

bool logic_spend(struct logic_run *r, const struct logic_node *n, struct value *failure)
{
    if (r->budget == 0) {
        *failure = logic_fail(r, LOGIC_WHY_BUDGET, n);
        return false;
    }
    r->budget--;
    return true;
}

struct value logic_operand(struct logic_run *r, const struct logic_node *n, uint32_t i)
{
    return i < n->n ? logic_node_value(r, n->first + i) : value_undefined();
}

static bool has_memory(struct logic_run *r, const struct logic_node *n, size_t bytes, struct value *failure)
{
    if (r->facts->arena.used_bytes + bytes <= r->logic->limits.scratch_bytes)
        return true;
    *failure = logic_fail(r, LOGIC_WHY_MEMORY, n);
    return false;
}

struct value_list *logic_list_new(struct logic_run *r, const struct logic_node *n, size_t len, struct value *failure)
{
    size_t bytes = sizeof(struct value_list) + len * sizeof(struct value);

    if (len > r->logic->limits.list) {
        *failure = logic_fail(r, LOGIC_WHY_LIST, n);
        return NULL;
    }
    if (!has_memory(r, n, bytes, failure))
        return NULL;
    struct value_list *list = arena_alloc(&r->facts->arena, bytes);
    list->n = (uint32_t)len;
    list->depth = 1;
    return list;
}

void logic_list_set(struct value_list *list, size_t at, struct value v)
{
    uint32_t depth = value_depth(v) + 1;

    list->v[at] = v;
    if (depth > list->depth)
        list->depth = depth;
}

struct value_record *logic_record_new(struct logic_run *r, const struct logic_node *n, struct value *failure)
{
    struct value_record *record;

    if (!has_memory(r, n, sizeof(*record), failure))
        return NULL;
    record = arena_alloc(&r->facts->arena, sizeof(*record));
    record->n = 0;
    record->depth = 1;
    return record;
}

void logic_record_add(struct value_record *record, const char *key, struct value v)
{
    uint32_t depth = value_depth(v) + 1;

    record->key[record->n] = key;
    record->v[record->n++] = v;
    if (depth > record->depth)
        record->depth = depth;
}

struct value logic_text(struct logic_run *r, const struct logic_node *n, struct str s)
{
    struct value failure;

    if (s.n > r->logic->limits.string_bytes)
        return logic_fail(r, LOGIC_WHY_STRING, n);
    if (!has_memory(r, n, s.n + 1, &failure))
        return failure;
    return value_str((struct str){arena_strndup(&r->facts->arena, s.n > 0 ? s.p : "", s.n), s.n});
}

bool logic_js_text(struct logic_run *r, const struct logic_node *n, struct value v, struct str *out,
                   struct value *failure)
{
    struct buf *text = &r->facts->text;
    struct value_walk walk = {.text = text, .max_bytes = r->logic->limits.string_bytes, .budget = &r->budget};

    if (v.type == VALUE_STRING) {
        *out = v.u.s;
        return true;
    }
    buf_reset(text);
    if (!value_js_text(v, &walk)) {
        *failure = logic_fail(r, r->budget == 0 ? LOGIC_WHY_BUDGET : LOGIC_WHY_STRING, n);
        return false;
    }
    *failure = logic_text(r, n, (struct str){buf_text(text), text->len});
    *out = failure->u.s;
    return failure->type == VALUE_STRING;
}

struct value logic_const(struct logic_run *r, const struct logic_node *n)
{
    return r->logic->consts[n->arg];
}

struct value logic_list(struct logic_run *r, const struct logic_node *n)
{
    struct value failure;
    struct value_list *list = logic_list_new(r, n, n->n, &failure);

    if (list == NULL)
        return failure;
    for (uint32_t i = 0; i < n->n; i++) {
        struct value v = logic_node_value(r, n->first + i);
        if (logic_stops(v))
            return v;
        logic_list_set(list, i, v);
    }
    return logic_list_done(list);
}

struct value logic_lacks(struct logic_run *r, const struct logic_node *n)
{
    return logic_fail_typed(r, LOGIC_WHY_ARGUMENTS, n, "Invalid Arguments");
}

struct value logic_unrecognized(struct logic_run *r, const struct logic_node *n)
{
    for (uint32_t i = 0; i < n->n; i++) {
        struct value v = logic_node_value(r, n->first + i);
        if (v.type == VALUE_FAILED)
            return v;
    }
    return logic_fail_typed(r, LOGIC_WHY_OPERATOR, n, "Unknown Operator");
}
