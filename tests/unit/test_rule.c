/* rule: documents in, structures or errors out. The table of refusals changes one place of a good document and expects exactly one
 * error at one pointer. */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>
#include <jansson.h>

#include "common/core/rule.h"

static const char good[] =
    "{\"schema_version\": 1, \"name\": \"30-day timeline questionnaire\", \"template_key\": \"timeline_30d\","
    " \"trigger\": {\"type\": \"milestone\", \"milestone\": \"wedding.ceremony\", \"offset\": \"-P30D\", \"at\": "
    "\"10:30\","
    "   \"time_zone\": \"tenant\", \"weekend\": \"as_is\"},"
    " \"conditions\": {\"and\": [{\"in\": [{\"var\": \"wedding.status\"}, [\"booked\", \"planning\"]]},"
    "   {\">=\": [{\"var\": \"wedding.guest_count\"}, 30]}]},"
    " \"actions\": ["
    "  {\"id\": \"a1\", \"type\": \"send_email\", \"params\": {\"to\": \"client\", \"subject\": \"Hi "
    "{{client.name}}\", \"text\": \"T\\n\"},"
    "    \"requires_approval\": false},"
    "  {\"id\": \"a2\", \"type\": \"wait\", \"until\": {\"event\": \"form.submitted\","
    "    \"where\": {\"==\": [{\"var\": \"event.form_slug\"}, \"timeline\"]}, \"timeout\": \"P5D\"}},"
    "  {\"id\": \"a3\", \"type\": \"branch\", \"if\": {\"var\": \"steps.a2.timed_out\"},"
    "    \"then\": [{\"id\": \"a4\", \"type\": \"send_email\", \"params\": {\"to\": \"vendor:planner\", \"subject\": "
    "\"s\", \"text\": \"t\"}},"
    "             {\"id\": \"a5\", \"type\": \"create_task\", \"params\": {\"title\": \"Call\", \"due\": \"P2D\"}}],"
    "    \"else\": [{\"id\": \"a6\", \"type\": \"move_stage\", \"params\": {\"stage\": \"timeline_received\"}}]}],"
    " \"settings\": {\"mode\": \"single\", \"reenrollment\": \"once_per_wedding\","
    "   \"late\": {\"policy\": \"fire_all\", \"grace\": \"PT6H\"}, \"on_date_change\": \"keep\","
    "   \"exit_when\": {\"in\": [{\"var\": \"wedding.status\"}, [\"cancelled\", \"archived\"]]},"
    "   \"on_action_error\": \"retry_then_stop\", \"max_runs_per_wedding\": 1, \"priority\": 7}}";

static json_t *parse(const char *text)
{
    json_error_t why;
    json_t *v = json_loads(text, JSON_DECODE_ANY, &why);

    cr_assert_not_null(v, "%s in %s", why.text, text);
    return v;
}

/* Puts `value` (JSON text; NULL removes) at the pointer. */
static void put(json_t *document, const char *pointer, const char *value)
{
    char part[64];
    json_t *at = document;
    const char *p = pointer + 1;

    for (;;) {
        size_t n = strcspn(p, "/");

        snprintf(part, sizeof(part), "%.*s", (int)n, p);
        p += n;
        if (*p == '\0')
            break;
        p++;
        at = json_is_array(at) ? json_array_get(at, (size_t)(part[0] - '0')) : json_object_get(at, part);
        cr_assert_not_null(at, "%s", pointer);
    }
    if (json_is_array(at))
        json_array_set_new(at, (size_t)(part[0] - '0'), parse(value));
    else if (value == NULL)
        json_object_del(at, part);
    else
        json_object_set_new(at, part, parse(value));
}

static void print_errors(const struct rule_errors *e)
{
    for (size_t i = 0; i < e->n; i++)
        fprintf(stderr, "  %s: %s\n", e->items[i].pointer, e->items[i].message);
}

Test(rule, reads_a_whole_document)
{
    struct logic_fields *fields = logic_fields_new();
    struct rule_errors errors = {0};
    struct rule *r = rule_parse_text(str_of(good), fields, &errors);

    print_errors(&errors);
    cr_assert_not_null(r);
    cr_assert_eq(errors.n, 0);
    cr_assert_str_eq(r->name, "30-day timeline questionnaire");
    cr_assert_str_eq(r->template_key, "timeline_30d");
    cr_assert_eq(r->trigger.type, TRIGGER_MILESTONE);
    cr_assert_eq(r->trigger.milestone, MILESTONE_CEREMONY);
    cr_assert(offset_eq(&r->trigger.offset, &(struct offset){.days = -30}));
    cr_assert_eq(r->trigger.at_minute, 10 * 60 + 30);
    cr_assert_eq(r->trigger.zone_mode, ZONE_TENANT);
    cr_assert_str_eq(r->trigger.zone, "tenant");
    cr_assert_null(r->trigger.event_type);
    cr_assert_not_null(r->conditions);
    cr_assert_eq(logic_mode_of(r->conditions), LOGIC_STRICT);
    cr_assert_eq(r->program.n, 6);
    cr_assert_eq(r->settings.late, LATE_FIRE_ALL);
    cr_assert(offset_eq(&r->settings.late_grace, &(struct offset){.seconds = 6 * 3600, .exact = true}));
    cr_assert_eq(r->settings.on_date_change, DATE_CHANGE_KEEP);
    cr_assert_eq(r->settings.on_action_error, ON_ERROR_STOP);
    cr_assert_eq(r->settings.max_runs_per_wedding, 1);
    cr_assert_eq(r->settings.priority, 7);
    cr_assert_not_null(r->settings.exit_when);
    cr_assert_not(r->settings.window.set);
    cr_assert_eq(errors.n_warnings, 0);
    cr_assert_gt(rule_bytes(r), 2000);
    rule_free(r);
    rule_errors_free(&errors);
    logic_fields_free(fields);
}

Test(rule, has_defaults_for_everything_optional)
{
    static const char text[] =
        "{\"schema_version\": 1, \"name\": \"n\", \"trigger\": {\"type\": \"milestone\", \"milestone\":"
        " \"gallery_due\"}, \"actions\": [{\"type\": \"stop\"}]}";
    struct logic_fields *fields = logic_fields_new();
    struct rule_errors errors = {0};
    struct rule *r = rule_parse_text(str_of(text), fields, &errors);

    print_errors(&errors);
    cr_assert_not_null(r);
    cr_assert_null(r->conditions);
    cr_assert_null(r->template_key);
    cr_assert(offset_eq(&r->trigger.offset, &(struct offset){0}));
    cr_assert_eq(r->trigger.at_minute, 9 * 60);
    cr_assert_eq(r->trigger.zone_mode, ZONE_WEDDING);
    cr_assert_str_eq(r->trigger.zone, "wedding");
    cr_assert_eq(r->settings.mode, MODE_SINGLE);
    cr_assert_eq(r->settings.late, LATE_SKIP);
    cr_assert(offset_eq(&r->settings.late_grace, &(struct offset){.days = 1}));
    cr_assert_eq(r->settings.on_date_change, DATE_CHANGE_RESCHEDULE_PENDING);
    cr_assert_eq(r->settings.on_action_error, ON_ERROR_CONTINUE);
    cr_assert_eq(r->settings.max_runs_per_wedding, 0);
    cr_assert_eq(r->settings.priority, 100);
    cr_assert_null(r->settings.exit_when);
    cr_assert_not(r->settings.window.set);
    rule_free(r);
    logic_fields_free(fields);
}

struct row {
    const char *at;      /* place changed in the good document */
    const char *value;   /* what is put there; NULL removes */
    const char *pointer; /* of the only error; NULL: still good */
    const char *part;    /* of its message */
};

static void check_rows(const char *text, const struct row *rows, size_t n)
{
    struct logic_fields *fields = logic_fields_new();

    for (size_t i = 0; i < n; i++) {
        const struct row *row = &rows[i];
        struct rule_errors errors = {0};
        json_t *document = parse(text);
        struct rule *r;

        put(document, row->at, row->value);
        r = rule_parse(document, fields, &errors);
        if (row->pointer == NULL) {
            print_errors(&errors);
            cr_assert_not_null(r, "%s = %s", row->at, row->value);
        } else {
            cr_assert_null(r, "%s = %s", row->at, row->value);
            if (errors.n != 1)
                print_errors(&errors);
            cr_assert_eq(errors.n, 1, "%s = %s: %zu errors", row->at, row->value, errors.n);
            cr_assert_str_eq(errors.items[0].pointer, row->pointer, "%s: %s", row->at, errors.items[0].message);
            cr_assert_not_null(strstr(errors.items[0].message, row->part), "%s: %s", row->at, errors.items[0].message);
        }
        rule_free(r);
        rule_errors_free(&errors);
        json_decref(document);
    }
    logic_fields_free(fields);
}

#define CHECK(rows) check_rows(good, (rows), sizeof(rows) / sizeof((rows)[0]))

Test(rule, refuses_wrong_top_level_members)
{
    static const struct row rows[] = {
        {"/schema_version", NULL, "/schema_version", "found nothing; it must be 1"},
        {"/schema_version", "2", "/schema_version", "found 2"},
        {"/schema_version", "\"1\"", "/schema_version", "found \"1\""},
        {"/name", NULL, "/name", "found nothing"},
        {"/name", "\"\"", "/name", "0 bytes"},
        {"/name", "\"a\\u0007\"", "/name", "control character 0x07"},
        {"/nmae", "1", "/nmae", "did you mean \"name\"?"},
        {"/zzz", "1", "/zzz", "allowed here: $schema, schema_version, name"},
        {"/$schema", "\"https://example.com/rule.json\"", NULL, NULL},
        {"/trigger", NULL, "/trigger", "missing"},
        {"/trigger", "[]", "/trigger", "found a list; it must be an object"},
        {"/settings", "5", "/settings", "found 5; it must be an object"},
        {"/settings", NULL, NULL, NULL},
        {"/conditions", "null", NULL, NULL},
        {"/conditions", NULL, NULL, NULL},
        {"/actions", NULL, "/actions", "list of at least one action"},
        {"/actions", "[]", "/actions", "an empty list"},
        {"/actions", "{}", "/actions", "found an object"},
    };

    CHECK(rows);
}

Test(rule, refuses_wrong_triggers)
{
    static const struct row rows[] = {
        {"/trigger/type", "\"milestones\"", "/trigger/type", "did you mean \"milestone\"?"},
        {"/trigger/type", "\"schedule\"", "/trigger/type",
         "not available in this version; available: milestone, event or manual"},
        {"/trigger/type", "4", "/trigger/type", "found 4; allowed: milestone, event or manual"},
        {"/trigger/milestone", "\"cermony\"", "/trigger/milestone", "did you mean \"ceremony\"?"},
        {"/trigger/milestone", NULL, "/trigger/milestone", "found nothing"},
        {"/trigger/offset", "\"30 days\"", "/trigger/offset", "is not a duration"},
        {"/trigger/offset", "-30", "/trigger/offset", "found -30"},
        {"/trigger/offset", "\"P101Y\"", "/trigger/offset", "100 years"},
        {"/trigger/at", "\"9:00\"", "/trigger/at", "such as \"09:00\""},
        {"/trigger/at", "\"09:00:30\"", "/trigger/at", "whole minutes"},
        {"/trigger/at", "\"09:00:00\"", NULL, NULL},
        {"/trigger/at", "\"24:00\"", "/trigger/at", "found \"24:00\""},
        {"/trigger/offset", "\"-PT2H\"", "/trigger/at", "not allowed with an offset in hours"},
        {"/trigger/time_zone", "\"berlin\"", "/trigger/time_zone", "IANA name such as"},
        {"/trigger/time_zone", "\"Europe/Berlin\"", NULL, NULL},
        {"/trigger/weekend", "\"next_monday\"", "/trigger/weekend", "available: \"as_is\""},
        {"/trigger/yearly", "0", "/trigger/yearly", "from 1 to 60"},
        {"/trigger/yearly", "10", NULL, NULL},
        {"/trigger", "{\"type\": \"manual\"}", NULL, NULL},
        {"/trigger/ofset", "\"P1D\"", "/trigger/ofset", "did you mean \"offset\"?"},
        {"/trigger/event", "\"a.b\"", "/trigger/event", "unknown key"},
        {"/trigger", "{\"type\": \"manual\", \"time_zone\": \"UTC\"}", "/trigger/time_zone", "not available"},
        {"/trigger", "{\"type\": \"milestone\", \"milestone\": \"ceremony\", \"offset\": \"-PT90M\"}", NULL, NULL},
        {"/trigger", "{\"type\": \"milestone\", \"milestone\": \"gallery_due\", \"offset\": \"PT2H\"}",
         "/trigger/offset", "has a date but no time"},
    };

    CHECK(rows);
}

static const char on_event[] =
    "{\"schema_version\": 1, \"name\": \"n\", \"trigger\": {\"type\": \"event\", \"event\": \"contract.sent\"},"
    " \"actions\": [{\"id\": \"w\", \"type\": \"wait\", \"until\": {\"time\": \"09:00\"}}], \"settings\": {}}";

Test(rule, refuses_what_an_event_trigger_does_not_do)
{
    static const struct row rows[] = {
        {"/trigger", "{\"type\": \"event\"}", "/trigger/event", "it must be an event type"},
        {"/trigger", "{\"type\": \"event\", \"event\": \"Contract.Signed\"}", "/trigger/event", "lower-case"},
        {"/trigger", "{\"type\": \"event\", \"event\": \"contract.signed\", \"offset\": \"P1D\"}", "/trigger/offset",
         "unknown key"},
        {"/trigger/time_zone", "\"wedding\"", NULL, NULL},
        {"/trigger/time_zone", "\"tenant\"", "/trigger/time_zone",
         "not available with this kind of trigger in this version; available: \"wedding\""},
        {"/settings/late", "{\"policy\": \"skip\"}", "/settings/late", "not available with an event trigger"},
        {"/settings/on_date_change", "\"keep\"", NULL, NULL},
        {"/actions/0/until", "{\"milestone\": \"ceremony\"}", NULL, NULL},
        {"/actions/0/until", "{\"event\": \"a.b\", \"timeout\": \"P1D\", \"where\": {\"var\": \"steps.w.code\"}}",
         "/actions/0", "not known where events are matched"},
    };

    check_rows(on_event, rows, sizeof(rows) / sizeof(rows[0]));
}

Test(rule, refuses_wrong_conditions)
{
    static const struct row rows[] = {
        {"/conditions", "{\"eq\": [1, 2]}", "/conditions/eq", "unknown_operator"},
        {"/conditions/and/1", "{\"gt\": [1, 2]}", "/conditions/and/1/gt", "unknown_operator"},
        {"/conditions/and/0", "{\"==\": [{\"var\": \"weding.status\"}, \"x\"]}", "/conditions",
         "unknown field \"weding.status\"; did you mean \"wedding.status\"?"},
        {"/conditions/and/0", "{\"==\": [{\"var\": \"second_shooter\"}, \"x\"]}", NULL, NULL},
        {"/conditions/and/0", "{\"==\": [{\"var\": \"event.amount\"}, 5]}", "/conditions",
         "a milestone comes without an event"},
        {"/conditions/and/0", "{\"var\": \"steps.a2.timed_out\"}", "/conditions", "not known where events are matched"},
        {"/settings/exit_when", "{\"var\": \"steps.a9.timed_out\"}", "/settings/exit_when",
         "no action has the id \"a9\""},
        {"/settings/exit_when", "{\"var\": \"steps.a2.timed_out\"}", NULL, NULL},
        {"/actions/2/if", "{\"var\": \"steps.wait.timed_out\"}", "/actions/2", "no action has the id \"wait\""},
    };

    CHECK(rows);
}

#define WINDOW(days, to, outside)                                                                                      \
    "{\"days\": " days ", \"from\": \"08:00\", \"to\": \"" to "\", \"outside\": \"" outside "\"}"

Test(rule, refuses_wrong_settings)
{
    static const struct row rows[] = {
        {"/settings/mode", "\"queued\"", NULL, NULL},
        {"/settings/mode", "\"restart\"", NULL, NULL},
        {"/settings/mode", "\"parallel\"", NULL, NULL},
        {"/settings/late", "\"skip\"", "/settings/late", "must be an object"},
        {"/settings/late/policy", "\"ask\"", "/settings/late/policy", "not available"},
        {"/settings/late/grace", "\"-P1D\"", "/settings/late/grace", "not be negative"},
        {"/settings/late/grace", "\"P0D\"", NULL, NULL},
        {"/settings/late/gracee", "1", "/settings/late/gracee", "did you mean \"grace\"?"},
        {"/settings/on_date_change", "\"refires\"", "/settings/on_date_change", "did you mean \"refire\"?"},
        {"/settings/on_date_change", "\"ask\"", "/settings/on_date_change",
         "not available in this version; available: reschedule_pending, refire or keep"},
        {"/settings/max_runs_per_wedding", "-1", "/settings/max_runs_per_wedding", "whole number from 0 to"},
        {"/settings/max_runs_per_wedding", "1.5", "/settings/max_runs_per_wedding", "found 1.5"},
        {"/settings/max_runs_per_wedding", "2", "/settings/max_runs_per_wedding", "allows one run"},
        {"/settings/reenrollment", "\"always\"", "/settings/reenrollment", "\"once_per_wedding\" or \"per_occurrence\""},
        {"/settings/priority", "1001", "/settings/priority", "from 0 to 1000"},
        {"/settings/priority", "0", NULL, NULL},
        {"/settings/on_action_error", "\"retry\"", "/settings/on_action_error", "retry_then_continue or retry_then_stop"},
        {"/settings/exit_when", "{\"nope\": 1}", "/settings/exit_when/nope", "unknown_operator"},
        {"/settings/send_window", WINDOW("[]", "24:00", "skip"), "/settings/send_window/days", "at least one weekday"},
        {"/settings/send_window", WINDOW("[\"MO\", \"mo\"]", "24:00", "skip"), "/settings/send_window/days/1",
         "allowed: MO, TU"},
        {"/settings/send_window", WINDOW("\"MO\"", "24:00", "skip"), "/settings/send_window/days", "must be a list"},
        {"/settings/send_window", "{\"to\": \"18:00\"}", "/settings/send_window/from", "found nothing"},
        {"/settings/send_window", WINDOW("[\"MO\"]", "07:00", "skip"), "/settings/send_window/to", "later than"},
        {"/settings/send_window", WINDOW("[\"MO\"]", "18:00", "drop"), "/settings/send_window/outside",
         "next_open or skip"},
        {"/settings/send_window", WINDOW("[\"MO\", \"SU\"]", "24:00", "next_open"), NULL, NULL},
        {"/settings/on_date_change", "\"refire\"", NULL, NULL},
        {"/settings/quiet", "1", "/settings/quiet", "unknown key"},
        {"/settings/jitter", "\"PT10M\"", NULL, NULL},
        {"/settings/jitter", "\"PT1H\"", NULL, NULL},
        {"/settings/jitter", "\"PT60M1S\"", "/settings/jitter", "at most an hour"},
        {"/settings/jitter", "\"P1D\"", "/settings/jitter", "at most an hour"},
        {"/settings/jitter", "\"PT0S\"", "/settings/jitter", "longer than nothing"},
        {"/settings/jitter", "\"-PT5M\"", "/settings/jitter", "longer than nothing"},
        {"/settings/jitter", "600", "/settings/jitter", "must be a duration"},
        {"/settings/smear", "false", NULL, NULL},
        {"/settings/smear", "\"no\"", "/settings/smear", "must be true or false"},
    };

    CHECK(rows);
}

#define ACTION(type, params) "{\"type\": \"" type "\", \"params\": " params "}"
#define P0 "/actions/0/params"

Test(rule, refuses_wrong_actions)
{
    static const struct row rows[] = {
        {"/actions/0", "5", "/actions/0", "an action is an object"},
        {"/actions/0/type", "\"send_mail\"", "/actions/0/type", "did you mean \"send_email\"?"},
        {"/actions/0/type", "\"send_sms\"", "/actions/0/type",
         "\"send_sms\" is not available in this version; available: send_email,"},
        {"/actions/0/type", NULL, "/actions/0/type", "found nothing"},
        {"/actions/0/id", "\"1a\"", "/actions/0/id", "not beginning with a digit"},
        {"/actions/0/id", "\"a.b\"", "/actions/0/id", "letters, digits and _"},
        {"/actions/0/id", "7", "/actions/0/id", "found 7"},
        {"/actions/0/params", NULL, "/actions/0/params", "missing"},
        {"/actions/0/requires_approval", "true", NULL, NULL},
        {"/actions/0/requires_approval", "1", "/actions/0/requires_approval", "must be true or false"},
        {"/actions/0/until", "{}", "/actions/0/until", "unknown key"},
        {P0 "/to", "\"clients\"", P0 "/to", "did you mean \"client\"?"},
        {P0 "/to", "\"vendor:\"", P0 "/to", "without a role"},
        {P0 "/to", "\"a@b.example, c@d.example\"", P0 "/to", "one mail address"},
        {P0 "/to", "\"{{client.email}}\"", NULL, NULL},
        {P0 "/to", "\"a@b.example\"", NULL, NULL},
        {P0 "/subject", "\"two\\nlines\"", P0 "/subject", "on one line"},
        {P0 "/subject", "\"{{client.name}\"", P0 "/subject", "template: line 1"},
        {P0 "/text", "\"\"", P0 "/text", "0 bytes"},
        {P0 "/html", "\"{{#a}}\"", P0 "/html", "not closed"},
        {P0 "/cc", "\"x\"", P0 "/cc", "allowed here: to, subject, text, html"},
        {"/actions/0", ACTION("notify_team", "{\"subject\": \"s\", \"text\": \"t\"}"), NULL, NULL},
        {"/actions/0", ACTION("notify_vendor", "{\"subject\": \"s\", \"text\": \"t\"}"), P0 "/role", "found nothing"},
        {"/actions/0",
         ACTION("call_webhook", "{\"url\": \"https://x.example/a?b={{wedding.id}}\", \"payload\": {\"a\": \"{{b}}\"}}"),
         NULL, NULL},
        {"/actions/0", ACTION("call_webhook", "{\"url\": \"ftp://x.example/\"}"), P0 "/url", "must begin with https://"},
        {"/actions/0", ACTION("call_webhook", "{\"url\": \"https://{{host}}/\"}"), P0 "/url", "host must be written out"},
        {"/actions/0", ACTION("call_webhook", "{\"url\": \"https://u:p@x.example/\"}"), P0 "/url", "user name"},
        {"/actions/0", ACTION("call_webhook", "{\"url\": \"https:///a\"}"), P0 "/url", "host must be"},
        {"/actions/0", ACTION("call_webhook", "{\"url\": \"https://x.example\", \"payload\": {\"a\": [\"{{\"]}}"),
         P0 "/payload", "/a/0"},
        {"/actions/0", ACTION("call_webhook", "{\"url\": \"https://x.example\", \"payload\": []}"), P0 "/payload",
         "must be an object"},
        {"/actions/0", ACTION("call_webhook", "{\"url\": \"https://x.example\", \"event\": \"x\"}"), P0 "/event",
         "event type"},
        {"/actions/0", ACTION("create_task", "{\"title\": \"t\", \"due\": \"-P1D\"}"), P0 "/due", "not be negative"},
        {"/actions/0",
         ACTION("create_task", "{\"title\": \"t\", \"assignee\": \"{{tenant.name}}\", \"notes\": \"a\\nb\"}"), NULL,
         NULL},
        {"/actions/0", ACTION("set_field", "{\"path\": \"wedding.guest_count\", \"value\": 5}"), NULL, NULL},
        {"/actions/0", ACTION("set_field", "{\"path\": \"wedding.attributes.shot_list\", \"value\": null}"), NULL, NULL},
        {"/actions/0", ACTION("set_field", "{\"path\": \"wedding.status\", \"value\": \"booked\"}"), P0 "/path",
         "guest_count, package"},
        {"/actions/0", ACTION("set_field", "{\"path\": \"wedding.attributes.a.b\", \"value\": 1}"), P0 "/path",
         "wedding.attributes.<key>"},
        {"/actions/0", ACTION("set_field", "{\"path\": \"wedding.stage\"}"), P0 "/value", "missing"},
        {"/actions/0", ACTION("set_field", "{\"path\": \"wedding.stage\", \"value\": \"{{x\"}"), P0 "/value", "template"},
        {"/actions/0", ACTION("add_tag", "{\"tag\": \"\"}"), P0 "/tag", "0 bytes"},
        {"/actions/0", ACTION("remove_tag", "{\"tags\": \"x\", \"tag\": \"y\"}"), P0 "/tags", "did you mean \"tag\"?"},
        {"/actions/0", ACTION("create_note", "{\"text\": 5}"), P0 "/text", "must be a text"},
        {"/actions/0", ACTION("emit_event", "{\"type\": \"a.b\", \"payload\": {\"x\": 1}}"), NULL, NULL},
        {"/actions/0", ACTION("emit_event", "{\"type\": \"ab\"}"), P0 "/type", "event type"},
    };

    CHECK(rows);
}

Test(rule, refuses_wrong_waits_and_stops)
{
    static const struct row rows[] = {
        {"/actions/1", "{\"id\": \"a2\", \"type\": \"wait\", \"for\": \"P3D\"}", NULL, NULL},
        {"/actions/1", "{\"id\": \"a2\", \"type\": \"wait\", \"params\": {\"for\": \"PT10M\"}}", NULL, NULL},
        {"/actions/1", "{\"id\": \"a2\", \"type\": \"wait\"}", "/actions/1", "either \"for\""},
        {"/actions/1/for", "\"P1D\"", "/actions/1", "either \"for\""},
        {"/actions/1", "{\"id\": \"a2\", \"type\": \"wait\", \"for\": \"P0D\"}", "/actions/1/for", "longer than nothing"},
        {"/actions/1", "{\"id\": \"a2\", \"type\": \"wait\", \"for\": \"-P1D\"}", "/actions/1/for",
         "longer than nothing"},
        {"/actions/1", "{\"id\": \"a2\", \"type\": \"wait\", \"params\": {\"for\": \"P1D\"}, \"until\": {}}",
         "/actions/1/until", "unknown key"},
        {"/actions/1/until", "\"friday\"", "/actions/1/until", "must be an object"},
        {"/actions/1/until", "{}", "/actions/1/until", "one of \"time\""},
        {"/actions/1/until", "{\"time\": \"09:00\"}", "/actions/1/until", "time zone \"tenant\""},
        {"/actions/1/until", "{\"time\": \"nine\"}", "/actions/1/until/time", "such as \"09:00\""},
        {"/actions/1/until", "{\"time\": \"09:00\", \"milestone\": \"ceremony\"}", "/actions/1/until/time",
         "unknown key"},
        {"/actions/1/until", "{\"milestone\": \"ceremony\", \"offset\": \"-PT1H\"}", "/actions/1/until", "\"keep\""},
        {"/actions/1/until", "{\"milestone\": \"album_design\", \"offset\": \"PT1H\"}", "/actions/1/until/offset",
         "no time"},
        {"/actions/1/until/timeout", NULL, "/actions/1/until/timeout", "found nothing"},
        {"/actions/1/until/timeout", "\"PT0S\"", "/actions/1/until/timeout", "longer than nothing"},
        {"/actions/1/until/where", "{\"nope\": 1}", "/actions/1/until/where/nope", "unknown_operator"},
        {"/actions/1/until/event", "\"x\"", "/actions/1/until/event", "event type"},
        {"/actions/0", "{\"type\": \"stop\", \"reason\": 5}", "/actions/0/reason", "must be a text"},
    };
    json_t *document = parse(good);
    struct logic_fields *fields = logic_fields_new();
    struct rule_errors errors = {0};
    struct rule *r;

    /* The last row's stop makes what follows unreachable, which is a second error: it is tested alone. */
    check_rows(good, rows, sizeof(rows) / sizeof(rows[0]) - 1);
    put(document, rows[18].at, rows[18].value);
    r = rule_parse(document, fields, &errors);
    cr_assert_null(r);
    cr_assert_eq(errors.n, 2);
    cr_assert_str_eq(errors.items[0].pointer, "/actions/0/reason");
    cr_assert_str_eq(errors.items[1].pointer, "/actions/1");
    rule_errors_free(&errors);
    logic_fields_free(fields);
    json_decref(document);
}
