/* sweep, upkeep and beacons on real servers. */
#include <criterion/criterion.h>

#include "common/base/log.h"
#include "common/io/queue_admin.h"
#include "tests/support/leader.h"

#define KEY "usher:{0}:q:default"
#define BARE "usher:{0}:in:default"
#define DEAD "00000000-0000-0000-0000-0000000000d1"

static int64_t consumers(struct leader *t, const char *key)
{
    char command[128];
    snprintf(command, sizeof(command), "XINFO CONSUMERS %s workers", key);
    return (int64_t)redis_run(t->redis, command)->n;
}

/* A worker that read an entry of both streams, claimed the ledger job, and was not heard of again. */
static void lose_worker(struct leader *t)
{
    leader_sql(t, "select automation_priv.worker_register('" DEAD "', 'w', 'default')");
    leader_job(t, LEADER_TENANT, "f1");
    leader_work(t);
    redis_run(t->redis, "XADD " BARE " * kind noop payload {}");
    redis_run(t->redis, "XREADGROUP GROUP workers " DEAD " COUNT 10 STREAMS " KEY " " BARE " > >");
    cr_assert_eq(leader_i64(t, "select count(*) from automation_priv.claim_jobs('" DEAD "',"
                               " array['00000000-0000-0000-0000-0000000000f1'::uuid], '{}', false)"),
                 1);
    leader_sql(t, "update automation_priv.workers set beat_at = clock_timestamp() - interval '21 seconds'");
}

static void again(struct leader *t)
{
    t->lead.sweep_all_ms = 0;
    leader_work(t);
}

Test(scheduler_sweep, a_dead_workers_jobs_are_freed_and_charged_once)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    lose_worker(&t);
    leader_work(&t);
    cr_expect_eq(
        leader_i64(&t,
                   "select count(*) from automation_priv.ledger where owner is null and crashes = 1 and claim_no = 1"),
        1);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.workers"), 0);
    again(&t);
    cr_expect_eq(leader_i64(&t, "select crashes from automation_priv.ledger"), 1);
    cr_expect_eq(redis_run(t.redis, "XPENDING " KEY " workers")->items[0]->i, 0, "acknowledged in q:");
    cr_expect_eq(consumers(&t, KEY), 0);
    cr_expect_eq(redis_run(t.redis, "XPENDING " BARE " workers")->items[0]->i, 1, "left for others in in:");
    cr_expect_eq(consumers(&t, BARE), 1);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.ledger where due_at <= automation.now()"), 1);
    cr_expect_geq(leader_stream(&t), 1, "admitted anew");
    redis_run(t.redis, "XAUTOCLAIM " BARE " workers someone 0 0");
    again(&t);
    cr_expect_eq(consumers(&t, BARE), 1, "someone's consumer is not a worker's and stays");
    leader_close(&t);
}

Test(scheduler_sweep, a_living_worker_is_left_alone)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    lose_worker(&t);
    leader_sql(&t, "select automation_priv.worker_beat('" DEAD "')");
    again(&t);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.ledger where owner is not null and crashes = 0"),
                 1);
    cr_expect_eq(consumers(&t, KEY), 1);
    leader_close(&t);
}

Test(scheduler_sweep, a_job_that_crashed_too_often_is_poison)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    lose_worker(&t);
    leader_sql(&t, "update automation_priv.ledger set crashes = 3");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation.dead_letters where reason = 'poison'"), 1);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.ledger"), 0);
    cr_expect_eq(leader_i64(&t, "select (sum(dead) * 10 + sum(unaccounted))::bigint from automation_priv.audit()"), 10);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.job_deltas"), 0, "folded");
    leader_close(&t);
}

static int kept_house(const struct leader *t)
{
    int n = 0;
    for (size_t i = 0; i < LEAD_DUTIES_MAX; i++)
        n += t->lead.duties[i].next_ms > 0;
    return n;
}

/* Work that is said to be there goes before the next of many small duties, which are all done in the end. */
Test(scheduler_sweep, housekeeping_yields_to_work)
{
    struct leader t;
    bool more = false;
    if (!leader_open(&t))
        return;
    leader_work(&t);
    for (size_t i = 0; i < LEAD_DUTIES_MAX; i++)
        t.lead.duties[i].next_ms = 0;
    leader_job(&t, LEADER_TENANT, "f1");
    wake_ring(&t.wake);
    cr_assert_eq(lead_round(&t.lead, &more), ERR_OK);
    cr_expect(more);
    const int first = kept_house(&t);
    cr_expect_eq(leader_stream(&t), 1, "admission comes first");
    cr_assert_eq(lead_round(&t.lead, &more), ERR_OK);
    cr_expect_geq(kept_house(&t), first + 5, "and nobody called since");
    leader_close(&t);
}

Test(scheduler_sweep, streams_are_trimmed_to_what_is_unfinished)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_job(&t, LEADER_TENANT, "f1");
    leader_job(&t, LEADER_TENANT, "f2");
    leader_work(&t);
    redis_run(t.redis, "XREADGROUP GROUP workers w COUNT 10 NOACK STREAMS " KEY " >");
    leader_job(&t, LEADER_TENANT, "f3");
    leader_work(&t);
    cr_expect_eq(leader_stream(&t), 2, "the last delivered and the new one");
    leader_close(&t);
}

Test(scheduler_sweep, partitions_are_made_for_machine_and_domain_time)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_sql(&t, "select automation_priv.clock_set('2031-03-15T00:00:00Z')");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.log_partitions where leaf in "
                                "('execution_logs_2031_03', 'execution_logs_2031_06')"),
                 2);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.log_partitions where clock_timestamp() >= lo and "
                                "clock_timestamp() < hi"),
                 1);
    leader_close(&t);
}

Test(scheduler_sweep, too_few_partitions_ahead_are_noticed)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    log_init("test", LOG_ERROR + 1, LOG_LOGFMT);
    leader_work(&t);
    cr_expect_not(t.lead.runway_short);
    /* As if what makes partitions had failed for two months: the book says that they are there, and they are not part of the log. */
    leader_sql(&t,
               "update automation_priv.log_partitions set state = 'detached' where lo > now() + interval '1 month'");
    t.lead.partitions_ms = 0;
    leader_work(&t);
    cr_expect(t.lead.runway_short);
    leader_sql(&t, "update automation_priv.log_partitions set state = 'attached'");
    t.lead.partitions_ms = 0;
    leader_work(&t);
    cr_expect_not(t.lead.runway_short);
    leader_close(&t);
}

Test(scheduler_sweep, what_is_too_old_is_purged_table_by_table)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_sql(&t, "select automation_priv.clock_set(null);"
                   "insert into automation.trigger_events (tenant_id, event_id, event_type, payload, hops, "
                   "occurred_at, dispatched_at)"
                   " select '" LEADER_TENANT
                   "', gen_random_uuid(), 'a.b', '{}', 0, now(), now() - interval '14 months' from "
                   "generate_series(1, 5);"
                   "insert into automation_priv.log_quarantine (reason, row_data, at) values ('x', '{}', now() - "
                   "interval '14 months');"
                   "update automation_priv.retention set batch = 2 where keep is not null");
    for (int i = 0; i < 20; i++)
        leader_work(&t); /* the duty runs once in each */
    cr_expect_eq(leader_i64(&t, "select count(*) from automation.trigger_events"), 0);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.log_quarantine"), 0);
    cr_expect_gt(t.lead.purge_ms, 0, "the next round is an hour away");
    leader_close(&t);
}

Test(scheduler_sweep, postgres_behind_redis_stops_what_acts_until_it_is_accepted)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    log_init("test", LOG_ERROR + 1, LOG_LOGFMT);
    leader_rule(&t, "c1", "\"trigger\":{\"type\":\"event\",\"event\":\"contract.signed\"}," LEADER_TASK);
    leader_work(&t);
    redis_run(t.redis, "SET " QUEUE_KEY_BEACON " 1000");
    leader_takeover(&t);
    leader_event(&t, "e1", "contract.signed", "{}");
    leader_job(&t, LEADER_TENANT, "f1");
    for (int i = 0; i < 3; i++) {
        bool more = false;
        cr_assert_eq(lead_round(&t.lead, &more), ERR_OK);
    }
    cr_expect(t.lead.behind);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation.runs"), 0);
    cr_expect_eq(leader_stream(&t), 0);
    leader_sql(&t, "select automation_priv.restore_resume(automation.now() - interval '1 hour', 'rerun', 'a test')");
    leader_work(&t);
    cr_expect_not(t.lead.behind);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation.runs"), 1);
    cr_expect_eq(leader_stream(&t), 2);
    cr_expect_geq(leader_i64(&t, "select seq from automation_priv.beacon"), 1000);
    leader_close(&t);
}
