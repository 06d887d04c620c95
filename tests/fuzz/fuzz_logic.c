/* fuzz_logic: the input is JSON [rule, data] (or a rule alone), compiled and evaluated in both modes and with
 * CertLogic's truthiness. Beyond not crashing: a refusal says where and why; evaluating twice gives the same; the
 * explanation's truth is the evaluation's; what the pre-filter calls necessary is: a rule that matches has every leaf's
 * value in the data. */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/core/logic.h"

static void require(int truth)
{
    if (!truth)
        abort();
}

static void on_node(void *ctx, const struct logic_trace *node)
{
    size_t *nodes = ctx;

    require(node->op != NULL && node->pointer != NULL);
    (*nodes)++;
}

static int leaf_holds(struct logic_facts *facts, const struct logic_leaf *leaf)
{
    struct logic_scalar v;

    if (!logic_facts_scalar(facts, leaf->slot, &v))
        return 0;
    for (uint32_t i = 0; i < leaf->n_values; i++) {
        if (logic_scalar_eq(&v, &leaf->values[i]))
            return 1;
    }
    return 0;
}

static void evaluate(const struct logic *rule, struct logic_facts *facts)
{
    struct logic_reason first, second;
    size_t nodes = 0;
    size_t n_leaves;
    json_t *thrown = NULL;
    enum logic_truth truth = logic_eval(rule, facts, &first);

    require(logic_eval(rule, facts, &second) == truth);
    require(first.why == second.why && first.node == second.node);
    require((truth == LOGIC_UNKNOWN) == (first.why != LOGIC_WHY_NONE));
    if (first.why != LOGIC_WHY_BUDGET)
        require(logic_explain(rule, facts, on_node, &nodes, &second) == truth);
    const struct logic_leaf *leaves = logic_leaves(rule, &n_leaves);
    for (size_t i = 0; truth == LOGIC_TRUE && i < n_leaves; i++)
        require(leaf_holds(facts, &leaves[i]));
    json_t *value = logic_value(rule, facts, &second, &thrown);
    require(value != NULL || second.why != LOGIC_WHY_NONE);
    json_decref(value);
    json_decref(thrown);
}

static void run(const json_t *rule, const json_t *data, enum logic_mode mode, bool certlogic)
{
    static const json_int_t now_us = 1774746000000000;
    const struct logic_change changes[] = {{"a", data}, {"b.c", NULL}};
    const struct logic_zone_span zone[] = {{0, 3600}, {now_us, 7200}};
    struct logic_env env = {.now_us = now_us,
                            .today = {2026, 3, 29},
                            .season_months = 1 << 5,
                            .changes = changes,
                            .n_changes = 2,
                            .zone = zone,
                            .n_zone = 2};
    struct logic_fields *fields = logic_fields_new();
    struct logic_facts *facts = logic_facts_new(fields);
    struct logic *logic = NULL;
    struct logic_error why;

    if (logic_compile(rule, fields, &(struct logic_options){.mode = mode, .certlogic = certlogic}, &logic, &why) !=
        ERR_OK) {
        require(logic == NULL && why.code != LOGIC_GOOD && why.found[0] != '\0' && why.allowed[0] != '\0');
        goto out;
    }
    logic_facts_set(facts, data, &env);
    evaluate(logic, facts);
    logic_facts_set(facts, rule, NULL);
    evaluate(logic, facts);
out:
    logic_free(logic);
    logic_facts_free(facts);
    logic_fields_free(fields);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *json = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL);
    const json_t *rule = json;
    const json_t *document = json;

    if (json == NULL)
        return 0;
    if (json_array_size(json) == 2) {
        rule = json_array_get(json, 0);
        document = json_array_get(json, 1);
    }
    run(rule, document, LOGIC_STRICT, false);
    run(rule, document, LOGIC_JSONLOGIC, false);
    run(rule, document, LOGIC_JSONLOGIC, true);
    json_decref(json);
    return 0;
}
