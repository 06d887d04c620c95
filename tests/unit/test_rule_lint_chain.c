/* rule_lint_chain: rules that start each other. Each row is up to three rules and the one warning that the first gets, or none. */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>
#include <jansson.h>

#include "common/core/rule_lint_chain.h"
#include "common/core/rule_lint_template.h"

#define RULES_MAX 3

struct part {
    const char *trigger; /* with ' for ", as all parts; NULL: no more rules */
    const char *actions;
    const char *conditions; /* NULL: none */
};

struct row {
    struct part rules[RULES_MAX];
    const char *warning; /* "pointer: part of the message", or NULL */
};

/* Names are A, B, C; ids end with 1, 2, 3. */
#define ID(n) "30000000-0000-4000-8000-00000000000" n
#define CEREMONY "'type': 'milestone', 'milestone': 'ceremony', 'offset': '-P7D'"
#define MANUAL "'type': 'manual'"
#define EVENT(type) "'type': 'event', 'event': '" type "'"
#define NOTE "{'type': 'create_note', 'params': {'text': 'x'}}"
#define EMIT(type) "{'type': 'emit_event', 'params': {'type': '" type "'}}"
#define EMIT_WITH(type, payload) "{'type': 'emit_event', 'params': {'type': '" type "', 'payload': {" payload "}}}"
#define STAGE(to) "{'type': 'move_stage', 'params': {'stage': '" to "'}}"
#define SET(path, value) "{'type': 'set_field', 'params': {'path': '" path "', 'value': " value "}}"
#define TAG "{'type': 'add_tag', 'params': {'tag': 'x'}}"
#define START(n) "{'type': 'start_rule', 'params': {'rule': '" ID(n) "'}}"
#define IF(yes) "{'type': 'branch', 'if': {'var': 'event.more'}, 'then': [" yes "]}"
#define IS(path, value) "{'==': [{'var': '" path "'}, " value "]}"

static struct rule *parse(const struct part *part, size_t at, struct logic_fields *fields)
{
    static struct rule_errors errors;
    char text[2048];
    struct rule *r;

    snprintf(text, sizeof(text),
             "{'schema_version': 1, 'name': '%c', 'trigger': {%s}, 'actions': [%s], 'conditions': %s}", 'A' + (int)at,
             part->trigger, part->actions, part->conditions == NULL ? "null" : part->conditions);
    for (char *p = text; *p != '\0'; p++)
        *p = *p == '\'' ? '"' : *p;
    r = rule_parse_text(str_of(text), fields, &errors);
    cr_assert_not_null(r, "%s: %s in %s", errors.items[0].pointer, errors.items[0].message, text);
    rule_errors_free(&errors);
    return r;
}

static void check(const struct row *row, size_t number)
{
    struct logic_fields *fields = logic_fields_new();
    struct rule_lint_peer peers[RULES_MAX];
    struct rule_errors errors = {0};
    struct rule *rules[RULES_MAX];
    struct id ids[RULES_MAX];
    char found[1024] = "";
    size_t n = 0;

    for (; n < RULES_MAX && row->rules[n].trigger != NULL; n++) {
        static const char *const texts[] = {ID("1"), ID("2"), ID("3")};

        cr_assert_eq(id_parse(str_of(texts[n]), &ids[n]), ERR_OK);
        rules[n] = parse(&row->rules[n], n, fields);
        peers[n] = (struct rule_lint_peer){rules[n], &ids[n]};
    }
    rule_lint_chain(peers, n, 0, fields, &errors);
    if (errors.n_warnings > 0)
        snprintf(found, sizeof(found), "%s: %s", errors.warnings[0].pointer, errors.warnings[0].message);
    cr_expect_eq(errors.n, 0);
    cr_expect_eq(errors.n_warnings, row->warning == NULL ? 0 : 1, "row %zu: %s", number, found);
    cr_expect(row->warning == NULL || strcmp(found, row->warning) == 0, "row %zu: found %s, expected %s", number, found,
              row->warning);
    for (size_t i = 0; i < n; i++)
        rule_free(rules[i]);
    rule_errors_free(&errors);
    logic_fields_free(fields);
}

static void check_all(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check(&rows[i], i);
}

#define CHECK(rows) check_all(rows, sizeof(rows) / sizeof((rows)[0]))
#define AGAIN ": may start this rule again: "
#define TO " \xe2\x86\x92 "

Test(rule_lint_chain, names_the_chain_that_leads_back)
{
    static const struct row rows[] = {
        {{{EVENT("a.a"), NOTE ", " EMIT("b.b"), NULL}, {EVENT("b.b"), EMIT("a.a"), NULL}},
         "/actions/1" AGAIN "\"A\" emits \"b.b\"" TO "\"B\" emits \"a.a\"" TO "\"A\""},
        {{{EVENT("stage.changed"), EMIT("b.b"), NULL}, {EVENT("b.b"), STAGE("x"), NULL}},
         "/actions/0" AGAIN "\"A\" emits \"b.b\"" TO "\"B\" publishes \"stage.changed\" by move_stage" TO "\"A\""},
        {{{EVENT("guest_count.changed"), IF(EMIT("b.b")), NULL}, {EVENT("b.b"), SET("wedding.guest_count", "5"), NULL}},
         "/actions/0/then/0" AGAIN "\"A\" emits \"b.b\"" TO "\"B\" publishes \"guest_count.changed\" by set_field" TO
         "\"A\""},
        {{{EVENT("a.a"), EMIT("b.b"), NULL}, {EVENT("b.b"), EMIT("c.c"), NULL}, {EVENT("c.c"), EMIT("a.a"), NULL}},
         "/actions/0" AGAIN "\"A\" emits \"b.b\"" TO "\"B\" emits \"c.c\"" TO "\"C\" emits \"a.a\"" TO "\"A\""},
        /* The shortest of two. */
        {{{EVENT("a.a"), EMIT("b.b") ", " EMIT("c.c"), NULL},
          {EVENT("b.b"), EMIT("c.c"), NULL},
          {EVENT("c.c"), EMIT("a.a"), NULL}},
         "/actions/1" AGAIN "\"A\" emits \"c.c\"" TO "\"C\" emits \"a.a\"" TO "\"A\""},
        {{{MANUAL, START("2"), NULL}, {MANUAL, START("1"), NULL}}, "/actions/0" AGAIN "\"A\" starts \"B\" starts \"A\""},
        {{{MANUAL, START("1"), NULL}}, "/actions/0" AGAIN "\"A\" starts \"A\""},
    };

    CHECK(rows);
}

Test(rule_lint_chain, is_silent_where_no_way_leads_back)
{
    static const struct row rows[] = {
        {{{EVENT("a.a"), EMIT("b.b"), NULL}, {EVENT("b.b"), EMIT("c.c"), NULL}}, NULL},
        {{{CEREMONY, EMIT("b.b"), NULL}, {EVENT("b.b"), EMIT("a.a"), NULL}}, NULL},
        /* A circle that does not pass through the first rule is told at those that it passes through. */
        {{{EVENT("a.a"), EMIT("b.b"), NULL}, {EVENT("b.b"), EMIT("c.c"), NULL}, {EVENT("c.c"), EMIT("b.b"), NULL}}, NULL},
        /* Told when the rule was parsed. */
        {{{EVENT("stage.changed"), STAGE("x"), NULL}, {EVENT("b.b"), NOTE, NULL}}, NULL},
        {{{EVENT("stage.changed"), EMIT("b.b"), NULL}, {EVENT("b.b"), TAG, NULL}}, NULL},
        {{{EVENT("guest_count.changed"), EMIT("b.b"), NULL},
          {EVENT("b.b"), SET("wedding.attributes.guest_count", "5"), NULL}},
         NULL},
        {{{MANUAL, START("2"), NULL}, {MANUAL, START("3"), NULL}}, NULL},
    };

    CHECK(rows);
}

Test(rule_lint_chain, values_that_the_next_rule_does_not_ask_for_end_the_chain)
{
    static const struct row rows[] = {
        {{{EVENT("stage.changed"), EMIT("b.b"), IS("event.to", "'y'")}, {EVENT("b.b"), STAGE("x"), NULL}}, NULL},
        {{{EVENT("stage.changed"), EMIT("b.b"), IS("event.to", "'x'")}, {EVENT("b.b"), STAGE("x"), NULL}},
         "/actions/0" AGAIN "\"A\" emits \"b.b\"" TO "\"B\" publishes \"stage.changed\" by move_stage" TO "\"A\""},
        {{{EVENT("stage.changed"), EMIT("b.b"), IS("event.to", "'y'")}, {EVENT("b.b"), STAGE("{{event.x}}"), NULL}},
         "/actions/0" AGAIN "\"A\" emits \"b.b\"" TO "\"B\" publishes \"stage.changed\" by move_stage" TO "\"A\""},
        {{{EVENT("guest_count.changed"), EMIT("b.b"), IS("event.to", "6")},
          {EVENT("b.b"), SET("wedding.guest_count", "5"), NULL}},
         NULL},
        {{{EVENT("a.a"), EMIT("b.b"), NULL}, {EVENT("b.b"), EMIT("a.a"), "{'in': [{'var': 'event.kind'}, ['k', 'l']]}"}},
         "/actions/0" AGAIN "\"A\" emits \"b.b\"" TO "\"B\" emits \"a.a\"" TO "\"A\""},
        {{{EVENT("a.a"), EMIT_WITH("b.b", "'kind': 'm'"), NULL},
          {EVENT("b.b"), EMIT("a.a"), "{'in': [{'var': 'event.kind'}, ['k', 'l']]}"}},
         NULL},
        {{{EVENT("a.a"), EMIT_WITH("b.b", "'kind': 'm'"), NULL}, {EVENT("b.b"), EMIT("a.a"), IS("client.name", "'k'")}},
         "/actions/0" AGAIN "\"A\" emits \"b.b\"" TO "\"B\" emits \"a.a\"" TO "\"A\""},
    };

    CHECK(rows);
}

Test(rule_lint_chain, follows_rules_whose_ids_are_known_alone)
{
    struct logic_fields *fields = logic_fields_new();
    struct part part = {MANUAL, START("1"), NULL};
    struct rule *r = parse(&part, 0, fields);
    struct rule_lint_peer peer = {r, NULL};
    struct rule_errors errors = {0};

    rule_lint_chain(&peer, 1, 0, fields, &errors);
    cr_assert_eq(errors.n_warnings, 0);
    rule_free(r);
    rule_errors_free(&errors);
    logic_fields_free(fields);
}

Test(rule_lint_chain, needs_a_rule_that_starts_others_and_can_be_started)
{
    static const struct {
        struct part part;
        bool possible;
    } rows[] = {
        {{EVENT("a.a"), NOTE ", " EMIT("b.b"), NULL}, true},
        {{EVENT("a.a"), IF(STAGE("x")), NULL}, true},
        {{MANUAL, START("2"), NULL}, true},
        {{CEREMONY, EMIT("b.b"), NULL}, false},
        {{EVENT("a.a"), NOTE ", " TAG, NULL}, false},
        {{EVENT("a.a"), SET("wedding.title", "'x'"), NULL}, false},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct logic_fields *fields = logic_fields_new();
        struct rule *r = parse(&rows[i].part, 0, fields);

        cr_expect_eq(rule_lint_chain_possible(r), rows[i].possible, "row %zu", i);
        rule_free(r);
        logic_fields_free(fields);
    }
}

#define TEAM(name) "{'type': 'notify_team', 'params': {'template': '" name "'}}"

Test(rule_lint_template, warns_at_each_step_that_names_what_is_missing)
{
    static const struct part part = {EVENT("a.a"), TEAM("a") ", " TEAM("ab") ", " IF(TEAM("a")), NULL};
    struct logic_fields *fields = logic_fields_new();
    struct rule *r = parse(&part, 0, fields);
    struct rule_errors errors = {0};
    json_t *list;

    cr_assert_null(rule_errors_warnings_json(&errors));
    rule_lint_template_missing(r, str_of("a"), &errors);
    cr_assert_eq(errors.n_warnings, 2);
    cr_expect_str_eq(errors.warnings[0].pointer, "/actions/0/params/template");
    cr_expect_str_eq(errors.warnings[1].pointer, "/actions/2/then/0/params/template");
    list = rule_errors_warnings_json(&errors);
    cr_expect_eq(json_array_size(list), 2);
    cr_expect_str_eq(json_string_value(json_object_get(json_array_get(list, 1), "pointer")), errors.warnings[1].pointer);
    json_decref(list);
    rule_free(r);
    rule_errors_free(&errors);
    logic_fields_free(fields);
}
