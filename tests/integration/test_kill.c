/* kill: the invariants under kills, losses and freezes. Each test gives work, breaks something in the middle of it, lets
 * others go on, and at the end the judge of tests/support/system.h looks at every accepted job. A few take 10 to 30 s:
 * workers look for idle entries every 10 s, a frozen transaction is ended after 5 to 10. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>

#include "common/io/die.h"
#include "tests/support/sink.h"
#include "tests/support/system.h"

TestSuite(kill, .fini = system_close, .timeout = 300);

#define STEPS                                                                                                          \
    "[{\"type\":\"create_task\",\"params\":{\"title\":\"t\"}},{\"type\":\"create_note\",\"params\":{\"text\":\"n\"}}]"
#define EVENTS 20

static const char *const small_batches[] = {"USHER_BATCH=10", "USHER_CONCURRENCY=8", NULL};

/* Every run has made its task and its note, once. */
static void judge_effects(void)
{
    cr_expect_eq(system_i64("select count(*) from automation.runs where state = 'succeeded'"), EVENTS);
    cr_expect_eq(system_i64("select count(*) from automation.tasks"), EVENTS);
    cr_expect_eq(system_i64("select count(*) from automation.notes"), EVENTS);
    cr_expect_eq(system_i64("select count(*) from automation.execution_logs where run_id is not null and outcome = 0"),
                 2 * EVENTS);
    cr_expect_eq(system_i64("select count(*) from automation.execution_logs where outcome <> 0"), 0);
}

/* ---- the worker, at each point of a job's life ---- */

static void worker_dies_at(const char *point, int nth)
{
    char die[64];

    if (!system_open(false))
        return;
    system_die_env(die, point, nth);
    const char *const env[] = {die, "USHER_BATCH=10", "USHER_CONCURRENCY=8", NULL};
    system_rule(STEPS);
    system_scheduler(NULL);
    system_enqueue("noop", "{}", 60);
    system_events(EVENTS);
    system_until("select count(*) = 60 + %d from automation_priv.ledger", EVENTS);
    cr_assert_eq(system_wait(system_worker(env)), DIE_STATUS);
    system_lease_passes();
    system_worker(small_batches);
    system_until_done();
    judge_effects();
    cr_expect_eq(system_outcomes("done"), 60 + 2 * EVENTS);
    system_judge();
}

Test(kill, worker_before_the_claims_commit)
{
    worker_dies_at("before_claim_commit", 3);
}

Test(kill, worker_after_the_claims_commit)
{
    worker_dies_at("after_claim_commit", 3);
}

Test(kill, worker_before_the_settling_commit)
{
    worker_dies_at("before_settle_commit", 3);
}

Test(kill, worker_after_the_settling_commit)
{
    worker_dies_at("after_settle_commit", 3);
}

static void worker_dies_with_entries(const char *point)
{
    char die[64];

    if (!system_open(false))
        return;
    system_die_env(die, point, 2);
    const char *const env[] = {die, "USHER_BATCH=20", NULL};
    system_scheduler(NULL);
    system_entries(150);
    cr_assert_eq(system_wait(system_worker(env)), DIE_STATUS);
    cr_expect_gt(system_redis("XLEN " SYSTEM_IN), 0);
    system_lease_passes();
    system_idle_passes();
    system_worker(NULL);
    system_until_done();
    cr_expect_eq(system_outcomes("done"), 150);
    system_judge();
}

Test(kill, worker_with_entries_before_their_logs_commit)
{
    worker_dies_with_entries("before_settle_commit");
}

Test(kill, worker_with_entries_before_their_xack)
{
    worker_dies_with_entries("before_ack");
}

/* ---- the scheduler ---- */

static void scheduler_dies_at(const char *point, int nth)
{
    char die[64];

    if (!system_open(false))
        return;
    system_die_env(die, point, nth);
    const char *const env[] = {die, "USHER_DISPATCH_BATCH=5", NULL};
    system_rule(STEPS);
    system_worker(small_batches);
    system_enqueue("noop", "{}", 60);
    system_events(EVENTS);
    cr_assert_eq(system_wait(system_scheduler(env)), DIE_STATUS);
    system_scheduler(NULL);
    system_until_done();
    judge_effects();
    cr_expect_eq(system_outcomes("done"), 60 + 2 * EVENTS);
    system_judge();
}

Test(kill, scheduler_before_xadd)
{
    scheduler_dies_at("before_xadd", 2);
}

Test(kill, scheduler_after_xadd)
{
    scheduler_dies_at("after_xadd", 1);
}

Test(kill, scheduler_before_the_plans_commit)
{
    scheduler_dies_at("before_plan_commit", 2);
}

Test(kill, scheduler_after_the_plans_commit)
{
    scheduler_dies_at("after_plan_commit", 2);
}

/* ---- SIGKILL, SIGSTOP ---- */

static struct sink web;

static void stop_web(void)
{
    sink_stop(&web);
    system_close();
}

static void make_hook(void)
{
    sink_start(&web, "webhook_sink.py", NULL);
    system_sql("insert into automation.kinds (kind, class, handler, url) values ('hook', 'free', 'http',"
               " 'http://127.0.0.1:%d/slow?ms=50')",
               web.port);
}

static int64_t received(void)
{
    return (int64_t)sink_lines(&web, "received.jsonl", "\"status\": 204");
}

Test(kill, entries_that_were_logged_are_not_run_again, .fini = stop_web, .timeout = 300)
{
    const char *const env[] = {"USHER_TEST_DIE=before_ack:2", "USHER_CONCURRENCY=4", "USHER_BATCH=8", NULL};
    const char *const fields[] = {"kind", "hook", "payload", "{}", NULL};

    if (!system_open(false))
        return;
    make_hook();
    system_scheduler(NULL);
    for (int i = 0; i < 40; i++)
        (void)system_entry("*", fields);
    cr_assert_eq(system_wait(system_worker(env)), DIE_STATUS);
    const int64_t logged = system_outcomes("done");
    cr_expect_gt(logged, 0);
    const int64_t unlogged = received() - logged;
    system_lease_passes();
    system_idle_passes();
    system_worker(NULL);
    system_until_done();
    cr_expect_leq(received(), 40 + unlogged, "%lld received", (long long)received());
    cr_expect_eq(system_outcomes("done"), 40);
    system_judge();
}

#define HOOKS 90

Test(kill, workers_under_load_repeat_no_more_than_was_in_progress, .fini = stop_web, .timeout = 300)
{
    const char *const env[] = {"USHER_CONCURRENCY=4", "USHER_BATCH=8", NULL};
    int64_t in_progress = 0;

    if (!system_open(false))
        return;
    make_hook();
    system_scheduler(NULL);
    system_enqueue("hook", "{}", HOOKS);
    for (int i = 1; i <= 3; i++) {
        int w = system_worker(env);
        system_until("select count(*) >= %d from automation.execution_logs", 10 * i);
        system_kill(w);
        in_progress += system_i64("select count(*) from automation_priv.ledger where owner is not null");
        system_lease_passes();
    }
    system_worker(env);
    system_until_done();
    cr_expect_geq(received(), HOOKS);
    cr_expect_leq(received(), HOOKS + in_progress, "%lld received, %lld in progress", (long long)received(),
                  (long long)in_progress);
    cr_expect_eq((int64_t)sink_lines(&web, "received.jsonl", "\"repeat\": false"), HOOKS, "repeats carry the same id");
    cr_expect_eq(system_outcomes("done"), HOOKS);
    system_judge();
}

Test(kill, only_the_poisonous_job_ends_as_poison)
{
    if (!system_open(false))
        return;
    system_scheduler(NULL);
    system_enqueue("noop", "{}", 8);
    system_enqueue("drill", "{\"take_ms\":30}", 4);
    (void)system_enqueue_one("drill", "{\"abort\":true}");
    system_enqueue("drill", "{\"take_ms\":30}", 4);
    system_enqueue("noop", "{}", 8);
    system_until("select count(*) = 25 from automation_priv.ledger");
    int deaths = 0;
    while (deaths < 8 && system_until_done_or_ended(system_worker(NULL))) {
        deaths++;
        system_lease_passes();
    }
    cr_expect_eq(deaths, 4, "%d deaths", deaths);
    cr_expect_eq(system_dead("poison"), 1);
    cr_expect_eq(system_i64("select count(*) from automation.dead_letters where payload = '{\"abort\": true}'"), 1);
    cr_expect_eq(system_outcomes("done"), 24);
    system_judge();
}

Test(kill, a_worker_frozen_past_its_lease_settles_nothing)
{
    if (!system_open(false))
        return;
    system_scheduler(NULL);
    system_enqueue("drill", "{\"take_ms\":4000}", 3);
    int frozen = system_worker(NULL);
    system_until("select count(*) = 3 from automation_priv.ledger where owner is not null");
    system_signal(frozen, SIGSTOP);
    system_lease_passes();
    system_until("select count(*) = 3 from automation_priv.ledger where owner is null");
    int heir = system_worker(NULL);
    /* The heir has claimed all three, and works at them or, on a slow machine, has ended. */
    system_until("select count(*) = 0 from automation_priv.ledger where claim_no < 2");
    system_signal(frozen, SIGCONT);
    system_until_logged(frozen, "worker.fenced");
    system_until_logged(frozen, "job.lost_lease");
    system_until_done();
    cr_expect_eq(system_logged(frozen, "job.lost_lease"), 3);
    cr_expect_eq(system_logged(heir, "job.lost_lease"), 0);
    system_enqueue("noop", "{}", 20);
    system_until_done();
    cr_expect_eq(system_outcomes("done"), 23);
    system_judge();
}

/* It claims them again under its new id while the old executions go on: those settle nothing, and are not logged as done. */
Test(kill, a_worker_frozen_alone_logs_nothing_twice)
{
    if (!system_open(false))
        return;
    system_scheduler(NULL);
    system_enqueue("drill", "{\"take_ms\":9000}", 3);
    int w = system_worker(NULL);
    system_until("select count(*) = 3 from automation_priv.ledger where owner is not null");
    system_signal(w, SIGSTOP);
    system_lease_passes();
    system_until("select count(*) = 3 from automation_priv.ledger where owner is null");
    system_signal(w, SIGCONT);
    system_until("select count(*) = 3 from automation_priv.ledger where owner is not null and claim_no = 2");
    system_until_logged(w, "job.lost_lease");
    system_until_done();
    cr_expect_eq(system_logged(w, "job.lost_lease"), 3);
    cr_expect_eq(system_outcomes("done"), 3);
    system_judge();
}

/* Its connection lives, so the database holds its rows' locks until the transaction has been idle for too long. */
Test(kill, a_worker_frozen_in_its_settling_transaction_holds_nobody_up)
{
    struct db_session *lock;
    struct err_info info = {0};

    if (!system_open(false))
        return;
    system_rule("[{\"type\":\"create_task\",\"params\":{\"title\":\"t\"}}]");
    system_scheduler(NULL);
    lock = test_pg_session(&sys.pg);
    cr_assert_eq(db_exec(lock, "begin; lock table automation.execution_logs in share mode", NULL, &info), ERR_OK);
    int frozen = system_worker(NULL);
    system_events(1);
    system_until("select count(*) from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a using (pid) where not "
                 "l.granted and a.usename like 'usher_worker%%'"); /* the leader's ANALYZE waits as well */
    system_signal(frozen, SIGSTOP);
    cr_assert_eq(db_exec(lock, "commit", NULL, &info), ERR_OK);
    db_close(lock);
    system_lease_passes();
    system_worker(NULL);
    system_until_done();
    system_signal(frozen, SIGCONT);
    system_until_logged(frozen, "job.lost_lease");
    cr_expect_eq(system_i64("select count(*) from automation.tasks"), 1);
    cr_expect_eq(system_outcomes("done"), 1);
    system_judge();
}

Test(kill, two_workers_share_the_work)
{
    if (!system_open(false))
        return;
    system_rule(STEPS);
    system_scheduler(NULL);
    system_worker(small_batches);
    system_worker(small_batches);
    system_until("select count(*) = 2 from automation_priv.workers");
    system_enqueue("drill", "{\"take_ms\":5}", 200);
    system_events(EVENTS);
    system_entries(200);
    system_until_done();
    judge_effects();
    cr_expect_eq(system_i64("select count(distinct worker_id) from automation.execution_logs"), 2);
    cr_expect_eq(system_outcomes("done"), 400 + 2 * EVENTS);
    system_judge();
}

/* ---- Redis and PostgreSQL ---- */

#define LOAD 300
#define DRILL "{\"take_ms\":15}"

static void start_load(void)
{
    system_rule(STEPS);
    system_scheduler(NULL);
    system_worker(small_batches);
    system_enqueue("drill", DRILL, LOAD);
    system_events(EVENTS);
}

static void finish_load(void)
{
    system_until_done();
    judge_effects();
    cr_expect_eq(system_outcomes("done"), LOAD + 2 * EVENTS);
    system_judge();
}

static void until_logged_rows(int n)
{
    system_until("select count(*) >= %d from automation.execution_logs", n);
}

Test(kill, flushall_under_load_loses_no_ledger_job)
{
    if (!system_open(false))
        return;
    start_load();
    for (int i = 1; i <= 3; i++) {
        until_logged_rows(50 * i);
        system_redis("FLUSHALL");
    }
    finish_load();
}

Test(kill, a_group_destroyed_under_a_running_worker_is_made_again)
{
    if (!system_open(false))
        return;
    start_load();
    until_logged_rows(50);
    system_redis("XGROUP DESTROY " SYSTEM_Q " workers");
    system_redis("XGROUP DESTROY " SYSTEM_IN " workers");
    until_logged_rows(60);
    system_entries(20);
    system_until_done();
    cr_expect_eq(system_outcomes("done"), LOAD + 2 * EVENTS + 20);
    system_judge();
}

Test(kill, redis_killed_and_restarted_empty)
{
    if (!system_open(false))
        return;
    start_load();
    until_logged_rows(50);
    redis_server_kill(&sys.redis);
    until_logged_rows(60); /* what was claimed goes on without Redis */
    redis_server_restart(&sys.redis);
    finish_load();
}

Test(kill, redis_frozen_for_a_while)
{
    if (!system_open(false))
        return;
    start_load();
    until_logged_rows(50);
    redis_server_freeze(&sys.redis);
    until_logged_rows(55);
    redis_server_thaw(&sys.redis);
    finish_load();
}

Test(kill, postgresql_restarted_under_load)
{
    if (!system_open(true))
        return;
    start_load();
    system_entries(100);
    for (int i = 1; i <= 2; i++) {
        until_logged_rows(60 * i);
        postgres_restart(&sys.postgres);
    }
    system_until_done();
    judge_effects();
    cr_expect_eq(system_outcomes("done"), LOAD + 2 * EVENTS + 100);
    system_judge();
}
