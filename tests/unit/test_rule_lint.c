/* rule_lint: what only shows in a whole rule. Each row is a rule made of a trigger, actions and the rest, and the one finding expected in
 * it: an error, a warning, or none. */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>
#include <jansson.h>

#include "common/core/rule.h"

struct row {
    const char *trigger; /* with ' for ", as all parts */
    const char *actions;
    const char *rest;    /* further members of the document, or "" */
    const char *error;   /* "pointer: part of the message", or NULL */
    const char *warning; /* the same */
};

#define CEREMONY "'type': 'milestone', 'milestone': 'ceremony', 'offset': '-P7D'"
#define EVENT(type) "'type': 'event', 'event': '" type "'"
#define MAIL(id, text)                                                                                                 \
    "{'id': '" id "', 'type': 'send_email', 'params': {'to': 'client', 'subject': 's', 'text': '" text "'}}"
#define WAIT_FOR(id) "{'id': '" id "', 'type': 'wait', 'until': {'event': 'form.submitted', 'timeout': 'P1D'}}"
#define EMIT(type) "{'type': 'emit_event', 'params': {'type': '" type "'}}"
#define SET(path, value) "{'type': 'set_field', 'params': {'path': '" path "', 'value': " value "}}"
#define IF(condition, yes, no) "{'type': 'branch', 'if': " condition ", 'then': [" yes "], 'else': [" no "]}"
#define VAR(path) "{'var': '" path "'}"

static void found(const struct row *row, const char *level, const char *expected, const struct rule_error *items,
                  size_t n)
{
    const char *colon = expected == NULL ? NULL : strstr(expected, ": ");

    for (size_t i = 0; i < n; i++)
        fprintf(stderr, "  %s %s: %s\n", level, items[i].pointer, items[i].message);
    cr_assert_eq(n, expected == NULL ? 0 : 1, "%s of %s %s %s: %zu", level, row->trigger, row->actions, row->rest, n);
    if (expected == NULL)
        return;
    cr_assert_not_null(colon);
    cr_assert_eq(strlen(items[0].pointer), (size_t)(colon - expected), "%s", items[0].pointer);
    cr_assert_eq(strncmp(items[0].pointer, expected, strlen(items[0].pointer)), 0, "%s", items[0].pointer);
    cr_assert_not_null(strstr(items[0].message, colon + 2), "%s in %s", colon + 2, items[0].message);
}

static void check_row(const struct row *row)
{
    struct logic_fields *fields = logic_fields_new();
    struct rule_errors errors = {0};
    struct buf text = {0};
    struct rule *r;

    buf_printf(&text, "{'schema_version': 1, 'name': 'n', 'trigger': {%s}, 'actions': [%s]%s%s}", row->trigger,
               row->actions, row->rest[0] == '\0' ? "" : ", ", row->rest);
    for (size_t i = 0; i < text.len; i++)
        text.data[i] = text.data[i] == '\'' ? '"' : text.data[i];
    r = rule_parse_text((struct str){text.data, text.len}, fields, &errors);
    found(row, "error", row->error, errors.items, errors.n);
    found(row, "warning", row->warning, errors.warnings, errors.n_warnings);
    cr_assert_eq(r == NULL, row->error != NULL);
    rule_free(r);
    rule_errors_free(&errors);
    cr_assert_eq(errors.n_warnings, 0);
    buf_free(&text);
    logic_fields_free(fields);
}

static void check_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check_row(&rows[i]);
}

#define CHECK(rows) check_rows((rows), sizeof(rows) / sizeof((rows)[0]))

Test(rule_lint, finds_names_in_templates_that_can_not_exist)
{
    static const struct row rows[] = {
        {CEREMONY, MAIL("a", "Dear {{client.name}}, {{own}} {{contract.signed_at}} {{rule.name}} {{run.id}}"), "", NULL,
         NULL},
        {CEREMONY, MAIL("a", "{{clinet.name}}"), "", "/actions/0/params/text: did you mean \"client.name\"?", NULL},
        {CEREMONY, MAIL("a", "{{event.amount}}"), "", "/actions/0/params/text: without an event", NULL},
        {EVENT("payment.received"), MAIL("a", "{{event.amount}}"), "", NULL, NULL},
        {CEREMONY, MAIL("a", "{{#event.amount}}x{{/event.amount}}"), "", NULL,
         "/actions/0/params/text: without an event"},
        {CEREMONY, MAIL("a", "{{#vendors}}{{name}} {{clinet.name}}{{/vendors}}"), "", NULL, NULL},
        {CEREMONY, MAIL("a", "{{wedding.guest_cuont}}"), "", NULL,
         "/actions/0/params/text: did you mean \"guest_count\"?"},
        {CEREMONY, MAIL("a", "{{#wedding.package}}{{wedding.package}}{{/wedding.package}}"), "", NULL, NULL},
        {CEREMONY, MAIL("a", "{{timeline.cermony}}"), "", NULL, "/actions/0/params/text: did you mean \"ceremony\"?"},
        {CEREMONY, MAIL("a", "{{timeline.gallery_due}}"), "", NULL, NULL},
        {CEREMONY, MAIL("a", "{{steps.b.code}}"), "", "/actions/0/params/text: no action has the id \"b\"", NULL},
        {CEREMONY, MAIL("a", "{{steps.a.code}}"), "", "/actions/0/params/text: can not have run before", NULL},
        {CEREMONY, MAIL("a", "x") ", " MAIL("b", "{{steps.a.code}}"), "", NULL, NULL},
        {CEREMONY, MAIL("a", "x") ", " MAIL("b", "{{steps.a.timed_out}}"), "", NULL,
         "/actions/1/params/text: the send_email \"a\" never leaves \"timed_out\""},
        {CEREMONY, WAIT_FOR("w") ", " MAIL("b", "{{steps.w.event.slug}} {{steps.w.reason}}"), "", NULL, NULL},
        {CEREMONY, "{'type': 'call_webhook', 'params': {'url': 'https://x.example/', 'payload': {'a': [{'b/c': '{{tenat.id}}'}]}}}",
         "", "/actions/0/params/payload/a/0/b~1c: did you mean \"tenant.id\"?", NULL},
    };

    CHECK(rows);
}

Test(rule_lint, finds_fields_in_conditions_that_can_not_exist)
{
    static const struct row rows[] = {
        {CEREMONY, MAIL("a", "x"), "'conditions': {'>': [" VAR("wedding.gest_count") ", 3]}", NULL,
         "/conditions: did you mean \"guest_count\"?"},
        {CEREMONY, MAIL("a", "x"), "'conditions': {'>': [" VAR("venue.anything") ", 3]}", NULL, NULL},
        {CEREMONY, MAIL("a", "x"), "'settings': {'exit_when': {'==': [" VAR("client.mail") ", 3]}}", NULL,
         "/settings/exit_when: \"client.mail\", which no wedding has"},
        {CEREMONY, IF(VAR("steps.z.timed_out"), MAIL("a", "x"), "") ", " WAIT_FOR("z"), "",
         "/actions/0: can not have run before", NULL},
        {CEREMONY, IF(VAR("wedding.package"), WAIT_FOR("z"), IF(VAR("steps.z.timed_out"), MAIL("a", "x"), "")), "",
         "/actions/0/else/0: can not have run before", NULL},
        {CEREMONY, IF(VAR("wedding.package"), WAIT_FOR("z"), "") ", " IF(VAR("steps.z.timed_out"), MAIL("a", "x"), ""),
         "", NULL, NULL},
        {CEREMONY, WAIT_FOR("z") ", " IF(VAR("steps.z.taken"), MAIL("a", "x"), ""), "", NULL,
         "/actions/1: never leaves \"taken\""},
        {CEREMONY, "{'id': 'z', 'type': 'wait', 'for': 'P1D'}, " IF(VAR("steps.z.timed_out"), MAIL("a", "x"), ""), "",
         NULL, "/actions/1: the wait \"z\" never leaves \"timed_out\""},
    };

    CHECK(rows);
}

/* The keys that automation_priv.facts gives a wedding: whoever adds one there adds it to rule_lint.c. */
Test(rule_lint, knows_every_fact_that_sql_gives)
{
    static const char *const roots[] = {"wedding", "project", "client", "tenant"};
    FILE *f = fopen(USHER_DATA_DIR "/migrations/030_automation_rules_schema.sql", "re");
    static char sql[512 * 1024];
    size_t n = f == NULL ? 0 : fread(sql, 1, sizeof(sql) - 1, f), words = 0;
    const char *facts = strstr(sql, "create function automation_priv.facts");

    cr_assert(n > 0 && facts != NULL);
    (void)fclose(f);
    for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
        char last[64];
        const char *p = facts, *end, *next;

        snprintf(last, sizeof(last), ") as %s,", roots[i]);
        end = strstr(facts, last);
        cr_assert_not_null(end, "%s", last);
        while ((next = strstr(p + 1, "jsonb_build_object(")) != NULL && next < end)
            p = next;
        cr_assert_neq(p, facts);
        for (; (p = strchr(p, '\'')) != NULL && p < end; p = strchr(p + 1, '\'') + 1) {
            char condition[160];
            size_t length = strspn(p + 1, "abcdefghijklmnopqrstuvwxyz_");

            if (length == 0 || p[1 + length] != '\'')
                continue;
            snprintf(condition, sizeof(condition), "'conditions': {'!': [" VAR("%s.%.*s") "]}", roots[i], (int)length,
                     p + 1);
            check_row(&(struct row){CEREMONY, MAIL("a", "x"), condition, NULL, NULL});
            words++;
        }
    }
    cr_assert_geq(words, 25, "%zu", words);
}

Test(rule_lint, finds_steps_that_can_not_be_reached)
{
    static const struct row rows[] = {
        {CEREMONY, IF("true", MAIL("a", "x"), MAIL("b", "x")), "", NULL, "/actions/0: \"else\" can never be reached"},
        {CEREMONY, IF("{'==': [1, 2]}", MAIL("a", "x"), MAIL("b", "x")), "", NULL,
         "/actions/0: \"then\" can never be reached"},
        {CEREMONY, IF("true", MAIL("a", "x"), ""), "", NULL, NULL},
        {CEREMONY, IF("{'in_season': [" VAR("wedding.date") "]}", MAIL("a", "x"), MAIL("b", "x")), "", NULL, NULL},
        {CEREMONY, MAIL("a", "x"), "'conditions': false", NULL, "/conditions: always false"},
        {CEREMONY, MAIL("a", "x"), "'conditions': true", NULL, NULL},
        {CEREMONY, "{'type': 'stop'}, " MAIL("a", "x"), "", "/actions/1: can never be reached", NULL},
    };

    CHECK(rows);
}

Test(rule_lint, finds_waits_that_this_version_does_not_keep_or_that_never_wait)
{
    static const struct row rows[] = {
        {CEREMONY ", 'time_zone': 'Europe/Lisbon'", "{'type': 'wait', 'until': {'time': '09:00'}}", "",
         "/actions/0/until: trigger has the time zone", NULL},
        {CEREMONY ", 'time_zone': 'tenant'", "{'type': 'wait', 'until': {'milestone': 'reception', 'offset': 'PT1H'}}",
         "", NULL, NULL},
        {CEREMONY, "{'type': 'wait', 'until': {'milestone': 'ceremony'}}", "'settings': {'on_date_change': 'keep'}",
         "/actions/0/until: follow the wedding's date", NULL},
        {CEREMONY, "{'type': 'wait', 'for': 'P1D'}", "'settings': {'on_date_change': 'keep'}", NULL, NULL},
        {CEREMONY, "{'type': 'wait', 'until': {'milestone': 'ceremony', 'offset': '-P8D'}}", "", NULL,
         "/actions/0: never waits"},
        {CEREMONY, "{'type': 'wait', 'until': {'milestone': 'ceremony', 'offset': '-P6D'}}", "", NULL, NULL},
        {CEREMONY, "{'type': 'wait', 'until': {'milestone': 'reception', 'offset': '-P8D'}}", "", NULL, NULL},
    };

    CHECK(rows);
}

#define ONCE "'settings': {'max_runs_per_wedding': 1}"

Test(rule_lint, finds_rules_that_start_themselves)
{
    static const struct row rows[] = {
        {EVENT("a.b"), EMIT("a.b"), "", "/actions/0/params: without end", NULL},
        {EVENT("a.b"), EMIT("a.c"), "", NULL, NULL},
        {CEREMONY, EMIT("a.b"), "", NULL, NULL},
        {EVENT("a.b"), EMIT("a.b"), ONCE, NULL, "/actions/0: starts this rule again"},
        {EVENT("a.b"), EMIT("a.b"), "'conditions': " VAR("event.more"), NULL, "/actions/0: starts this rule again"},
        {EVENT("a.b"), IF(VAR("event.more"), EMIT("a.b"), ""), "", NULL, "/actions/0/then/0: starts this rule again"},
        {EVENT("a.b"), IF(VAR("event.last"), "{'type': 'stop'}", "") ", " EMIT("a.b"), "", NULL,
         "/actions/1: starts this rule again"},
        {EVENT("a.b"), EMIT("a.b") ", " WAIT_FOR("w"), "", NULL, "/actions/0: starts this rule again"},
        {EVENT("a.b"), EMIT("a.b") ", " WAIT_FOR("w"), "'settings': {'mode': 'parallel'}",
         "/actions/0/params: without end", NULL},
        {EVENT("stage.changed"), "{'type': 'move_stage', 'params': {'stage': 'x'}}", "", NULL,
         "/actions/0: publishes \"stage.changed\""},
        {EVENT("stage.changed"), SET("wedding.stage", "'x'"), "", NULL, "/actions/0: publishes \"stage.changed\""},
        {EVENT("stage.changed"), SET("wedding.guest_count", "5"), "", NULL, NULL},
        {EVENT("guest_count.changed"), SET("wedding.guest_count", "5"), "", NULL, "/actions/0: starts this rule again"},
        {EVENT("guest_count.changed"), SET("wedding.attributes.guest_count", "5"), "", NULL, NULL},
        {EVENT("guest_count.changed"), "{'type': 'add_tag', 'params': {'tag': 'x'}}", "", NULL, NULL},
    };

    CHECK(rows);
}

Test(rule_lint, keeps_the_first_warnings_only)
{
    struct rule_errors errors = {0};

    for (int i = 0; i < RULE_WARNINGS_MAX + 5; i++)
        rule_errors_warn(&errors, "/a", "warning %d", i);
    cr_assert_eq(errors.n_warnings, RULE_WARNINGS_MAX);
    cr_assert_eq(errors.n, 0);
    cr_assert_str_eq(errors.warnings[RULE_WARNINGS_MAX - 1].message, "warning 19");
    rule_errors_free(&errors);
}
