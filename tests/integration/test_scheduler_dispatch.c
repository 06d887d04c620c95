/* dispatch and waits on real servers: events become runs, end waits, are taken once, and do not stand in each other's way. */
#include <criterion/criterion.h>

#include "common/base/log.h"
#include "common/io/store_lead.h"
#include "tests/support/leader.h"

#define ON_SIGNED "\"trigger\":{\"type\":\"event\",\"event\":\"contract.signed\"}"
#define MANY_GUESTS "\"conditions\":{\">\":[{\"var\":\"wedding.guest_count\"},100]}"
#define WAIT_PAID                                                                                                      \
    "\"actions\":[{\"type\":\"wait\",\"params\":{\"until\":{\"event\":\"payment.received\","                           \
    "\"where\":{\">\":[{\"var\":\"event.amount\"},10]},\"timeout\":\"P3D\"}}}]"
#define RUNS "select count(*) from automation.runs where "

Test(scheduler_dispatch, an_event_starts_a_run_with_a_ledger_row_and_an_entry)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_rule(&t, "c1", ON_SIGNED "," MANY_GUESTS "," LEADER_TASK);
    leader_event(&t, "e1", "contract.signed", "{\"amount\":3}");
    leader_work(&t);
    cr_expect_eq(
        leader_i64(&t,
                   RUNS "state = 'running' and trigger_type = 'event' and wedding_revision is null and trigger_seq > 0"
                        " and context -> 'event' ->> 'amount' = '3'"),
        1);
    cr_expect_eq(
        leader_i64(&t,
                   "select count(*) from automation_priv.ledger where kind = 'create_task' and due_at = '" LEADER_NOON "'"
                   " and owner is null and revision is null"),
        1);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.outbox"), 0);
    cr_expect_eq(leader_stream(&t), 1);
    cr_expect_eq(
        leader_i64(&t, "select (sum(accepted - waiting) + sum(unaccounted))::bigint from automation_priv.audit()"), 0);
    leader_close(&t);
}

Test(scheduler_dispatch, a_repeated_event_id_is_one_event)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_rule(&t, "c1", ON_SIGNED "," LEADER_TASK);
    leader_event(&t, "e1", "contract.signed", "{}");
    leader_event(&t, "e1", "contract.signed", "{}");
    leader_work(&t);
    /* Past the door's own check, as two transactions at once can be. */
    leader_sql(&t,
               "insert into automation_priv.outbox (event_id, tenant_id, event_type, wedding_id, occurred_at, "
               "available_at) values"
               " ('00000000-0000-0000-0000-0000000000e1', '" LEADER_TENANT "', 'contract.signed', '" LEADER_WEDDING "',"
               " automation.now(), automation.now())");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RUNS "true"), 1);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.outbox"), 0);
    leader_close(&t);
}

Test(scheduler_dispatch, what_does_not_match_starts_nothing_and_what_is_unknown_says_why)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_rule(&t, "c1", ON_SIGNED ",\"conditions\":{\">\":[{\"var\":\"wedding.guest_count\"},500]}," LEADER_TASK);
    leader_rule(&t, "c2", ON_SIGNED ",\"conditions\":{\">\":[{\"var\":\"event.amount\"},5]}," LEADER_TASK);
    leader_rule(&t, "c3", "\"trigger\":{\"type\":\"event\",\"event\":\"form.submitted\"}," LEADER_TASK);
    leader_event(&t, "e1", "contract.signed", "{}");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RUNS "state = 'skipped' and reason = 'missing_field:event.amount'"), 1);
    cr_expect_eq(leader_i64(&t, RUNS "true"), 1);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.ledger"), 0);
    leader_close(&t);
}

Test(scheduler_dispatch, changed_fields_and_the_season_are_seen)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_rule(&t, "c1",
                "\"trigger\":{\"type\":\"event\",\"event\":\"wedding.date_changed\"},\"conditions\":{\"and\":["
                "{\"changed\":[\"wedding.date\"]},{\"in_season\":[{\"var\":\"wedding.date\"}]}]}," LEADER_TASK);
    leader_work(&t);
    leader_sql(&t, "update automation.weddings set ceremony_date = '2026-09-05'");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RUNS "state = 'running'"), 1);
    leader_sql(&t, "update automation.tenants set settings = '{\"season_months\":[1]}';"
                   "update automation.weddings set ceremony_date = '2026-09-12'");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RUNS "true"), 1);
    leader_close(&t);
}

Test(scheduler_dispatch, an_event_that_fits_ends_a_wait)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_rule(&t, "c1", ON_SIGNED "," WAIT_PAID);
    leader_event(&t, "e1", "contract.signed", "{}");
    leader_work(&t);
    cr_expect_eq(
        leader_i64(&t,
                   "select count(*) from automation_priv.ledger where wait_event = 'payment.received' and wake is null"
                   " and due_at = timestamptz '" LEADER_NOON "' + interval '3 days'"),
        1);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.wait_checks"), 0);
    leader_event(&t, "e2", "payment.received", "{\"amount\":10}");
    leader_work(&t);
    cr_expect_eq(leader_stream(&t), 0, "10 is not more than 10");
    leader_event(&t, "e3", "payment.received", "{\"amount\":11}");
    leader_event(&t, "e4", "payment.received", "{\"amount\":12}");
    leader_work(&t);
    cr_expect_eq(
        leader_i64(&t, "select (wake ->> 'amount')::bigint from automation_priv.ledger where due_at = '" LEADER_NOON "'"),
        11);
    cr_expect_eq(leader_stream(&t), 1);
    leader_close(&t);
}

Test(scheduler_dispatch, a_new_wait_looks_back_to_its_trigger_and_not_further)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_event(&t, "e0", "payment.received", "{\"amount\":50}");
    leader_work(&t);
    leader_rule(&t, "c1", ON_SIGNED "," WAIT_PAID);
    leader_rule(&t, "c2",
                "\"trigger\":{\"type\":\"milestone\",\"milestone\":\"ceremony\",\"offset\":\"-P91D\"}," WAIT_PAID);
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.ledger where wake is null"), 1,
                 "a run without event begins now");
    leader_event(&t, "e1", "contract.signed", "{}");
    leader_event(&t, "e2", "payment.received", "{\"amount\":20}");
    leader_work(&t); /* one batch: the wait is committed when the payment has been dispatched */
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.ledger where wake ->> 'amount' = '20' and wake "
                                "->> 'type' = 'payment.received'"),
                 2);
    leader_close(&t);
}

/* The run's wait as if it had been made just now. */
static int64_t amount_seen(struct leader *t)
{
    leader_sql(t, "update automation_priv.ledger set wait_event = 'payment.received', wake = null;"
                  "insert into automation_priv.wait_checks select job_id from automation_priv.ledger");
    leader_work(t);
    return leader_i64(t, "select coalesce((select (wake ->> 'amount')::bigint from automation_priv.ledger), 0)");
}

Test(scheduler_dispatch, a_new_wait_within_a_for_each_looks_back_to_its_item_and_not_further)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_rule(&t, "c1", ON_SIGNED "," WAIT_PAID);
    leader_event(&t, "e1", "contract.signed", "{}");
    leader_work(&t);
    leader_sql(&t, "update automation_priv.ledger set wait_event = 'none.such'");
    leader_event(&t, "e2", "payment.received", "{\"amount\":20}");
    leader_work(&t);
    leader_sql(&t,
               "update automation.runs set context = context || jsonb_build_object('steps', jsonb_build_object('all',"
               " jsonb_build_object('items', '[1, 2]'::jsonb, 'at', 2, 'since', (select"
               " extract(epoch from dispatched_at) * 1000000 from automation.trigger_events where event_type ="
               " 'payment.received')::bigint), 'other', '5'::jsonb))");
    cr_expect_eq(amount_seen(&t), 0, "it has ended the wait of the item before");
    leader_sql(&t, "update automation_priv.ledger set wait_event = 'none.such'");
    leader_sql(&t, "select automation_priv.clock_set('2026-05-02T12:00:01Z')");
    leader_event(&t, "e3", "payment.received", "{\"amount\":30}");
    leader_work(&t);
    cr_expect_eq(amount_seen(&t), 30, "it came before the wait, and after its item was begun");
    leader_sql(&t, "update automation.runs set context = context #- '{steps,all,since}'");
    cr_expect_eq(amount_seen(&t), 20, "behind the loop all is seen again");
    leader_close(&t);
}

Test(scheduler_dispatch, an_event_marked_twice_is_quarantined_and_others_go_on)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_rule(&t, "c1", ON_SIGNED "," LEADER_TASK);
    leader_event(&t, "e1", "contract.signed", "{}");
    leader_event(&t, "e2", "contract.signed", "{}");
    leader_event(&t, "e3", "contract.signed", "{}");
    leader_sql(&t, "update automation_priv.outbox set marks = 2 where event_id::text like '%%e1';"
                   "update automation_priv.outbox set marks = 1 where event_id::text like '%%e2'");
    leader_work(&t);
    cr_expect_eq(
        leader_i64(&t, "select count(*) from automation_priv.outbox_quarantine where event_id::text like '%%e1'"), 1);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.outbox_quarantine"), 1,
                 "marked once may be chance");
    cr_expect_eq(leader_i64(&t, RUNS "true"), 2);
    leader_close(&t);
}

/* As a server does that restarts whenever this event is dispatched. */
Test(scheduler_dispatch, an_event_is_not_blamed_for_lost_sessions)
{
    struct leader t;
    struct err_info info = {0};
    bool more = false;
    if (!leader_open(&t))
        return;
    log_init("test", LOG_ERROR + 1, LOG_LOGFMT);
    leader_rule(&t, "c1", ON_SIGNED "," LEADER_TASK);
    leader_work(&t);
    leader_sql(&t, "create function automation_priv.end_session() returns trigger language plpgsql security definer as"
                   " $$ begin perform pg_terminate_backend(pg_backend_pid()); return new; end $$;"
                   "create trigger end_session before insert on automation.runs for each row"
                   " execute function automation_priv.end_session()");
    leader_event(&t, "e1", "contract.signed", "{}");
    for (int i = 0; i < 4; i++) {
        t.lead.db_retry_ms = 0;
        cr_assert_eq(lead_connect(&t.lead, &info), ERR_OK, "%s", info.text);
        t.lead.singles = 5;
        cr_expect_eq(dispatch_run(&t.lead, &more, &info), ERR_CONN_LOST, "%s", info.text);
    }
    leader_sql(&t, "drop trigger end_session on automation.runs");
    cr_assert_eq(lead_connect(&t.lead, &info), ERR_OK, "%s", info.text);
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.outbox_quarantine"), 0);
    cr_expect_eq(leader_i64(&t, RUNS "true"), 1);
    leader_close(&t);
}

Test(scheduler_dispatch, an_event_that_fails_again_and_again_does_not_hold_up_the_others)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    log_init("test", LOG_ERROR + 1, LOG_LOGFMT);                               /* its errors are expected */
    leader_sql(&t, "delete from automation.kinds where kind = 'create_note'"); /* planning such a step is refused */
    leader_rule(&t, "c1", ON_SIGNED "," LEADER_TASK);
    leader_rule(&t, "c2",
                "\"trigger\":{\"type\":\"event\",\"event\":\"bad.event\"},\"actions\":[{\"type\":\"create_note\","
                "\"params\":{\"text\":\"x\"}}]");
    leader_work(&t);
    t.lead.singles = 0; /* long after the takeover: a batch */
    leader_event(&t, "e1", "bad.event", "{}");
    leader_event(&t, "e2", "contract.signed", "{}");
    for (int i = 0; i < 10 && leader_i64(&t, RUNS "true") == 0; i++)
        leader_work(&t);
    cr_expect_eq(leader_i64(&t, RUNS "rule_id::text like '%%c1'"), 1);
    cr_expect_eq(
        leader_i64(&t, "select count(*) from automation_priv.outbox_quarantine where event_type = 'bad.event'"), 1);
    leader_close(&t);
}

/* A function that a wrong migration took away: all events wait, none is blamed; and what is in quarantine has a way back. */
Test(scheduler_dispatch, events_are_not_blamed_for_a_broken_schema)
{
    struct leader t;
    struct err_info info = {0};
    bool more = false;
    if (!leader_open(&t))
        return;
    log_init("test", LOG_ERROR + 1, LOG_LOGFMT);
    leader_rule(&t, "c1", ON_SIGNED "," LEADER_TASK);
    leader_work(&t);
    leader_event(&t, "e1", "contract.signed", "{}");
    leader_sql(&t, "alter function automation_priv.plan_runs rename to plan_runs_away");
    for (int i = 0; i < 5; i++)
        cr_expect_eq(dispatch_run(&t.lead, &more, &info), ERR_DB_BROKEN, "%s", info.text);
    leader_sql(&t, "alter function automation_priv.plan_runs_away rename to plan_runs");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.outbox_quarantine"), 0);
    cr_expect_eq(leader_i64(&t, RUNS "true"), 1);

    leader_event(&t, "e2", "contract.signed", "{}");
    leader_event(&t, "e3", "contract.signed", "{}");
    leader_sql(&t, "update automation_priv.outbox set marks = 2");
    t.lead.singles = 2;
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.outbox_quarantine"), 2);
    cr_expect_eq(leader_i64(&t, "select automation_priv.retry_events(array['00000000-0000-0000-0000-0000000000e2',"
                                " '00000000-0000-0000-0000-0000000000e1']::uuid[], 'ana')"),
                 1);
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RUNS "true"), 2);
    cr_expect_eq(leader_i64(&t, "select automation_priv.retry_events(null, 'ana')"), 1);
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RUNS "true"), 3);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.audit_trail where what = 'retry_events' and who ="
                                " 'ana' and (asked, n) in ((2, 1), (1, 1))"),
                 2);
    leader_close(&t);
}

/* Behind a flood of another tenant's events one of ours is in the first batch; and the flood stays in its order. */
Test(scheduler_dispatch, a_tenants_flood_of_events_keeps_nobody_waiting)
{
    struct leader t;
    struct err_info info = {0};
    bool more = false;
    if (!leader_open(&t))
        return;
    leader_sql(
        &t, "insert into automation_priv.outbox (event_id, tenant_id, event_type, payload, occurred_at, available_at)"
            " select gen_random_uuid(), '" LEADER_OTHER "', 'form.submitted', jsonb_build_object('n', n),"
            " automation.now(), automation.now() - interval '1 hour' + n * interval '1 second'"
            " from generate_series(1, 3000) n");
    leader_event(&t, "e1", "contract.signed", "{}");
    leader_event(&t, "e2", "contract.signed", "{}");
    t.lead.singles = 0;
    cr_assert_eq(dispatch_run(&t.lead, &more, &info), ERR_OK, "%s", info.text);
    cr_expect(more);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation.trigger_events where tenant_id = '" LEADER_TENANT "'"),
                 2);
    while (more)
        cr_assert_eq(dispatch_run(&t.lead, &more, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation.trigger_events"), 3002);
    cr_expect_eq(
        leader_i64(&t, "select count(*) from (select (payload ->> 'n')::int < lag((payload ->> 'n')::int) over (order"
                       " by seq) as back from automation.trigger_events where tenant_id = '" LEADER_OTHER
                       "') x where back"),
        0);
    leader_close(&t);
}

Test(scheduler_dispatch, a_leader_of_the_past_changes_nothing)
{
    struct leader t;
    struct db_session *s;
    int64_t term = 0;
    bool more = false;
    if (!leader_open(&t))
        return;
    leader_rule(&t, "c1", ON_SIGNED "," LEADER_TASK);
    leader_work(&t);
    s = test_pg_session(&t.pg);
    cr_assert_eq(store_lead_take(s, "other", &term, NULL), ERR_OK);
    db_close(s);
    leader_event(&t, "e1", "contract.signed", "{}");
    for (size_t i = 0; i < LEAD_DUTIES_MAX; i++)
        t.lead.duties[i].next_ms = 0;
    cr_expect_eq(lead_round(&t.lead, &more), ERR_STATE);
    cr_expect_eq(leader_i64(&t, RUNS "true"), 0);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.outbox"), 1);
    leader_takeover(&t);
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RUNS "true"), 1);
    leader_close(&t);
}

Test(scheduler_dispatch, events_of_one_batch_see_the_runs_of_those_before)
{
    struct leader t;

    if (!leader_open(&t))
        return;
    leader_rule(
        &t,
        "c1", "\"trigger\":{\"type\":\"event\",\"event\":\"payment.received\"},\"settings\":{\"mode\":\"single\"}," LEADER_TASK);
    leader_work(&t);
    t.lead.singles = 0; /* as after the first events of a term */
    leader_event(&t, "e1", "payment.received", "{}");
    leader_event(&t, "e2", "payment.received", "{}");
    leader_work(&t);
    cr_assert_eq(leader_i64(&t, "select count(*) from automation.runs where state = 'running'"), 1);
    cr_assert_eq(
        leader_i64(&t, "select count(*) from automation.runs where state = 'skipped' and reason = 'already_running'"), 1);
    leader_close(&t);
}
