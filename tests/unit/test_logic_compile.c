/* logic: what the compiler refuses, what it finds out, and how it says so. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/core/logic.h"

static json_t *parse(const char *text)
{
    json_error_t where;
    json_t *json = json_loads(text, JSON_DECODE_ANY, &where);

    cr_assert_not_null(json, "%s: %s", text, where.text);
    return json;
}

static enum err compile_text(const char *text, struct logic_fields *fields, struct logic **rule, struct logic_error *why)
{
    json_t *json = parse(text);
    enum err err = logic_compile(json, fields, &(struct logic_options){.mode = LOGIC_STRICT}, rule, why);

    json_decref(json);
    return err;
}

Test(logic_compile, errors_name_place_finding_and_remedy)
{
    static const struct {
        const char *rule;
        enum logic_code code;
        const char *pointer;
        const char *found;
    } rows[] = {
        {"{\"equals\":[1,2]}", LOGIC_BAD_OPERATOR, "/equals", "\"equals\""},
        {"{\"and\":[true,{\"or\":[{\"nope\":1}]}]}", LOGIC_BAD_OPERATOR, "/and/1/or/0/nope", "\"nope\""},
        {"{\"!\":{\"a/b~c\":1}}", LOGIC_BAD_OPERATOR, "/!/a~1b~0c", "\"a/b~c\""},
        {"{}", LOGIC_BAD_SHAPE, "", "an object with 0 keys"},
        {"{\"and\":[{\"==\":[1,1],\"!=\":[1,1]}]}", LOGIC_BAD_SHAPE, "/and/0", "an object with 2 keys"},
        {"{\"==\":[1]}", LOGIC_BAD_COUNT, "/==", "1 operands"},
        {"{\"in\":[1,[1],2]}", LOGIC_BAD_COUNT, "/in", "3 operands"},
        {"{\"today\":[1]}", LOGIC_BAD_COUNT, "/today", "1 operands"},
        {"{\"and\":[]}", LOGIC_BAD_COUNT, "/and", "0 operands"},
        {"{\"<\":[{\"var\":\"a\"},null]}", LOGIC_BAD_OPERAND, "/</1", "null"},
        {"{\"/\":[1,{\">\":[true,1]}]}", LOGIC_BAD_OPERAND, "/~1/1/>/0", "true"},
        {"{\"in\":[{\"var\":\"a\"},5]}", LOGIC_BAD_OPERAND, "/in/1", "5"},
        {"{\"==\":[{\"var\":\"a\"},[1,2]]}", LOGIC_BAD_OPERAND, "/==/1", "a list of 2"},
        {"{\"before\":[{\"var\":\"a\"},7.5]}", LOGIC_BAD_OPERAND, "/before/1", "7.5"},
        {"{\"var\":true}", LOGIC_BAD_PATH, "/var", "true"},
        {"{\"var\":[[\"a\"]]}", LOGIC_BAD_PATH, "/var/0", "a list of 1"},
        {"{\"changed\":[{\"var\":\"a\"}]}", LOGIC_BAD_PATH, "/changed/0", "an object with 1 keys"},
        {"{\"changed_to\":[5,1]}", LOGIC_BAD_PATH, "/changed_to/0", "5"},
        {"{\"some\":[{\"var\":\"v\"},{\"x\":1}]}", LOGIC_BAD_OPERATOR, "/some/1/x", "\"x\""},
        {"{\"var\":[\"a\",{\"x\":1}]}", LOGIC_BAD_OPERATOR, "/var/1/x", "\"x\""},
        {"[1,[{\"x\":1}]]", LOGIC_BAD_OPERATOR, "/1/0/x", "\"x\""},
    };
    struct logic_fields *fields = logic_fields_new();

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct logic *rule = (struct logic *)1;
        struct logic_error why;
        enum err err = compile_text(rows[i].rule, fields, &rule, &why);
        cr_expect_eq(err, ERR_INVALID, "%s", rows[i].rule);
        cr_expect_null(rule);
        cr_expect_eq(why.code, rows[i].code, "%s: %s", rows[i].rule, logic_code_name(why.code));
        cr_expect_str_eq(why.pointer, rows[i].pointer, "%s: %s", rows[i].rule, why.pointer);
        cr_expect_not_null(strstr(why.found, rows[i].found), "%s: %s", rows[i].rule, why.found);
        cr_expect_neq(why.allowed[0], '\0', "%s", rows[i].rule);
    }
    cr_assert_eq(compile_text("{\"x\":1}", fields, &(struct logic *){NULL}, NULL), ERR_INVALID);
    logic_fields_free(fields);
}

/* `open` and `close` around each other n times, `middle` inside. */
static void nest(struct buf *b, const char *open, const char *middle, const char *close, int n)
{
    buf_reset(b);
    for (int i = 0; i < n; i++)
        buf_put_str(b, open);
    buf_put_str(b, middle);
    for (int i = 0; i < n; i++)
        buf_put_str(b, close);
}

static void repeat(struct buf *b, const char *head, const char *item, int n, const char *tail)
{
    buf_reset(b);
    buf_put_str(b, head);
    for (int i = 0; i < n; i++) {
        buf_put_str(b, i > 0 ? "," : "");
        buf_put_str(b, item);
    }
    buf_put_str(b, tail);
}

static void expect_limit(const struct buf *rule, bool within, enum logic_code code)
{
    struct logic_fields *fields = logic_fields_new();
    struct logic *compiled = NULL;
    struct logic_error why;
    enum err err = compile_text(buf_text(rule), fields, &compiled, &why);

    cr_expect_eq(err, within ? ERR_OK : ERR_LIMIT, "%s: %s %s", logic_code_name(code), why.found, why.allowed);
    if (!within)
        cr_expect_eq(why.code, code, "%s", logic_code_name(why.code));
    logic_free(compiled);
    logic_fields_free(fields);
}

Test(logic_compile, each_limit_has_its_error)
{
    struct buf b = {0};

    nest(&b, "{\"!\":", "true", "}", LOGIC_GROUP_DEPTH_MAX);
    expect_limit(&b, true, LOGIC_LIMIT_GROUPS);
    nest(&b, "{\"!\":", "true", "}", LOGIC_GROUP_DEPTH_MAX + 1);
    expect_limit(&b, false, LOGIC_LIMIT_GROUPS);
    nest(&b, "{\"-\":", "1", "}", LOGIC_DEPTH_MAX);
    expect_limit(&b, true, LOGIC_LIMIT_DEPTH);
    nest(&b, "{\"-\":", "1", "}", LOGIC_DEPTH_MAX + 1);
    expect_limit(&b, false, LOGIC_LIMIT_DEPTH);
    nest(&b, "[", "", "]", 500);
    expect_limit(&b, false, LOGIC_LIMIT_DEPTH);
    repeat(&b, "{\"or\":[", "{\"==\":[1,2]}", LOGIC_LEAVES_MAX, "]}");
    expect_limit(&b, true, LOGIC_LIMIT_LEAVES);
    repeat(&b, "{\"or\":[", "{\"==\":[1,2]}", LOGIC_LEAVES_MAX + 1, "]}");
    expect_limit(&b, false, LOGIC_LIMIT_LEAVES);
    repeat(&b, "{\"in\":[1,[", "7", LOGIC_LIST_MAX, "]]}");
    expect_limit(&b, true, LOGIC_LIMIT_LIST);
    repeat(&b, "{\"in\":[1,[", "7", LOGIC_LIST_MAX + 1, "]]}");
    expect_limit(&b, false, LOGIC_LIMIT_LIST);
    repeat(&b, "{\"or\":[", "true", LOGIC_LIST_MAX, "]}");
    expect_limit(&b, true, LOGIC_LIMIT_LIST);
    repeat(&b, "{\"or\":[", "true", LOGIC_LIST_MAX + 1, "]}");
    expect_limit(&b, false, LOGIC_LIMIT_LIST);
    buf_free(&b);
}

Test(logic_compile, texts_paths_and_rules_have_a_largest_size)
{
    struct buf b = {0};
    char text[LOGIC_STRING_MAX_BYTES + 2];

    memset(text, 'x', sizeof(text));
    text[LOGIC_STRING_MAX_BYTES] = '\0';
    buf_printf(&b, "{\"==\":[{\"var\":\"a\"},\"%s\"]}", text);
    expect_limit(&b, true, LOGIC_LIMIT_STRING);
    buf_reset(&b);
    buf_printf(&b, "{\"in\":[{\"var\":\"a\"},[\"%sx\"]]}", text);
    expect_limit(&b, false, LOGIC_LIMIT_STRING);
    buf_reset(&b);
    buf_put_str(&b, "{\"in\":[\"a\",[");
    for (int i = 0; i < 20; i++)
        buf_printf(&b, "%s\"%s\"", i > 0 ? "," : "", text);
    buf_put_str(&b, "]]}");
    expect_limit(&b, false, LOGIC_LIMIT_BYTES);

    struct logic_fields *fields = logic_fields_new();
    struct logic *rule;
    struct logic_error why;
    buf_reset(&b);
    buf_put_str(&b, "{\"var\":\"a");
    for (int i = 0; i < LOGIC_PATH_SEGMENTS_MAX; i++)
        buf_put_str(&b, ".a");
    buf_put_str(&b, "\"}");
    cr_expect_eq(compile_text(buf_text(&b), fields, &rule, &why), ERR_INVALID);
    cr_expect_eq(why.code, LOGIC_BAD_PATH);
    logic_fields_free(fields);
    buf_free(&b);
}

/* {"in":["a",["xx…","xx…",…]]} of exactly `bytes`. */
static void rule_of(struct buf *b, size_t bytes)
{
    static const char begin[] = "{\"in\":[\"a\",[";
    static const char end[] = "]]}";

    buf_reset(b);
    buf_put_str(b, begin);
    while (b->len + strlen(end) < bytes) {
        size_t comma = b->len > strlen(begin) ? 1 : 0;
        size_t room = bytes - strlen(end) - b->len - comma;
        buf_put_str(b, comma > 0 ? ",\"" : "\"");
        for (size_t n = room > 1000 ? 500 : room - 2; n > 0; n--)
            buf_put_char(b, 'x');
        buf_put_char(b, '"');
    }
    buf_put_str(b, end);
    cr_assert_eq(b->len, bytes);
}

Test(logic_compile, a_rule_and_a_path_may_be_as_long_as_is_said)
{
    struct logic_fields *fields = logic_fields_new();
    struct buf b = {0};
    uint32_t slot;

    rule_of(&b, LOGIC_RULE_MAX_BYTES);
    expect_limit(&b, true, LOGIC_LIMIT_BYTES);
    rule_of(&b, LOGIC_RULE_MAX_BYTES + 1);
    expect_limit(&b, false, LOGIC_LIMIT_BYTES);
    buf_reset(&b);
    for (int i = 0; i < LOGIC_PATH_SEGMENTS_MAX; i++)
        buf_put_str(&b, i > 0 ? ".a" : "a");
    cr_expect_eq(logic_fields_intern(fields, str_of(buf_text(&b)), &slot), ERR_OK);
    buf_put_str(&b, ".a");
    cr_expect_eq(logic_fields_intern(fields, str_of(buf_text(&b)), &slot), ERR_LIMIT);
    buf_reset(&b);
    while (b.len < LOGIC_STRING_MAX_BYTES)
        buf_put_char(&b, 'p');
    cr_expect_eq(logic_fields_intern(fields, str_of(buf_text(&b)), &slot), ERR_OK);
    buf_put_char(&b, 'p');
    cr_expect_eq(logic_fields_intern(fields, str_of(buf_text(&b)), &slot), ERR_LIMIT);
    logic_fields_free(fields);
    buf_free(&b);
}

Test(logic_compile, the_interner_is_bounded_and_stable)
{
    struct logic_fields *fields = logic_fields_new();
    struct logic *rule;
    struct logic_error why;
    char path[16];
    uint32_t slot;

    for (uint32_t i = 0; i < LOGIC_FIELDS_MAX; i++) {
        (void)snprintf(path, sizeof(path), "f%u", (unsigned)i);
        cr_assert_eq(logic_fields_intern(fields, str_of(path), &slot), ERR_OK);
        cr_assert_eq(slot, i);
    }
    cr_assert_eq(logic_fields_intern(fields, STR("one.more"), &slot), ERR_LIMIT);
    cr_assert_eq(logic_fields_intern(fields, STR("f7"), &slot), ERR_OK);
    cr_assert_eq(slot, 7);
    cr_assert_str_eq(logic_fields_path(fields, 7), "f7");
    cr_assert_not(logic_fields_find(fields, STR("one.more"), &slot));
    cr_assert_eq(compile_text("{\"var\":\"one.more\"}", fields, &rule, &why), ERR_LIMIT);
    cr_assert_eq(why.code, LOGIC_LIMIT_FIELDS);
    logic_fields_free(fields);
}

Test(logic_compile, lists_the_fields_used)
{
    static const char text[] =
        "{\"and\":[{\"==\":[{\"var\":\"b\"},{\"var\":\"a\"}]},{\"some\":[{\"var\":\"v\"},{\"var\":\"inner\"}]},"
        "{\"exists\":[\"x\",\"y\"]},{\"!\":[{\"!!\":{\"missing\":[\"m\"]}}]},{\"changed\":\"c\"},{\"==\":[{\"var\":"
        "\"a\"},null]}]}";
    static const char *const expected[] = {"b", "a", "v", "x.y", "m", "c"};
    struct logic_fields *fields = logic_fields_new();
    struct logic *rule;
    size_t n;
    uint32_t slot;

    cr_assert_eq(compile_text(text, fields, &rule, NULL), ERR_OK);
    const uint32_t *slots = logic_slots(rule, &n);
    cr_assert_eq(n, sizeof(expected) / sizeof(expected[0]));
    for (size_t i = 0; i < n; i++) {
        bool used = false;
        cr_assert(logic_fields_find(fields, str_of(expected[i]), &slot));
        for (size_t k = 0; k < n; k++)
            used = used || slots[k] == slot;
        cr_expect(used, "%s", expected[i]);
        cr_expect(i == 0 || slots[i - 1] < slots[i]);
    }
    cr_assert_eq(logic_needs(rule), LOGIC_NEEDS_CHANGES);
    cr_assert_eq(logic_predicates(rule), 7);
    logic_free(rule);
    logic_fields_free(fields);
}

Test(logic_compile, says_what_else_it_needs)
{
    static const struct {
        const char *rule;
        unsigned needs;
    } rows[] = {
        {"{\"<\":[{\"days_until\":[{\"var\":\"d\"}]},30]}", LOGIC_NEEDS_TODAY},
        {"{\"in_season\":[{\"var\":\"d\"}]}", LOGIC_NEEDS_TODAY},
        {"{\"in_season\":[{\"var\":\"d\"},[5]]}", 0},
        {"{\"==\":[{\"var\":{\"var\":\"p\"}},1]}", LOGIC_NEEDS_ANY_FIELD},
        {"{\"!!\":{\"var\":\"\"}}", LOGIC_NEEDS_ANY_FIELD},
        {"{\"==\":[{\"val\":[\"a\",\"b\"]},1]}", 0},
    };
    struct logic_fields *fields = logic_fields_new();

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct logic *rule = NULL;
        cr_assert_eq(compile_text(rows[i].rule, fields, &rule, NULL), ERR_OK, "%s", rows[i].rule);
        cr_expect_eq(logic_needs(rule), rows[i].needs, "%s: %u", rows[i].rule, logic_needs(rule));
        logic_free(rule);
    }
    logic_fields_free(fields);
}

Test(logic_compile, finds_necessary_equalities)
{
    static const char text[] =
        "{\"and\":[{\"==\":[{\"var\":\"status\"},\"booked\"]},{\"and\":[{\"in\":[{\"var\":\"stage\"},[\"a\",3]]},{\"==="
        "\":[true,{\"var\":\"ok\"}]}]},"
        "{\"or\":[{\"==\":[{\"var\":\"x\"},1]},{\"==\":[{\"var\":\"y\"},1]}]},{\"==\":[{\"var\":\"n\"},null]},{\"!=\":["
        "{\"var\":\"z\"},1]},"
        "{\"==\":[{\"var\":[\"w\",5]},5]},{\"in\":[{\"var\":\"v\"},[1,null]]},{\"in\":[\"q\",{\"var\":\"tags\"}]}]}";
    static const struct {
        const char *path;
        uint32_t n;
    } expected[] = {{"status", 1}, {"stage", 2}, {"ok", 1}};
    struct logic_fields *fields = logic_fields_new();
    struct logic *rule;
    size_t n;

    cr_assert_eq(compile_text(text, fields, &rule, NULL), ERR_OK);
    const struct logic_leaf *leaves = logic_leaves(rule, &n);
    cr_assert_eq(n, 3);
    for (size_t i = 0; i < n; i++) {
        cr_expect_str_eq(logic_fields_path(fields, leaves[i].slot), expected[i].path);
        cr_expect_eq(leaves[i].n_values, expected[i].n);
    }
    cr_expect(str_is(leaves[0].values[0].u.s, "booked"));
    cr_expect_eq(leaves[1].values[1].type, LOGIC_INT);
    cr_expect_eq(leaves[1].values[1].u.i, 3);
    cr_expect_eq(leaves[2].values[0].type, LOGIC_BOOL);
    logic_free(rule);
    logic_fields_free(fields);
}

Test(logic_compile, jsonlogic_mode_offers_no_equalities_and_takes_unknown_operators)
{
    struct logic_fields *fields = logic_fields_new();
    json_t *json = parse("{\"and\":[{\"==\":[{\"var\":\"a\"},1]},{\"if\":[false,{\"nope\":1},true]}]}");
    struct logic *rule;
    size_t n = 7;

    cr_assert_eq(logic_compile(json, fields, &(struct logic_options){.mode = LOGIC_JSONLOGIC}, &rule, NULL), ERR_OK);
    (void)logic_leaves(rule, &n);
    cr_assert_eq(n, 0);
    cr_assert_eq(logic_mode_of(rule), LOGIC_JSONLOGIC);
    json_decref(json);
    logic_free(rule);
    logic_fields_free(fields);
}

Test(logic_compile, equal_scalars_hash_alike)
{
    const struct logic_scalar three = {.type = LOGIC_INT, .u.i = 3};
    const struct logic_scalar three_real = {.type = LOGIC_REAL, .u.d = 3.0};
    const struct logic_scalar half = {.type = LOGIC_REAL, .u.d = 3.5};
    const struct logic_scalar text = {.type = LOGIC_STRING, .u.s = STR("3")};
    const struct logic_scalar yes = {.type = LOGIC_BOOL, .u.b = true};
    const struct logic_scalar big = {.type = LOGIC_INT, .u.i = INT64_C(1) << 60};
    const struct logic_scalar big_real = {.type = LOGIC_REAL, .u.d = 1152921504606846976.0};
    const struct logic_scalar huge = {.type = LOGIC_REAL, .u.d = 1e300};
    const struct logic_scalar zero = {.type = LOGIC_REAL, .u.d = 0.0};
    const struct logic_scalar minus_zero = {.type = LOGIC_REAL, .u.d = -0.0};

    cr_assert(logic_scalar_eq(&three, &three_real));
    cr_assert_eq(logic_scalar_hash(&three), logic_scalar_hash(&three_real));
    cr_assert(logic_scalar_eq(&big, &big_real));
    cr_assert_eq(logic_scalar_hash(&big), logic_scalar_hash(&big_real));
    cr_assert(logic_scalar_eq(&zero, &minus_zero));
    cr_assert_eq(logic_scalar_hash(&zero), logic_scalar_hash(&minus_zero));
    cr_assert(logic_scalar_eq(&huge, &huge));
    cr_assert_not(logic_scalar_eq(&three, &half));
    cr_assert_not(logic_scalar_eq(&three, &text));
    cr_assert_not(logic_scalar_eq(&yes, &three));
    cr_assert_neq(logic_scalar_hash(&three), logic_scalar_hash(&half));
    cr_assert_neq(logic_scalar_hash(&three), logic_scalar_hash(&text));
}

Test(logic_compile, facts_give_scalars)
{
    struct logic_fields *fields = logic_fields_new();
    struct logic_facts *facts = logic_facts_new(fields);
    json_t *data = parse("{\"a\":{\"b\":\"x\"},\"n\":null,\"l\":[1]}");
    struct logic_scalar s;
    uint32_t ab, n, l, none;

    cr_assert_eq(logic_fields_intern(fields, STR("a.b"), &ab), ERR_OK);
    cr_assert_eq(logic_fields_intern(fields, STR("n"), &n), ERR_OK);
    cr_assert_eq(logic_fields_intern(fields, STR("l"), &l), ERR_OK);
    cr_assert_eq(logic_fields_intern(fields, STR("none"), &none), ERR_OK);
    logic_facts_set(facts, data, NULL);
    cr_assert(logic_facts_scalar(facts, ab, &s));
    cr_assert(str_is(s.u.s, "x"));
    cr_assert_not(logic_facts_scalar(facts, n, &s));
    cr_assert_not(logic_facts_scalar(facts, l, &s));
    cr_assert_not(logic_facts_scalar(facts, none, &s));
    cr_assert_not_null(logic_facts_get(facts, n));
    cr_assert_null(logic_facts_get(facts, none));
    json_decref(data);
    logic_facts_free(facts);
    logic_fields_free(fields);
}
