/* examples/rule.schema.json, the published JSON Schema, names the same words as the tables that the validator is made of: each of its enums
 * has every available word of its table and no other. What the two accept is compared by tests/node/schema.mjs. */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>
#include <jansson.h>

#include "common/core/logic.h"
#include "common/core/rule.h"

static json_t *schema(void)
{
    json_error_t why;
    json_t *s = json_load_file(USHER_DATA_DIR "/examples/rule.schema.json", 0, &why);

    cr_assert_not_null(s, "line %d: %s", why.line, why.text);
    return s;
}

/* `path` of keys with / between. */
static const json_t *at(const json_t *v, const char *path)
{
    struct str rest = str_of(path);

    while (v != NULL && rest.n > 0) {
        char key[64];
        size_t n = strcspn(rest.p, "/");

        snprintf(key, sizeof(key), "%.*s", (int)n, rest.p);
        v = json_object_get(v, key);
        n += rest.p[n] == '/' ? 1 : 0;
        rest = (struct str){rest.p + n, rest.n - n};
    }
    return v;
}

static bool has(const json_t *list, const char *prefix, const char *word)
{
    char text[128];

    snprintf(text, sizeof(text), "%s%s", prefix, word);
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (strcmp(json_string_value(json_array_get(list, i)), text) == 0)
            return true;
    }
    return false;
}

Test(rule_schema, names_the_available_words_and_no_others)
{
    static const struct {
        const char *path;
        enum vocab v;
        const char *prefixes[2]; /* each word stands once with each */
    } rows[] = {
        {"$defs/trigger/properties/type/enum", VOCAB_TRIGGER, {"", NULL}},
        {"$defs/action/properties/type/enum", VOCAB_ACTION, {"", NULL}},
        {"$defs/milestone/enum", VOCAB_MILESTONE, {"", "wedding."}},
        {"$defs/settable/enum", VOCAB_SETTABLE, {"wedding.", NULL}},
        {"$defs/settings/properties/mode/enum", VOCAB_MODE, {"", NULL}},
        {"$defs/settings/properties/late/properties/policy/enum", VOCAB_LATE, {"", NULL}},
        {"$defs/settings/properties/on_date_change/enum", VOCAB_DATE_CHANGE, {"", NULL}},
        {"$defs/settings/properties/on_action_error/enum", VOCAB_ON_ERROR, {"", NULL}},
    };
    json_t *s = schema();

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const json_t *list = at(s, rows[i].path);
        size_t expected = 0;

        for (int code = 0; code < vocab_count(rows[i].v); code++) {
            for (int p = 0; p < 2 && rows[i].prefixes[p] != NULL && vocab_available(rows[i].v, code); p++) {
                cr_assert(has(list, rows[i].prefixes[p], vocab_text(rows[i].v, code)), "%s lacks %s%s", rows[i].path,
                          rows[i].prefixes[p], vocab_text(rows[i].v, code));
                expected++;
            }
        }
        cr_assert_eq(json_array_size(list), expected, "%s has %zu words, not %zu", rows[i].path, json_array_size(list),
                     expected);
    }
    json_decref(s);
}

Test(rule_schema, knows_which_milestones_have_a_time)
{
    json_t *s = schema();
    const json_t *list = at(s, "$defs/milestone_with_time/enum");

    for (int m = 0; m < MILESTONE_COUNT; m++) {
        const char *text = vocab_text(VOCAB_MILESTONE, m);

        cr_assert_eq(has(list, "", text), vocab_milestone_has_time((enum milestone)m), "%s", text);
        cr_assert_eq(has(list, "wedding.", text), vocab_milestone_has_time((enum milestone)m), "%s", text);
    }
    json_decref(s);
}

/* With no operands an operator is refused for their number, or accepted, but never as unknown. */
Test(rule_schema, names_operators_that_compile)
{
    json_t *s = schema();
    const json_t *list = at(s, "$defs/operator/enum");
    struct logic_fields *fields = logic_fields_new();
    struct logic_options options = {.mode = LOGIC_STRICT};

    cr_assert_gt(json_array_size(list), 50);
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *rule = json_pack("{s:[]}", json_string_value(json_array_get(list, i)));
        struct logic_error why = {0};
        struct logic *logic = NULL;
        enum err err = logic_compile(rule, fields, &options, &logic, &why);

        if (err != ERR_OK)
            cr_assert_str_neq(logic_code_name(why.code), "unknown_operator", "%s",
                              json_string_value(json_array_get(list, i)));
        logic_free(logic);
        json_decref(rule);
    }
    logic_fields_free(fields);
    json_decref(s);
}
