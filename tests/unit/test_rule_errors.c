/* rule_errors: several at once, the bound on their number, texts that are no rule at all, and cutting. */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>
#include <jansson.h>

#include "common/core/rule.h"

static const char small[] =
    "{\"schema_version\": 1, \"name\": \"n\", \"trigger\": {\"type\": \"milestone\", \"milestone\": \"ceremony\"},"
    " \"actions\": [{\"type\": \"stop\"}]}";

static json_t *parse(const char *text)
{
    json_t *v = json_loads(text, 0, NULL);

    cr_assert_not_null(v, "%s", text);
    return v;
}

Test(rule_errors, reports_all_errors_of_a_document_at_once)
{
    static const char text[] =
        "{\"schema_version\": 3, \"nam\": 1, \"trigger\": {\"type\": \"milestone\", \"milestone\": \"x\", \"at\": 1},"
        " \"conditions\": {\"nope\": []}, \"actions\": [{\"type\": \"send_email\", \"params\": {}}], \"settings\": "
        "{\"priority\": -1}}";
    struct logic_fields *fields = logic_fields_new();
    struct rule_errors errors = {0};
    json_t *list;

    cr_assert_null(rule_parse_text(str_of(text), fields, &errors));
    cr_assert_eq(errors.n, 10, "%zu", errors.n);
    list = rule_errors_json(&errors);
    cr_assert_eq(json_array_size(list), 10);
    cr_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 1), "pointer")), "/schema_version");
    json_decref(list);
    rule_errors_free(&errors);
    logic_fields_free(fields);
}

Test(rule_errors, counts_the_errors_beyond_the_limit)
{
    struct logic_fields *fields = logic_fields_new();
    struct rule_errors errors = {0};
    json_t *document = parse(small), *list;

    for (int i = 0; i < RULE_ERRORS_MAX + 20; i++) {
        char key[32];

        snprintf(key, sizeof(key), "unknown/key~%d", i);
        json_object_set_new(document, key, json_true());
    }
    cr_assert_null(rule_parse(document, fields, &errors));
    cr_assert_eq(errors.n, RULE_ERRORS_MAX);
    cr_assert_eq(errors.more, 20);
    cr_assert_str_eq(errors.items[0].pointer, "/unknown~1key~00");
    list = rule_errors_json(&errors);
    cr_assert_eq(json_array_size(list), RULE_ERRORS_MAX + 1);
    json_decref(list);
    json_decref(document);
    rule_errors_free(&errors);
    logic_fields_free(fields);
}

Test(rule_errors, refuses_texts_that_are_no_single_small_json_object)
{
    static const struct {
        const char *text;
        const char *part;
    } rows[] = {
        {"", "not JSON: line 1"},      {"{", "not JSON"},
        {"[]", "a rule is an object"}, {"{\"name\": 1, \"name\": 2}", "duplicate"},
        {"{} x", "not JSON"},          {"{\"name\": \"\xff\"}", "not JSON"},
    };
    struct logic_fields *fields = logic_fields_new();
    struct rule_errors errors = {0};
    static char big[RULE_TEXT_MAX_BYTES + 2];
    json_t *document = parse(small);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cr_assert_null(rule_parse_text(str_of(rows[i].text), fields, &errors));
        cr_assert_eq(errors.n, 1);
        cr_assert_str_eq(errors.items[0].pointer, "");
        cr_assert_not_null(strstr(errors.items[0].message, rows[i].part), "%s", errors.items[0].message);
    }
    memset(big, ' ', sizeof(big) - 1);
    cr_assert_null(rule_parse_text(str_of(big), fields, &errors));
    cr_assert_not_null(strstr(errors.items[0].message, "the text has 262145 bytes; allowed are 262144"), "%s",
                       errors.items[0].message);
    memset(big, 'x', RULE_JSON_MAX_BYTES);
    big[RULE_JSON_MAX_BYTES] = '\0';
    json_object_set_new(document, "$schema", json_string(big));
    cr_assert_null(rule_parse(document, fields, &errors));
    cr_assert_not_null(strstr(errors.items[0].message, "allowed are 65536"), "%s", errors.items[0].message);
    json_decref(document);
    rule_errors_free(&errors);
    logic_fields_free(fields);
}

Test(rule_errors, messages_stay_valid_utf8_when_cut)
{
    struct logic_fields *fields = logic_fields_new();
    struct rule_errors errors = {0};
    struct buf key = {0};
    json_t *document = parse(small), *list;

    for (int i = 0; i < 1000; i++)
        buf_put_str(&key, "\xc3\xa9");
    json_object_set_new(document, buf_text(&key), json_true());
    json_object_set_new(json_object_get(document, "trigger"), "milestone", json_string(buf_text(&key)));
    cr_assert_null(rule_parse(document, fields, &errors));
    cr_assert_eq(errors.n, 2);
    list = rule_errors_json(&errors);
    cr_assert_eq(json_array_size(list), 2);
    cr_assert_not_null(json_array_get(list, 0));
    json_decref(list);
    json_decref(document);
    buf_free(&key);
    rule_errors_free(&errors);
    logic_fields_free(fields);
}
