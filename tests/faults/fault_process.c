/* Processes die, freeze, are too many or too few. Leases pass by themselves: a silent worker is believed dead after 20 s. */
#include <signal.h>

#include "common/io/die.h"
#include "tests/faults/cell.h"

#define LOAD 150

/* Workers begin when all work is there, so that the fault finds them busy. */
static void start(int workers)
{
    cell_scheduler();
    cell_load(LOAD);
    for (int i = 0; i < workers; i++)
        cell_worker();
    cell_until_logged(cell_random(20, 60));
    system_until("select count(*) >= 5 from automation_priv.ledger where owner is not null");
}

static void one_is_killed(void)
{
    start(2);
    system_kill(1);
    cell_interrupts(1);
    cell_mended();
    cell_recovers();
}

FAULT(worker_kill)
{
    one_is_killed();
}

FAULT_TCP(worker_kill_over_tcp)
{
    one_is_killed();
}

FAULT(workers_all_killed)
{
    start(2);
    system_kill(1);
    system_kill(2);
    cell_interrupts(2);
    cell_load(20);
    cell_worker();
    cell_mended();
    cell_recovers();
}

/* Frozen past its lease, then alive again: others have its jobs by then, and what it does comes to nothing. */
FAULT(worker_stop)
{
    start(2);
    system_signal(1, SIGSTOP);
    cell_interrupts(1);
    cell_mended();
    cell_recovers();
    system_signal(1, SIGCONT);
    system_until_logged(1, "worker.fenced");
    cell_load(20);
}

#define HELD 4

static bool sink_has(void *n)
{
    return sink_lines(&cell.web, "received.jsonl", "webhook_id") >= *(size_t *)n;
}

/* Requests of the first worker are on their way when it freezes. The answers come, and find nobody. */
static void freezes_with_requests(void)
{
    size_t asked;

    system_sql("insert into automation.kinds (kind, class, handler, url)"
               " values ('held', 'free', 'http', 'http://127.0.0.1:%d/slow?ms=3000')",
               cell.web.port);
    cell_scheduler();
    cell_worker();
    cell_load(20);
    asked = cell.ledger.n + cell.direct.n + HELD;
    system_until_done();
    for (int i = 0; i < HELD; i++)
        cr_assert(cell_offer_job("held", "{}", true));
    system_until_holds(sink_has, &asked, "requests are on their way");
    system_signal(1, SIGSTOP);
    cell_interrupts(1);
    cell_mended();
    cell_demand(system_i64("select count(*) from automation_priv.ledger where kind = 'held' and claim_no = 1") == HELD,
                "executions in its hands");
}

/* The other worker has these jobs, and its requests are not answered, when the first one goes on: with an answer to each. */
static void goes_on_while_another_has_them(void)
{
    cell_worker();
    cell_load(LOAD);
    system_until(
        "select count(*) = 1 from automation_priv.workers where beat_at < clock_timestamp() - interval '10 s'");
    system_until("select count(*) = 0 from automation_priv.ledger where kind <> 'held'");
    cr_assert_eq(kill(cell.web.pid, SIGSTOP), 0);
    system_until("select count(*) = %d from automation_priv.ledger join automation_priv.workers on worker_id = owner"
                 " where kind = 'held' and claim_no = 2",
                 HELD);
    system_signal(1, SIGCONT);
    system_until("select count(*) = %d from automation.execution_logs where kind = 'held'", HELD);
}

static void results_after_the_lease(void)
{
    freezes_with_requests();
    goes_on_while_another_has_them();
    cell_demand(system_outcomes("lost_lease") == HELD, "what it did is logged as lost");
    cell_demand(system_i64("select count(*) from automation_priv.ledger where kind = 'held' and claim_no = 2") == HELD,
                "nothing of the other worker's is settled");
    cr_assert_eq(kill(cell.web.pid, SIGCONT), 0);
    cell_recovers();
    cell_demand(system_logged(1, "worker.fenced") > 0, "it knows that it was too late");
    cell_load(20);
}

FAULT(worker_stop_with_results)
{
    results_after_the_lease();
}

FAULT_TCP(worker_stop_with_results_over_tcp)
{
    results_after_the_lease();
}

static void worker_dies_at(const char *point, int nth)
{
    char die[64];
    const char *const env[] = {die, "USHER_BATCH=20", "USHER_CONCURRENCY=8", NULL};

    system_die_env(die, point, nth);
    cell_scheduler();
    cell_load(LOAD);
    cr_assert_eq(system_wait(system_worker(env)), DIE_STATUS);
    cell_interrupts(1);
    cell_mended();
    cell_worker();
    cell_recovers();
}

FAULT(worker_kill_before_claim_commit)
{
    worker_dies_at("before_claim_commit", cell_random(1, 4));
}

FAULT(worker_kill_after_claim_commit)
{
    worker_dies_at("after_claim_commit", cell_random(1, 4));
}

FAULT(worker_kill_before_settle_commit)
{
    worker_dies_at("before_settle_commit", cell_random(1, 6));
}

FAULT(worker_kill_after_settle_commit)
{
    worker_dies_at("after_settle_commit", cell_random(1, 6));
}

FAULT(worker_kill_before_ack)
{
    worker_dies_at("before_ack", cell_random(1, 4));
}

/* The outcome of a request is not known, the kind's policy is to ask a person: parked, and the worker dies at once. Nothing is sent again
 * until somebody says so. */
FAULT(worker_kill_between_park_and_ack)
{
    const char *const env[] = {"USHER_TEST_DIE=after_settle_commit", NULL};

    system_sql(
        "update automation.kinds set on_unknown = 'ask', url = replace(url, '/slow', '/drop') where kind = 'hook'");
    cell_scheduler();
    cr_assert(cell_offer_ledger());
    cr_assert_eq(system_wait(system_worker(env)), DIE_STATUS);
    cell_demand(system_i64("select count(*) from automation_priv.ledger where parked_reason = 'unknown_outcome'") == 1,
                "the job is parked");
    cell_mended();
    cell_worker();
    system_until("select count(*) = 2 from automation_priv.workers");
    system_until("select count(*) = 1 from automation_priv.workers"); /* the dead one is swept */
    cell_demand(sink_lines(&cell.web, "received.jsonl", "webhook_id") == 1, "one request while it is parked");
    system_signal(2, SIGTERM); /* it has read the kind as it was */
    cr_assert_eq(system_wait(2), 0);
    system_sql("update automation.kinds set url = replace(url, '/drop', '/ok') where kind = 'hook';"
               "update automation_priv.ledger set due_at = automation.now(), parked_reason = null");
    cell.may_repeat = 1; /* the person's word */
    cell_worker();
    cell_recovers();
}

/* Killed while acting, of a kind that asks: the sweep parks the job, nobody acts again before the answer. */
FAULT(worker_kill_while_acting_asks)
{
    const char *const env[] = {"USHER_TEST_DIE=before_settle_commit", NULL};

    system_sql("update automation.kinds set on_unknown = 'ask' where kind = 'hook'");
    cell_scheduler();
    cr_assert(cell_offer_ledger());
    cr_assert_eq(system_wait(system_worker(env)), DIE_STATUS);
    system_lease_passes();
    cell_mended();
    cell_worker();
    system_until("select count(*) = 1 from automation_priv.ledger where parked_reason = 'unknown_outcome'");
    cell_demand(sink_lines(&cell.web, "received.jsonl", "webhook_id") == 1, "one request while it is parked");
    system_sql("update automation_priv.ledger set due_at = automation.now(), parked_reason = null");
    cell.may_repeat = 1; /* the person's word */
    cell_recovers();
}

#define POISON "{\"abort\":true}" /* aborts the process that executes it */

/* One worker after the other, until one has nothing more to do; how many died. What a dead one had read of in: the next one takes
 * over two beats after its own start: the cell waits for that once, real workers wait for the 30 s that an entry must be idle. */
static int deaths_until_done(void)
{
    int deaths = 0;

    while (deaths < 20 && system_until_done_or_ended(cell_worker())) {
        deaths++;
        cell_interrupts(1);
        system_lease_passes();
        system_idle_passes();
    }
    return deaths;
}

/* `n` poisonous ones are dead, with a log row and their reason, each charged with one crash beyond the limit and no more; nobody else. */
static void demand_dead_of_poison(int n)
{
    cell.may_die = n;
    cell_demand(system_i64("select count(*) from automation.dead_letters where reason = 'poison' and "
                           "position('abort'::bytea in payload) > 0"
                           " and crashes = 1 + automation_priv.crash_limit()") == n,
                "the guilty are dead letters");
    cell_demand(system_i64("select count(*) from automation.dead_letters") == n, "the innocent are spared");
    cell_demand(system_i64("select count(*) from automation.execution_logs where outcome = 2 and reason = 'poison'") == n,
                "each is logged once with its reason");
}

/* Adopted when it comes back, dead after four more deaths; with a first one that was charged to nobody. */
FAULT(poison_entries)
{
    static const char *const poison[] = {"kind", "drill", "payload", POISON, NULL};

    cell_scheduler();
    cell_load(20);
    cell_offer_entry("*", poison, false);
    cell_load(20);
    const int deaths = deaths_until_done();
    cell_demand(deaths >= 4 && deaths <= 5, "four or five deaths");
    demand_dead_of_poison(1);
    cell_recovers();
}

/* Through the SQL door, two in one batch with others. Both are charged with the deaths of the batch; from the second one on suspects
 * run alone, and the second poison has two deaths of its own. */
FAULT(poison_jobs)
{
    cell_scheduler();
    cell_load(20);
    cr_assert(cell_offer_job("drill", POISON, false));
    cr_assert(cell_offer_job("drill", POISON, false));
    cell_load(20);
    const int deaths = deaths_until_done();
    cell_demand(deaths >= 4 && deaths <= 8, "four to eight deaths");
    demand_dead_of_poison(2);
    cell_recovers();
}

/* ---- scale ---- */

FAULT(workers_1_20_1)
{
    enum { MORE = 19 };
    int more[MORE];

    start(1);
    for (int i = 0; i < MORE; i++)
        more[i] = cell_worker();
    system_until("select count(*) = %d from automation_priv.workers", MORE + 1);
    cell_load(LOAD);
    for (int i = 0; i < MORE; i++)
        system_signal(more[i], SIGTERM);
    for (int i = 0; i < MORE; i++)
        cell_demand(system_wait(more[i]) == 0, "a worker ends with status 0");
    cell_load(20);
    cell_mended();
    cell_recovers();
    cell_demand(system_i64("select count(*) from automation_priv.workers") == 1, "one worker is left");
}

/* Nobody there, with entries pending of one that died: whoever comes takes them over. */
FAULT(no_workers_with_entries_pending)
{
    start(1);
    system_kill(1);
    cell_interrupts(1);
    cell_demand(system_redis("XLEN " SYSTEM_IN) > 0, "entries are left");
    cell_load(20);
    system_until("select count(*) = 0 from automation_priv.workers"); /* swept */
    cell_worker();
    cell_mended();
    cell_recovers();
}

FAULT(sigterm_under_saturation)
{
    const char *const env[] = {"USHER_BATCH=500", "USHER_CONCURRENCY=50", NULL};
    int w;

    cell_scheduler();
    w = system_worker(env);
    cell_load(LOAD);
    for (int i = 0; i < 3; i++) {
        cell_goes_on(LOAD, cell_random(20, 100));
        system_signal(w, SIGTERM);
        cell_demand(system_wait(w) == 0, "a drained worker ends with status 0");
        cell_demand(system_i64("select count(*) from automation_priv.ledger where owner is not null") == 0,
                    "a drained worker owns nothing");
        w = system_worker(env);
    }
    cell_mended();
    cell_recovers();
    cell_demand(system_i64("select count(*) from automation.execution_logs where outcome = 1") == 0,
                "nothing has failed");
}
