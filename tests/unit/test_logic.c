/* logic, strict mode: truth and reason of rules over documents. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

#include "common/core/logic_priv.h"

struct row {
    const char *rule;
    const char *data;
    enum logic_truth truth;
    const char *reason;
};

static json_t *parse(const char *text)
{
    json_error_t where;
    json_t *json = json_loads(text, JSON_DECODE_ANY, &where);

    cr_assert_not_null(json, "%s: %s", text, where.text);
    return json;
}

static struct logic *compiled(const char *text, struct logic_fields *fields)
{
    json_t *json = parse(text);
    struct logic_error why;
    struct logic *rule = NULL;
    enum err err = logic_compile(json, fields, &(struct logic_options){.mode = LOGIC_STRICT}, &rule, &why);

    cr_assert_eq(err, ERR_OK, "%s: %s at \"%s\": %s, allowed: %s", text, logic_code_name(why.code), why.pointer,
                 why.found, why.allowed);
    json_decref(json);
    return rule;
}

static void check(const struct row *row)
{
    struct logic_fields *fields = logic_fields_new();
    struct logic *rule = compiled(row->rule, fields);
    struct logic_facts *facts = logic_facts_new(fields);
    json_t *data = parse(row->data);
    struct logic_reason reason;
    char text[LOGIC_REASON_SIZE];

    logic_facts_set(facts, data, NULL);
    enum logic_truth truth = logic_eval(rule, facts, &reason);
    cr_expect_eq(truth, row->truth, "%s over %s: %d", row->rule, row->data, (int)truth);
    cr_expect_str_eq(logic_reason_text(&reason, text), row->reason, "%s over %s: %s", row->rule, row->data, text);
    json_decref(data);
    logic_facts_free(facts);
    logic_free(rule);
    logic_fields_free(fields);
}

#define CHECK_ALL(rows)                                                                                                \
    for (size_t i = 0; i < sizeof(rows) / sizeof((rows)[0]); i++)                                                      \
    check(&(rows)[i])

#define T LOGIC_TRUE
#define F LOGIC_FALSE
#define U LOGIC_UNKNOWN

Test(logic, equality_wants_the_same_type)
{
    static const struct row rows[] = {
        {"{\"==\":[{\"var\":\"a\"},1]}", "{\"a\":1}", T, ""},
        {"{\"==\":[{\"var\":\"a\"},1]}", "{\"a\":1.0}", T, ""},
        {"{\"==\":[{\"var\":\"a\"},1]}", "{\"a\":2}", F, ""},
        {"{\"==\":[{\"var\":\"a\"},1]}", "{\"a\":\"1\"}", U, "type_mismatch:a"},
        {"{\"===\":[1,{\"var\":\"a\"}]}", "{\"a\":true}", U, "type_mismatch:a"},
        {"{\"==\":[{\"var\":\"a\"},1]}", "{}", U, "missing_field:a"},
        {"{\"!=\":[{\"var\":\"a\"},1]}", "{\"a\":null}", U, "missing_field:a"},
        {"{\"!=\":[{\"var\":\"a\"},\"x\"]}", "{\"a\":\"y\"}", T, ""},
        {"{\"!==\":[{\"var\":\"a\"},\"x\"]}", "{\"a\":\"x\"}", F, ""},
        {"{\"==\":[{\"var\":\"a\"},true]}", "{\"a\":false}", F, ""},
        {"{\"==\":[{\"var\":\"a\"},{\"var\":\"b\"}]}", "{\"a\":[1],\"b\":[1]}", U, "type_mismatch:a"},
        {"{\"==\":[{\"var\":\"a\"},9007199254740993]}", "{\"a\":9007199254740992}", F, ""},
        {"{\"==\":[{\"var\":\"a\"},9007199254740993]}", "{\"a\":9007199254740992.0}", F, ""},
    };

    CHECK_ALL(rows);
}

Test(logic, a_written_null_asks_for_presence)
{
    static const struct row rows[] = {
        {"{\"==\":[{\"var\":\"a.b\"},null]}", "{}", T, ""},
        {"{\"==\":[{\"var\":\"a.b\"},null]}", "{\"a\":{\"b\":null}}", T, ""},
        {"{\"==\":[null,{\"var\":\"a.b\"}]}", "{\"a\":{\"b\":0}}", F, ""},
        {"{\"!=\":[{\"var\":\"a\"},null]}", "{\"a\":\"\"}", T, ""},
        {"{\"!==\":[{\"var\":\"a\"},null]}", "{}", F, ""},
        {"{\"===\":[null,null]}", "{}", T, ""},
        /* An unknown comparison is not an absent field. */
        {"{\"==\":[{\"<\":[{\"var\":\"a\"},1]},null]}", "{}", U, "missing_field:a"},
    };

    CHECK_ALL(rows);
}

Test(logic, groups_follow_kleene)
{
    static const struct row rows[] = {
        {"{\"and\":[{\"var\":\"t\"},{\"var\":\"u\"}]}", "{\"t\":true}", U, "missing_field:u"},
        {"{\"and\":[{\"var\":\"u\"},{\"var\":\"f\"}]}", "{\"f\":false}", F, ""},
        {"{\"or\":[{\"var\":\"u\"},{\"var\":\"t\"}]}", "{\"t\":true}", T, ""},
        {"{\"or\":[{\"var\":\"u\"},{\"var\":\"f\"}]}", "{\"f\":false}", U, "missing_field:u"},
        {"{\"or\":[{\"var\":\"f\"},{\"var\":\"f\"}]}", "{\"f\":false}", F, ""},
        {"{\"and\":[{\"var\":\"t\"},{\"var\":\"t\"}]}", "{\"t\":true}", T, ""},
        {"{\"!\":{\"var\":\"u\"}}", "{}", U, "missing_field:u"},
        {"{\"!\":[{\"var\":\"t\"}]}", "{\"t\":true}", F, ""},
        {"{\"!\":{\"==\":[{\"var\":\"u\"},1]}}", "{}", U, "missing_field:u"},
        {"{\"and\":[{\"var\":\"n\"},{\"var\":\"t\"}]}", "{\"n\":1,\"t\":true}", U, "type_mismatch:n"},
        {"{\"and\":[{\"var\":\"u\"},{\"var\":\"v\"}]}", "{}", U, "missing_field:u"},
        {"{\"!!\":[{\"var\":\"l\"}]}", "{\"l\":[]}", F, ""},
        {"{\"!!\":[{\"var\":\"l\"}]}", "{\"l\":[0]}", T, ""},
        {"{\"!!\":[{\"var\":\"l\"}]}", "{}", U, "missing_field:l"},
        {"{\"if\":[{\"var\":\"t\"},{\"var\":\"f\"},true]}", "{\"t\":true,\"f\":false}", F, ""},
        {"{\"if\":[{\"var\":\"u\"},true,true]}", "{}", U, "missing_field:u"},
        {"{\"if\":[{\"var\":\"f\"},1,{\"var\":\"t\"},true,false]}", "{\"f\":false,\"t\":true}", T, ""},
        {"true", "{}", T, ""},
        {"{\"var\":\"t\"}", "{\"t\":true}", T, ""},
        {"{\"var\":\"n\"}", "{\"n\":1}", U, "type_mismatch:n"},
        {"{\"var\":\"n\"}", "{\"n\":null}", U, "missing_field:n"},
        {"null", "{}", U, "missing_field"},
    };

    CHECK_ALL(rows);
}

Test(logic, order_compares_numbers_with_numbers_and_texts_with_texts)
{
    static const struct row rows[] = {
        {"{\"<\":[{\"var\":\"a\"},50]}", "{\"a\":49}", T, ""},
        {"{\"<\":[{\"var\":\"a\"},50]}", "{\"a\":50}", F, ""},
        {"{\"<=\":[{\"var\":\"a\"},50]}", "{\"a\":50}", T, ""},
        {"{\">\":[{\"var\":\"a\"},50]}", "{\"a\":50}", F, ""},
        {"{\">=\":[{\"var\":\"a\"},50]}", "{\"a\":50}", T, ""},
        {"{\"<\":[{\"var\":\"a\"},50]}", "{}", U, "missing_field:a"},
        {"{\"<\":[{\"var\":\"a\"},50]}", "{\"a\":null}", U, "missing_field:a"},
        {"{\"<\":[{\"var\":\"a\"},10]}", "{\"a\":\"5\"}", U, "type_mismatch:a"},
        {"{\">=\":[{\"var\":\"a\"},1.5]}", "{\"a\":2}", T, ""},
        {"{\">\":[{\"var\":\"a\"},2]}", "{\"a\":2.0000001}", T, ""},
        {"{\">\":[{\"var\":\"a\"},9007199254740992.0]}", "{\"a\":9007199254740993}", T, ""},
        {"{\"<\":[{\"var\":\"a\"},1e300]}", "{\"a\":9223372036854775807}", T, ""},
        {"{\"<\":[{\"var\":\"a\"},-1e300]}", "{\"a\":-9223372036854775807}", F, ""},
        {"{\"<\":[{\"var\":\"a\"},\"b\"]}", "{\"a\":\"a\"}", T, ""},
        {"{\"<\":[{\"var\":\"a\"},\"ab\"]}", "{\"a\":\"a\"}", T, ""},
        {"{\"<=\":[1,{\"var\":\"a\"},5]}", "{\"a\":5}", T, ""},
        {"{\"<=\":[1,{\"var\":\"a\"},5]}", "{\"a\":6}", F, ""},
        {"{\">\":[5,{\"var\":\"a\"},1]}", "{\"a\":1}", F, ""},
        {"{\"<\":[{\"var\":\"u\"},{\"var\":\"a\"},5]}", "{\"a\":6}", F, ""},
        {"{\"<\":[{\"var\":\"u\"},{\"var\":\"a\"},5]}", "{\"a\":4}", U, "missing_field:u"},
        {"{\"<\":[1,{\"var\":\"a\"},{\"var\":\"u\"}]}", "{\"a\":0}", F, ""},
        {"{\">\":[{\"var\":\"a\"},1]}", "{\"a\":{}}", U, "type_mismatch:a"},
    };

    CHECK_ALL(rows);
}

Test(logic, membership_and_texts)
{
    static const struct row rows[] = {
        {"{\"in\":[{\"var\":\"a\"},[\"x\",\"y\"]]}", "{\"a\":\"y\"}", T, ""},
        {"{\"in\":[{\"var\":\"a\"},[\"x\",\"y\"]]}", "{\"a\":\"z\"}", F, ""},
        {"{\"in\":[{\"var\":\"a\"},[\"x\",\"y\"]]}", "{}", U, "missing_field:a"},
        {"{\"in\":[{\"var\":\"a\"},[\"1\",\"2\"]]}", "{\"a\":1}", U, "type_mismatch:a"},
        {"{\"in\":[{\"var\":\"a\"},[1,2.0]]}", "{\"a\":2}", T, ""},
        {"{\"in\":[\"x\",{\"var\":\"tags\"}]}", "{\"tags\":[\"x\"]}", T, ""},
        {"{\"in\":[\"x\",{\"var\":\"tags\"}]}", "{\"tags\":[]}", F, ""},
        {"{\"in\":[\"x\",{\"var\":\"tags\"}]}", "{\"tags\":[\"y\",null]}", U, "missing_field:tags"},
        {"{\"in\":[\"x\",{\"var\":\"tags\"}]}", "{\"tags\":[null,\"x\"]}", T, ""},
        {"{\"in\":[\"x\",{\"var\":\"tags\"}]}", "{}", U, "missing_field:tags"},
        {"{\"in\":[\"lake\",{\"var\":\"name\"}]}", "{\"name\":\"the lake house\"}", T, ""},
        {"{\"in\":[\"\",{\"var\":\"name\"}]}", "{\"name\":\"\"}", T, ""},
        {"{\"in\":[\"lake\",{\"var\":\"name\"}]}", "{\"name\":5}", U, "type_mismatch:name"},
        {"{\"startsWith\":[{\"var\":\"a\"},\"ab\"]}", "{\"a\":\"abc\"}", T, ""},
        {"{\"startsWith\":[{\"var\":\"a\"},\"abcd\"]}", "{\"a\":\"abc\"}", F, ""},
        {"{\"endsWith\":[{\"var\":\"a\"},\"bc\"]}", "{\"a\":\"abc\"}", T, ""},
        {"{\"endsWith\":[{\"var\":\"a\"},\"ab\"]}", "{\"a\":\"abc\"}", F, ""},
        {"{\"endsWith\":[{\"var\":\"a\"},\"\"]}", "{\"a\":\"\"}", T, ""},
        {"{\"endsWith\":[{\"var\":\"a\"},\"x\"]}", "{}", U, "missing_field:a"},
        {"{\"==\":[{\"cat\":[{\"var\":\"a\"},\"-\",{\"var\":\"n\"}]},\"x-7\"]}", "{\"a\":\"x\",\"n\":7}", T, ""},
        {"{\"==\":[{\"cat\":[{\"var\":\"a\"},\"x\"]},\"x\"]}", "{}", U, "missing_field:a"},
        {"{\"==\":[{\"cat\":[{\"var\":\"a\"},\"x\"]},\"x\"]}", "{\"a\":[]}", U, "type_mismatch:a"},
        {"{\"==\":[{\"substr\":[{\"var\":\"a\"},-3,2]},\"äb\"]}", "{\"a\":\"xyzäbc\"}", T, ""},
        {"{\"==\":[{\"substr\":[{\"var\":\"a\"},1,-1]},\"b\"]}", "{\"a\":\"abc\"}", T, ""},
        {"{\"==\":[{\"length\":{\"var\":\"a\"}},3]}", "{\"a\":\"äbc\"}", T, ""},
        {"{\"==\":[{\"length\":{\"var\":\"a\"}},2]}", "{\"a\":[1,2]}", T, ""},
        {"{\"==\":[{\"length\":{\"var\":\"a\"}},2]}", "{\"a\":7}", U, "type_mismatch:a"},
    };

    CHECK_ALL(rows);
}

Test(logic, arithmetic_is_exact_or_unknown)
{
    static const struct row rows[] = {
        {"{\"==\":[{\"+\":[{\"var\":\"a\"},1]},9007199254740993]}", "{\"a\":9007199254740992}", T, ""},
        {"{\"==\":[{\"+\":[{\"var\":\"a\"},1]},1]}", "{\"a\":9223372036854775807}", U, "not_a_number:a"},
        {"{\"==\":[{\"-\":[{\"var\":\"a\"}]},-4]}", "{\"a\":4}", T, ""},
        {"{\"==\":[{\"-\":[{\"var\":\"a\"},0.5]},3.5]}", "{\"a\":4}", T, ""},
        {"{\"==\":[{\"*\":[{\"var\":\"a\"},2,3]},24]}", "{\"a\":4}", T, ""},
        {"{\"==\":[{\"*\":[{\"var\":\"a\"},2]},0]}", "{\"a\":4611686018427387905}", U, "not_a_number:a"},
        {"{\"==\":[{\"/\":[{\"var\":\"a\"},2]},2]}", "{\"a\":4}", T, ""},
        {"{\"==\":[{\"/\":[{\"var\":\"a\"},8]},0.5]}", "{\"a\":4}", T, ""},
        {"{\"==\":[{\"/\":[{\"var\":\"a\"},-1]},-4]}", "{\"a\":4}", T, ""},
        {"{\">\":[{\"/\":[{\"var\":\"a\"},-1]},9.2e18]}", "{\"a\":-9223372036854775808}", T, ""},
        {"{\"<\":[{\"/\":[{\"var\":\"a\"},0]},2]}", "{\"a\":4}", U, "not_a_number:a"},
        {"{\"<\":[{\"%\":[{\"var\":\"a\"},0]},2]}", "{\"a\":4}", U, "not_a_number:a"},
        {"{\"==\":[{\"%\":[{\"var\":\"a\"},-1]},0]}", "{\"a\":-9223372036854775808}", T, ""},
        {"{\"==\":[{\"%\":[{\"var\":\"a\"},3]},1]}", "{\"a\":7}", T, ""},
        {"{\"==\":[{\"%\":[{\"var\":\"a\"},2]},1.5]}", "{\"a\":7.5}", T, ""},
        {"{\"==\":[{\"+\":[{\"var\":\"a\"},1]},2]}", "{\"a\":\"1\"}", U, "type_mismatch:a"},
        {"{\"==\":[{\"+\":[{\"var\":\"a\"},1]},2]}", "{}", U, "missing_field:a"},
        {"{\"==\":[{\"min\":[{\"var\":\"a\"},2,3.5]},2]}", "{\"a\":7}", T, ""},
        {"{\"==\":[{\"max\":[{\"var\":\"a\"},2,3.5]},7]}", "{\"a\":7}", T, ""},
        {"{\"==\":[{\"max\":[{\"var\":\"a\"},2]},7]}", "{}", U, "missing_field:a"},
    };

    CHECK_ALL(rows);
}

Test(logic, iterators_see_their_items)
{
    static const struct row rows[] = {
        {"{\"some\":[{\"var\":\"v\"},{\"==\":[{\"var\":\"role\"},\"planner\"]}]}",
         "{\"v\":[{\"role\":\"dj\"},{\"role\":\"planner\"}]}", T, ""},
        {"{\"some\":[{\"var\":\"v\"},{\"==\":[{\"var\":\"role\"},\"planner\"]}]}", "{\"v\":[{\"role\":\"dj\"},{}]}", U,
         "missing_field:role"},
        {"{\"some\":[{\"var\":\"v\"},{\"==\":[{\"var\":\"role\"},\"planner\"]}]}",
         "{\"v\":[{},{\"role\":\"planner\"}]}", T, ""},
        {"{\"some\":[{\"var\":\"v\"},true]}", "{\"v\":[]}", F, ""},
        {"{\"some\":[{\"var\":\"v\"},true]}", "{}", U, "missing_field:v"},
        {"{\"some\":[{\"var\":\"v\"},true]}", "{\"v\":3}", U, "type_mismatch:v"},
        {"{\"all\":[{\"var\":\"v\"},{\">\":[{\"var\":\"\"},0]}]}", "{\"v\":[1,2]}", T, ""},
        {"{\"all\":[{\"var\":\"v\"},{\">\":[{\"var\":\"\"},0]}]}", "{\"v\":[null,0]}", F, ""},
        {"{\"all\":[{\"var\":\"v\"},{\">\":[{\"var\":\"\"},0]}]}", "{\"v\":[1,null]}", U, "missing_field"},
        {"{\"all\":[{\"var\":\"v\"},true]}", "{\"v\":[]}", F, ""},
        {"{\"none\":[{\"var\":\"v\"},{\">\":[{\"var\":\"\"},1]}]}", "{\"v\":[1,0]}", T, ""},
        {"{\"none\":[{\"var\":\"v\"},{\">\":[{\"var\":\"\"},1]}]}", "{\"v\":[1,2]}", F, ""},
        {"{\"none\":[{\"var\":\"v\"},true]}", "{\"v\":[]}", T, ""},
        /* react-querybuilder's "at least n" */
        {"{\">=\":[{\"reduce\":[{\"filter\":[{\"var\":\"v\"},{\"var\":\"ok\"}]},{\"+\":[1,{\"var\":\"accumulator\"}]},"
         "0]},2]}",
         "{\"v\":[{\"ok\":true},{\"ok\":false},{\"ok\":true}]}", T, ""},
        {"{\">=\":[{\"reduce\":[{\"filter\":[{\"var\":\"v\"},{\"var\":\"ok\"}]},{\"+\":[1,{\"var\":\"accumulator\"}]},"
         "0]},2]}",
         "{\"v\":[{\"ok\":true},{},{\"ok\":true}]}", U, "missing_field:ok"},
        {"{\"==\":[{\"reduce\":[{\"map\":[{\"var\":\"v\"},{\"var\":\"n\"}]},{\"+\":[{\"var\":\"current\"},{\"var\":"
         "\"accumulator\"}]},0]},6]}",
         "{\"v\":[{\"n\":1},{\"n\":2},{\"n\":3}]}", T, ""},
        {"{\"in\":[3,{\"merge\":[{\"var\":\"a\"},{\"var\":\"b\"},4]}]}", "{\"a\":[1],\"b\":[3]}", T, ""},
        {"{\"in\":[3,{\"merge\":[{\"var\":\"a\"},[3]]}]}", "{}", U, "missing_field:a"},
        {"{\"some\":[{\"var\":\"v\"},{\"==\":[{\"var\":\"d\"},{\"val\":[[2],\"d\"]}]}]}",
         "{\"d\":1,\"v\":[{\"d\":2},{\"d\":1}]}", T, ""},
        {"{\"some\":[{\"var\":\"v\"},{\"==\":[{\"val\":[[1],\"index\"]},1]}]}", "{\"v\":[0,0]}", T, ""},
        {"{\"some\":[{\"var\":\"v\"},{\"some\":[{\"var\":\"w\"},{\"==\":[{\"var\":\"\"},{\"val\":[[2],\"x\"]}]}]}]}",
         "{\"v\":[{\"x\":5,\"w\":[1]},{\"x\":6,\"w\":[6]}]}", T, ""},
    };

    CHECK_ALL(rows);
}

Test(logic, presence_defaults_and_errors)
{
    static const struct row rows[] = {
        {"{\"==\":[{\"var\":[\"a\",7]},7]}", "{}", T, ""},
        {"{\"==\":[{\"var\":[\"a\",7]},7]}", "{\"a\":null}", T, ""},
        {"{\"==\":[{\"var\":[\"a\",7]},7]}", "{\"a\":8}", F, ""},
        {"{\"==\":[{\"??\":[{\"var\":\"a\"},{\"var\":\"b\"},3]},3]}", "{}", T, ""},
        {"{\"==\":[{\"??\":[{\"var\":\"a\"},{\"var\":\"b\"}]},3]}", "{}", U, "missing_field:b"},
        {"{\"exists\":\"a\"}", "{\"a\":null}", T, ""},
        {"{\"exists\":[\"a\",\"b\"]}", "{\"a\":{}}", F, ""},
        {"{\"==\":[{\"length\":[{\"missing\":[\"a\",\"b.c\",\"d\"]}]},2]}", "{\"a\":1,\"d\":\"\"}", T, ""},
        {"{\"!!\":{\"missing_some\":[1,[\"a\",\"b\"]]}}", "{\"a\":1}", F, ""},
        {"{\"!!\":{\"missing_some\":[2,[\"a\",\"b\"]]}}", "{\"a\":1}", T, ""},
        {"{\"==\":[{\"var\":{\"cat\":[\"a\",\".b\"]}},1]}", "{\"a\":{\"b\":1}}", T, ""},
        {"{\"==\":[{\"val\":[\"a\",\"b.c\"]},1]}", "{\"a\":{\"b.c\":1}}", T, ""},
        {"{\"==\":[{\"val\":[\"a\",1]},2]}", "{\"a\":[1,2]}", T, ""},
        {"{\"==\":[{\"var\":\"a.1\"},2]}", "{\"a\":[1,2]}", T, ""},
        {"{\"==\":[{\"var\":\"a.01\"},2]}", "{\"a\":[1,2]}", U, "missing_field:a.01"},
        {"{\"==\":[{\"var\":\"a.length\"},2]}", "{\"a\":[1,2]}", U, "missing_field:a.length"},
        {"{\"==\":[{\"var\":\"a..b\"},2]}", "{\"a\":{\"\":{\"b\":2}}}", T, ""},
        {"{\"try\":[{\"throw\":\"no\"},{\"==\":[{\"var\":\"type\"},\"no\"]}]}", "{}", T, ""},
        {"{\"throw\":\"no\"}", "{}", U, "thrown"},
        {"{\"try\":[{\"<\":[{\"var\":\"u\"},1]},true]}", "{}", U, "missing_field:u"},
        {"{\"try\":[{\"<\":[{\"/\":[1,0]},1]},true]}", "{}", T, ""},
    };

    CHECK_ALL(rows);
}

Test(logic, facts_are_reset_without_mixing_documents)
{
    struct logic_fields *fields = logic_fields_new();
    struct logic *rule = compiled("{\"==\":[{\"var\":\"a.b\"},1]}", fields);
    struct logic_facts *facts = logic_facts_new(fields);
    json_t *yes = parse("{\"a\":{\"b\":1}}");
    json_t *no = parse("{\"a\":{}}");

    for (int i = 0; i < 3; i++) {
        logic_facts_set(facts, yes, NULL);
        cr_assert_eq(logic_eval(rule, facts, NULL), LOGIC_TRUE);
        logic_facts_set(facts, no, NULL);
        cr_assert_eq(logic_eval(rule, facts, NULL), LOGIC_UNKNOWN);
        logic_facts_set(facts, NULL, NULL);
        cr_assert_eq(logic_eval(rule, facts, NULL), LOGIC_UNKNOWN);
    }
    /* The interner grows after the facts were made. */
    struct logic *later = compiled("{\"==\":[{\"var\":\"c\"},null]}", fields);
    logic_facts_set(facts, yes, NULL);
    cr_assert_eq(logic_eval(later, facts, NULL), LOGIC_TRUE);
    cr_assert_eq(logic_eval(rule, facts, NULL), LOGIC_TRUE);
    json_decref(yes);
    json_decref(no);
    logic_free(later);
    logic_free(rule);
    logic_facts_free(facts);
    logic_fields_free(fields);
}

Test(logic, facts_survive_four_billion_documents)
{
    struct logic_fields *fields = logic_fields_new();
    struct logic *rule_a = compiled("{\"==\":[{\"var\":\"a\"},1]}", fields);
    struct logic *rule_b = compiled("{\"==\":[{\"var\":\"b\"},1]}", fields);
    struct logic_facts *facts = logic_facts_new(fields);
    json_t *yes = parse("{\"a\":1,\"b\":1}");
    json_t *no = parse("{\"a\":2,\"b\":2}");

    facts->generation = 1;
    logic_facts_set(facts, yes, NULL); /* generation 2 */
    cr_assert_eq(logic_eval(rule_a, facts, NULL), LOGIC_TRUE);
    cr_assert_eq(logic_eval(rule_b, facts, NULL), LOGIC_TRUE);
    facts->generation = UINT32_MAX;
    logic_facts_set(facts, no, NULL); /* begins anew */
    cr_assert_eq(logic_eval(rule_a, facts, NULL), LOGIC_FALSE);
    logic_facts_set(facts, no, NULL); /* generation 2 again: the old memo of b must be gone */
    cr_assert_eq(logic_eval(rule_b, facts, NULL), LOGIC_FALSE);
    json_decref(yes);
    json_decref(no);
    logic_free(rule_a);
    logic_free(rule_b);
    logic_facts_free(facts);
    logic_fields_free(fields);
}

Test(logic, the_rule_does_not_borrow_its_json)
{
    struct logic_fields *fields = logic_fields_new();
    struct logic *rule =
        compiled("{\"and\":[{\"in\":[{\"var\":\"a\"},[\"x\",\"yy\"]]},{\"==\":[{\"preserve\":{\"k\":[1]}},null]}]}",
                 fields);
    struct logic_facts *facts = logic_facts_new(fields);
    json_t *data = parse("{\"a\":\"yy\"}");
    struct logic_reason reason;

    logic_facts_set(facts, data, NULL);
    cr_assert_eq(logic_eval(rule, facts, &reason), LOGIC_FALSE);
    cr_assert_gt(logic_bytes(rule), 100);
    json_decref(data);
    logic_facts_free(facts);
    logic_free(rule);
    logic_fields_free(fields);
}

/* A path that begins with a dot names a member without a name first; it shares nothing with the document's members. */
Test(logic, a_path_with_an_empty_first_name_keeps_to_itself)
{
    static const char *const orders[][2] = {{"a", ".a"}, {".a", "a"}};
    json_t *data = parse("{\"a\":1,\"\":{\"a\":2}}");

    for (size_t i = 0; i < 2; i++) {
        struct logic_fields *fields = logic_fields_new();
        struct logic_facts *facts = logic_facts_new(fields);
        logic_facts_set(facts, data, NULL);
        for (size_t k = 0; k < 2; k++) {
            uint32_t slot;
            cr_assert_eq(logic_fields_intern(fields, str_of(orders[i][k]), &slot), ERR_OK);
            json_int_t found = json_integer_value(logic_facts_get(facts, slot));
            cr_expect_eq(found, orders[i][k][0] == '.' ? 2 : 1, "%s: %d", orders[i][k], (int)found);
        }
        logic_facts_free(facts);
        logic_fields_free(fields);
    }
    json_decref(data);
}

static enum logic_truth eval_over_list(const char *rule_text, size_t n, char reason_text[LOGIC_REASON_SIZE])
{
    struct logic_fields *fields = logic_fields_new();
    struct logic *rule = compiled(rule_text, fields);
    struct logic_facts *facts = logic_facts_new(fields);
    json_t *list = json_array();
    json_t *data = json_pack("{s:o}", "v", list);
    struct logic_reason reason;

    for (size_t i = 0; i < n; i++)
        (void)json_array_append_new(list, json_integer((json_int_t)i));
    logic_facts_set(facts, data, NULL);
    enum logic_truth truth = logic_eval(rule, facts, &reason);
    (void)logic_reason_text(&reason, reason_text);
    json_decref(data);
    logic_facts_free(facts);
    logic_free(rule);
    logic_fields_free(fields);
    return truth;
}

Test(logic, evaluation_is_bounded)
{
    static const struct {
        const char *rule;
        size_t n;
        enum logic_truth truth;
        const char *reason;
    } rows[] = {
        {"{\"all\":[{\"var\":\"v\"},{\">=\":[{\"var\":\"\"},0]}]}", 1000, LOGIC_TRUE, ""},
        {"{\"all\":[{\"var\":\"v\"},{\">=\":[{\"var\":\"\"},0]}]}", 10000, LOGIC_UNKNOWN, "error:budget"},
        {"{\"or\":[{\"all\":[{\"var\":\"v\"},{\">=\":[{\"var\":\"\"},0]}]},true]}", 10000, LOGIC_UNKNOWN, "error:budget"},
        {"{\"in\":[-1,{\"var\":\"v\"}]}", 30000, LOGIC_UNKNOWN, "error:budget"},
        {"{\"!!\":{\"map\":[{\"var\":\"v\"},1]}}", 1000, LOGIC_TRUE, ""},
        {"{\"!!\":{\"map\":[{\"var\":\"v\"},1]}}", 1001, LOGIC_UNKNOWN, "error:list"},
        {"{\"!!\":{\"merge\":[{\"var\":\"v\"},{\"var\":\"v\"}]}}", 501, LOGIC_UNKNOWN, "error:list"},
        /* Doubling a text 40 times must end long before memory does. */
        {"{\"!!\":{\"reduce\":[{\"var\":\"v\"},{\"cat\":[{\"var\":\"accumulator\"},{\"var\":\"accumulator\"}]},\"xy\"]}"
         "}",
         40, LOGIC_UNKNOWN, "error:string"},
        /* So must a list that holds itself twice, 300 deep. */
        {"{\"!!\":{\"reduce\":[{\"var\":\"v\"},[{\"var\":\"accumulator\"},{\"var\":\"accumulator\"}],0]}}", 300,
         LOGIC_UNKNOWN, "error:depth"},
        {"{\"!!\":{\"reduce\":[{\"var\":\"v\"},{\"var\":\"\"},0]}}", 300, LOGIC_UNKNOWN, "error:depth"},
        {"{\"!!\":{\"map\":[{\"var\":\"v\"},{\"length\":{\"map\":[{\"val\":[[2],\"v\"]},1]}}]}}", 250, LOGIC_UNKNOWN,
         "error:budget"},
        {"{\"try\":[{\"all\":[{\"var\":\"v\"},{\">=\":[{\"var\":\"\"},0]}]},true]}", 10000, LOGIC_UNKNOWN,
         "error:budget"},
    };
    char reason[LOGIC_REASON_SIZE];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum logic_truth truth = eval_over_list(rows[i].rule, rows[i].n, reason);
        cr_expect_eq(truth, rows[i].truth, "%s: %d", rows[i].rule, (int)truth);
        cr_expect_str_eq(reason, rows[i].reason, "%s: %s", rows[i].rule, reason);
    }
}

#define SIXTEEN_LETTERS_EACH                                                                                           \
    "{\"reduce\":[{\"var\":\"v\"},{\"cat\":[{\"var\":\"accumulator\"},\"sixteen letters.\"]},\"\"]}"

/* The last that passes and the first that does not. Memory is counted in structures: roughly. */
Test(logic, each_bound_of_an_evaluation_is_where_it_is_said_to_be)
{
    static const struct {
        const char *rule;
        size_t last, first;
        const char *reason;
    } rows[] = {
        {"{\"!\":{\"in\":[-1,{\"var\":\"v\"}]}}", LOGIC_BUDGET_OPS - 4, LOGIC_BUDGET_OPS - 3, "error:budget"},
        {"{\"!!\":{\"map\":[{\"var\":\"v\"},1]}}", LOGIC_LIST_MAX, LOGIC_LIST_MAX + 1, "error:list"},
        {"{\"!!\":{\"filter\":[{\"var\":\"v\"},true]}}", LOGIC_LIST_MAX, LOGIC_LIST_MAX + 1, "error:list"},
        {"{\"!!\":{\"merge\":[{\"var\":\"v\"},0]}}", LOGIC_LIST_MAX - 1, LOGIC_LIST_MAX, "error:list"},
        {"{\"!!\":" SIXTEEN_LETTERS_EACH "}", LOGIC_STRING_MAX_BYTES / 16, LOGIC_STRING_MAX_BYTES / 16 + 1,
         "error:string"},
        {"{\"!!\":{\"reduce\":[{\"var\":\"v\"},[{\"var\":\"accumulator\"}],0]}}", VALUE_DEPTH_MAX, VALUE_DEPTH_MAX + 1,
         "error:depth"},
        {"{\"!!\":[[" SIXTEEN_LETTERS_EACH "," SIXTEEN_LETTERS_EACH "]]}", 200, 256, "error:memory"},
    };
    char reason[LOGIC_REASON_SIZE];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cr_expect_eq(eval_over_list(rows[i].rule, rows[i].last, reason), LOGIC_TRUE, "%s: %s", rows[i].rule, reason);
        cr_expect_str_eq(reason, "", "%s: %s", rows[i].rule, reason);
        cr_expect_eq(eval_over_list(rows[i].rule, rows[i].first, reason), LOGIC_UNKNOWN, "%s", rows[i].rule);
        cr_expect_str_eq(reason, rows[i].reason, "%s: %s", rows[i].rule, reason);
    }
}

Test(logic, a_shared_list_does_not_unfold_without_bound)
{
    struct logic_options options = {.mode = LOGIC_JSONLOGIC};
    struct logic_error why;
    json_t *rule = parse("{\"reduce\":[{\"var\":\"\"},[{\"var\":\"accumulator\"},{\"var\":\"accumulator\"}],0]}");
    json_t *data = json_array();

    for (int i = 0; i < 60; i++)
        (void)json_array_append_new(data, json_integer(i));
    cr_assert_null(logic_apply(rule, data, &options, &why));
    cr_assert_eq(why.code, LOGIC_RAISED);
    cr_assert_str_eq(why.found, "error:budget");
    json_decref(rule);
    json_decref(data);
}
