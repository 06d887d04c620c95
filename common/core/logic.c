/* logic: the public face: limits, names, evaluation of a whole rule.
 *
 * Happy path: logic_eval empties the arena of the evaluation before, evaluates node 0 and reduces its value to a truth.
 * Failure: see enum logic_why; nothing here allocates unless a rule makes lists or texts. */
#include "common/core/logic.h"

#include <stdio.h>
#include <string.h>

#include "common/core/logic_build.h"

const struct logic_limits logic_limits_stored = {.group_depth = LOGIC_GROUP_DEPTH_MAX,
                                                 .depth = LOGIC_DEPTH_MAX,
                                                 .leaves = LOGIC_LEAVES_MAX,
                                                 .list = LOGIC_LIST_MAX,
                                                 .string_bytes = LOGIC_STRING_MAX_BYTES,
                                                 .rule_bytes = LOGIC_RULE_MAX_BYTES,
                                                 .budget_ops = LOGIC_BUDGET_OPS,
                                                 .scratch_bytes = LOGIC_SCRATCH_MAX_BYTES};

const struct logic_limits logic_limits_wide = {.group_depth = 64,
                                               .depth = 64,
                                               .leaves = 10000,
                                               .list = 100000,
                                               .string_bytes = 1 << 20,
                                               .rule_bytes = 1 << 20,
                                               .budget_ops = 1000000,
                                               .scratch_bytes = 16 << 20};

const char *logic_code_name(enum logic_code code)
{
#define LOGIC_CODE_NAME(code, name) [code] = name,
    static const char *const names[LOGIC_CODE_COUNT] = {LOGIC_CODE_MAP(LOGIC_CODE_NAME)};
#undef LOGIC_CODE_NAME

    return (unsigned)code < LOGIC_CODE_COUNT ? names[code] : "";
}

static const char *why_name(enum logic_why why)
{
#define LOGIC_WHY_NAME(code, name) [code] = name,
    static const char *const names[LOGIC_WHY_COUNT] = {LOGIC_WHY_MAP(LOGIC_WHY_NAME)};
#undef LOGIC_WHY_NAME

    return (unsigned)why < LOGIC_WHY_COUNT ? names[why] : "";
}

void logic_free(struct logic *logic)
{
    if (logic == NULL)
        return;
    for (uint32_t i = 0; i < logic->n_kept; i++)
        json_decref(logic->kept[i]);
    mem_free(logic);
}

size_t logic_bytes(const struct logic *logic)
{
    return logic->bytes;
}

size_t logic_predicates(const struct logic *logic)
{
    return logic->n_predicates;
}

enum logic_mode logic_mode_of(const struct logic *logic)
{
    return logic->mode;
}

unsigned logic_needs(const struct logic *logic)
{
    return logic->needs;
}

const uint32_t *logic_slots(const struct logic *logic, size_t *n)
{
    *n = logic->n_slots;
    return logic->slots;
}

const struct logic_leaf *logic_leaves(const struct logic *logic, size_t *n)
{
    *n = logic->n_leaves;
    return logic->leaves;
}

const char *logic_reason_text(const struct logic_reason *reason, char out[LOGIC_REASON_SIZE])
{
    const char *name = why_name(reason->why);

    if (reason->path != NULL && reason->path[0] != '\0' && reason->why != LOGIC_WHY_NONE)
        (void)snprintf(out, LOGIC_REASON_SIZE, "%s:%s", name, reason->path);
    else
        (void)str_copy(out, LOGIC_REASON_SIZE, name);
    return out;
}

const char *logic_pointer(const struct logic *logic, uint32_t node, char out[LOGIC_POINTER_SIZE])
{
    return logic_build_pointer(logic->nodes, logic->places, node < logic->n_nodes ? node : 0, out);
}

static void set_reason(struct logic_reason *reason, struct value_why why)
{
    if (reason != NULL)
        *reason = (struct logic_reason){.why = (enum logic_why)why.why, .node = why.node, .path = why.path};
}

enum logic_truth logic_truth_of(const struct logic_run *r, struct value v, struct logic_reason *reason)
{
    set_reason(reason, (struct value_why){0});
    if (v.type == VALUE_FAILED) {
        set_reason(reason, r->failed);
        return LOGIC_UNKNOWN;
    }
    if (!r->exact)
        return value_truthy(v, r->logic->certlogic) ? LOGIC_TRUE : LOGIC_FALSE;
    if (v.type == VALUE_BOOL)
        return v.u.b ? LOGIC_TRUE : LOGIC_FALSE;
    if (v.type == VALUE_NULL)
        v = logic_unknown_of(v);
    if (v.type != VALUE_UNKNOWN)
        v = logic_unknown(r, LOGIC_WHY_TYPE_MISMATCH, r->nodes, logic_path_of(r, 0));
    set_reason(reason, v.u.why);
    return LOGIC_UNKNOWN;
}

struct value logic_run_node(struct logic_run *r, const struct logic *logic, struct logic_facts *facts, uint32_t node)
{
    if (facts->arena.used_bytes > 0)
        arena_reset(&facts->arena);
    logic_run_init(r, logic, facts);
    return logic_node_value(r, node);
}

enum logic_truth logic_eval(const struct logic *logic, struct logic_facts *facts, struct logic_reason *reason)
{
    struct logic_run r;
    struct value v = logic_run_node(&r, logic, facts, 0);

    return logic_truth_of(&r, v, reason);
}

json_t *logic_value(const struct logic *logic, struct logic_facts *facts, struct logic_reason *reason, json_t **thrown)
{
    struct logic_run r;
    struct value v = logic_run_node(&r, logic, facts, 0);
    json_t *json = NULL;

    if (thrown != NULL)
        *thrown = NULL;
    set_reason(reason, v.type == VALUE_UNKNOWN || v.type == VALUE_NULL ? v.u.why : (struct value_why){0});
    if (v.type != VALUE_FAILED)
        json = value_to_json(v, &r.budget);
    if (json != NULL)
        return json;
    if (v.type != VALUE_FAILED)
        (void)logic_fail(&r, LOGIC_WHY_BUDGET, r.nodes);
    set_reason(reason, r.failed);
    if (thrown != NULL && r.thrown.type != VALUE_NULL)
        *thrown = value_to_json(r.thrown, &r.budget);
    return NULL;
}

/* The error's type as the suites name it; our own bounds by their reason. */
static void report_raised(struct logic_error *why, const struct logic *logic, const struct logic_reason *reason,
                          const json_t *thrown)
{
    char text[LOGIC_REASON_SIZE];
    const char *type = json_string_value(json_object_get(thrown, "type"));

    if (why == NULL)
        return;
    *why = (struct logic_error){.code = LOGIC_RAISED};
    (void)logic_pointer(logic, reason->node, why->pointer);
    (void)str_copy(why->found, sizeof(why->found), type != NULL ? type : logic_reason_text(reason, text));
    (void)str_copy(why->allowed, sizeof(why->allowed), "an expression that has a value");
}

json_t *logic_apply(const json_t *rule, const json_t *data, const struct logic_options *options, struct logic_error *why)
{
    struct logic_options wide = *options;
    struct logic_fields *fields = logic_fields_new();
    struct logic_facts *facts = logic_facts_new(fields);
    struct logic *logic = NULL;
    struct logic_reason reason;
    json_t *thrown = NULL;
    json_t *result = NULL;

    if (wide.limits == NULL)
        wide.limits = &logic_limits_wide;
    if (logic_compile(rule, fields, &wide, &logic, why) != ERR_OK)
        goto out;
    logic_facts_set(facts, data, NULL);
    result = logic_value(logic, facts, &reason, &thrown);
    if (result == NULL)
        report_raised(why, logic, &reason, thrown);
out:
    json_decref(thrown);
    logic_free(logic);
    logic_facts_free(facts);
    logic_fields_free(fields);
    return result;
}
