/* worker_leave: what becomes of a worker's jobs when it shuts down, and of those whose claims crashed before. */
#include <criterion/criterion.h>
#include <signal.h>

#include "tests/support/redis.h"
#include "tests/support/system.h"

TestSuite(worker_leave, .fini = system_close, .timeout = 240);

Test(worker_leave, draining_finishes_what_runs_and_hands_the_rest_back_uncharged)
{
    const char *const env[] = {"USHER_CONCURRENCY=4", NULL};

    if (!system_open(false))
        return;
    int w = system_worker(env);
    system_scheduler(NULL);
    system_enqueue("drill", "{\"take_ms\":150}", 80);
    system_entries(200);
    system_until("select count(*) > 3 from automation.execution_logs where kind = 'drill'");
    system_signal(w, SIGTERM);
    cr_expect_eq(system_wait(w), 0);
    cr_expect_eq(system_i64("select count(*) from automation_priv.ledger where owner is not null"), 0, "all handed back");
    cr_expect_eq(
        system_i64("select count(*) from automation_priv.ledger where attempt <> 1 or crashes <> 0 or snoozes <> 0"), 0);
    cr_expect_gt(system_i64("select count(*) from automation_priv.ledger"), 0, "stopped under load");
    cr_expect_eq(system_i64("select count(*) from automation_priv.workers"), 0);
    struct rsession *redis = redis_session(sys.redis.url);
    cr_expect_eq(redis_run(redis, "XPENDING " SYSTEM_IN " workers")->items[0]->i, 0, "nor does an entry wait to be idle");
    rsession_close(redis);
    system_worker(NULL);
    system_until_done();
    cr_expect_eq(system_i64("select sum(crashes)::bigint from automation.dead_letters") + system_outcomes("failed"), 0);
    system_judge();
}

/* A deploy is no crash of the jobs that take longer than it waits for them. */
Test(worker_leave, what_a_drain_leaves_behind_is_taken_over_at_once_and_uncharged)
{
    const char *const env[] = {"USHER_DRAIN_TIMEOUT=100ms", NULL};

    if (!system_open(false))
        return;
    system_scheduler(NULL);
    (void)system_enqueue_one("drill", "{\"take_ms\":4000}");
    for (int deploy = 1; deploy <= 5; deploy++) {
        int w = system_worker(env);
        system_until("select count(*) from automation_priv.ledger where owner is not null and claim_no = %d", deploy);
        system_signal(w, SIGTERM);
        cr_expect_eq(system_wait(w), 0);
    }
    system_worker(NULL); /* and no lease has to pass */
    system_until_done();
    cr_expect_eq(system_outcomes("done"), 1);
    cr_expect_eq(system_outcomes("dead"), 0);
    system_judge();
}

Test(worker_leave, a_second_signal_ends_it_at_once)
{
    if (!system_open(false))
        return;
    int w = system_worker(NULL);
    system_scheduler(NULL);
    (void)system_enqueue_one("drill", "{\"take_ms\":20000}");
    system_until("select count(*) from automation_priv.ledger where owner is not null");
    system_signal(w, SIGTERM);
    system_until_logged(w, "worker.draining"); /* two signals that are pending at once are one */
    system_signal(w, SIGTERM);
    cr_expect_eq(system_wait(w), 1);
    cr_expect_eq(system_i64("select count(*) from automation.execution_logs"), 0);
    cr_expect_eq(system_i64("select count(*) from automation_priv.ledger where owner is not null"), 1, "for the sweep");
}

/* Of jobs whose claims crashed others none holds up what has nothing to do with it for longer than it takes itself. */
Test(worker_leave, suspects_and_other_jobs_take_turns)
{
    const char *const env[] = {"USHER_CONCURRENCY=4", NULL};

    if (!system_open(false))
        return;
    system_enqueue("drill", "{\"take_ms\":500}", 30);
    system_sql("update automation_priv.ledger set crashes = 2");
    system_scheduler(NULL);
    system_worker(env);
    system_until("select count(*) = 1 from automation_priv.ledger where owner is not null");
    system_enqueue("noop", "{}", 300);
    system_until("select count(*) = 300 from automation.execution_logs where kind = 'noop'");
    cr_expect_geq(system_i64("select count(*) from automation_priv.ledger"), 10, "most suspects are still to come");
    system_until_done();
    cr_expect_eq(system_outcomes("done"), 330);
    system_judge();
}
