/* context: facts, the event, and the surroundings of evaluation. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "common/core/context.h"

static struct logic_env env_of(const char *facts, struct logic_change changes[CONTEXT_CHANGES_MAX], json_t **context)
{
    struct logic_env env;

    *context = context_new(str_of(facts));
    context_env(*context, 42, changes, &env);
    return env;
}

Test(context, facts_that_are_no_object_are_empty)
{
    static const char *const texts[] = {"[1]", "3", "{", ""};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_t *context = context_new(str_of(texts[i]));
        cr_expect(json_is_object(context) && json_object_size(context) == 0, "%s", texts[i]);
        json_decref(context);
    }
    json_t *context = context_new((struct str){NULL, 0});
    cr_expect(json_is_object(context));
    json_decref(context);
}

Test(context, the_event_is_its_payload_with_type_and_id)
{
    json_t *context = context_new(STR("{\"wedding\":{}}"));
    json_t *payload = json_loads("{\"amount\":3,\"type\":\"forged\"}", 0, NULL);

    context_set_event(context, payload, STR("payment.received"), STR("e1"));
    const json_t *event = json_object_get(context, "event");
    cr_expect_str_eq(json_string_value(json_object_get(event, "type")), "payment.received");
    cr_expect_str_eq(json_string_value(json_object_get(event, "id")), "e1");
    cr_expect_eq(json_integer_value(json_object_get(event, "amount")), 3);
    cr_expect_str_eq(json_string_value(json_object_get(payload, "type")), "forged", "the payload itself is not changed");
    context_set_event(context, NULL, (struct str){0}, (struct str){0});
    cr_expect_eq(json_object_size(json_object_get(context, "event")), 0);
    json_decref(payload);
    json_decref(context);
}

Test(context, the_season_is_the_tenants_or_may_to_october)
{
    static const struct {
        const char *facts;
        unsigned months;
    } cases[] = {
        {"{}", 0x7e0},
        {"{\"tenant\":{\"season_months\":[1,12]}}", 1u << 1 | 1u << 12},
        {"{\"tenant\":{\"season_months\":[0,13,\"x\"]}}", 0x7e0},
        {"{\"tenant\":{\"season_months\":7}}", 0x7e0},
    };
    struct logic_change changes[CONTEXT_CHANGES_MAX];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *context;
        struct logic_env env = env_of(cases[i].facts, changes, &context);
        cr_expect_eq(env.season_months, cases[i].months, "%s: %x", cases[i].facts, env.season_months);
        cr_expect_eq(env.now_us, 42);
        json_decref(context);
    }
}

Test(context, today_and_changes_come_from_facts_and_event)
{
    struct logic_change changes[CONTEXT_CHANGES_MAX];
    json_t *context;
    struct logic_env env =
        env_of("{\"today\":\"2026-05-02\",\"event\":{\"changed\":[\"wedding.status\",7,\"wedding.x\"],"
               "\"old\":{\"wedding.status\":\"inquiry\"}}}",
               changes, &context);

    cr_expect(env.today.year == 2026 && env.today.month == 5 && env.today.day == 2);
    cr_assert_eq(env.n_changes, 2);
    cr_expect_str_eq(env.changes[0].path, "wedding.status");
    cr_expect_str_eq(json_string_value(env.changes[0].old), "inquiry");
    cr_expect_str_eq(env.changes[1].path, "wedding.x");
    cr_expect_null(env.changes[1].old);
    json_decref(context);
    env = env_of("{\"today\":\"soon\"}", changes, &context);
    cr_expect_eq(env.today.year, 0);
    cr_expect_eq(env.n_changes, 0);
    json_decref(context);
}

Test(context, changes_beyond_the_limit_are_left_out)
{
    struct logic_change changes[CONTEXT_CHANGES_MAX];
    struct logic_env env;
    json_t *paths = json_array();

    for (int i = 0; i < CONTEXT_CHANGES_MAX + 3; i++)
        json_array_append_new(paths, json_string("wedding.x"));
    json_t *context = json_pack("{s:{s:o}}", "event", "changed", paths);
    context_env(context, 0, changes, &env);
    cr_expect_eq(env.n_changes, CONTEXT_CHANGES_MAX);
    json_decref(context);
}
