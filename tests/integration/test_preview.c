/* preview on a real database: fire instants, conditions, steps, verdicts, neighbours, the season; and that nothing is written. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io/preview.h"
#include "tests/support/pg.h"

#define TENANT "00000000-0000-0000-0000-0000000000a1"
#define OTHER "00000000-0000-0000-0000-0000000000a2"
#define WEDDING "00000000-0000-0000-0000-0000000000b1" /* 2027-06-19 15:00 Europe/Lisbon, 120 guests */
#define NEW_YORK "00000000-0000-0000-0000-0000000000b2"
#define UNDATED "00000000-0000-0000-0000-0000000000b3" /* no date, no guest count */
#define RULE(nn) "00000000-0000-0000-0000-0000000000" nn
#define AS_OF "2027-05-01T12:00:00Z"

#define DAYS_BEFORE(n)                                                                                                 \
    "\"trigger\":{\"type\":\"milestone\",\"milestone\":\"ceremony\",\"offset\":\"-P" n "D\",\"at\":\"09:00\"}"
#define TASK "\"actions\":[{\"type\":\"create_task\",\"params\":{\"title\":\"t\"}}]"

static struct test_pg pg;
static struct db_session *db;
static json_t *got; /* the last preview */

static void setup(void)
{
    if (!test_pg_available())
        return;
    test_pg_create_migrated(&pg);
    db = test_pg_session(&pg);
    test_pg_run(&pg,
                "select automation_priv.clock_set('2027-05-01T12:00:00Z');"
                "insert into automation.tenants (tenant_id, name, email, time_zone) values ('" TENANT
                "', 'A', 'us@example.com', 'America/New_York'), ('" OTHER "', 'B', null, 'UTC');"
                "insert into automation.weddings (tenant_id, wedding_id, title, status, ceremony_date, ceremony_time, "
                "time_zone, guest_count, client_name, client_email) values"
                " ('" TENANT "', '" WEDDING "', 'W', 'booked', '2027-06-19', '15:00', 'Europe/Lisbon', 120, 'Ana', "
                "'ana@example.com'),"
                " ('" TENANT "', '" NEW_YORK
                "', 'N', 'booked', '2027-03-15', '15:00', 'America/New_York', 80, 'Bo', null),"
                " ('" TENANT "', '" UNDATED "', 'U', 'inquiry', null, null, 'Europe/Lisbon', null, null, null)");
}

static void teardown(void)
{
    json_decref(got);
    got = NULL;
    if (db == NULL)
        return;
    db_close(db);
    db = NULL;
    test_pg_drop(&pg);
}

TestSuite(preview, .init = setup, .fini = teardown);

static struct id id_of(const char *text)
{
    struct id id;
    cr_assert_eq(id_parse(str_of(text), &id), ERR_OK, "%s", text);
    return id;
}

static enum err ask(const char *rule, const char *document, const char *wedding, const char *as_of, const json_t *event)
{
    struct preview_request q = {.tenant_id = id_of(TENANT), .wedding_id = id_of(wedding), .event = event};
    struct err_info info = {0};

    if (rule != NULL)
        q.rule_id = id_of(rule);
    if (document != NULL)
        q.document = str_of(document);
    cr_assert_eq(str_to_time(str_of(as_of), &q.as_of_us), ERR_OK);
    json_decref(got);
    return preview_rule(db, &q, &got, &info);
}

/* A draft: `rest` is the document after its name. */
static void draft(const char *rest, const char *wedding, const char *as_of)
{
    char *document = NULL;

    cr_assert_geq(asprintf(&document, "{\"schema_version\":1,\"name\":\"r\",%s}", rest), 0);
    cr_assert_eq(ask(NULL, document, wedding, as_of, NULL), ERR_OK, "%s", rest);
    free(document);
}

/* An active, checked rule as the leader leaves it; `timing` = days before the ceremony, at 09:00 of the wedding's zone. */
static void store(const char *id, const char *name, int days)
{
    char sql[2048];
    snprintf(sql, sizeof(sql),
             "insert into automation.rules (tenant_id, rule_id, name, status, definition) values ('" TENANT
             "', '%s', '%s', 'active', '{\"schema_version\":1,\"name\":\"%s\",\"trigger\":{\"type\":\"milestone\","
             "\"milestone\":\"ceremony\",\"offset\":\"-P%dD\",\"at\":\"09:00\"}," TASK "}');"
             "update automation.rules set validated_revision = 1, trigger_type = 'milestone', timing_id = "
             "automation_priv.derive('timing', 'ceremony|-P0M%dDT0S|09:00|wedding') where rule_id = '%s';"
             "insert into automation.timing_keys values ('" TENANT "', automation_priv.derive('timing', "
             "'ceremony|-P0M%dDT0S|09:00|wedding'), 'ceremony', 0, %d, 0, '09:00', 'wedding') on conflict do nothing;"
             "select automation_priv.refresh_timings('" TENANT "', null, null)",
             id, name, name, days, days, id, days, -days);
    test_pg_run(&pg, sql);
}

/* "fire.state", "steps.0.path": a member or item at each dot. */
static json_t *at(const char *path)
{
    char copy[128], *rest = copy;
    json_t *v = got;

    cr_assert(str_copy(copy, sizeof(copy), path));
    for (char *part = strsep(&rest, "."); part != NULL && v != NULL; part = strsep(&rest, "."))
        v = json_is_array(v) ? json_array_get(v, strtoul(part, NULL, 10)) : json_object_get(v, part);
    return v;
}

static const char *text(const char *path)
{
    const char *s = json_string_value(at(path));
    return s != NULL ? s : "(none)";
}

static bool warned(const char *code)
{
    json_t *list = json_object_get(got, "warnings"), *w;
    size_t i;

    json_array_foreach(list, i, w)
    {
        if (strcmp(json_string_value(json_object_get(w, "code")), code) == 0)
            return true;
    }
    return false;
}

#define expect_text(path, want) cr_expect_str_eq(text(path), want, "%s: %s", path, text(path))
#define expect_int(path, want)                                                                                         \
    cr_expect_eq(json_integer_value(at(path)), want, "%s: %lld", path, (long long)json_integer_value(at(path)))

Test(preview, a_future_instant_is_derived_from_the_anchor)
{
    if (db == NULL)
        return;
    draft(DAYS_BEFORE("30") "," TASK, WEDDING, AS_OF);
    expect_text("fire.state", "future");
    expect_text("fire.due_utc", "2027-05-20T08:00:00Z");
    expect_text("fire.due_local", "2027-05-20T09:00:00+01:00");
    expect_text("fire.zone", "Europe/Lisbon");
    expect_text("fire.derivation.milestone", "ceremony");
    expect_text("fire.derivation.local_date", "2027-06-19");
    expect_text("fire.derivation.offset", "-P30D");
    expect_text("fire.derivation.at", "09:00");
    expect_text("fire.derivation.fire_date", "2027-05-20");
    cr_expect(json_is_null(at("fire.derivation.shift")));
    expect_text("conditions.truth", "true");
    expect_text("conditions.evaluated_at", "2027-05-20T08:00:00Z");
    cr_expect(json_is_true(at("verdict.starts")));
    cr_expect(warned("draft"));
}

Test(preview, what_has_passed_is_past_due_and_beyond_the_grace_skipped)
{
    if (db == NULL)
        return;
    draft(DAYS_BEFORE("60") "," TASK, WEDDING, AS_OF); /* 2027-04-20 */
    expect_text("fire.state", "past_due");
    expect_text("verdict.reason", "past_due");
    cr_expect(warned("past_due"));
    draft(DAYS_BEFORE("49") "," TASK, WEDDING, AS_OF); /* 2027-05-01 09:00: within the grace of a day */
    expect_text("fire.state", "past_due");
    cr_expect(json_is_true(at("verdict.starts")));
    draft(DAYS_BEFORE("60") ",\"settings\":{\"late\":{\"policy\":\"fire_all\"}}," TASK, WEDDING, AS_OF);
    cr_expect(json_is_true(at("verdict.starts")));
    draft(DAYS_BEFORE("60") ",\"settings\":{\"late\":{\"policy\":\"fire_latest_only\"}}," TASK, WEDDING, AS_OF);
    cr_expect(json_is_true(at("verdict.starts")), "no later one is due");
}

Test(preview, what_can_not_fire_says_why)
{
    if (db == NULL)
        return;
    draft(DAYS_BEFORE("30") "," TASK, UNDATED, AS_OF);
    expect_text("fire.state", "unscheduled:anchor_missing");
    expect_text("verdict.reason", "unscheduled:anchor_missing");
    cr_expect(json_is_null(at("fire.due_utc")) && json_is_null(at("fire.derivation.local_date")));
    draft("\"trigger\":{\"type\":\"event\",\"event\":\"contract.signed\"}," TASK, WEDDING, AS_OF);
    expect_text("fire.state", "unscheduled:event:contract.signed");
    cr_expect(json_is_true(at("verdict.starts")), "when the event comes");
    draft("\"trigger\":{\"type\":\"milestone\",\"milestone\":\"ceremony\",\"offset\":\"-P1D\",\"time_zone\":\"Mars/"
          "Base\"}," TASK,
          WEDDING, AS_OF);
    expect_text("fire.state", "unscheduled:zone_unknown");
    test_pg_run(&pg, "update automation.weddings set status = 'cancelled' where wedding_id = '" WEDDING "'");
    draft(DAYS_BEFORE("30") "," TASK, WEDDING, AS_OF);
    expect_text("verdict.reason", "unscheduled:wedding_cancelled");
}

Test(preview, conditions_show_every_node_with_its_values)
{
    if (db == NULL)
        return;
    draft(DAYS_BEFORE("30") ",\"conditions\":{\"and\":[{\">\":[{\"var\":\"wedding.guest_count\"},100]},"
                            "{\"==\":[{\"days_until\":[{\"var\":\"wedding.date\"}]},30]}]}," TASK,
          WEDDING, AS_OF);
    expect_text("conditions.truth", "true"); /* 30 days before at the fire instant, not at as_of */
    expect_text("conditions.nodes.0.op", "and");
    expect_text("conditions.nodes.1.pointer", "/conditions/and/0");
    expect_text("conditions.nodes.1.truth", "true");
    expect_int("conditions.nodes.1.operands.0", 120);
    expect_int("conditions.nodes.1.operands.1", 100);
    expect_text("conditions.nodes.2.field", "wedding.guest_count");
    draft(DAYS_BEFORE("30") ",\"conditions\":{\">\":[{\"var\":\"wedding.guest_count\"},500]}," TASK, WEDDING, AS_OF);
    expect_text("conditions.truth", "false");
    expect_text("verdict.reason", "conditions_not_met");
}

Test(preview, an_unknown_guest_count_is_unknown_and_named)
{
    if (db == NULL)
        return;
    test_pg_run(&pg, "update automation.weddings set ceremony_date = '2027-08-01' where wedding_id = '" UNDATED "'");
    draft(DAYS_BEFORE("30") ",\"conditions\":{\">\":[{\"var\":\"wedding.guest_count\"},100]}," TASK, UNDATED, AS_OF);
    expect_text("conditions.truth", "unknown");
    expect_text("conditions.reason", "missing_field:wedding.guest_count");
    expect_text("verdict.reason", "missing_field:wedding.guest_count");
    cr_expect(json_is_false(at("verdict.starts")));
}

Test(preview, branches_show_the_way_taken)
{
    static const char rest[] = DAYS_BEFORE(
        "30") ",\"actions\":[{\"id\":\"b\",\"type\":\"branch\",\"if\":{\">\":[{\"var\":\"wedding.guest_count\"},"
              "100]},\"then\":[{\"type\":\"add_tag\",\"params\":{\"tag\":\"big\"}}],"
              "\"else\":[{\"type\":\"add_tag\",\"params\":{\"tag\":\"small\"}}]},"
              "{\"type\":\"create_note\",\"params\":{\"text\":\"after\"}}]";
    if (db == NULL)
        return;
    draft(rest, WEDDING, AS_OF);
    expect_text("steps.0.ways.then", "taken");
    expect_text("steps.0.ways.else", "not_taken");
    expect_text("steps.0.condition.truth", "true");
    expect_text("steps.0.condition.nodes.0.pointer", "/actions/0/if");
    expect_text("steps.1.path", "taken");
    expect_text("steps.2.path", "not_taken");
    expect_text("steps.3.path", "taken");
    cr_expect(json_is_null(at("steps.2.when")));
    expect_text("steps.3.when.due_utc", "2027-05-20T08:00:00Z");
}

Test(preview, a_branch_on_a_later_result_is_undecided)
{
    static const char rest[] = DAYS_BEFORE(
        "30") ",\"actions\":[{\"id\":\"w\",\"type\":\"wait\",\"until\":{\"event\":\"contract.signed\","
              "\"timeout\":\"P3D\"}},{\"type\":\"branch\",\"if\":{\"==\":[{\"var\":\"steps.w.timed_out\"},true]},"
              "\"then\":[{\"type\":\"stop\"}],\"else\":[{\"type\":\"add_tag\",\"params\":{\"tag\":\"x\"}}]},"
              "{\"type\":\"create_note\",\"params\":{\"text\":\"{{steps.w.timed_out}}\"}}]";
    if (db == NULL)
        return;
    draft(rest, WEDDING, AS_OF);
    expect_text("steps.0.when.note", "at_latest");
    expect_text("steps.0.when.due_utc", "2027-05-23T08:00:00Z");
    expect_text("steps.1.path", "taken");
    expect_text("steps.1.ways.then", "undecided");
    expect_text("steps.1.ways.else", "undecided");
    expect_text("steps.2.path", "undecided");
    expect_text("steps.4.path", "undecided"); /* stop may end the run before */
    expect_text("steps.4.errors.0.reason", "known_when_run");
}

Test(preview, waits_move_what_follows)
{
    static const char rest[] = DAYS_BEFORE(
        "30") ",\"actions\":[{\"type\":\"wait\",\"for\":\"P2D\"},{\"type\":\"wait\",\"until\":{\"milestone\":"
              "\"ceremony\",\"offset\":\"-P7D\",\"at\":\"10:30\"}},{\"type\":\"add_tag\",\"params\":{\"tag\":"
              "\"x\"}},{\"type\":\"wait\",\"until\":{\"milestone\":\"rehearsal\",\"offset\":\"P0D\",\"at\":"
              "\"10:00\"}},{\"type\":\"add_tag\",\"params\":{\"tag\":\"y\"}}]";
    if (db == NULL)
        return;
    draft(rest, WEDDING, AS_OF);
    expect_text("steps.0.when.due_utc", "2027-05-22T08:00:00Z");
    expect_text("steps.1.when.due_local", "2027-06-12T10:30:00+01:00");
    expect_text("steps.2.when.note", "at_once");
    expect_text("steps.2.when.due_utc", "2027-06-12T09:30:00Z");
    cr_expect(warned("anchor_missing"), "of the rehearsal");
}

Test(preview, actions_are_rendered_and_missing_variables_named)
{
    static const char rest[] = DAYS_BEFORE(
        "30") ",\"actions\":[{\"type\":\"send_email\",\"params\":{\"to\":\"client\",\"subject\":"
              "\"Hello {{client.name}}\",\"text\":\"{{venue.address}}\",\"html\":\"<p>{{rule.name}}</p>\"}},"
              "{\"type\":\"call_webhook\",\"params\":{\"url\":\"https://example.com/{{wedding.id}}\","
              "\"payload\":{\"guests\":\"{{wedding.guest_count}}\"}}},"
              "{\"type\":\"notify_vendor\",\"params\":{\"role\":\"florist\",\"subject\":\"s\",\"text\":\"t\"}}]";
    if (db == NULL)
        return;
    draft(rest, WEDDING, AS_OF);
    expect_text("steps.0.params.to", "ana@example.com");
    expect_text("steps.0.params.subject", "Hello Ana");
    expect_text("steps.0.params.html", "<p>r</p>");
    expect_text("steps.0.errors.0.param", "text");
    expect_text("steps.0.errors.0.reason", "missing_variable");
    cr_expect(strstr(text("steps.0.errors.0.message"), "venue.address"), "%s", text("steps.0.errors.0.message"));
    expect_text("steps.1.params.url", "https://example.com/" WEDDING);
    expect_text("steps.1.params.data.guests", "120");
    expect_text("steps.2.errors.0.reason", "no_recipient");
    draft(rest, NEW_YORK, AS_OF);
    expect_text("steps.0.errors.0.message", "the client has no mail address");
}

Test(preview, clocks_that_change_are_followed)
{
#define AT(offset, time, zone)                                                                                         \
    "\"trigger\":{\"type\":\"milestone\",\"milestone\":\"ceremony\",\"offset\":\"" offset "\",\"at\":\"" time          \
    "\",\"time_zone\":\"" zone "\"}," TASK
    static const struct {
        const char *wedding, *rest, *utc, *local, *shift;
    } samples[] = {
        /* Lisbon goes to summer time on 2027-03-28 at 01:00, New York on 2027-03-14 at 02:00; back on 31 October, 7 November. */
        {WEDDING, AT("-P84D", "09:00", "wedding"), "2027-03-27T09:00:00Z", "2027-03-27T09:00:00+00:00", NULL},
        {WEDDING, AT("-P83D", "09:00", "wedding"), "2027-03-28T08:00:00Z", "2027-03-28T09:00:00+01:00", NULL},
        {WEDDING, AT("-P83D", "01:30", "wedding"), "2027-03-28T01:30:00Z", "2027-03-28T02:30:00+01:00", "gap"},
        {WEDDING, AT("P134D", "01:30", "wedding"), "2027-10-31T01:30:00Z", "2027-10-31T01:30:00+00:00", "ambiguous"},
        {NEW_YORK, AT("-P2D", "09:00", "wedding"), "2027-03-13T14:00:00Z", "2027-03-13T09:00:00-05:00", NULL},
        {NEW_YORK, AT("-P1D", "09:00", "wedding"), "2027-03-14T13:00:00Z", "2027-03-14T09:00:00-04:00", NULL},
        {NEW_YORK, AT("-P1D", "02:30", "wedding"), "2027-03-14T07:30:00Z", "2027-03-14T03:30:00-04:00", "gap"},
        {NEW_YORK, AT("P237D", "01:30", "wedding"), "2027-11-07T06:30:00Z", "2027-11-07T01:30:00-05:00", "ambiguous"},
        {WEDDING, AT("-P84D", "09:00", "tenant"), "2027-03-27T13:00:00Z", "2027-03-27T09:00:00-04:00", NULL},
        {WEDDING, AT("-P84D", "09:00", "Asia/Tokyo"), "2027-03-27T00:00:00Z", "2027-03-27T09:00:00+09:00", NULL},
    };
    if (db == NULL)
        return;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        draft(samples[i].rest, samples[i].wedding, "2027-01-01T00:00:00Z");
        cr_expect_str_eq(text("fire.due_utc"), samples[i].utc, "%zu: %s", i, text("fire.due_utc"));
        cr_expect_str_eq(text("fire.due_local"), samples[i].local, "%zu: %s", i, text("fire.due_local"));
        cr_expect_str_eq(text("fire.derivation.shift"), samples[i].shift ? samples[i].shift : "(none)", "%zu", i);
    }
}

Test(preview, a_stored_rule_shows_its_neighbours_and_its_standing)
{
    if (db == NULL)
        return;
    store(RULE("c1"), "mine", 30);
    store(RULE("c2"), "same", 30);
    store(RULE("c3"), "next", 29);
    store(RULE("c4"), "far", 28);
    cr_assert_eq(ask(RULE("c1"), NULL, WEDDING, AS_OF, NULL), ERR_OK);
    expect_text("rule.name", "mine");
    expect_int("rule.revision", 1);
    expect_text("rule.status", "active");
    cr_expect_eq(json_array_size(at("conflicts")), 2);
    expect_text("conflicts.0.name", "same");
    expect_int("conflicts.0.minutes", 0);
    expect_text("conflicts.1.name", "next");
    expect_int("conflicts.1.minutes", 1440);
    expect_text("conflicts.1.due_local", "2027-05-21T09:00:00+01:00");
    cr_expect(json_is_true(at("verdict.starts")));
    cr_expect_eq(json_array_size(at("warnings")), 0);
    test_pg_run(&pg, "update automation.rules set status = 'paused' where rule_id = '" RULE("c2") "'");
    cr_assert_eq(ask(RULE("c1"), NULL, WEDDING, AS_OF, NULL), ERR_OK);
    cr_expect_eq(json_array_size(at("conflicts")), 1);
    cr_assert_eq(ask(RULE("c2"), NULL, WEDDING, AS_OF, NULL), ERR_OK);
    cr_expect(warned("not_active"));
}

#define RUN(id, state)                                                                                                 \
    "insert into automation.runs (tenant_id, run_id, rule_id, rule_revision, wedding_id, trigger_type, trigger_ref, "  \
    "due_at, state, started_at) values ('" TENANT "', " id                                                             \
    ", '" RULE("c1") "', 1, '" WEDDING "', 'milestone', '" RULE("ee") "', now(), '" state "', now());"

Test(preview, earlier_runs_decide_as_planning_would)
{
    if (db == NULL)
        return;
    store(RULE("c1"), "mine", 30);
    test_pg_run(&pg, RUN("'" RULE("d1") "'", "running"));
    cr_assert_eq(ask(RULE("c1"), NULL, WEDDING, AS_OF, NULL), ERR_OK);
    expect_text("verdict.reason", "already_running");
    cr_expect(warned("already_running"));
    test_pg_run(&pg, "update automation.runs set state = 'succeeded';"
                     "update automation.rules set definition = definition || "
                     "'{\"settings\":{\"max_runs_per_wedding\":1}}'");
    cr_assert_eq(ask(RULE("c1"), NULL, WEDDING, AS_OF, NULL), ERR_OK);
    expect_text("verdict.reason", "max_runs");
    cr_expect(warned("unchecked"), "the engine has not seen revision 2");
    test_pg_run(
        &pg, "update automation.timings set state = 'fired' where wedding_id = '" WEDDING
             "';" RUN("automation_priv.derive('run', '" TENANT "', '" RULE(
                          "c1") "', '" WEDDING
                                "', automation_priv.derive('timing', 'ceremony|-P0M30DT0S|09:00|wedding')::text, '1')",
                      "succeeded"));
    cr_assert_eq(ask(RULE("c1"), NULL, WEDDING, AS_OF, NULL), ERR_OK);
    expect_text("verdict.reason", "already_fired");
    cr_expect(warned("already_fired"));
}

Test(preview, an_event_rule_uses_the_payload_and_notices_loops)
{
    static const char document[] =
        "{\"schema_version\":1,\"name\":\"r\",\"trigger\":{\"type\":\"event\",\"event\":\"payment.received\"},"
        "\"conditions\":{\">\":[{\"var\":\"event.amount\"},100]},"
        "\"actions\":[{\"type\":\"emit_event\",\"params\":{\"type\":\"payment.received\"}}]}";
    json_t *event = json_pack("{s:i}", "amount", 250);

    if (db != NULL) {
        cr_assert_eq(ask(NULL, document, WEDDING, AS_OF, event), ERR_OK);
        expect_text("conditions.truth", "true");
        cr_expect(warned("self_trigger") && !warned("event_unknown"));
        cr_assert_eq(ask(NULL, document, WEDDING, AS_OF, NULL), ERR_OK);
        expect_text("conditions.reason", "missing_field:event.amount");
        cr_expect(warned("event_unknown"));
    }
    json_decref(event);
}

Test(preview, counts_the_weddings_of_the_coming_year)
{
    if (db == NULL)
        return;
    /* 600 weddings, one a day from 2027-05-02: 365 lie before 2028-05-01 (366 with the other one); every third has no count. */
    test_pg_run(
        &pg, "set session_replication_role = replica;" /* without triggers, which take long over so many rows */
             "insert into automation.weddings (tenant_id, wedding_id, title, status, ceremony_date, time_zone, "
             "guest_count) select '" TENANT "', gen_random_uuid(), 'x', case when i = 5 then 'cancelled' else "
             "'booked' end, date '2027-05-01' + i, 'Europe/Lisbon', case when i % 3 > 0 then 100 + i end "
             "from generate_series(1, 600) i;"
             "insert into automation.weddings (tenant_id, wedding_id, title, ceremony_date, time_zone) values ('" OTHER
             "', gen_random_uuid(), 'x', '2027-07-01', 'UTC');"
             "insert into automation.milestones (tenant_id, wedding_id, name, source, local_date, local_time) "
             "select tenant_id, wedding_id, 'ceremony', 'wedding', ceremony_date, '15:00' from automation.weddings "
             "where ceremony_date is not null on conflict do nothing");
    draft(DAYS_BEFORE("30") ",\"conditions\":{\">\":[{\"var\":\"wedding.guest_count\"},0]}," TASK, WEDDING, AS_OF);
    expect_int("matches_next_12_months.examined", 365);
    expect_int("matches_next_12_months.unknown", 121);
    expect_int("matches_next_12_months.matches", 244);
    cr_expect(json_is_false(at("matches_next_12_months.cut")));
    draft("\"trigger\":{\"type\":\"milestone\",\"milestone\":\"rehearsal\",\"offset\":\"P0D\"}," TASK, WEDDING, AS_OF);
    expect_int("matches_next_12_months.unscheduled", 365);
}

Test(preview, the_count_is_bounded_and_says_so)
{
    if (db == NULL)
        return;
    /* Without triggers: their work on so many rows is not the point here. */
    test_pg_run(
        &pg, "set session_replication_role = replica;"
             "insert into automation.weddings (tenant_id, wedding_id, title, ceremony_date, time_zone) select '" TENANT
             "', gen_random_uuid(), 'x', date '2027-07-01' + i % 50, 'UTC' from generate_series(1, 5000) i");
    draft("\"trigger\":{\"type\":\"event\",\"event\":\"contract.signed\"}," TASK, WEDDING, AS_OF);
    expect_int("matches_next_12_months.examined", PREVIEW_WEDDINGS_MAX);
    cr_expect(json_is_true(at("matches_next_12_months.cut")));
}

Test(preview, refuses_what_does_not_exist_or_is_no_rule)
{
    if (db == NULL)
        return;
    cr_expect_eq(ask(RULE("ff"), NULL, WEDDING, AS_OF, NULL), ERR_NOTFOUND);
    cr_expect_null(got);
    cr_expect_eq(ask(NULL, NULL, WEDDING, AS_OF, NULL), ERR_NOTFOUND);
    cr_expect_eq(ask(NULL, "{}", RULE("ff"), AS_OF, NULL), ERR_NOTFOUND);
    cr_expect_eq(ask(NULL, "{\"schema_version\":1,\"name\":\"r\",\"trigger\":{\"type\":\"never\"}}", WEDDING, AS_OF,
                     NULL),
                 ERR_INVALID);
    expect_text("errors.0.pointer", "/trigger/type");
    draft(DAYS_BEFORE("30") "," TASK, WEDDING, AS_OF); /* the session is as it was */
    expect_text("fire.state", "future");
}

/* Rows of every table with their xmin: any write, also one that changes nothing, makes another digest. */
#define DIGEST                                                                                                         \
    "select sum(('x' || substr(md5(query_to_xml(format('select count(*), sum(hashtextextended(x.xmin::text || "        \
    "x::text, "                                                                                                        \
    "0)) from only %s x', c.oid::regclass), true, true, '')::text), 1, 12))::bit(48)::int8)::int8 from pg_class c "    \
    "where "                                                                                                           \
    "c.relkind = 'r' and c.relnamespace::regnamespace::text like 'automation%'"

Test(preview, writes_nothing)
{
    static const char rest[] = DAYS_BEFORE("30") ",\"actions\":[{\"type\":\"wait\",\"for\":\"P2D\"},{\"type\":"
                                                 "\"move_stage\",\"params\":{\"stage\":\"x\"}}]";
    if (db == NULL)
        return;
    store(RULE("c1"), "mine", 30);
    int64_t before = test_pg_i64(&pg, DIGEST);
    cr_assert_eq(db_exec(db, "set default_transaction_read_only = on", NULL, NULL), ERR_OK);
    draft(rest, WEDDING, AS_OF);
    cr_assert_eq(ask(RULE("c1"), NULL, WEDDING, AS_OF, NULL), ERR_OK);
    cr_expect_eq(test_pg_i64(&pg, DIGEST), before);
    test_pg_run(&pg, "update automation.weddings set title = title where wedding_id = '" WEDDING "'");
    cr_expect_neq(test_pg_i64(&pg, DIGEST), before, "the digest notices writes");
}
