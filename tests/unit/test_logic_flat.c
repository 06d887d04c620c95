/* logic_flat: its answers and reasons are those of logic_eval, over random rules and documents with all kinds of operators, missing
 * and odd values; predicates are shared; what can not be flattened is evaluated whole. */
#include <string.h>

#include <criterion/criterion.h>
#include <jansson.h>

#include "common/base/buf.h"
#include "common/core/logic_flat.h"

enum { RULES = 120, DOCUMENTS = 60, ROUNDS = 8 };

static uint64_t seed = 88172645463325252ULL;

static unsigned pick(unsigned n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (unsigned)(seed >> 33) % n;
}

static const char *const fields[] = {"a", "b", "c", "d", "e"};
static const char *const literals[] = {"'x'",   "'y'",           "''",   "1",     "2",
                                       "2.0",   "1.5",           "true", "false", "'2026-05-02'",
                                       "'lng'", "'longer text'", "-3",   "0",     "'1'"};
#define ANY(table) table[pick(sizeof(table) / sizeof(table[0]))]

/* Not all orders of truth values compile; they are skipped by the caller. */
static void put_leaf(struct buf *b)
{
    static const char *const orders[] = {"<", "<=", ">", ">=", "==", "!=", "===", "!=="};
    const char *f = ANY(fields), *v = ANY(literals), *op = ANY(orders);

    switch (pick(16)) {
    case 0: buf_printf(b, "{'in': [{'var': '%s'}, [%s, %s]]}", f, v, ANY(literals)); break;
    case 1: buf_printf(b, "{'in': [%s, {'var': '%s'}]}", v, f); break;
    case 2: buf_printf(b, "{'==': [{'var': '%s'}, null]}", f); break;
    case 3: buf_printf(b, "{'!=': [null, {'var': '%s'}]}", f); break;
    case 4: buf_printf(b, "{'%s': [%s, {'var': '%s'}]}", op, v, f); break;
    case 5: buf_printf(b, "{'%s': [{'var': '%s'}, {'var': '%s'}]}", op, f, ANY(fields)); break;
    case 6: buf_printf(b, "{'<': [0, {'var': '%s'}, 2]}", f); break;
    case 7: buf_printf(b, "{'before': [{'var': '%s'}, '2026-05-02']}", f); break;
    case 8: buf_printf(b, "{'>': [{'+': [{'var': '%s'}, 1]}, 2]}", f); break;
    case 9: buf_printf(b, "{'var': '%s'}", f); break;
    case 10: buf_printf(b, "{'!!': [{'var': ['%s', %s]}]}", f, v); break;
    case 11: buf_printf(b, "{'some': [{'var': '%s'}, {'==': [{'var': ''}, %s]}]}", f, v); break;
    case 12: buf_printf(b, "{'if': [{'==': [{'var': '%s'}, %s]}, true, {'var': 'b'}]}", f, v); break;
    case 13: buf_printf(b, "{'throw': ['%s']}", f); break;
    default: buf_printf(b, "{'%s': [{'var': '%s'}, %s]}", op, f, v);
    }
}

static void put_condition(struct buf *b, int depth)
{
    unsigned n = 1 + pick(3);

    if (depth == 0 || pick(4) == 0) {
        put_leaf(b);
        return;
    }
    if (pick(4) == 0) {
        buf_put_str(b, "{'!': [");
        n = 1;
    } else {
        buf_put_str(b, pick(2) ? "{'and': [" : "{'or': [");
    }
    for (unsigned i = 0; i < n; i++) {
        buf_put_str(b, i == 0 ? "" : ", ");
        put_condition(b, depth - 1);
    }
    buf_put_str(b, "]}");
}

static struct logic *compile(const char *text, struct logic_fields *f, enum logic_mode mode)
{
    struct buf b = {0};
    struct logic *l = NULL;
    json_t *json;

    buf_put_str(&b, text);
    for (size_t i = 0; i < b.len; i++)
        b.data[i] = b.data[i] == '\'' ? '"' : b.data[i];
    json = json_loads(buf_text(&b), JSON_DECODE_ANY, NULL);
    cr_assert_not_null(json, "%s", text);
    if (logic_compile(json, f, &(struct logic_options){.mode = mode}, &l, NULL) != ERR_OK)
        l = NULL;
    json_decref(json);
    buf_free(&b);
    return l;
}

static struct logic *random_rule(struct logic_fields *f)
{
    struct logic *l = NULL;

    while (l == NULL) {
        struct buf b = {0};
        put_condition(&b, 4);
        l = compile(buf_text(&b), f, pick(20) == 0 ? LOGIC_JSONLOGIC : LOGIC_STRICT);
        buf_free(&b);
    }
    return l;
}

static json_t *random_value(void)
{
    static const char *const texts[] = {"x", "y", "", "1", "2026-05-01", "lng", "longer text", "longer texz"};
    json_t *list;

    switch (pick(10)) {
    case 0: return json_null();
    case 1: return json_integer((json_int_t)pick(6) - 3);
    case 2: return json_real(pick(8) / 2.0);
    case 3: return json_boolean(pick(2));
    case 4: return json_pack("{}");
    case 5:
        list = json_array();
        for (unsigned n = pick(8) == 0 ? 100 : pick(4); n > 0; n--)
            json_array_append_new(list, pick(9) == 0 ? json_integer(1) : json_string(ANY(texts)));
        return list;
    default: return json_string(ANY(texts));
    }
}

static json_t *random_document(void)
{
    json_t *document = json_object();

    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (pick(8) > 0)
            json_object_set_new(document, fields[i], random_value());
    }
    return document;
}

static void compare_all(struct logic_flat *flat, const struct logic *const *rules, size_t n, struct logic_facts *facts,
                        unsigned seen[3])
{
    logic_flat_begin(flat);
    for (size_t i = 0; i < n; i++) {
        struct logic_reason got = {0}, want = {0};
        char got_text[LOGIC_REASON_SIZE], want_text[LOGIC_REASON_SIZE];
        enum logic_truth truth = logic_flat_eval(flat, i, facts, &got);
        enum logic_truth right = rules[i] == NULL ? LOGIC_TRUE : logic_eval(rules[i], facts, &want);

        cr_assert_eq(truth, right, "rule %zu: %d instead of %d", i, truth, right);
        cr_assert_str_eq(logic_reason_text(&got, got_text), logic_reason_text(&want, want_text));
        cr_assert_eq(got.node, want.node);
        seen[truth]++;
    }
}

Test(logic_flat, answers_and_reasons_are_those_of_logic_eval)
{
    unsigned seen[3] = {0};

    for (int round = 0; round < ROUNDS; round++) {
        struct logic_fields *f = logic_fields_new();
        struct logic_facts *facts = logic_facts_new(f);
        const struct logic *rules[RULES] = {NULL};
        struct logic *owned[RULES] = {NULL};

        for (int i = 1; i < RULES; i++)
            rules[i] = owned[i] = random_rule(f);
        struct logic_flat *flat = logic_flat_new(rules, RULES);
        for (int d = 0; d < DOCUMENTS; d++) {
            json_t *document = random_document();
            logic_facts_set(facts, document, NULL);
            compare_all(flat, rules, RULES, facts, seen);
            json_decref(document);
        }
        logic_flat_free(flat);
        for (int i = 0; i < RULES; i++)
            logic_free(owned[i]);
        logic_facts_free(facts);
        logic_fields_free(f);
    }
    for (int truth = 0; truth < 3; truth++)
        cr_assert_gt(seen[truth], ROUNDS * DOCUMENTS * RULES / 20);
}

/* Removed rules are freed at once unless the flat has taken them: what others share with them must not be lost. */
Test(logic_flat, answers_stay_right_while_rules_come_and_go)
{
    enum { STEPS = 2000 };
    struct logic_fields *f = logic_fields_new();
    struct logic_facts *facts = logic_facts_new(f);
    struct logic *rules[RULES] = {NULL};
    struct logic_flat *flat = logic_flat_new(NULL, 0);
    size_t n = 0, taken = 0;
    unsigned seen[3] = {0};

    for (int step = 0; step < STEPS; step++) {
        size_t i = pick((unsigned)n + 1);
        json_t *document = random_document();

        if (n == RULES || (i < n && pick(2) == 0)) {
            i = i < n ? i : n - 1;
            bool conditional = rules[i] != NULL;
            logic_flat_remove(flat, i, &rules[i]);
            taken += conditional && rules[i] == NULL;
            logic_free(rules[i]);
            n--;
            memmove(&rules[i], &rules[i + 1], (n - i) * sizeof(rules[0]));
        } else {
            memmove(&rules[i + 1], &rules[i], (n - i) * sizeof(rules[0]));
            rules[i] = pick(20) == 0 ? NULL : random_rule(f);
            logic_flat_insert(flat, i, rules[i]);
            n++;
        }
        logic_facts_set(facts, document, NULL);
        compare_all(flat, (const struct logic *const *)rules, n, facts, seen);
        json_decref(document);
    }
    cr_assert_gt(taken, STEPS / 20);
    logic_flat_free(flat);
    for (size_t i = 0; i < n; i++)
        logic_free(rules[i]);
    logic_facts_free(facts);
    logic_fields_free(f);
}

Test(logic_flat, equal_questions_are_one_predicate)
{
    static const struct {
        const char *a, *b;
        size_t predicates;
    } rows[] = {
        {"{'==': [{'var': 'a'}, 'x']}", "{'and': [{'==': [{'var': 'a'}, 'x']}]}", 1},
        {"{'==': [{'var': 'a'}, 'x']}", "{'!': [{'==': [{'var': 'a'}, 'x']}]}", 1},
        {"{'==': [{'var': 'a'}, 'x']}", "{'==': [{'var': 'b'}, 'x']}", 2},
        {"{'==': [{'var': 'a'}, 'x']}", "{'==': [{'var': 'a'}, 'y']}", 2},
        {"{'==': [{'var': 'a'}, 1]}", "{'==': [{'var': 'a'}, 1.0]}", 2},
        {"{'<': [{'var': 'a'}, 1]}", "{'<': [1, {'var': 'a'}]}", 2},
        {"{'in': [{'var': 'a'}, ['x', 'y']]}", "{'in': [{'var': 'a'}, ['x', 'y']]}", 1},
        {"{'in': [{'var': 'a'}, ['x', 'y']]}", "{'in': [{'var': 'a'}, ['x', 'z']]}", 2},
        {"{'some': [{'var': 'a'}, {'var': ''}]}", "{'throw': ['x']}", 0},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct logic_fields *f = logic_fields_new();
        struct logic *a = compile(rows[i].a, f, LOGIC_STRICT), *b = compile(rows[i].b, f, LOGIC_STRICT);
        struct logic_flat *flat = logic_flat_new((const struct logic *const[]){a, b}, 2);

        cr_assert_eq(logic_flat_predicates(flat), rows[i].predicates, "row %zu", i);
        cr_assert_gt(logic_flat_bytes(flat), sizeof(void *));
        logic_flat_free(flat);
        logic_free(a);
        logic_free(b);
        logic_fields_free(f);
    }
    logic_flat_free(NULL);
}
