/* explain: which steps a run comes by, rendered parameters, rules that start themselves; and late. */
#include <criterion/criterion.h>

#include <string.h>

#include "common/core/context.h"
#include "common/core/explain.h"
#include "common/core/late.h"

/* With a condition: a rule that starts itself without any is refused. */
#define HEAD(trigger)                                                                                                  \
    "{\"schema_version\":1,\"name\":\"r\",\"trigger\":{" trigger "},"                                                  \
    "\"conditions\":{\"==\":[{\"var\":\"wedding.status\"},\"booked\"]},\"actions\":"
#define ON(event) HEAD("\"type\":\"event\",\"event\":\"" event "\"")
#define ANY ON("x.y")
#define TAG(t) "{\"type\":\"add_tag\",\"params\":{\"tag\":\"" t "\"}}"
#define BRANCH(if, then, otherwise) "{\"type\":\"branch\",\"if\":" if ",\"then\":[" then "],\"else\":[" otherwise "]}"
#define BIG "{\">\":[{\"var\":\"wedding.guest_count\"},100]}"
#define LATER "{\"==\":[{\"var\":\"steps.s1.code\"},250]}"

static struct rule *parse(const char *document, struct logic_fields *fields)
{
    struct rule_errors errors = {0};
    struct rule *rule = rule_parse_text(str_of(document), fields, &errors);

    cr_assert_not_null(rule, "%s: %s", document, errors.n > 0 ? errors.items[0].message : "");
    rule_errors_free(&errors);
    return rule;
}

/* One letter a step: t(aken), n(ot taken), u(ndecided). */
static void paths_of(const char *document, char out[PROGRAM_STEPS_MAX + 1])
{
    struct logic_fields *fields = logic_fields_new();
    struct rule *rule = parse(document, fields);
    struct logic_facts *facts = logic_facts_new(fields);
    json_t *context = context_new(STR("{\"wedding\":{\"guest_count\":120},\"steps\":{}}"));
    json_t *steps, *step;
    size_t i;

    logic_facts_set(facts, context, NULL);
    steps = explain_steps(rule, facts, fields, context);
    json_array_foreach(steps, i, step)
    {
        out[i] = json_string_value(json_object_get(step, "path"))[0];
    }
    out[json_array_size(steps)] = '\0';
    json_decref(steps);
    json_decref(context);
    logic_facts_free(facts);
    rule_free(rule);
    logic_fields_free(fields);
}

Test(explain, steps_are_taken_when_every_way_leads_through_them)
{
    static const struct {
        const char *document, *paths;
    } samples[] = {
        {ANY "[" TAG("a") "," TAG("b") "]}", "tt"},
        {ANY "[" BRANCH(BIG, TAG("a"), TAG("b")) "," TAG("c") "]}", "ttnt"},
        {ANY "[" BRANCH("{\"!\":[" BIG "]}", TAG("a"), TAG("b")) "," TAG("c") "]}", "tntt"},
        {ANY "[" TAG("a") "," BRANCH(LATER, TAG("b"), TAG("c")) "," TAG("d") "]}", "ttuut"},
        {ANY "[" TAG("a") "," BRANCH(LATER, "{\"type\":\"stop\"}", TAG("c")) "," TAG("d") "]}", "ttuuu"},
        {ANY "[" BRANCH(BIG, "{\"type\":\"stop\"}", TAG("c")) "," TAG("d") "]}", "ttnn"},
        {ANY "[" TAG("a") "," BRANCH(LATER, BRANCH(BIG, TAG("b"), TAG("c")), TAG("d")) "," TAG("e") "]}", "ttuunut"},
    };
    char paths[PROGRAM_STEPS_MAX + 1];

    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        paths_of(samples[i].document, paths);
        cr_expect_str_eq(paths, samples[i].paths, "%s: %s", samples[i].document, paths);
    }
}

Test(explain, rules_that_start_themselves_are_found)
{
    static const struct {
        const char *document, *step;
    } samples[] = {
        {ON("a.b") "[" TAG("x") ",{\"type\":\"emit_event\",\"params\":{\"type\":\"a.b\"}}]}", "s2"},
        {ON("a.b") "[{\"type\":\"emit_event\",\"params\":{\"type\":\"a.c\"}}]}", NULL},
        {ON("stage.changed") "[{\"type\":\"move_stage\",\"params\":{\"stage\":\"x\"}}]}", "s1"},
        {ON("guest_count.changed") "[{\"type\":\"set_field\",\"params\":{\"path\":\"wedding.guest_count\",\"value\":1}}"
                                   "]}",
         "s1"},
        {ON("stage.changed") "[{\"type\":\"set_field\",\"params\":{\"path\":\"wedding.stage\",\"value\":\"x\"}}]}",
         "s1"},
        {ON("stage.changed") "[{\"type\":\"set_field\",\"params\":{\"path\":\"wedding.package\",\"value\":1}}]}", NULL},
        {ANY "[{\"type\":\"move_stage\",\"params\":{\"stage\":\"x\"}}]}", NULL},
    };

    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        struct logic_fields *fields = logic_fields_new();
        struct rule *rule = parse(samples[i].document, fields);
        const struct step *step = explain_self_trigger(rule);
        cr_expect_str_eq(step ? step->id : "none", samples[i].step ? samples[i].step : "none", "%s", samples[i].document);
        rule_free(rule);
        logic_fields_free(fields);
    }
}

Test(explain, every_parameter_is_rendered_and_every_error_named)
{
    struct logic_fields *fields = logic_fields_new();
    struct rule *rule =
        parse(ANY "[" TAG("a") ",{\"type\":\"create_task\",\"params\":{\"title\":\"{{nobody}}\","
                               "\"notes\":\"{{steps.s1.x}}\",\"assignee\":\"{{who}}\"}},"
                               "{\"type\":\"call_webhook\",\"params\":{\"url\":\"https://a.example/\"}},"
                               "{\"type\":\"stop\",\"reason\":\"{{why}}\"}]}",
              fields);
    json_t *context = context_new(STR("{\"who\":\"Ana\",\"wedding\":{\"id\":7}}"));
    json_t *task = explain_params(&rule->program.steps[1], context);
    json_t *hook = explain_params(&rule->program.steps[2], context);
    json_t *stop = explain_params(&rule->program.steps[3], context);
    json_t *wanted = json_loads("[\"missing_variable\",\"known_when_run\"]", 0, NULL), *e, *reasons = json_object();
    size_t i;

    json_array_foreach(json_object_get(task, "errors"), i, e)
    {
        json_object_set(reasons, json_string_value(json_object_get(e, "param")), json_object_get(e, "reason"));
    }
    cr_expect_eq(json_object_size(reasons), 2);
    cr_expect(json_equal(json_object_get(reasons, "title"), json_array_get(wanted, 0)));
    cr_expect(json_equal(json_object_get(reasons, "notes"), json_array_get(wanted, 1)));
    cr_expect_str_eq(json_string_value(json_object_get(json_object_get(task, "params"), "assignee")), "Ana");
    cr_expect(
        json_equal(json_object_get(json_object_get(hook, "params"), "data"), json_object_get(context, "wedding")));
    cr_expect_eq(json_object_size(json_object_get(stop, "params")), 1);
    cr_expect_str_eq(json_string_value(json_object_get(json_object_get(stop, "params"), "reason")), "{{why}}");
    json_decref(reasons);
    json_decref(wanted);
    json_decref(stop);
    json_decref(hook);
    json_decref(task);
    json_decref(context);
    rule_free(rule);
    logic_fields_free(fields);
}

Test(late, is_beyond_the_grace)
{
    struct rule_settings settings = {.late_grace = {.days = 1, .seconds = 60}};
    const int64_t grace_us = (INT64_C(86400) + 60) * 1000000;

    settings.late = LATE_SKIP;
    cr_expect_eq(late_judge(&settings, 0, grace_us), LATENESS_NONE);
    cr_expect_eq(late_judge(&settings, 0, grace_us + 1), LATENESS_PASSED);
    cr_expect_eq(late_judge(&settings, grace_us * 3, 0), LATENESS_NONE, "not due yet");
    settings.late = LATE_FIRE_ALL;
    cr_expect_eq(late_judge(&settings, 0, grace_us + 1), LATENESS_NONE);
    settings.late = LATE_FIRE_LATEST_ONLY;
    cr_expect_eq(late_judge(&settings, 0, grace_us), LATENESS_NONE);
    cr_expect_eq(late_judge(&settings, 0, grace_us + 1), LATENESS_UNLESS_LATER);
    settings.late_grace = (struct offset){.months = 1};
    cr_expect_eq(late_judge(&settings, 0, INT64_C(2629746) * 1000000), LATENESS_NONE);
    cr_expect_eq(late_judge(&settings, 0, INT64_C(2629746) * 1000000 + 1), LATENESS_UNLESS_LATER);
}
