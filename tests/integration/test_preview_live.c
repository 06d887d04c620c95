/* preview against the engine: the same rule and wedding through preview and through the real scheduler on the stepped clock must give the
 * same instants, the same first step and the same reasons. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "common/io/preview.h"
#include "tests/support/leader.h"

#define RULE "00000000-0000-0000-0000-0000000000c1"
#define MAIL                                                                                                           \
    "\"actions\":[{\"type\":\"send_email\",\"params\":{\"to\":\"a@example.com\",\"subject\":\"s\",\"text\":\"t\"}}]"
#define BEFORE(offset, at)                                                                                             \
    "\"trigger\":{\"type\":\"milestone\",\"milestone\":\"ceremony\",\"offset\":\"" offset "\",\"at\":\"" at "\"}"
#define SUNDAY BEFORE("-P90D", "09:00") /* 2026-05-03T08:00Z */
#define AT_SUNDAY "2026-05-03T08:00:00Z"
#define TODAY BEFORE("-P91D", "09:00") /* four hours before LEADER_NOON */
#define YEARLY                                                                                                         \
    "\"trigger\":{\"type\":\"milestone\",\"milestone\":\"ceremony\",\"offset\":\"-P91D\",\"at\":\"09:00\",\"yearly\":" \
    "3}"
#define SETTINGS(s) ",\"settings\":{" s "}"
#define WINDOW(days, from, to, outside)                                                                                \
    SETTINGS("\"send_window\":{" days "\"from\":\"" from "\",\"to\":\"" to "\",\"outside\":\"" outside "\"}")
#define RUN(nn, rule, state, started)                                                                                  \
    "insert into automation.runs (tenant_id, run_id, rule_id, rule_revision, wedding_id, trigger_type, trigger_ref, "  \
    "due_at, state, started_at) values ('" LEADER_TENANT "', '00000000-0000-0000-0000-0000000000" nn "', " rule        \
    ", 1, '" LEADER_WEDDING "', 'milestone', '00000000-0000-0000-0000-0000000000ee', '" LEADER_NOON "', '" state       \
    "', '" started "');"
#define RAN_FOR_THE_CEREMONY "update automation.runs set context = '{\"milestone\": \"ceremony\"}';"
#define MINE "'" RULE "'"
#define OTHER_RULE                                                                                                     \
    "insert into automation.rules (tenant_id, rule_id, name, status, definition) values ('" LEADER_TENANT              \
    "', '00000000-0000-0000-0000-0000000000c2', 'Other', 'active', '{\"schema_version\":1,\"name\":\"Other\","         \
    "\"trigger\":{\"type\":\"event\",\"event\":\"a.b\"}," LEADER_TASK "}');"
#define OTHERS "'00000000-0000-0000-0000-0000000000c2'"
#define NEEDS                                                                                                          \
    OTHER_RULE "insert into automation.rule_dependencies (tenant_id, rule_id, needs_rule_id) values ('" LEADER_TENANT  \
               "', " MINE ", " OTHERS ");"
#define OLD_WEDDING "update automation.weddings set created_at = '2026-01-01T00:00:00Z';"
#define HERD                                                                                                           \
    "insert into automation.weddings (tenant_id, wedding_id, title, status, time_zone, ceremony_date, ceremony_time) " \
    "select tenant_id, automation_priv.derive('herd', n::text), title, status, time_zone, ceremony_date, "             \
    "ceremony_time from automation.weddings, generate_series(1, 40) n;"
#define MOVE(date) "update automation.weddings set ceremony_date = '" date "';"

struct play {
    const char *what;
    const char *rule;   /* the document after its name */
    const char *before; /* SQL before the rule, or NULL */
    const char *after;  /* SQL once the rule is accepted, or NULL */
    const char *fired;  /* it has fired then, and this SQL follows; NULL: not */
    const char *at;     /* the instant of the comparison */
    const char *event;  /* payload of the event that comes then, or NULL */
    const char *due;    /* NULL: none */
    const char *reason; /* "" it starts */
    int smear_above;    /* the leader's setting; 0: off */
    const char *path;   /* a member of the preview and its text; NULL: not asked */
    const char *text;
};

static const struct play plays[] = {
    {"in time", SUNDAY "," LEADER_TASK, .at = AT_SUNDAY, .due = AT_SUNDAY, .reason = ""},
    {"within the grace", TODAY "," LEADER_TASK, .at = LEADER_NOON, .due = "2026-05-02T08:00:00Z", .reason = ""},
    {"conditions", SUNDAY ",\"conditions\":{\">\":[{\"var\":\"wedding.guest_count\"},500]}," LEADER_TASK,
     .at = AT_SUNDAY, .due = AT_SUNDAY, .reason = "conditions_not_met"},
    {"unknown", SUNDAY ",\"conditions\":{\"==\":[{\"var\":\"venue.indoor\"},true]}," LEADER_TASK, .at = AT_SUNDAY,
     .due = AT_SUNDAY, .reason = "missing_field:venue.indoor"},
    {"asked at its instant",
     SUNDAY ",\"conditions\":{\"==\":[{\"days_until\":[{\"var\":\"wedding.date\"}]},90]}," LEADER_TASK, .at = AT_SUNDAY,
     .due = AT_SUNDAY, .reason = ""},
    {"too late", SUNDAY "," LEADER_TASK, .at = "2026-05-05T08:00:00Z", .due = AT_SUNDAY, .reason = "past_due"},
    {"late before conditions", SUNDAY ",\"conditions\":{\">\":[{\"var\":\"wedding.guest_count\"},500]}," LEADER_TASK,
     .at = "2026-05-05T08:00:00Z", .due = AT_SUNDAY, .reason = "past_due"},
    {"late, fire_all", SUNDAY SETTINGS("\"late\":{\"policy\":\"fire_all\"}") "," LEADER_TASK,
     .at = "2026-05-05T08:00:00Z", .due = AT_SUNDAY, .reason = ""},
    {"late, the latest", SUNDAY SETTINGS("\"late\":{\"policy\":\"fire_latest_only\"}") "," LEADER_TASK,
     .at = "2026-05-05T08:00:00Z", .due = AT_SUNDAY, .reason = ""},
    {"late, not the latest", SUNDAY SETTINGS("\"late\":{\"policy\":\"fire_latest_only\"}") "," LEADER_TASK,
     .before = "insert into automation.rules (tenant_id, rule_id, name, status, definition) values ('" LEADER_TENANT
               "', " OTHERS ", 'r', 'active', '{\"schema_version\":1,\"name\":\"r\"," BEFORE("-P89D", "09:00")
                   SETTINGS("\"late\":{\"policy\":\"fire_latest_only\"}") "," LEADER_TASK "}')",
     .at = "2026-05-05T08:00:00Z", .due = AT_SUNDAY, .reason = "past_due"},
    /* Send windows: of the trigger, of the first step. */
    {"a closed day", SUNDAY WINDOW("\"days\":[\"MO\",\"TU\"],", "10:00", "18:00", "next_open") "," MAIL,
     .at = "2026-05-04T09:00:00Z", .due = "2026-05-04T09:00:00Z", .reason = "", .path = "fire.window.why",
     .text = "closed_day"},
    {"after hours", BEFORE("-P90D", "22:30") WINDOW("", "09:00", "19:00", "next_open") "," MAIL,
     .at = "2026-05-04T08:00:00Z", .due = "2026-05-04T08:00:00Z", .reason = "", .path = "fire.window.why",
     .text = "after_it_closes"},
    {"never past the milestone",
     "\"trigger\":{\"type\":\"milestone\",\"milestone\":\"ceremony\",\"offset\":\"-PT1H\"}" WINDOW("", "16:00", "18:00",
                                                                                                   "next_open") "," MAIL,
     .at = "2026-07-31T16:59:00Z", .due = "2026-07-31T16:59:00Z", .reason = "", .path = "fire.window.moved",
     .text = "back_from_the_milestone"},
    {"rather not", BEFORE("-P90D", "22:30") WINDOW("", "09:00", "19:00", "skip") "," MAIL, .at = "2026-05-03T21:30:00Z",
     .due = "2026-05-03T21:30:00Z", .reason = "outside_window"},
    {"rather not, but a task", BEFORE("-P90D", "22:30") WINDOW("", "09:00", "19:00", "skip") "," LEADER_TASK,
     .at = "2026-05-03T21:30:00Z", .due = "2026-05-03T21:30:00Z", .reason = ""},
    {"the step waits, the rule does not",
     "\"trigger\":{\"type\":\"event\",\"event\":\"x.y\"}" WINDOW("", "09:00", "19:00", "next_open") "," MAIL,
     .at = "2026-05-03T21:30:00Z", .event = "{}", .reason = "", .path = "steps.0.window.to_local",
     .text = "2026-05-04T09:00:00+01:00"},
    {"the clocks", BEFORE("-P30D", "01:30") "," LEADER_TASK, .before = MOVE("2027-04-27"), .at = "2027-03-28T01:30:00Z",
     .due = "2027-03-28T01:30:00Z", .reason = "", .path = "fire.derivation.shift", .text = "gap"},
    /* Jitter: never earlier, within the window and the local day, not past the milestone. */
    {"jitter", SUNDAY SETTINGS("\"jitter\":\"PT10M\"") "," LEADER_TASK, .at = AT_SUNDAY, .due = AT_SUNDAY, .reason = "",
     .path = "steps.0.when.due_utc", .text = "2026-05-03T08:00:30Z"},
    {"jitter, seen late", SUNDAY SETTINGS("\"jitter\":\"PT10M\"") "," LEADER_TASK, .at = "2026-05-03T08:30:00Z",
     .due = AT_SUNDAY, .reason = "", .path = "steps.0.when.due_utc", .text = "2026-05-03T08:30:00Z"},
    {"jitter at the end of the window",
     BEFORE("-P90D", "18:58")
         SETTINGS("\"jitter\":\"PT1H\",\"send_window\":{\"from\":\"09:00\",\"to\":\"19:00\"}") "," MAIL,
     .at = "2026-05-03T17:58:00Z", .due = "2026-05-03T17:58:00Z", .reason = "", .path = "steps.0.when.due_utc",
     .text = "2026-05-03T17:58:51Z"},
    {"jitter where the window opens",
     BEFORE("-P90D", "22:30")
         SETTINGS("\"jitter\":\"PT1H\",\"send_window\":{\"from\":\"09:00\",\"to\":\"19:00\"}") "," MAIL,
     .at = "2026-05-04T08:00:00Z", .due = "2026-05-04T08:00:00Z", .reason = "", .path = "steps.0.when.note",
     .text = "spread"},
    {"jitter before midnight", BEFORE("-P90D", "23:59") SETTINGS("\"jitter\":\"PT1H\"") "," LEADER_TASK,
     .at = "2026-05-03T22:59:00Z", .due = "2026-05-03T22:59:00Z", .reason = "", .path = "steps.0.when.due_utc",
     .text = "2026-05-03T22:59:26Z"},
    {"jitter before the ceremony",
     "\"trigger\":{\"type\":\"milestone\",\"milestone\":\"ceremony\",\"offset\":\"-PT1M\"}" SETTINGS(
         "\"jitter\":\"PT1H\"") "," LEADER_TASK,
     .at = "2026-08-01T13:59:00Z", .due = "2026-08-01T13:59:00Z", .reason = "", .path = "steps.0.when.due_utc",
     .text = "2026-08-01T13:59:26Z"},
    {"jitter and a wait",
     SUNDAY SETTINGS("\"jitter\":\"PT10M\"") ",\"actions\":[{\"type\":\"wait\",\"params\":{\"for\":\"P1D\"}}]",
     .at = AT_SUNDAY, .due = AT_SUNDAY, .reason = "", .path = "steps.0.when.due_utc", .text = "2026-05-04T08:00:00Z"},
    /* Smear: 41 weddings in a minute in which one could be served. */
    {"smear", SUNDAY "," LEADER_TASK, .before = HERD, .smear_above = 1, .at = AT_SUNDAY, .due = AT_SUNDAY, .reason = "",
     .path = "steps.0.when.due_utc", .text = "2026-05-03T08:01:30Z"},
    {"smear, not so many", SUNDAY "," LEADER_TASK, .before = HERD, .smear_above = 41, .at = AT_SUNDAY, .due = AT_SUNDAY,
     .reason = "", .path = "steps.0.when.due_utc", .text = AT_SUNDAY},
    {"smear, not with this rule", SUNDAY SETTINGS("\"smear\":false") "," LEADER_TASK, .before = HERD, .smear_above = 1,
     .at = AT_SUNDAY, .due = AT_SUNDAY, .reason = "", .path = "steps.0.when.due_utc", .text = AT_SUNDAY},
    {"smear, but it is nearly time",
     "\"trigger\":{\"type\":\"milestone\",\"milestone\":\"ceremony\",\"offset\":\"-PT11H\"}," LEADER_TASK,
     .before = HERD, .smear_above = 1, .at = "2026-08-01T03:00:00Z", .due = "2026-08-01T03:00:00Z", .reason = "",
     .path = "steps.0.when.due_utc", .text = "2026-08-01T03:00:00Z"},
    /* What the rule and other rules bring with them. */
    {"before activation", TODAY "," LEADER_TASK, .before = OLD_WEDDING, .at = LEADER_NOON,
     .due = "2026-05-02T08:00:00Z", .reason = "before_activation"},
    {"not booked", SUNDAY "," LEADER_TASK, .before = "update automation.weddings set status = 'inquiry'",
     .after = "update automation.rules set booked_only = true", .at = AT_SUNDAY, .due = AT_SUNDAY,
     .reason = "not_booked"},
    {"out of season", SUNDAY "," LEADER_TASK, .after = "update automation.rules set season_months = '{8}'",
     .at = AT_SUNDAY, .due = AT_SUNDAY, .reason = "not_live:out_of_season"},
    {"dependency", SUNDAY "," LEADER_TASK, .after = NEEDS, .at = AT_SUNDAY, .due = AT_SUNDAY, .reason = "dependency",
     .path = "standing.dependencies.0.name", .text = "Other"},
    {"dependency met", SUNDAY "," LEADER_TASK, .after = NEEDS RUN("d1", OTHERS, "succeeded", LEADER_NOON),
     .at = AT_SUNDAY, .due = AT_SUNDAY, .reason = ""},
    {"cancelled", SUNDAY "," LEADER_TASK, .after = "update automation.weddings set status = 'cancelled'",
     .at = AT_SUNDAY, .due = AT_SUNDAY, .reason = "unscheduled:wedding_cancelled"},
    /* Earlier runs. */
    {"single", SUNDAY "," LEADER_TASK, .after = RUN("d1", MINE, "running", LEADER_NOON), .at = AT_SUNDAY,
     .due = AT_SUNDAY, .reason = "already_running", .path = "standing.mode_effect", .text = "skipped"},
    {"restart", SUNDAY SETTINGS("\"mode\":\"restart\"") "," LEADER_TASK, .after = RUN("d1", MINE, "running", LEADER_NOON),
     .at = AT_SUNDAY, .due = AT_SUNDAY, .reason = "", .path = "standing.mode_effect", .text = "ends_the_running_one"},
    {"queued", SUNDAY SETTINGS("\"mode\":\"queued\"") "," LEADER_TASK, .after = RUN("d1", MINE, "running", LEADER_NOON),
     .at = AT_SUNDAY, .due = AT_SUNDAY, .reason = "", .path = "standing.mode_effect",
     .text = "waits_for_the_running_one"},
    {"parallel", SUNDAY SETTINGS("\"mode\":\"parallel\"") "," LEADER_TASK,
     .after = RUN("d1", MINE, "running", LEADER_NOON), .at = AT_SUNDAY, .due = AT_SUNDAY, .reason = "",
     .path = "standing.mode_effect", .text = "starts_beside_it"},
    {"max runs", SUNDAY SETTINGS("\"max_runs_per_wedding\":2") "," LEADER_TASK,
     .after = RUN("d1", MINE, "failed", LEADER_NOON) RUN("d2", MINE, "succeeded", LEADER_NOON), .at = AT_SUNDAY,
     .due = AT_SUNDAY, .reason = "max_runs"},
    {"max runs not reached", SUNDAY SETTINGS("\"max_runs_per_wedding\":2") "," LEADER_TASK,
     .after = RUN("d1", MINE, "skipped", LEADER_NOON) RUN("d2", MINE, "succeeded", LEADER_NOON), .at = AT_SUNDAY,
     .due = AT_SUNDAY, .reason = ""},
    {"ran before it was edited", SUNDAY "," LEADER_TASK,
     .after = RUN("d1", MINE, "succeeded", LEADER_NOON) RAN_FOR_THE_CEREMONY, .at = AT_SUNDAY, .due = AT_SUNDAY,
     .reason = "ran_before"},
    {"ran before, and may again", SUNDAY SETTINGS("\"on_date_change\":\"refire\"") "," LEADER_TASK,
     .after = RUN("d1", MINE, "succeeded", LEADER_NOON) RAN_FOR_THE_CEREMONY, .at = AT_SUNDAY, .due = AT_SUNDAY,
     .reason = ""},
    {"loop guard", SUNDAY "," LEADER_TASK,
     .after = "do $$ begin for i in 10..25 loop execute replace($r$" RUN(
         "@@", MINE, "succeeded", "2026-05-03T07:30:00Z") "$r$, '@@', i::text); end loop; end $$",
     .at = AT_SUNDAY, .due = AT_SUNDAY, .reason = "loop_guard"},
    {"fifteen are not sixteen", SUNDAY "," LEADER_TASK,
     .after = "do $$ begin for i in 10..24 loop execute replace($r$" RUN(
         "@@", MINE, "succeeded", "2026-05-03T07:30:00Z") "$r$, '@@', i::text); end loop; end $$",
     .at = AT_SUNDAY, .due = AT_SUNDAY, .reason = ""},
    /* What has fired, and moves. */
    {"fired", TODAY "," LEADER_TASK, .fired = "select 1", .at = LEADER_NOON, .due = "2026-05-02T08:00:00Z",
     .reason = "already_fired"},
    {"moved before it began", TODAY "," LEADER_TASK, .fired = MOVE("2026-08-11"), .at = "2026-05-12T08:00:00Z",
     .due = "2026-05-12T08:00:00Z", .reason = ""},
    {"moved after it was done", TODAY "," LEADER_TASK,
     .fired = "update automation.runs set state = 'succeeded', acted = true; delete from automation_priv.ledger;" MOVE(
         "2026-08-11"),
     .at = "2026-05-12T08:00:00Z", .due = "2026-05-12T08:00:00Z", .reason = "already_fired",
     .path = "standing.after_move", .text = "stays_fired"},
    {"refire", TODAY SETTINGS("\"on_date_change\":\"refire\"") "," LEADER_TASK,
     .fired = "update automation.runs set state = 'succeeded', acted = true; delete from automation_priv.ledger;" MOVE(
         "2026-08-11"),
     .at = "2026-05-12T08:00:00Z", .due = "2026-05-12T08:00:00Z", .reason = ""},
    {"a year on", YEARLY "," LEADER_TASK,
     .fired = "update automation.runs set state = 'succeeded', acted = true; delete from automation_priv.ledger",
     .at = "2027-05-02T08:00:00Z", .due = "2027-05-02T08:00:00Z", .reason = "", .path = "fire.occurrences.2.due_utc",
     .text = "2028-05-02T08:00:00Z"},
    /* Events. */
    {"an event",
     "\"trigger\":{\"type\":\"event\",\"event\":\"x.y\"},\"conditions\":{\">\":[{\"var\":\"event.n\"},1]}," LEADER_TASK,
     .at = AT_SUNDAY, .event = "{\"n\":2}", .reason = ""},
    {"an event that says too little",
     "\"trigger\":{\"type\":\"event\",\"event\":\"x.y\"},\"conditions\":{\">\":[{\"var\":\"event.n\"},1]}," LEADER_TASK,
     .at = AT_SUNDAY, .event = "{}", .reason = "missing_field:event.n"},
    {"an event, single", "\"trigger\":{\"type\":\"event\",\"event\":\"x.y\"}," LEADER_TASK,
     .after = RUN("d1", MINE, "running", LEADER_NOON), .at = AT_SUNDAY, .event = "{}", .reason = "already_running"},
};

/* ---- the two -------------------------------------------------------------------------------------------------------------- */

static json_t *ask(struct leader *t, const struct play *p)
{
    struct preview_request q = {0};
    struct err_info info = {0};
    struct db_session *db = test_pg_session(&t->pg);
    json_t *event = p->event != NULL ? json_loads(p->event, 0, NULL) : NULL, *out = NULL;

    cr_assert_eq(id_parse(STR(LEADER_TENANT), &q.tenant_id), ERR_OK);
    cr_assert_eq(id_parse(STR(LEADER_WEDDING), &q.wedding_id), ERR_OK);
    cr_assert_eq(id_parse(STR(RULE), &q.rule_id), ERR_OK);
    cr_assert_eq(str_to_time(str_of(p->at), &q.as_of_us), ERR_OK);
    q.event = event;
    cr_assert_eq(preview_rule(db, &q, &out, &info), ERR_OK, "%s: %s", p->what, info.text);
    json_decref(event);
    db_close(db);
    return out;
}

static const char *member(const json_t *v, const char *path)
{
    char copy[128], *rest = copy;

    cr_assert(str_copy(copy, sizeof(copy), path));
    for (char *part = strsep(&rest, "."); part != NULL && v != NULL; part = strsep(&rest, "."))
        v = json_is_array(v) ? json_array_get(v, strtoul(part, NULL, 10)) : json_object_get(v, part);
    const char *s = json_string_value(v);
    return s != NULL ? s : "";
}

#define ALL_RUNS "select count(*) from automation.runs where rule_id = " MINE
#define NEW_RUNS                                                                                                       \
    "select count(*) from automation.runs r where r.rule_id = " MINE " and r.wedding_id = '" LEADER_WEDDING            \
    "' and r.started_at = automation.now() and r.trigger_ref::text not like '%%ee'"

/* The engine's run is what the preview said, in every respect that the run shows. */
static void compare(struct leader *t, const struct play *p, const json_t *preview, int64_t runs)
{
    const char *due = member(preview, "fire.due_utc"), *reason = member(preview, "verdict.reason");
    const char *first = member(preview, "steps.0.when.due_utc");
    bool no_run = strncmp(reason, "unscheduled", 11) == 0 || strncmp(reason, "not_live", 8) == 0 ||
                  strcmp(reason, "already_fired") == 0;

    if (no_run) {
        cr_expect_eq(leader_i64(t, ALL_RUNS), runs, "%s: the engine has a run", p->what);
        return;
    }
    cr_expect_eq(leader_i64(t, NEW_RUNS " and r.state = '%s' and coalesce(r.reason, '') = '%s'",
                            reason[0] == '\0' ? "running" : "skipped", reason),
                 1, "%s: the engine has no such run (%s)", p->what, reason);
    if (due[0] != '\0')
        cr_expect_eq(leader_i64(t, NEW_RUNS " and r.due_at = '%s'", due), 1, "%s: not due at %s", p->what, due);
    if (reason[0] == '\0' && strcmp(member(preview, "standing.mode_effect"), "waits_for_the_running_one") != 0)
        cr_expect_eq(leader_i64(t,
                                "select count(*) from automation_priv.ledger l join automation.runs r using "
                                "(tenant_id, run_id) where r.rule_id = " MINE " and r.wedding_id = '" LEADER_WEDDING
                                "' and r.started_at = automation.now() and greatest(l.due_at, automation.now()) = '%s'",
                                first),
                     1, "%s: the first step is not due at %s", p->what, first);
}

/* What a second run does to the first, as the preview tells it. */
static void compare_mode(struct leader *t, const struct play *p, const char *effect)
{
    int64_t running = leader_i64(t, "select count(*) from automation.runs where rule_id = " MINE
                                    " and wedding_id = '" LEADER_WEDDING "' and state = 'running'");
    int64_t queued = leader_i64(t, "select count(*) from automation_priv.ledger where parked_reason = 'queued'");

    if (strcmp(effect, "ends_the_running_one") == 0)
        cr_expect_eq(
            leader_i64(t, "select count(*) from automation.runs where state = 'cancelled' and reason = 'restarted'"), 1);
    cr_expect_eq(queued, strcmp(effect, "waits_for_the_running_one") == 0, "%s: %s", p->what, effect);
    if (strcmp(effect, "starts_beside_it") == 0 || strcmp(effect, "waits_for_the_running_one") == 0)
        cr_expect_eq(running, 2, "%s", p->what);
    else
        cr_expect_leq(running, 1, "%s", p->what);
}

static void play(const struct play *p)
{
    struct leader t;

    if (!leader_open(&t))
        return;
    t.settings.smear_above = p->smear_above;
    t.settings.smear_within_ms = 1800 * 1000;
    if (p->before != NULL)
        leader_sql(&t, "%s", p->before);
    leader_rule(&t, "c1", p->rule);
    if (p->fired != NULL || p->after != NULL || strcmp(p->at, LEADER_NOON) != 0)
        leader_work(&t);
    if (p->after != NULL || p->fired != NULL) {
        leader_sql(&t, "%s", p->after != NULL ? p->after : p->fired);
        leader_work(&t);
    }
    leader_sql(&t, "select automation_priv.clock_set('%s')", p->at);
    json_t *preview = ask(&t, p);
    cr_expect_str_eq(member(preview, "verdict.reason"), p->reason, "%s: %s", p->what, member(preview, "verdict.reason"));
    cr_expect_str_eq(member(preview, "fire.due_utc"), p->due != NULL ? p->due : "", "%s: %s", p->what,
                     member(preview, "fire.due_utc"));
    if (p->path != NULL)
        cr_expect_str_eq(member(preview, p->path), p->text, "%s: %s", p->what, member(preview, p->path));
    int64_t runs = leader_i64(&t, ALL_RUNS);
    if (p->event != NULL)
        leader_event(&t, "e1", "x.y", p->event);
    leader_work(&t);
    compare(&t, p, preview, runs);
    compare_mode(&t, p, member(preview, "standing.mode_effect"));
    json_decref(preview);
    leader_close(&t);
}

TestSuite(preview_live, .timeout = 240);

Test(preview_live, says_what_the_scheduler_then_does)
{
    for (size_t i = 0; i < sizeof(plays) / sizeof(plays[0]); i++)
        play(&plays[i]);
}
