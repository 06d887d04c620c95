/* tick and replan on real servers: due timings become runs or say why not; moved, postponed and cancelled weddings. */
#include <criterion/criterion.h>
#include <poll.h>

#include "common/base/log.h"
#include "tests/support/leader.h"

#define DAYS_BEFORE(n)                                                                                                 \
    "\"trigger\":{\"type\":\"milestone\",\"milestone\":\"ceremony\",\"offset\":\"-P" n "D\",\"at\":\"09:00\"}"
#define RUNS "select count(*) from automation.runs where "
/* The wedding is on 2026-08-01 in Lisbon (UTC+1 in summer), now is 2026-05-02 12:00 UTC: 91 days before. */
#define TODAY DAYS_BEFORE("91")
#define IS(path, value) "{\"==\":[{\"var\":\"" path "\"}," value "]}"

Test(scheduler_tick, a_due_timing_starts_a_run_bound_to_the_wedding)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_rule(&t, "c1", TODAY "," LEADER_TASK);
    leader_rule(&t, "c2", DAYS_BEFORE("90") "," LEADER_TASK);
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RUNS "rule_id::text like '%%c1' and state = 'running' and due_at = "
                                     "'2026-05-02T08:00:00Z' and wedding_revision = 1"
                                     " and context ->> 'milestone' = 'ceremony'"),
                 1);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.ledger where revision = 1"), 1);
    cr_expect_eq(leader_stream(&t), 1);
    cr_expect_eq(leader_i64(&t, RUNS
                            "run_id = automation_priv.derive('run', tenant_id::text, rule_id::text, wedding_id::text,"
                            " trigger_ref::text, '1')"),
                 1, "the fire key, the same in every play");
    leader_sql(&t, "select automation_priv.clock_set('2026-05-03T07:59:59Z')");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RUNS "true"), 1);
    leader_sql(&t, "select automation_priv.clock_set('2026-05-03T08:00:00Z')");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RUNS "rule_id::text like '%%c2' and state = 'running'"), 1);
    leader_close(&t);
}

Test(scheduler_tick, what_does_not_run_says_why)
{
    static const struct {
        const char *nn, *conditions, *reason;
    } rules[] = {
        {"c1", "\"conditions\":{\">\":[{\"var\":\"wedding.guest_count\"},500]},", "conditions_not_met"},
        {"c2", "\"conditions\":{\"==\":[{\"var\":\"venue.indoor\"},false]},", "missing_field:venue.indoor"},
        {"c3", "\"conditions\":{\"==\":[{\"days_until\":[{\"var\":\"wedding.date\"}]},90]},", "conditions_not_met"},
    };
    struct leader t;
    char rest[512];
    if (!leader_open(&t))
        return;
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        snprintf(rest, sizeof(rest), "%s,%s%s", TODAY, rules[i].conditions, LEADER_TASK);
        leader_rule(&t, rules[i].nn, rest);
    }
    leader_rule(&t, "c4",
                TODAY ",\"conditions\":{\"==\":[{\"days_until\":[{\"var\":\"wedding.date\"}]},91]}," LEADER_TASK);
    leader_work(&t);
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        cr_expect_eq(leader_i64(&t, RUNS "rule_id::text like '%%%s' and state = 'skipped' and reason = '%s'",
                                rules[i].nn, rules[i].reason),
                     1, "%s", rules[i].reason);
    cr_expect_eq(leader_i64(&t, RUNS "state = 'running'"), 1);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.ledger"), 1);
    leader_close(&t);
}

/* A day apart, so that each is a batch of its own, for which only what its condition reads is asked. */
Test(scheduler_tick, a_condition_finds_every_part_of_the_facts_that_it_reads)
{
    static const char *const conditions[] = {
        IS("wedding.guest_count", "120"),
        IS("venue.indoor", "true"),
        IS("project.stage", "\"booked\""),
        IS("client.name", "\"Ana\""),
        IS("tenant.time_zone", "\"Europe/Lisbon\""),
        "{\"none\":[{\"var\":\"vendors\"},{\"==\":[{\"var\":\"role\"},\"dj\"]}]}",
        IS("timeline.ceremony", "\"2026-08-01\""),
        IS("today", "\"2026-05-09\""),
        IS("forms.shots", "3"),
        "{\"in_season\":[{\"var\":\"timeline.ceremony\"}]}",
        "{\"some\":[[1],{\"==\":[{\"val\":[[2],\"wedding\",\"guest_count\"]},120]}]}",
    };
    const int n = (int)(sizeof(conditions) / sizeof(conditions[0]));
    struct leader t;
    char rest[512], nn[3];
    if (!leader_open(&t))
        return;
    leader_sql(
        &t,
        "update automation.tenants set time_zone = 'Europe/Lisbon', settings = settings || '{\"season_months\":[8]}'");
    leader_sql(&t, "update automation.weddings set guest_count = 120, venue = '{\"indoor\":true}', stage = 'booked', "
                   "client_name = 'Ana', "
                   "ceremony_date = '2026-08-01', attributes = '{\"forms\":{\"shots\":3}}'");
    for (int i = 0; i < n; i++) {
        snprintf(nn, sizeof(nn), "c%x", (unsigned)i);
        snprintf(rest, sizeof(rest), DAYS_BEFORE("%d") ",\"conditions\":%s," LEADER_TASK, 91 - i, conditions[i]);
        leader_rule(&t, nn, rest);
    }
    for (int i = 0; i < n; i++) {
        leader_sql(&t, "select automation_priv.clock_set('2026-05-02T12:00:00Z'::timestamptz + %d * interval '1 day')",
                   i);
        leader_work(&t);
        cr_expect_eq(leader_i64(&t, RUNS "rule_id::text like '%%c%x' and state = 'running'", (unsigned)i), 1, "%s",
                     conditions[i]);
    }
    leader_close(&t);
}

/* Two timings of three weddings, two of which have the same id, in one batch: each condition reads its own wedding's facts. */
Test(scheduler_tick, weddings_of_one_batch_do_not_share_their_facts)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_sql(&t, "insert into automation.weddings (tenant_id, wedding_id, title, status, time_zone, ceremony_date, "
                   "ceremony_time, guest_count, venue) values"
                   " ('" LEADER_TENANT "', '00000000-0000-0000-0000-0000000000b0', 'small', 'booked', 'Europe/Lisbon',"
                   " '2026-08-01', '15:00', 7, '{\"indoor\":true}'),"
                   " ('" LEADER_OTHER "', '" LEADER_WEDDING "', 'other', 'booked', 'Europe/Lisbon', '2026-08-01', "
                   "'15:00', 300, '{}')");
    leader_rule(&t, "c1", TODAY ",\"conditions\":" IS("wedding.guest_count", "120") "," LEADER_TASK);
    leader_rule(&t, "c2",
                "\"trigger\":{\"type\":\"milestone\",\"milestone\":\"ceremony\",\"offset\":\"-P91D\",\"at\":\"08:00\"},"
                "\"conditions\":" IS("venue.indoor", "true") "," LEADER_TASK);
    leader_sql(&t, "insert into automation.rules (tenant_id, rule_id, name, status, definition) select '" LEADER_OTHER
                   "', rule_id, name, 'active', replace(definition::text, '120', '300')::jsonb from automation.rules"
                   " where rule_id::text like '%%c1'");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RUNS "true"), 5);
    cr_expect_eq(leader_i64(&t, RUNS "state = 'running' and rule_id::text like '%%c1' and tenant_id = '" LEADER_TENANT
                                     "' and wedding_id::text like '%%b1'"),
                 1, "120 guests");
    cr_expect_eq(leader_i64(&t, RUNS "state = 'skipped' and rule_id::text like '%%c1' and tenant_id = '" LEADER_TENANT
                                     "' and wedding_id::text like '%%b0'"),
                 1, "seven");
    cr_expect_eq(leader_i64(&t, RUNS "state = 'running' and tenant_id = '" LEADER_OTHER "'"), 1, "300, of another's");
    cr_expect_eq(leader_i64(&t,
                            RUNS "state = 'running' and rule_id::text like '%%c2' and wedding_id::text like '%%b0'"),
                 1, "its venue is indoors");
    cr_expect_eq(leader_i64(&t, RUNS "state = 'running'"), 3);
    leader_close(&t);
}

Test(scheduler_tick, late_instants_follow_the_rules_policy)
{
#define LATE(policy) "\"settings\":{\"late\":{\"policy\":\"" policy "\",\"grace\":\"P2D\"}},"
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_rule(&t, "c1", DAYS_BEFORE("92") "," LATE("skip") LEADER_TASK); /* a day late: within the grace */
    leader_rule(&t, "c2", DAYS_BEFORE("95") "," LATE("skip") LEADER_TASK);
    leader_rule(&t, "c3", DAYS_BEFORE("95") "," LATE("fire_all") LEADER_TASK);
    leader_rule(&t, "c4", DAYS_BEFORE("120") "," LATE("fire_latest_only") LEADER_TASK);
    leader_rule(&t, "c5", DAYS_BEFORE("110") "," LATE("fire_latest_only") LEADER_TASK);
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RUNS "state = 'running' and right(rule_id::text, 2) in ('c1', 'c3', 'c5')"), 3);
    cr_expect_eq(
        leader_i64(&t, RUNS "state = 'skipped' and reason = 'past_due' and right(rule_id::text, 2) in ('c2', 'c4')"), 2);
    leader_close(&t);
}

Test(scheduler_tick, a_moved_wedding_gives_the_fire_key_back)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_rule(&t, "c1", TODAY "," LEADER_TASK);
    leader_work(&t);
    leader_sql(&t, "update automation.weddings set ceremony_date = '2026-08-11'");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RUNS "state = 'superseded' and reason = 'wedding_moved'"), 1);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.ledger"), 0);
    leader_sql(&t, "select automation_priv.clock_set('2026-05-12T08:00:00Z')");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RUNS "state = 'running' and generation = 2 and wedding_revision = 2"), 1);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.ledger where revision = 2"), 1);
    leader_close(&t);
}

Test(scheduler_tick, a_rule_may_keep_what_was_planned)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_rule(&t, "c1", TODAY ",\"settings\":{\"on_date_change\":\"keep\"}," LEADER_TASK);
    leader_work(&t);
    leader_sql(&t, "update automation.weddings set ceremony_date = '2026-08-11'");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RUNS "state = 'running' and wedding_revision is null"), 1);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.ledger"), 1);
    leader_close(&t);
}

Test(scheduler_tick, weddings_that_are_off_do_not_fire)
{
    static const char *const statuses[] = {"postponed", "cancelled", "archived"};
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_rule(&t, "c1", DAYS_BEFORE("90") "," LEADER_TASK);
    leader_work(&t);
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        leader_sql(
            &t, "update automation.weddings set status = '%s'; select automation_priv.clock_set('2026-05-03T08:00:00Z')",
            statuses[i]);
        leader_work(&t);
        cr_expect_eq(leader_i64(&t, RUNS "true"), 0, "%s", statuses[i]);
        cr_expect_eq(leader_i64(&t, "select count(*) from automation.timings where state = 'suspended'"), 1, "%s",
                     statuses[i]);
    }
    leader_sql(&t, "update automation.weddings set status = 'booked'");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RUNS "state = 'running'"), 1);
    leader_sql(&t, "update automation.weddings set status = 'cancelled'");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RUNS "state = 'cancelled' and reason = 'wedding_cancelled'"), 1);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.ledger"), 0);
    leader_close(&t);
}

Test(scheduler_tick, a_timing_that_can_not_be_planned_does_not_hold_up_the_others)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    log_init("test", LOG_ERROR + 1, LOG_LOGFMT);
    leader_sql(&t, "delete from automation.kinds where kind = 'create_note'");
    leader_rule(&t, "c1",
                DAYS_BEFORE("92") ",\"settings\":{\"late\":{\"policy\":\"fire_all\"}},"
                                  "\"actions\":[{\"type\":\"create_note\",\"params\":{\"text\":\"x\"}}]");
    leader_rule(&t, "c2", TODAY ",\"conditions\":" IS("wedding.guest_count", "120") "," LEADER_TASK);
    for (int i = 0; i < 5 && leader_i64(&t, RUNS "true") == 0; i++)
        leader_work(&t);
    cr_expect_eq(leader_i64(&t, RUNS "rule_id::text like '%%c2' and state = 'running'"), 1);
    cr_expect_eq(leader_i64(&t, RUNS "true"), 1);
    leader_close(&t);
}

Test(scheduler_tick, clocks_that_are_apart_stop_it)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_rule(&t, "c1", TODAY "," LEADER_TASK);
    t.lead.clocks_apart = true;
    t.lead.clocks_ms = INT64_MAX;
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RUNS "true"), 0);
    t.lead.clocks_ms = 0; /* the next comparison finds them together */
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RUNS "true"), 1);
    leader_close(&t);
}

/* Neither has seen the other: the wedding's trigger not the key, the stamp not the wedding. */
Test(scheduler_tick, a_wedding_written_while_a_timing_is_made_gets_it)
{
    struct leader t;
    struct db_session *host;
    if (!leader_open(&t))
        return;
    host = test_pg_session(&t.pg);
    cr_assert_eq(db_exec(host, "begin", NULL, NULL), ERR_OK);
    cr_assert_eq(
        db_exec(
            host,
            "update automation.weddings set ceremony_date = '2026-08-08';"
            " insert into automation.weddings (tenant_id, wedding_id, title, status, ceremony_date, time_zone) values"
            " ('" LEADER_TENANT "', gen_random_uuid(), 'new', 'booked', '2026-08-08', 'Europe/Lisbon')",
            NULL, NULL),
        ERR_OK);
    leader_rule(&t, "c1", DAYS_BEFORE("1") "," LEADER_TASK);
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation.timings where due_at = '2026-07-31T08:00:00Z'"), 1);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation.timing_keys where made_in is not null"), 1,
                 "the host's transaction is not over");
    cr_assert_eq(db_exec(host, "commit", NULL, NULL), ERR_OK);
    /* Transactions of other tests on this server may be older than the key. */
    for (int i = 0;
         i < 1000 && leader_i64(&t, "select count(*) from automation.timing_keys where made_in is not null") > 0; i++) {
        (void)poll(NULL, 0, 10);
        leader_work(&t);
    }
    cr_expect_eq(leader_i64(&t, "select count(*) from automation.timings where due_at = '2026-08-07T08:00:00Z'"), 2);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation.timings"), 2);
    db_close(host);
    leader_close(&t);
}

/* ---- load shape ------------------------------------------------------------------------------------------------------------ */

#define HERD_WEDDINGS "1200" /* more than one batch of the tick */
#define HERD                                                                                                           \
    "insert into automation.weddings (tenant_id, wedding_id, title, status, time_zone, ceremony_date, ceremony_time) " \
    "select tenant_id, automation_priv.derive('herd', n::text), title, status, time_zone, ceremony_date, "             \
    "ceremony_time from automation.weddings, generate_series(2, " HERD_WEDDINGS ") n"
#define MOMENTS                                                                                                        \
    "automation_priv.ledger l join automation.runs r using (tenant_id, run_id) "                                       \
    "cross join lateral (select extract(epoch from l.due_at - timestamptz '2026-05-03T08:00:00Z') as s) x "

/* The morning of a herd; where it is broken off, another leader goes on with what the first has left. Returns what tells two plays
 * apart. */
static int64_t play_herd(bool takeover)
{
    struct leader t;
    int64_t moments = 0;
    bool more = false;

    if (!leader_open(&t))
        return 0;
    t.settings.smear_above = 600;
    t.settings.smear_within_ms = 180 * 1000;
    leader_sql(&t, HERD);
    leader_rule(&t, "c1", DAYS_BEFORE("90") "," LEADER_TASK);
    leader_rule(&t, "c2", DAYS_BEFORE("90") ",\"settings\":{\"smear\":false}," LEADER_TASK);
    leader_rule(&t, "c3", DAYS_BEFORE("90") ",\"settings\":{\"jitter\":\"PT10M\"}," LEADER_TASK);
    leader_work(&t);
    leader_sql(&t, "select automation_priv.clock_set('2026-05-03T08:00:00Z')");
    if (takeover) {
        struct err_info info = {0};
        cr_assert_eq(tick_run(&t.lead, &more, &info), ERR_OK, "%s", info.text);
        cr_assert(more);
        leader_takeover(&t);
    }
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, "select seconds from automation_priv.herds where minute = '2026-05-03T08:00Z'"), 180,
                 "3600 runs, 600 a minute, but within three minutes");
    cr_expect_eq(leader_i64(&t, "select count(*) from " MOMENTS "where r.rule_id::text like '%%c1' and s >= 0 and "
                                "s < 180 and s = floor(s)"),
                 1200);
    cr_expect_geq(leader_i64(&t, "select min(n) from (select count(*) as n from " MOMENTS
                                 "where r.rule_id::text like '%%c1' group by floor(s / 60)) m"),
                  340, "some 400 in each minute");
    cr_expect_eq(leader_i64(&t, "select count(*) from " MOMENTS "where r.rule_id::text like '%%c2' and s = 0"), 1200);
    cr_expect_eq(leader_i64(&t, "select count(*) from " MOMENTS "where r.rule_id::text like '%%c3' and s < 600"), 1200);
    cr_expect_gt(leader_i64(&t, "select max(s)::int8 from " MOMENTS "where r.rule_id::text like '%%c3'"), 540,
                 "its own span is the longer one");
    moments =
        leader_i64(&t, "select hashtextextended(string_agg(l.job_id || ' ' || l.due_at, ',' order by l.job_id), 0)"
                       " from automation_priv.ledger l");
    leader_close(&t);
    return moments;
}

Test(scheduler_tick, a_herd_is_spread_and_every_play_of_it_is_the_same, .timeout = 120)
{
    int64_t first = play_herd(false);

    cr_expect_eq(play_herd(true), first, "a leader that takes over in the middle moves nothing to another moment");
}
