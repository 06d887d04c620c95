/* dead letters on real servers: a replay is one new job with the old effect key, a run goes on only where it had stopped, what was
 * closed stays closed, and every job is accounted for. */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "tests/support/leader.h"

#define ID(nn) "'00000000-0000-0000-0000-0000000000" nn "'"
#define WORKER ID("d1")
#define RUN ID("e1")
#define RULE ID("c1")

static bool open_with_worker(struct leader *t)
{
    if (!leader_open(t))
        return false;
    leader_sql(t, "select automation_priv.worker_register(" WORKER ", 'w', 'default')");
    return true;
}

/* Every test ends with this. */
static void close_accounted(struct leader *t)
{
    cr_expect_eq(leader_i64(t, "select coalesce(sum(abs(unaccounted)), 0)::int8 from automation_priv.audit()"), 0);
    leader_close(t);
}

/* Claims a job of the ledger and settles it; `id` is SQL, `rest` the element's further members. */
static void settle(struct leader *t, const char *id, const char *rest)
{
    cr_assert_eq(leader_i64(t,
                            "select count(*) from automation_priv.claim_jobs(" WORKER
                            ", array[(%s)::uuid], '{}', false) where verdict = 'run'",
                            id),
                 1, "%s can not be claimed to run", id);
    cr_assert_eq(leader_i64(t,
                            "select count(*) from automation_priv.settle_jobs(" WORKER
                            ", jsonb_build_array(jsonb_build_object('j', (%s)::uuid, 'c',"
                            " (select claim_no from automation_priv.ledger where job_id = (%s)::uuid)) || '%s'))"
                            " where result = 'hit'",
                            id, id, rest),
                 1, "%s is not settled", id);
}

#define DEAD "{\"a\":\"final\",\"o\":\"dead\",\"reason\":\"permanent\",\"error\":\"550 no such user\"}"
#define DONE "{\"a\":\"final\",\"o\":\"done\"}"

static void dead_job(struct leader *t, const char *nn)
{
    char id[48];

    (void)snprintf(id, sizeof(id), "'00000000-0000-0000-0000-0000000000%s'", nn);
    leader_job(t, LEADER_TENANT, nn);
    settle(t, id, DEAD);
}

/* How many of these (SQL: comma separated ids) a call answers with `result`. */
static int64_t replay(struct leader *t, const char *ids, const char *result)
{
    return leader_i64(t,
                      "select count(*) filter (where result = '%s') from automation_priv.replay_dead('" LEADER_TENANT
                      "', array[%s]::uuid[], 'ana')",
                      result, ids);
}

static int64_t discard(struct leader *t, const char *ids, const char *result)
{
    return leader_i64(t,
                      "select count(*) filter (where result = '%s') from automation_priv.discard_dead('" LEADER_TENANT
                      "', array[%s]::uuid[], 'ana')",
                      result, ids);
}

static int64_t jobs(struct leader *t)
{
    return leader_i64(t, "select count(*) from automation_priv.ledger");
}

/* ---- replay ------------------------------------------------------------------------------------------------------------ */

Test(dead, a_replay_is_one_new_job_with_the_old_effect_key)
{
    struct leader t;
    if (!open_with_worker(&t))
        return;
    dead_job(&t, "f1");
    cr_expect_eq(jobs(&t), 0);
    cr_expect_eq(replay(&t, ID("f1"), "replayed"), 1);
    cr_expect_eq(
        leader_i64(&t, "select count(*) from automation_priv.ledger l join automation.dead_letters d"
                       " on d.replayed_as = l.job_id where d.job_id = " ID(
                           "f1") " and l.replay_of = d.job_id"
                                 " and l.effect_key = d.effect_key and l.job_id <> d.job_id and l.attempt = 1"
                                 " and l.crashes = 0 and l.max_attempts = 8 and l.payload = d.payload and not l.aside"
                                 " and l.job_id = automation_priv.derive('replay', d.job_id::text, '1')"),
        1);
    cr_expect_eq(replay(&t, ID("f1"), "replayed"), 0, "not while the first one waits");
    cr_expect_eq(replay(&t, ID("f1"), "replayed_before"), 1);
    cr_expect_eq(jobs(&t), 1);
    settle(&t, "select job_id from automation_priv.ledger", DONE);
    cr_expect_eq(replay(&t, ID("f1"), "replayed"), 0, "not after it was done either");
    cr_expect_eq(jobs(&t), 0);
    cr_expect_eq(leader_i64(&t, "select accepted * 100 + done * 10 + dead from automation_priv.audit()"), 211);
    close_accounted(&t);
}

Test(dead, a_replay_that_dies_may_be_replayed_once_by_either_letter)
{
    struct leader t;
    if (!open_with_worker(&t))
        return;
    dead_job(&t, "f1");
    cr_expect_eq(replay(&t, ID("f1"), "replayed"), 1);
    settle(&t, "select job_id from automation_priv.ledger", DEAD);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation.dead_letters"), 2);
    cr_expect_eq(replay(&t, ID("f1") ", automation_priv.derive('replay', " ID("f1") ", '1')", "replayed"), 1,
                 "both letters in one call are one job");
    cr_expect_eq(jobs(&t), 1);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.ledger where effect_key = " ID(
                                    "f1") " and job_id = automation_priv.derive('replay', " ID("f1") ", '2')"),
                 1);
    cr_expect_eq(replay(&t, ID("f1") ", automation_priv.derive('replay', " ID("f1") ", '1')", "replayed"), 0);
    cr_expect_eq(jobs(&t), 1);
    settle(&t, "select job_id from automation_priv.ledger", DEAD);
    cr_expect_eq(replay(&t, "automation_priv.derive('replay', " ID("f1") ", '2')", "replayed"), 1, "by its own letter");
    cr_expect_eq(replay(&t, ID("f1"), "replayed"), 0);
    cr_expect_eq(jobs(&t), 1);
    close_accounted(&t);
}

#define NEWEST "(select job_id from automation.dead_letters where replayed_as is null)"
#define BEFORE_IT "(select min(job_id::text)::uuid from automation.dead_letters where replayed_as = " NEWEST ")"

Test(dead, an_effect_is_replayed_five_times_by_whatever_letter_then_on_an_operators_word)
{
    struct leader t;
    if (!open_with_worker(&t))
        return;
    dead_job(&t, "f1");
    for (int i = 0; i < 5; i++) {
        cr_expect_eq(replay(&t, i == 0 || i % 2 != 0 ? NEWEST : BEFORE_IT, "replayed"), 1, "replay %d", i);
        settle(&t, "select job_id from automation_priv.ledger", DEAD);
    }
    cr_expect_eq(replay(&t, NEWEST, "replayed_often"), 1);
    cr_expect_eq(replay(&t, BEFORE_IT, "replayed_often"), 1);
    cr_expect_eq(jobs(&t), 0);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.replay_dead('" LEADER_TENANT "', array[" NEWEST
                                "], 'ana', p_most => 6) where result = 'replayed'"),
                 1);
    settle(&t, "select job_id from automation_priv.ledger", DEAD);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.replay_dead('" LEADER_TENANT "', array[" NEWEST
                                "], 'ana', p_most => null) where result = 'replayed'"),
                 1);
    close_accounted(&t);
}

Test(dead, what_no_job_can_be_made_of_is_refused)
{
    struct leader t;
    if (!open_with_worker(&t))
        return;
    dead_job(&t, "f1");
    dead_job(&t, "f2");
    dead_job(&t, "f3");
    dead_job(&t, "f4");
    dead_job(&t, "f5");
    leader_sql(&t, "update automation.dead_letters set kind = 'gone' where job_id = " ID("f1"));
    leader_sql(&t, "update automation.dead_letters set reason = 'malformed' where job_id = " ID("f2"));
    leader_sql(&t, "update automation.dead_letters set kind = 'send_email' where job_id = " ID("f3"));
    leader_sql(&t, "update automation.dead_letters set kind = 'send_email', run_id = " RUN " where job_id = " ID("f4"));
    leader_sql(&t, "update automation.dead_letters set tenant_id = '" LEADER_OTHER "' where job_id = " ID("f5"));
    cr_expect_eq(replay(&t, ID("f1"), "unknown_kind"), 1);
    cr_expect_eq(replay(&t, ID("f2"), "malformed"), 1);
    cr_expect_eq(replay(&t, ID("f3"), "forged"), 1);
    cr_expect_eq(replay(&t, ID("f4"), "run_gone"), 1);
    cr_expect_eq(replay(&t, ID("f5") "," ID("f9"), "unknown"), 2, "another tenant's is not there");
    cr_expect_eq(jobs(&t), 0);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation.dead_letters where replayed_as is not null"), 0);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.replay_dead(null, array[" ID(
                                    "f5") "]::uuid[], 'ana')"
                                          " where result = 'replayed' and tenant_id = '" LEADER_OTHER "'"),
                 1, "an operator need not name the tenant");
    cr_expect_eq(jobs(&t), 1);
    leader_close(&t); /* the letter that changed its tenant balances in neither */
}

Test(dead, a_replay_has_the_priority_and_the_deadline)
{
    struct leader t;
    if (!open_with_worker(&t))
        return;
    leader_job(&t, LEADER_TENANT, "f1");
    leader_sql(&t, "update automation_priv.ledger set priority = 7, deadline = automation.now() + interval '1 hour'");
    settle(&t, ID("f1"), DEAD);
    cr_expect_eq(
        leader_i64(&t,
                   "select count(*) from automation.dead_letters where priority = 7 and deadline > automation.now()"),
        1);
    cr_expect_eq(replay(&t, ID("f1"), "replayed"), 1);
    cr_expect_eq(
        leader_i64(
            &t, "select count(*) from automation_priv.ledger l join automation.dead_letters d on d.job_id = l.replay_of"
                " where l.priority = 7 and l.deadline = d.deadline"),
        1);
    close_accounted(&t);
}

Test(dead, what_is_past_its_deadline_is_not_replayed)
{
    struct leader t;
    if (!open_with_worker(&t))
        return;
    dead_job(&t, "f1");
    leader_sql(&t, "update automation.dead_letters set deadline = automation.now() - interval '1 second'");
    cr_expect_eq(replay(&t, ID("f1"), "expired"), 1);
    cr_expect_eq(jobs(&t), 0);
    close_accounted(&t);
}

Test(dead, a_call_is_bounded)
{
    struct leader t;
    struct err_info info = {0};
    struct db_session *s;
    if (!open_with_worker(&t))
        return;
    s = test_pg_session(&t.pg);
    cr_expect_eq(db_exec(s,
                         "select automation_priv.replay_dead(null, array_fill(" ID("f1") "::uuid, array[5001]), 'ana')",
                         NULL, &info),
                 ERR_DB_DATA);
    cr_expect_not_null(strstr(info.text, "at most 5000"), "%s", info.text);
    cr_expect_eq(db_exec(s, "select automation_priv.replay_dead(null, '{}', 'ana', '-1 s')", NULL, &info), ERR_DB_DATA);
    db_close(s);
    leader_close(&t);
}

Test(dead, replays_are_spread_evenly)
{
    struct leader t;
    if (!open_with_worker(&t))
        return;
    dead_job(&t, "f1");
    dead_job(&t, "f2");
    dead_job(&t, "f3");
    dead_job(&t, "f4");
    leader_sql(&t, "select automation_priv.replay_dead('" LEADER_TENANT "', array[" ID("f4") "," ID("f9") "," ID(
                       "f3") "," ID("f2") "," ID("f1") "]::uuid[], 'ana', '10 minutes')");
    static const char *const order[] = {ID("f4"), ID("f3"), ID("f2"), ID("f1")};
    for (int i = 0; i < 4; i++)
        cr_expect_eq(leader_i64(&t,
                                "select extract(epoch from due_at - automation.now())::int8 from automation_priv.ledger"
                                " where replay_of = %s",
                                order[i]),
                     150 * i);
    close_accounted(&t);
}

/* ---- runs -------------------------------------------------------------------------------------------------------------- */

#define NEXT "\"next\":[{\"job\":\"00000000-0000-0000-0000-0000000000f2\",\"step\":1,\"kind\":\"create_note\"}]"
#define STOPPED                                                                                                        \
    "{\"a\":\"final\",\"o\":\"dead\",\"reason\":\"permanent\",\"run_patch\":{\"failed\":1,\"state\":\"failed\","       \
    "\"reason\":\"step_failed\"}}"
#define WENT_ON "{\"a\":\"final\",\"o\":\"dead\",\"reason\":\"permanent\",\"run_patch\":{\"failed\":1}," NEXT "}"
#define STEP_DONE "{\"a\":\"final\",\"o\":\"done\",\"run_patch\":{\"failed\":0}," NEXT "}"
#define LAST_DONE "{\"a\":\"final\",\"o\":\"done\",\"run_patch\":{\"failed\":0,\"state\":\"succeeded\"}}"
#define REPLAY "select job_id from automation_priv.ledger where replay_of is not null"

/* A run of an active rule with its first step f1 due. */
static void start_run(struct leader *t)
{
    leader_rule(t, "c1", "\"trigger\":{\"type\":\"event\",\"event\":\"payment.received\"}," LEADER_TASK);
    leader_sql(t, "insert into automation.runs (tenant_id, run_id, rule_id, rule_revision, wedding_id, trigger_type,"
                  " trigger_ref, due_at, state, started_at) values ('" LEADER_TENANT "', " RUN ", " RULE
                  ", 1, '" LEADER_WEDDING "', 'event', " ID(
                      "a9") ", automation.now(), 'running', automation.now());"
                            "insert into automation_priv.ledger (job_id, tenant_id, run_id, wedding_id, due_at, "
                            "accepted_at, accepted_day,"
                            " timeout_ms, max_attempts, kind, queue, effect_key) values (" ID(
                                "f1") ", '" LEADER_TENANT "', " RUN ", '" LEADER_WEDDING
                                      "', automation.now(), automation.now(), '2026-05-02', 30000, 8, 'create_task', "
                                      "'default', " ID(
                                          "f1") ");"
                                                "insert into automation_priv.job_deltas values ('" LEADER_TENANT
                                                "', '2026-05-02', 'accepted', 1)");
}

static bool run_is(struct leader *t, const char *state, int failed)
{
    return leader_i64(t,
                      "select count(*) from automation.runs where state = '%s' and failed_steps = %d and"
                      " (finished_at is null) = (state = 'running')",
                      state, failed) == 1;
}

Test(dead, a_run_that_stopped_at_the_step_goes_on)
{
    struct leader t;
    if (!open_with_worker(&t))
        return;
    start_run(&t);
    settle(&t, ID("f1"), STOPPED);
    cr_assert(run_is(&t, "failed", 1));
    cr_expect_eq(replay(&t, ID("f1"), "replayed"), 1);
    cr_expect(run_is(&t, "running", 0));
    settle(&t, REPLAY, STOPPED);
    cr_expect(run_is(&t, "failed", 1), "dead again");
    cr_expect_eq(replay(&t, ID("f1"), "replayed"), 1);
    settle(&t, REPLAY, STEP_DONE);
    cr_expect(run_is(&t, "running", 0));
    settle(&t, ID("f2"), LAST_DONE);
    cr_expect(run_is(&t, "succeeded", 0));
    cr_expect_eq(jobs(&t), 0);
    close_accounted(&t);
}

Test(dead, a_run_that_poison_stopped_goes_on)
{
    struct leader t;
    if (!open_with_worker(&t))
        return;
    start_run(&t);
    leader_sql(&t, "select automation_priv.end_unrun(array[" ID("f1") "::uuid], 'dead', 'poison', 2::smallint)");
    cr_assert(run_is(&t, "failed", 1));
    cr_expect_eq(replay(&t, ID("f1"), "replayed"), 1);
    settle(&t, REPLAY, STEP_DONE);
    cr_expect(run_is(&t, "running", 0));
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.ledger where job_id = " ID("f2")), 1);
    close_accounted(&t);
}

Test(dead, beside_a_run_that_went_on_only_the_effect_is_repeated)
{
    static const char *const ends[] = {STEP_DONE, STOPPED, LAST_DONE};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        struct leader t;
        if (!open_with_worker(&t))
            return;
        start_run(&t);
        settle(&t, ID("f1"), WENT_ON);
        cr_assert(run_is(&t, "running", 1));
        cr_expect_eq(replay(&t, ID("f1"), "replayed"), 1);
        cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.ledger where aside"), 1);
        settle(&t, ID("f2"), LAST_DONE);
        cr_expect(run_is(&t, "failed", 1), "steps failed");
        settle(&t, REPLAY, ends[i]);
        cr_expect(run_is(&t, "failed", 1), "end %zu", i);
        cr_expect_eq(jobs(&t), 0, "end %zu plans nothing", i);
        cr_expect_eq(leader_i64(&t, "select count(*) from automation.dead_letters where ended_run"), 0);
        close_accounted(&t);
    }
}

Test(dead, beside_its_run_in_one_batch_it_plans_nothing_either)
{
    struct leader t;
    if (!open_with_worker(&t))
        return;
    start_run(&t);
    settle(&t, ID("f1"), WENT_ON);
    cr_expect_eq(replay(&t, ID("f1"), "replayed"), 1);
    cr_assert_eq(leader_i64(&t, "select count(*) from automation_priv.claim_jobs(" WORKER
                                ", array(select job_id from automation_priv.ledger), '{}', false)"),
                 2);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.settle_jobs(" WORKER
                                ", (select jsonb_agg(jsonb_build_object('j', job_id, 'c', 1) || case when aside then"
                                " '{\"a\":\"final\",\"o\":\"done\",\"run_patch\":{\"failed\":0},\"next\":[{\"job\":"
                                "\"00000000-0000-0000-0000-"
                                "0000000000f3\",\"step\":1,\"kind\":\"create_note\"}]}'::jsonb"
                                " else '{\"a\":\"retry\",\"in_ms\":1000,\"run_patch\":{\"failed\":0}}'::jsonb end)"
                                " from automation_priv.ledger)) where result = 'hit'"),
                 2);
    cr_expect_eq(jobs(&t), 1);
    close_accounted(&t);
}

Test(dead, poison_beside_a_run_leaves_the_run_alone)
{
    struct leader t;
    if (!open_with_worker(&t))
        return;
    start_run(&t);
    settle(&t, ID("f1"), WENT_ON);
    cr_expect_eq(replay(&t, ID("f1"), "replayed"), 1);
    leader_sql(&t, "select automation_priv.end_unrun(array(" REPLAY "), 'dead', 'poison', 2::smallint)");
    cr_expect(run_is(&t, "running", 1));
    cr_expect_eq(jobs(&t), 1);
    close_accounted(&t);
}

Test(dead, nothing_is_replayed_after_a_cancellation)
{
    struct leader t;
    if (!open_with_worker(&t))
        return;
    start_run(&t);
    settle(&t, ID("f1"), WENT_ON);
    leader_sql(&t, "update automation.weddings set status = 'cancelled'");
    cr_expect_eq(replay(&t, ID("f1"), "replayed"), 1);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.claim_jobs(" WORKER ", array(" REPLAY
                                "), '{}', false) where verdict = 'cancelled:wedding_cancelled'"),
                 1, "the fence holds for replays");
    close_accounted(&t);
}

/* ---- discard, audit trail ---------------------------------------------------------------------------------------------- */

Test(dead, what_is_discarded_stays_so)
{
    struct leader t;
    if (!open_with_worker(&t))
        return;
    dead_job(&t, "f1");
    dead_job(&t, "f2");
    dead_job(&t, "f3");
    cr_expect_eq(discard(&t, ID("f1") "," ID("f9"), "discarded"), 1);
    cr_expect_eq(discard(&t, ID("f1"), "discarded_before"), 1);
    cr_expect_eq(replay(&t, ID("f1"), "discarded_before"), 1);
    cr_expect_eq(replay(&t, ID("f2"), "replayed"), 1);
    cr_expect_eq(discard(&t, ID("f2"), "replayed_before"), 1, "its new job waits");
    settle(&t, REPLAY, DEAD);
    cr_expect_eq(discard(&t, ID("f2"), "discarded"), 1);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation.dead_letters where discarded_at is null"), 1,
                 "the replay's letter is closed with it");
    cr_expect_eq(replay(&t, "automation_priv.derive('replay', " ID("f2") ", '1')", "discarded_before"), 1);
    cr_expect_eq(jobs(&t), 0);
    close_accounted(&t);
}

Test(dead, each_call_is_on_the_audit_trail)
{
    struct leader t;
    if (!open_with_worker(&t))
        return;
    dead_job(&t, "f1");
    leader_sql(&t, "select automation_priv.replay_dead(null, array[" ID("f1") "," ID("f9") "]::uuid[], 'ana', '0',"
                                                                                           " '{\"kind\":\"noop\"}')");
    leader_sql(&t, "select automation_priv.discard_dead('" LEADER_TENANT "', array[" ID("f1") "]::uuid[], 'rui')");
    cr_expect_eq(
        leader_i64(&t, "select count(*) from automation_priv.audit_trail where who = 'ana' and what = 'replay_dead'"
                       " and tenant_id is null and asked = 2 and n = 1 and filter ->> 'kind' = 'noop'"),
        1);
    cr_expect_eq(
        leader_i64(&t, "select count(*) from automation_priv.audit_trail where who = 'rui' and what = 'discard_dead'"
                       " and tenant_id = '" LEADER_TENANT "' and asked = 1 and n = 0"),
        1);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.audit_trail"), 2);
    close_accounted(&t);
}
