/* pack: what is one MessagePack map, what it is as JSON, and lies about sizes. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "common/core/pack.h"

#define BYTES(literal) ((struct str){literal, sizeof(literal) - 1})

static void expect_json(struct str payload, const char *wanted)
{
    struct err_info info = {0};
    json_t *json = pack_to_json(payload, &info);
    char *text = json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS);

    cr_assert_not_null(json, "%s: %s", wanted, info.text);
    cr_expect_str_eq(text, wanted);
    free(text);
    json_decref(json);
}

static void expect_refused(struct str payload, enum err err, const char *part)
{
    struct err_info info = {0};

    cr_expect_null(pack_to_json(payload, &info), "%s", part);
    cr_expect_eq(info.code, err, "%s: %s", part, info.text);
    cr_expect_not_null(strstr(info.text, part), "%s", info.text);
}

Test(pack, every_format_becomes_json)
{
    static const struct {
        struct str payload;
        const char *json;
    } cases[] = {
        {BYTES("\x80"), "{}"},
        {BYTES("{\"a\": [1, 2]}"), "{\"a\":[1,2]}"},
        {BYTES("\x81\xa1"
               "a\x07"),
         "{\"a\":7}"},
        {BYTES("\x81\xa1"
               "a\xff"),
         "{\"a\":-1}"},
        {BYTES("\xde\x00\x01\xd9\x01"
               "a\xc0"),
         "{\"a\":null}"},
        {BYTES("\xdf\x00\x00\x00\x01\xda\x00\x01"
               "a\xc3"),
         "{\"a\":true}"},
        {BYTES("\x81\xa1"
               "a\xcc\xff"),
         "{\"a\":255}"},
        {BYTES("\x81\xa1"
               "a\xd1\xff\x00"),
         "{\"a\":-256}"},
        {BYTES("\x81\xa1"
               "a\xcf\xff\xff\xff\xff\xff\xff\xff\xff"),
         "{\"a\":1.8446744073709552e19}"},
        {BYTES("\x81\xa1"
               "a\xca\x3f\xc0\x00\x00"),
         "{\"a\":1.5}"},
        {BYTES("\x81\xa1"
               "a\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00"),
         "{\"a\":null}"}, /* NaN */
        {BYTES("\x81\xa1"
               "a\xc4\x02hi"),
         "{\"a\":\"hi\"}"},
        {BYTES("\x81\xa1"
               "a\xc4\x02\xff\xfe"),
         "{\"a\":null}"}, /* bytes that are no text */
        {BYTES("\x81\xa1"
               "a\xd4\x01x"),
         "{\"a\":null}"}, /* extension */
        {BYTES("\x81\xa1"
               "a\x93\x01\x90\x81\xa1"
               "b\xdc\x00\x01\xc2"),
         "{\"a\":[1,[],{\"b\":[false]}]}"},
        {BYTES("\x82\x01\x02\xa1"
               "b\x03"),
         "{\"b\":3}"}, /* JSON has no such name */
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_json(cases[i].payload, cases[i].json);
}

Test(pack, what_is_no_map_or_goes_wrong_is_refused)
{
    static const struct {
        struct str payload;
        const char *part;
    } cases[] = {
        {BYTES(""), "expected a JSON object or a MessagePack map"},
        {BYTES("\x90"), "expected a JSON object or a MessagePack map"},
        {BYTES("[1]"), "expected a JSON object or a MessagePack map"},
        {BYTES("\x81\xa1"
               "a"),
         "at byte 3 of 3"},
        {BYTES("\x81\xa1"
               "a\xc1"),
         "goes wrong"},
        {BYTES("\x80\x80"), "1 bytes behind"},
        {BYTES("\xdf\xff\xff\xff\xff"), "goes wrong"},
        {BYTES("\x81\xa1"
               "a\xdd\xff\xff\xff\xff\x01"),
         "goes wrong"},
        {BYTES("\x81\xa1"
               "a\xc6\xff\xff\xff\xff\x01"),
         "goes wrong"},
        {BYTES("{\"a\":1"), "JSON, line 1"},
        {BYTES("{\"a\":1,\"a\":2}"), "duplicate"},
        {BYTES("{\"a\":\"\xff\"}"), "JSON"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_refused(cases[i].payload, ERR_MALFORMED, cases[i].part);
}

/* `depth` maps, each the value of the one before. */
static enum err nested(int depth)
{
    struct buf b = {0};
    struct err_info info = {0};

    for (int i = 1; i < depth; i++)
        buf_put(&b, "\x81\xa1k", 3);
    buf_put(&b, "\x81\xa1k\x01", 4);
    enum err err = pack_check((struct str){b.data, b.len}, &info);
    buf_free(&b);
    return err;
}

Test(pack, depth_and_size_have_limits)
{
    struct buf big = {0};
    struct err_info info = {0};

    cr_expect_eq(nested(PACK_DEPTH_MAX), ERR_OK);
    cr_expect_eq(nested(PACK_DEPTH_MAX + 1), ERR_LIMIT);
    buf_put_str(&big, "{\"a\":\"");
    while (big.len < PACK_PAYLOAD_MAX_BYTES - 2)
        buf_put_char(&big, 'x');
    buf_put_str(&big, "\"}");
    json_t *most = pack_to_json((struct str){big.data, big.len}, &info);
    cr_expect_not_null(most, "%s", info.text);
    json_decref(most);
    buf_put_char(&big, ' ');
    expect_refused((struct str){big.data, big.len}, ERR_LIMIT, "262145 bytes");
    big.data[0] = '\x81';
    expect_refused((struct str){big.data, big.len}, ERR_LIMIT, "262145 bytes");
    buf_free(&big);
}

Test(pack, json_goes_there_and_back)
{
    static const char text[] = "{\"a\":[1,-2,3.25,true,false,null,\"\"],\"b\":{\"c\":\"h\\u00e9\"},\"d\":{}}";
    json_t *json = json_loads(text, 0, NULL);
    struct buf packed = {0};

    pack_from_json(json, &packed);
    cr_expect_eq(pack_check((struct str){packed.data, packed.len}, NULL), ERR_OK);
    json_t *again = pack_to_json((struct str){packed.data, packed.len}, NULL);
    cr_expect(json_equal(json, again));
    json_decref(again);
    json_decref(json);
    buf_free(&packed);
}

/* Every text on which the grammar's walk and the parser could differ. */
Test(pack, json_is_what_the_parser_takes)
{
    static const char *const texts[] = {
        "{}",
        "{ }",
        "{\"a\":1}",
        " {}",
        "{\"a\":1}\n\t ",
        "{\"a\":1,}",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\" : [ ] }",
        "{\"a\":[1,2]}",
        "{\"a\":[1,]}",
        "{\"a\":[,1]}",
        "{\"a\":[1 2]}",
        "{\"a\":[}",
        "{\"a\":]}",
        "{\"a\":[[[]]]}",
        "{\"a\":[[]}",
        "{\"a\":{}}",
        "{\"a\":{\"b\":{}}}",
        "{\"a\":{\"b\"}}",
        "{\"a\":tru}",
        "{\"a\":true}",
        "{\"a\":false,\"b\":null}",
        "{\"a\":nul}",
        "{\"a\":truex}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":0}",
        "{\"a\":-0}",
        "{\"a\":00}",
        "{\"a\":01}",
        "{\"a\":-}",
        "{\"a\":+1}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":1.5}",
        "{\"a\":1e5}",
        "{\"a\":1E+5}",
        "{\"a\":1e-5}",
        "{\"a\":1e}",
        "{\"a\":1e+}",
        "{\"a\":-1.5e3,\"b\":[0.1]}",
        "{\"a\":\"\\n\\\"\\/\\u00e9\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"open}",
        "{\"a\":1}{}",
        "{\"a\":1} x",
        "{",
        "{\"",
        "{\"a",
        "{\"a\":\"\\",
        "{\"a\":\"é\"}",
        "{\"a\":[1,{\"b\":[true,\"x\"]},null]}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1,\"b\":2}",
        "{\"a\":1,,\"b\":2}",
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_t *tree = json_loads(texts[i], 0, NULL);
        enum err err = texts[i][0] == '{' ? pack_check(str_of(texts[i]), NULL) : tree != NULL ? ERR_OK : ERR_MALFORMED;
        cr_expect_eq(err == ERR_OK, tree != NULL, "%s", texts[i]);
        json_decref(tree);
    }
}

Test(pack, json_is_no_deeper_than_its_limit)
{
    char text[3 * PACK_JSON_DEPTH_MAX];
    struct buf deep = {0};

    for (int over = 0; over < 2; over++) {
        buf_reset(&deep);
        buf_put_str(&deep, "{\"a\":");
        memset(text, '[', sizeof(text));
        buf_put(&deep, text, (size_t)(PACK_JSON_DEPTH_MAX - 1 + over));
        memset(text, ']', sizeof(text));
        buf_put(&deep, text, (size_t)(PACK_JSON_DEPTH_MAX - 1 + over));
        buf_put_char(&deep, '}');
        cr_expect_eq(pack_check((struct str){deep.data, deep.len}, NULL), over ? ERR_MALFORMED : ERR_OK);
    }
    buf_free(&deep);
}
