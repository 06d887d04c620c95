/* too long a stream of bare entries: the leader moves what is beyond direct-max into the ledger, once, and loses nothing. */
#include <criterion/criterion.h>

#include "tests/support/leader.h"

#define IN "usher:{0}:in:default"
#define MAX 20

static bool open_with(struct leader *t, int entries)
{
    if (!leader_open(t))
        return false;
    t->settings.direct_max = MAX;
    leader_work(t); /* makes the groups */
    for (int i = 0; i < entries; i++)
        redis_run(t->redis, "XADD " IN " * kind noop payload {}");
    return true;
}

static int64_t group_number(struct leader *t, const char *name)
{
    const struct reply *g = redis_run(t->redis, "XINFO GROUPS " IN)->items[0];
    for (size_t i = 0; i + 1 < g->n; i += 2)
        if (str_is(g->items[i]->s, name))
            return g->items[i + 1]->i;
    return -1;
}

static int64_t adopted(struct leader *t)
{
    return leader_i64(t, "select count(*) from automation_priv.ledger where bare_id is not null and kind = 'noop'"
                         " and owner is null and payload = '{}' and bare_entry like 'usher:{0}:in:default %%'");
}

Test(scheduler_relieve, what_is_beyond_the_limit_moves_into_the_ledger)
{
    struct leader t;
    if (!open_with(&t, MAX + 150))
        return;
    leader_work(&t);
    cr_expect_geq(adopted(&t), 150);
    cr_expect_leq(group_number(&t, "lag"), MAX);
    cr_expect_eq(group_number(&t, "pending"), 0, "acknowledged");
    cr_expect_eq(adopted(&t) + group_number(&t, "lag"), MAX + 150, "each is in one of the two");
    cr_expect_eq(leader_i64(&t, "select sum(abs(unaccounted))::int8 from automation_priv.audit()"), 0);
    int64_t before = adopted(&t);
    leader_work(&t);
    cr_expect_eq(adopted(&t), before, "then it rests");
    leader_close(&t);
}

Test(scheduler_relieve, a_short_stream_is_left_to_the_workers)
{
    struct leader t;
    if (!open_with(&t, MAX))
        return;
    leader_work(&t);
    cr_expect_eq(group_number(&t, "lag"), MAX);
    cr_expect_eq(adopted(&t), 0);
    leader_close(&t);
}

Test(scheduler_relieve, bad_entries_become_dead_letters)
{
    struct leader t;
    if (!open_with(&t, 0))
        return;
    redis_run(t.redis, "XADD " IN " 1-1 kind odd");
    redis_run(t.redis, "XADD " IN " 2-1 kind send_email payload {}");
    redis_run(t.redis, "XADD " IN " * kind noop payload {} tenant 30000000-0000-4000-8000-000000000003");
    for (int i = 0; i < MAX + 10; i++)
        redis_run(t.redis, "XADD " IN " * kind noop payload {}");
    leader_work(&t);
    cr_expect_eq(
        leader_i64(&t,
                   "select count(*) from automation.dead_letters where reason = 'malformed' and source_raw is not null"
                   " and source_entry = 'usher:{0}:in:default 1-1'"),
        1);
    cr_expect_eq(
        leader_i64(&t, "select count(*) from automation.dead_letters where reason = 'forged' and kind = 'send_email'"),
        1);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation.dead_letters where reason = 'unknown_tenant'"), 1);
    cr_expect_eq(leader_i64(&t,
                            "select count(*) from automation.dead_letters d where exists (select from ("
                            "select execution_id, outcome, reason from automation.execution_logs union all select"
                            " (row_data ->> 'execution_id')::uuid, (row_data ->> 'outcome')::int, row_data ->> 'reason'"
                            " from automation_priv.log_quarantine) l where l.execution_id = d.job_id and"
                            " l.outcome = 2 and l.reason = d.reason)"),
                 3, "each has its row of the log, under the entry's key; absurd ids in quarantine");
    cr_expect_eq(leader_i64(&t, "select sum(abs(unaccounted))::int8 from automation_priv.audit()"), 0);
    leader_close(&t);
}

Test(scheduler_relieve, an_entry_read_again_after_a_rewind_is_adopted_once)
{
    struct leader t;
    if (!open_with(&t, MAX + 1))
        return;
    leader_work(&t);
    int64_t first = adopted(&t);
    cr_assert_geq(first, 1);
    redis_run(t.redis, "XGROUP SETID " IN " workers 0 ENTRIESREAD 0");
    for (int i = 0; i < MAX; i++)
        redis_run(t.redis, "XADD " IN " * kind noop payload {}");
    leader_work(&t);
    cr_expect_leq(adopted(&t), MAX + 1 + MAX);
    cr_expect_eq(leader_i64(&t, "select count(*) - count(distinct bare_entry) from automation_priv.ledger"), 0);
    cr_expect_eq(leader_i64(&t, "select sum(abs(unaccounted))::int8 from automation_priv.audit()"), 0);
    leader_close(&t);
}

Test(scheduler_relieve, an_entry_whose_key_is_not_decided_on_stays_pending)
{
    struct leader t;
    struct err_info info = {0};
    if (!open_with(&t, 0))
        return;
    struct db_session *other = test_pg_session(&t.pg);
    cr_assert_eq(db_exec(other, "begin; select automation.enqueue_job('noop', p_unique_key => 'k')", NULL, &info),
                 ERR_OK, "%s", info.text);
    for (int i = 0; i < MAX + 20; i++)
        redis_run(t.redis, i == 3 ? "XADD " IN " * kind noop payload {} key k" : "XADD " IN " * kind noop payload {}");
    leader_work(&t);
    cr_expect_geq(adopted(&t), 19, "the others of its batch moved");
    cr_expect_eq(group_number(&t, "pending"), 1);
    db_close(other);
    leader_close(&t);
}

Test(scheduler_relieve, what_the_database_refuses_stays_pending)
{
    struct leader t;
    if (!open_with(&t, 0))
        return;
    leader_sql(&t, "alter table automation_priv.ledger add check (kind <> 'refused')");
    for (int i = 0; i < MAX + 5; i++)
        redis_run(t.redis, "XADD " IN " * kind refused payload {}");
    leader_work(&t);
    cr_expect_eq(adopted(&t), 0);
    cr_expect_gt(group_number(&t, "pending"), 0, "the workers take it over");
    leader_close(&t);
}
