/* recipient: whom mails of rules go to. */
#include <criterion/criterion.h>

#include <string.h>

#include "common/core/recipient.h"

static const char context_text[] =
    "{\"client\":{\"email\":\"ana@example.com\"},\"tenant\":{\"email\":\"us@example.com\"},"
    "\"vendors\":[{\"role\":\"florist\",\"email\":null},{\"role\":\"florist\",\"email\":\"rosa@example.com\"},"
    "{\"role\":\"dj\",\"email\":\"dj@example.com\"},{\"role\":\"band\",\"email\":\"\"}],\"planner\":\"p@example.com\","
    "\"nobody\":\"\"}";

struct sample {
    enum action_type type;
    const char *params;
    const char *context; /* NULL: context_text */
    const char *to;      /* NULL: an error */
    const char *reason;
    const char *message; /* part of it */
};

static void check(const struct sample *s)
{
    json_t *params = json_loads(s->params, 0, NULL);
    json_t *context = json_loads(s->context ? s->context : context_text, 0, NULL);
    struct buf to = {0};
    struct err_info info = {0};
    const char *reason = NULL;

    cr_assert(params && context, "%s", s->params);
    buf_put_str(&to, "<");
    enum err err = recipient_find(s->type, params, context, &to, &reason, &info);
    cr_expect_eq(err == ERR_OK, s->to != NULL, "%s: %s", s->params, info.text);
    if (s->to) {
        cr_expect_str_eq(buf_text(&to) + 1, s->to);
    } else {
        cr_expect_str_eq(reason, s->reason, "%s: %s", s->params, reason);
        cr_expect(strstr(info.text, s->message), "%s: %s", s->params, info.text);
        cr_expect_str_eq(buf_text(&to), "<", "as it was");
    }
    buf_free(&to);
    json_decref(params);
    json_decref(context);
}

Test(recipient, finds_the_address)
{
    static const struct sample samples[] = {
        {ACTION_SEND_EMAIL, "{}", NULL, "ana@example.com", "", ""},
        {ACTION_SEND_EMAIL, "{\"to\":\"client\"}", NULL, "ana@example.com", "", ""},
        {ACTION_SEND_EMAIL, "{\"to\":\"team\"}", NULL, "us@example.com", "", ""},
        {ACTION_SEND_EMAIL, "{\"to\":\"vendor:florist\"}", NULL, "rosa@example.com", "", ""},
        {ACTION_SEND_EMAIL, "{\"to\":\"x@example.com\"}", NULL, "x@example.com", "", ""},
        {ACTION_SEND_EMAIL, "{\"to\":\"{{planner}}\"}", NULL, "p@example.com", "", ""},
        {ACTION_NOTIFY_TEAM, "{\"to\":\"client\"}", NULL, "us@example.com", "", ""},
        {ACTION_NOTIFY_VENDOR, "{\"role\":\"dj\"}", NULL, "dj@example.com", "", ""},
    };

    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
        check(&samples[i]);
}

Test(recipient, says_what_is_missing)
{
    static const struct sample samples[] = {
        {ACTION_SEND_EMAIL, "{}", "{}", NULL, "no_recipient", "the client has no mail address"},
        {ACTION_SEND_EMAIL, "{\"to\":\"client\"}", "{\"client\":{\"email\":\"\"}}", NULL, "no_recipient", "the client"},
        {ACTION_SEND_EMAIL, "{\"to\":\"team\"}", "{\"tenant\":{\"email\":null}}", NULL, "no_recipient", "the team"},
        {ACTION_SEND_EMAIL, "{\"to\":\"vendor:cake\"}", NULL, NULL, "no_recipient", "vendor:cake has no mail address"},
        {ACTION_SEND_EMAIL, "{\"to\":\"vendor:band\"}", NULL, NULL, "no_recipient", "vendor:band"},
        {ACTION_SEND_EMAIL, "{\"to\":\"{{nobody}}\"}", NULL, NULL, "no_recipient", "the recipient has no mail address"},
        {ACTION_SEND_EMAIL, "{\"to\":\"{{mother.email}}\"}", NULL, NULL, "missing_variable", "mother.email"},
        {ACTION_SEND_EMAIL, "{\"to\":\"{{#x}}\"}", NULL, NULL, "template", "{{#x}}"},
        {ACTION_NOTIFY_TEAM, "{}", "{}", NULL, "no_recipient", "the team has no mail address"},
        {ACTION_NOTIFY_VENDOR, "{}", NULL, NULL, "no_recipient", "the vendor has no mail address"},
        {ACTION_NOTIFY_VENDOR, "{\"role\":\"cake\"}", NULL, NULL, "no_recipient", "vendor cake has no mail address"},
        {ACTION_CREATE_TASK, "{}", NULL, NULL, "no_recipient", "sends no mail"},
    };

    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
        check(&samples[i]);
}
