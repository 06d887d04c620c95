/* message: the texts of a mail step, its own or a message template's; and what the validator says of the two. */
#include <criterion/criterion.h>

#include <string.h>

#include "common/core/explain.h"
#include "common/core/message.h"
#include "common/core/rule.h"

#define RULE(params) RULE_OF("send_email", params)
#define RULE_OF(type, params)                                                                                          \
    "{\"schema_version\":1,\"name\":\"r\",\"trigger\":{\"type\":\"event\",\"event\":\"a.b\"},"                         \
    "\"actions\":[{\"type\":\"" type "\",\"params\":{" params "}}]}"

static const char context_text[] =
    "{\"client\":{\"name\":\"Ana\",\"email\":\"ana@example.com\"},"
    "\"message_templates\":{\"hello\":{\"subject\":\"Hi {{client.name}}\",\"text\":\"t\","
    "\"version\":3},\"sms\":{\"text\":\"t\"}}}";

Test(message, texts_are_the_steps_own_or_its_templates)
{
    static const struct {
        const char *params;
        const char *subject, *html; /* subject NULL: not found */
    } rows[] = {
        {"{\"subject\":\"s\",\"text\":\"t\",\"html\":\"<b>\"}", "s", "<b>"},
        {"{\"subject\":\"s\",\"text\":\"t\"}", "s", NULL},
        {"{\"template\":\"hello\"}", "Hi {{client.name}}", NULL},
        {"{\"template\":\"nobody\"}", NULL, NULL},
        {"{\"template\":\"sms\"}", NULL, NULL}, /* has no subject: not for mail */
    };
    json_t *context = json_loads(context_text, 0, NULL);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *params = json_loads(rows[i].params, 0, NULL);
        struct message m;
        struct err_info info = {0};
        enum err err = message_find(params, context, &m, &info);

        cr_expect_eq(err, rows[i].subject != NULL ? ERR_OK : ERR_NOTFOUND, "%s", rows[i].params);
        if (err == ERR_OK) {
            cr_expect_str_eq(m.subject, rows[i].subject);
            cr_expect_eq(m.html == NULL, rows[i].html == NULL);
        } else {
            cr_expect_not_null(strstr(info.text, "no message template"), "%s", info.text);
        }
        json_decref(params);
    }
    json_decref(context);
}

Test(message, a_context_has_the_runs_templates_or_none)
{
    json_t *context = json_loads(context_text, 0, NULL), *kept = json_loads("{\"x\":{}}", 0, NULL);

    message_keep(context, kept);
    cr_expect_not_null(json_object_get(json_object_get(context, MESSAGE_TEMPLATES), "x"));
    message_keep(context, NULL);
    cr_expect_null(json_object_get(context, MESSAGE_TEMPLATES), "an attribute of the wedding is no template");
    json_decref(kept);
    json_decref(context);
}

static struct rule *parse(const char *text, struct logic_fields *fields, struct rule_errors *errors)
{
    return rule_parse_text(str_of(text), fields, errors);
}

Test(message, the_validator_takes_either_texts_or_a_template)
{
    static const struct {
        const char *rule, *pointer, *message; /* NULL: good */
    } rows[] = {
        {RULE("\"to\":\"client\",\"template\":\"hello\""), NULL, NULL},
        {RULE_OF("notify_team", "\"template\":\"hello\""), NULL, NULL},
        {RULE_OF("notify_vendor", "\"role\":\"dj\",\"template\":\"hello\""), NULL, NULL},
        {RULE("\"to\":\"client\",\"template\":\"Hello you\""), "/actions/0/params/template",
         "name of a message template"},
        {RULE("\"to\":\"client\",\"template\":7"), "/actions/0/params/template", ""},
        {RULE("\"to\":\"client\",\"template\":\"hello\",\"subject\":\"s\""), "/actions/0/params/subject", "only one"},
        {RULE("\"to\":\"client\",\"template\":\"hello\",\"html\":\"s\""), "/actions/0/params/html", "only one"},
        {RULE("\"to\":\"client\",\"subject\":\"s\""), "/actions/0/params/text", "found nothing"},
        {RULE_OF("create_note", "\"template\":\"hello\",\"text\":\"t\""), "/actions/0/params/template", "unknown"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct logic_fields *fields = logic_fields_new();
        struct rule_errors errors = {0};
        struct rule *rule = parse(rows[i].rule, fields, &errors);

        cr_expect_eq(rule != NULL, rows[i].pointer == NULL, "%s: %s", rows[i].rule,
                     errors.n ? errors.items[0].message : "");
        if (rows[i].pointer != NULL && errors.n > 0) {
            cr_expect_eq(errors.n, 1, "%s: %zu", rows[i].rule, errors.n);
            cr_expect_str_eq(errors.items[0].pointer, rows[i].pointer);
            cr_expect_not_null(strstr(errors.items[0].message, rows[i].message), "%s", errors.items[0].message);
        }
        rule_free(rule);
        rule_errors_free(&errors);
        logic_fields_free(fields);
    }
}

Test(message, names_of_a_program_stand_once_and_explain_shows_the_texts)
{
    struct logic_fields *fields = logic_fields_new();
    struct rule_errors errors = {0};
    struct rule *rule =
        parse("{\"schema_version\":1,\"name\":\"r\",\"trigger\":{\"type\":\"event\",\"event\":\"a.b\"},"
              "\"actions\":[{\"type\":\"send_email\",\"params\":{\"to\":\"client\",\"template\":\"hello\"}},"
              "{\"type\":\"notify_team\",\"params\":{\"template\":\"hello\"}},"
              "{\"type\":\"notify_team\",\"params\":{\"template\":\"gone\"}},"
              "{\"type\":\"add_tag\",\"params\":{\"tag\":\"x\"}}]}",
              fields, &errors);
    json_t *context = json_loads(context_text, 0, NULL);

    cr_assert_not_null(rule);
    json_t *names = message_names(&rule->program);
    cr_expect_eq(json_array_size(names), 2);
    cr_expect_str_eq(json_string_value(json_array_get(names, 1)), "gone");
    json_t *shown = explain_params(&rule->program.steps[0], context);
    cr_expect_str_eq(json_string_value(json_object_get(json_object_get(shown, "params"), "subject")), "Hi Ana");
    json_t *missing = explain_params(&rule->program.steps[2], context);
    char *text = json_dumps(json_object_get(missing, "errors"), JSON_COMPACT);
    cr_expect_not_null(strstr(text, "missing_template"), "%s", text);
    free(text);
    json_decref(missing);
    json_decref(shown);
    json_decref(names);
    json_decref(context);
    rule_free(rule);
    rule_errors_free(&errors);
    logic_fields_free(fields);
}
