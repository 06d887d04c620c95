/* activate: rules go live and expire as the leader's clock passes; what happened before starts nothing. */
#include <criterion/criterion.h>

#include "tests/support/leader.h"

#define RUNS "select count(*) from automation.runs where "
#define SET_CLOCK "select automation_priv.clock_set('2026-05-02T12:00:00Z'::timestamptz + interval '%s')"

static void event(struct leader *t, const char *nn, const char *after)
{
    leader_sql(t,
               "select automation.publish_event('" LEADER_TENANT "', 'contract.signed', '" LEADER_WEDDING "', '{}',"
               " '00000000-0000-0000-0000-0000000000%s', '2026-05-02T12:00:00Z'::timestamptz + interval '%s')",
               nn, after);
}

Test(scheduler_activate, a_window_begins_and_ends)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_sql(&t, SET_CLOCK, "0");
    leader_rule(&t, "c1",
                "\"trigger\":{\"type\":\"event\",\"event\":\"contract.signed\"}," LEADER_TASK
                ",\"settings\":{\"mode\":\"parallel\"}");
    leader_sql(&t,
               "update automation.rules set valid_from = '2026-05-02T13:00:00Z', valid_until = '2026-05-02T15:00:00Z'");
    event(&t, "e1", "0");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RUNS "true"), 0, "it is not live yet");
    leader_sql(&t, SET_CLOCK, "2 hours");
    event(&t, "e2", "30 minutes");
    event(&t, "e3", "2 hours");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation.rules where live and live_reason = 'in_window'"), 1);
    cr_expect_eq(leader_i64(&t, RUNS "trigger_ref::text like '%%e3' and state = 'running'"), 1);
    cr_expect_eq(leader_i64(&t, RUNS "trigger_ref::text not like '%%e3'"), 0,
                 "what happened before its activation starts nothing");
    leader_sql(&t, SET_CLOCK, "4 hours");
    event(&t, "e4", "4 hours");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RUNS "true"), 1, "its window is over");
    cr_expect_eq(
        leader_i64(&t, "select count(*) from automation.rule_activations where reason = 'window_over' and not live"), 1);
    leader_close(&t);
}

Test(scheduler_activate, a_rule_of_booked_weddings_starts_nothing_from_before_the_booking)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_sql(&t, SET_CLOCK, "0");
    leader_sql(&t, "update automation.weddings set status = 'inquiry'");
    leader_rule(&t, "c1",
                "\"trigger\":{\"type\":\"event\",\"event\":\"contract.signed\"}," LEADER_TASK
                ",\"settings\":{\"mode\":\"parallel\"}");
    leader_sql(&t, "update automation.rules set booked_only = true");
    leader_work(&t);
    event(&t, "e1", "0");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RUNS "state = 'skipped' and reason = 'not_booked'"), 1);
    leader_sql(&t, SET_CLOCK, "1 hour");
    leader_sql(&t, "update automation.weddings set status = 'booked'");
    event(&t, "e2", "30 minutes");
    event(&t, "e3", "1 hour");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RUNS "trigger_ref::text like '%%e2' and reason = 'not_booked'"), 1);
    cr_expect_eq(leader_i64(&t, RUNS "trigger_ref::text like '%%e3' and state = 'running'"), 1);
    leader_close(&t);
}
