/* logic, jsonlogic mode: values as json-logic-js returns them, its surprises included; CertLogic's and the community's
 * operators; conversions of ECMA-262; explanations. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/core/logic.h"
#include "common/core/value.h"

struct row {
    const char *rule;
    const char *data;
    const char *result; /* compact JSON, or "!type" of an error */
};

static json_t *parse(const char *text)
{
    json_error_t where;
    json_t *json = json_loads(text, JSON_DECODE_ANY, &where);

    cr_assert_not_null(json, "%s: %s", text, where.text);
    return json;
}

static void check(const struct row *row, bool certlogic)
{
    struct logic_options options = {.mode = LOGIC_JSONLOGIC, .certlogic = certlogic};
    struct logic_error why = {0};
    json_t *rule = parse(row->rule);
    json_t *data = parse(row->data);
    json_t *got = logic_apply(rule, data, &options, &why);
    char *text = got != NULL ? json_dumps(got, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;

    if (row->result[0] == '!')
        cr_expect(got == NULL && strcmp(why.found, row->result + 1) == 0, "%s: %s", row->rule,
                  text != NULL ? text : why.found);
    else
        cr_expect(text != NULL && strcmp(text, row->result) == 0, "%s over %s: %s", row->rule, row->data,
                  text != NULL ? text : why.found);
    free(text);
    json_decref(got);
    json_decref(rule);
    json_decref(data);
}

#define CHECK_ALL(rows, certlogic)                                                                                     \
    for (size_t i = 0; i < sizeof(rows) / sizeof((rows)[0]); i++)                                                      \
    check(&(rows)[i], certlogic)

Test(logic_js, coerces_as_javascript_does)
{
    static const struct row rows[] = {
        {"{\"==\":[1,\"1\"]}", "null", "true"},
        {"{\"==\":[null,0]}", "null", "false"},
        {"{\"<\":[null,1]}", "null", "true"},
        {"{\"==\":[[],\"\"]}", "null", "true"},
        {"{\"==\":[[1,2],\"1,2\"]}", "null", "true"},
        {"{\"==\":[{\"var\":\"a\"},{\"var\":\"a\"}]}", "{\"a\":[1]}", "true"},
        {"{\"===\":[[1],[1]]}", "null", "false"},
        {"{\"<\":[\"10\",\"9\"]}", "null", "true"},
        {"{\"<\":[\"10\",9]}", "null", "false"},
        {"{\"<\":[1,2,0]}", "null", "false"},
        {"{\">\":[3,2,5]}", "null", "true"},
        {"{\">\":[\"\xF0\x9F\x98\x80\",\"\xEF\xBF\xBD\"]}", "null", "false"},
        {"{\"+\":[\"12abc\",true]}", "null", "null"},
        {"{\"+\":[\"12abc\",1]}", "null", "13"},
        {"{\"+\":[]}", "null", "0"},
        {"{\"*\":[\"7\"]}", "null", "\"7\""},
        {"{\"*\":[]}", "null", "!Invalid Arguments"},
        {"{\"-\":[[5]]}", "null", "-5"},
        {"{\"-\":[true,\" 0x1F \"]}", "null", "-30"},
        {"{\"/\":[1,0]}", "null", "null"},
        {"{\"%\":[-5,3]}", "null", "-2"},
        {"{\"max\":[]}", "null", "null"},
        {"{\"max\":[\"3\",2]}", "null", "3"},
        {"{\"min\":[{\"var\":\"x\"},2]}", "{}", "0"},
        {"{\"cat\":[1e21,\" \",1e-7,\" \",0.1,\" \",null,[1,[2,null]],{\"a\":1,\"b\":2}]}", "null",
         "\"1e+21 1e-7 0.1 1,2,[object Object]\""},
        {"{\"in\":[1,\"a1\"]}", "null", "true"},
        {"{\"in\":[\"a\",{\"var\":\"o\"}]}", "{\"o\":{\"indexOf\":1}}", "!Invalid Arguments"},
        {"{\"substr\":[null,1,-1]}", "null", "\"ul\""},
        {"{\"substr\":[\"jsonlogic\",1,\"-5\"]}", "null", "\"\""},
        {"{\"and\":[]}", "null", "null"},
        {"{\"!!\":[[]]}", "null", "false"},
        {"{\"!!\":[\"0\"]}", "null", "true"},
        {"{\"if\":[\"\",1,[],2,3]}", "null", "3"},
        {"{\"var\":\"s.length\"}", "{\"s\":\"äb\"}", "2"},
        {"{\"var\":\"s.1\"}", "{\"s\":\"äb\"}", "\"b\""},
        {"{\"var\":\"l.length\"}", "{\"l\":[1,2]}", "2"},
        {"{\"var\":[\"n\",1]}", "{\"n\":null}", "null"},
        {"{\"missing\":[\"a\",\"b\"]}", "{\"a\":\"\"}", "[\"a\",\"b\"]"},
        {"{\"missing_some\":[1,\"abc\"]}", "{}", "[]"},
        {"{\"missing_some\":[1,null]}", "{}", "!Invalid Arguments"},
        {"{\"nope\":[1]}", "null", "!Unknown Operator"},
        {"{\"var.x\":[1]}", "null", "!Unknown Operator"},
        {"{\"a\":1,\"b\":2}", "null", "{\"a\":1,\"b\":2}"},
        {"{\"startsWith\":[\"abc\",\"ab\"]}", "null", "true"},
        {"{\"endsWith\":[5,\"5\"]}", "null", "false"},
        {"{\"log\":[\"x\"]}", "null", "\"x\""},
    };

    CHECK_ALL(rows, false);
}

Test(logic_js, community_operators)
{
    static const struct row rows[] = {
        {"{\"val\":[\"a\",\"b.c\"]}", "{\"a\":{\"b.c\":5}}", "5"},
        {"{\"map\":[[1,2],{\"+\":[{\"val\":[[1],\"index\"]},{\"val\":[[-2],\"x\"]}]}]}", "{\"x\":10}", "[10,11]"},
        {"{\"val\":[[9],\"x\"]}", "{\"x\":10}", "null"},
        {"{\"??\":[null,{\"var\":\"u\"},false]}", "{}", "false"},
        {"{\"exists\":\"a\"}", "{\"a\":null}", "true"},
        {"{\"length\":[[1,2]]}", "null", "2"},
        {"{\"length\":5}", "null", "!Invalid Arguments"},
        {"{\"throw\":\"stop\"}", "null", "!stop"},
        {"{\"throw\":{\"var\":\"e\"}}", "{\"e\":{\"type\":\"own\"}}", "!own"},
        {"{\"try\":[{\"throw\":\"a\"},{\"throw\":\"b\"},{\"var\":\"type\"}]}", "null", "\"b\""},
        {"{\"try\":[{\"/\":[0,0]},1]}", "null", "1"},
        {"{\"try\":[{\"nope\":1},2]}", "null", "2"},
        {"{\"try\":[{\"/\":[1,0]}]}", "null", "!NaN"},
        {"{\"preserve\":{\"+\":[1]}}", "null", "{\"+\":[1]}"},
    };

    CHECK_ALL(rows, false);
}

/* Each row beside what the same operator answers outside `try`, as json-logic-js does. */
Test(logic_js, within_try_what_has_no_number_or_no_operands_is_an_error)
{
    static const struct {
        const char *rule, *within, *outside;
    } rows[] = {
        {"{\"==\":[7,\"seven\"]}", "!NaN", "false"},
        {"{\"!=\":[7,\"seven\"]}", "!NaN", "true"},
        {"{\"==\":[[7],7]}", "!NaN", "true"},
        {"{\"==\":[\"7\",7]}", "true", "true"},
        {"{\"==\":[\"a\",\"b\"]}", "false", "false"},
        {"{\"==\":[null,\"a\"]}", "false", "false"},
        {"{\"===\":[7,\"seven\"]}", "false", "false"},
        {"{\"<\":[6,\"x\"]}", "!NaN", "false"},
        {"{\"<=\":[[2],3]}", "!NaN", "true"},
        {"{\">\":[\"b\",\"a\"]}", "true", "true"},
        {"{\">=\":[2,null]}", "true", "true"},
        {"{\"<\":[3]}", "!Invalid Arguments", "false"},
        {"{\"===\":[3]}", "!Invalid Arguments", "false"},
        {"{\"<\":3}", "!Invalid Arguments", "false"},
        {"{\"%\":[3]}", "!Invalid Arguments", "null"},
        {"{\"-\":[]}", "!Invalid Arguments", "null"},
        {"{\"/\":[]}", "!Invalid Arguments", "null"},
        {"{\"if\":\"x\"}", "!Invalid Arguments", "\"x\""},
        {"{\"and\":{\"preserve\":[true,3]}}", "!Invalid Arguments", "[true,3]"},
        {"{\"or\":[]}", "null", "null"},
        {"{\"!\":5}", "false", "false"},
        {"{\"map\":[null,1]}", "!Invalid Arguments", "[]"},
        {"{\"map\":[{\"var\":\"nope\"},1]}", "[]", "[]"},
        {"{\"filter\":[[4],null]}", "!Invalid Arguments", "[]"},
        {"{\"reduce\":[[4]]}", "!Invalid Arguments", "null"},
        {"{\"some\":[{\"var\":\"nope\"},true]}", "!Invalid Arguments", "false"},
        {"{\"none\":[{\"var\":\"nope\"},true]}", "!Invalid Arguments", "true"},
        {"{\"all\":[[],true]}", "false", "false"},
        {"{\"+\":[[5],1]}", "!NaN", "6"},
        {"{\"+\":[true,\"\",null]}", "1", "null"},
        {"{\"+\":[\"5 days\"]}", "!NaN", "5"},
        {"{\"*\":[\"five\"]}", "!NaN", "\"five\""},
        {"{\"*\":[\"5\"]}", "5", "\"5\""},
        {"{\"-\":[{\"a\":1,\"b\":2},1]}", "!NaN", "null"},
        {"{\"max\":[[3],4]}", "!NaN", "4"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char tried[128];
        (void)snprintf(tried, sizeof(tried), "{\"try\":[%s]}", rows[i].rule);
        check(&(struct row){tried, "{}", rows[i].within}, false);
        check(&(struct row){rows[i].rule, "{}", rows[i].outside}, false);
    }
}

Test(logic_js, certlogic_operators)
{
    static const struct row rows[] = {
        {"{\"!\":[{\"var\":\"\"}]}", "{}", "true"},
        {"{\"reduce\":[{\"var\":\"x\"},{\"+\":[{\"var\":\"accumulator\"},{\"var\":\"data.z\"}]},0]}",
         "{\"x\":[1,1],\"z\":4}", "8"},
        {"{\">\":[3,2,5]}", "null", "false"},
        {"{\"plusTime\":[\"2020-02-29\",1,\"year\"]}", "null", "\"2021-03-01T00:00:00.000Z\""},
        {"{\"plusTime\":[\"2021-06-01T00:00:00+02:00\",40,\"hour\"]}", "null", "\"2021-06-02T14:00:00.000Z\""},
        {"{\"plusTime\":[\"2021-06-01T00:00:00.1239-230\",0,\"day\"]}", "null", "\"2021-06-01T02:30:00.123Z\""},
        {"{\"plusTime\":[\"2021-06-01T00:00:00+1\",0,\"day\"]}", "null", "\"2021-05-31T23:00:00.000Z\""},
        {"{\"plusTime\":[\"2021-06-01T00:00:00\",0,\"day\"]}", "null", "\"2021-06-01T00:00:00.000Z\""},
        {"{\"plusTime\":[\"2021\",0,\"day\"]}", "null", "\"2021-12-31T00:00:00.000Z\""},
        {"{\"plusTime\":[\"2024-02\",0,\"day\"]}", "null", "\"2024-02-29T00:00:00.000Z\""},
        {"{\"plusTime\":[\"2021-06-01T00:00:00+1:5\",0,\"day\"]}", "null", "!Invalid Arguments"},
        {"{\"plusTime\":[\"x\",0,\"day\"]}", "null", "!Invalid Arguments"},
        {"{\"after\":[{\"dccDateOfBirth\":[\"2004\"]},{\"plusTime\":[\"2022-12-30\",-18,\"year\"]}]}", "null", "true"},
        {"{\"not-before\":[\"2021-01-02\",\"2021-01-01\",\"2021-01-01\"]}", "null", "true"},
        {"{\"before\":[null,\"2021-01-01\"]}", "null", "!Invalid Arguments"},
    };

    CHECK_ALL(rows, true);
}

Test(logic_js, a_text_cut_into_a_surrogate_pair_stays_valid)
{
    static const struct row rows[] = {
        {"{\"substr\":[\"a\xF0\x9F\x98\x80z\",3]}", "null", "\"z\""},
        {"{\"substr\":[\"a\xF0\x9F\x98\x80z\",0,2]}", "null", "\"a\""},
        {"{\"substr\":[\"a\xF0\x9F\x98\x80z\",0,3]}", "null", "\"a\xF0\x9F\x98\x80\""},
        {"{\"var\":\"length\"}", "\"a\xF0\x9F\x98\x80z\"", "4"},
    };

    CHECK_ALL(rows, false);
}

Test(logic_js, numbers_are_written_as_javascript_writes_them)
{
    static const struct {
        double d;
        const char *text;
    } rows[] = {
        {0, "0"},
        {-0.0, "0"},
        {1, "1"},
        {-1.5, "-1.5"},
        {0.1, "0.1"},
        {1e20, "100000000000000000000"},
        {1e21, "1e+21"},
        {123456789012345680000.0, "123456789012345680000"},
        {1.5e300, "1.5e+300"},
        {0.000001, "0.000001"},
        {1e-7, "1e-7"},
        {-1.25e-9, "-1.25e-9"},
        {5e-324, "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {INFINITY, "Infinity"},
        {-INFINITY, "-Infinity"},
        {0.30000000000000004, "0.30000000000000004"},
        {100, "100"},
    };
    char text[VALUE_NUMBER_SIZE];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t n = value_js_number_text(rows[i].d, text);
        cr_expect_str_eq(text, rows[i].text);
        cr_expect_eq(n, strlen(text));
    }
    (void)value_js_number_text(NAN, text);
    cr_expect_str_eq(text, "NaN");
}

static bool same_double(double a, double b)
{
    return isnan(a) ? isnan(b) : a == b && signbit(a) == signbit(b);
}

Test(logic_js, texts_are_read_as_javascript_reads_them)
{
    static const struct {
        const char *text;
        double number;
        double parsed;
    } rows[] = {
        {"", 0, NAN},
        {" \t\n", 0, NAN},
        {"12", 12, 12},
        {" 12 ", 12, 12},
        {"12abc", NAN, 12},
        {"1e3", 1000, 1000},
        {"1e", NAN, 1},
        {".5", 0.5, 0.5},
        {"5.", 5, 5},
        {".", NAN, NAN},
        {"-", NAN, NAN},
        {"+3", 3, 3},
        {"--3", NAN, NAN},
        {"0x1F", 31, 0},
        {"-0x1F", NAN, -0.0},
        {"0b11", 3, 0},
        {"0o17", 15, 0},
        {"0b12", NAN, 0},
        {"0x", NAN, 0},
        {"Infinity", INFINITY, INFINITY},
        {"-Infinity", -INFINITY, -INFINITY},
        {"Infinityx", NAN, INFINITY},
        {"inf", NAN, NAN},
        {"nan", NAN, NAN},
        {"\xC2\xA0"
         "7",
         7, 7},
        {"7\xEF\xBB\xBF", 7, 7},
        {"1_0", NAN, 1},
        {"-0", -0.0, -0.0},
        {"1.2.3", NAN, 1.2},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct str s = str_of(rows[i].text);
        cr_expect(same_double(value_js_number_of_text(s), rows[i].number), "Number(\"%s\"): %g", rows[i].text,
                  value_js_number_of_text(s));
        cr_expect(same_double(value_js_parse_float(s), rows[i].parsed), "parseFloat(\"%s\"): %g", rows[i].text,
                  value_js_parse_float(s));
    }
}

Test(logic_js, strict_mode_has_values_too)
{
    struct logic_fields *fields = logic_fields_new();
    struct logic_facts *facts = logic_facts_new(fields);
    json_t *json = parse("{\"+\":[{\"var\":\"a\"},9007199254740992]}");
    json_t *data = parse("{\"a\":1}");
    struct logic_reason reason;
    struct logic *rule;

    cr_assert_eq(logic_compile(json, fields, &(struct logic_options){.mode = LOGIC_STRICT}, &rule, NULL), ERR_OK);
    logic_facts_set(facts, data, NULL);
    json_t *got = logic_value(rule, facts, &reason, NULL);
    cr_assert_eq(json_integer_value(got), INT64_C(9007199254740993));
    json_decref(got);
    logic_facts_set(facts, NULL, NULL);
    got = logic_value(rule, facts, &reason, NULL);
    cr_assert(json_is_null(got));
    cr_assert_eq(reason.why, LOGIC_WHY_MISSING_FIELD);
    cr_assert_str_eq(reason.path, "a");
    json_decref(got);
    json_decref(json);
    json_decref(data);
    logic_free(rule);
    logic_facts_free(facts);
    logic_fields_free(fields);
}

/* ---- explanations ---- */

struct heard {
    char text[2048];
    size_t n;
};

static void hear(void *ctx, const struct logic_trace *node)
{
    struct heard *h = ctx;
    char reason[LOGIC_REASON_SIZE];
    char *value = node->value != NULL ? json_dumps(node->value, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;

    h->n += (size_t)snprintf(h->text + h->n, sizeof(h->text) - h->n, "%u %s %s=%s%s%s(", node->depth, node->pointer,
                             node->field != NULL ? node->field : node->op, value != NULL ? value : "?",
                             node->is_condition ? "" : "v", logic_reason_text(&node->reason, reason));
    free(value);
    for (size_t i = 0; i < node->n_operands; i++) {
        value = node->operands[i] != NULL ? json_dumps(node->operands[i], JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
        h->n += (size_t)snprintf(h->text + h->n, sizeof(h->text) - h->n, "%s%s", i > 0 ? "," : "",
                                 value != NULL ? value : "?");
        free(value);
    }
    h->n += (size_t)snprintf(h->text + h->n, sizeof(h->text) - h->n, ")\n");
}

Test(logic_js, explains_every_node_without_short_circuit)
{
    static const char expected[] = "0  and=false(false,?,true,true)\n"
                                   "1 /and/0 >==false(20,30)\n"
                                   "2 /and/0/>=/0 guests=20v()\n"
                                   "1 /and/1 <=?missing_field:paid(?,5)\n"
                                   "2 /and/1/</0 paid=?vmissing_field:paid()\n"
                                   "1 /and/2 ===true(null,?)\n"
                                   "2 /and/2/==/1 note=?vmissing_field:note()\n"
                                   "1 /and/3 some=true([1,2])\n"
                                   "2 /and/3/some/0 v=[1,2]v()\n";
    struct logic_fields *fields = logic_fields_new();
    struct logic_facts *facts = logic_facts_new(fields);
    json_t *json = parse("{\"and\":[{\">=\":[{\"var\":\"guests\"},30]},{\"<\":[{\"var\":\"paid\"},5]},{\"==\":[null,{"
                         "\"var\":\"note\"}]},"
                         "{\"some\":[{\"var\":\"v\"},{\"==\":[{\"var\":\"\"},2]}]}]}");
    json_t *data = parse("{\"guests\":20,\"v\":[1,2]}");
    struct logic_reason reason;
    struct heard h = {0};
    struct logic *rule;

    cr_assert_eq(logic_compile(json, fields, &(struct logic_options){.mode = LOGIC_STRICT}, &rule, NULL), ERR_OK);
    logic_facts_set(facts, data, NULL);
    cr_assert_eq(logic_explain(rule, facts, hear, &h, &reason), LOGIC_FALSE);
    cr_expect_str_eq(h.text, expected, "%s", h.text);
    json_decref(json);
    json_decref(data);
    logic_free(rule);
    logic_facts_free(facts);
    logic_fields_free(fields);
}
