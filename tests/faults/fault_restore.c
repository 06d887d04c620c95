/* PostgreSQL is restored to an earlier time: nothing goes on before an operator has decided what happens to what may have been done. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/faults/cell.h"

#define LOAD 60

static bool run(const char *const *words)
{
    int status = 0;
    const pid_t pid = fork();

    if (pid == 0) {
        setenv("DATABASE_URL", sys.pg.url, 1);
        setenv("REDIS_URL", sys.redis.url, 1);
        execvp(words[0], (char **)(uintptr_t)words);
        _exit(127);
    }
    return waitpid(pid, &status, 0) == pid && status == 0;
}

static void copy_cluster(const char *from, const char *to)
{
    char source[128], target[128];

    snprintf(source, sizeof(source), "%s/%s", sys.postgres.dir, from);
    snprintf(target, sizeof(target), "%s/%s", sys.postgres.dir, to);
    const char *const clear[] = {"rm", "-rf", target, NULL};
    const char *const copy[] = {"cp", "-a", source, target, NULL};
    postgres_halt(&sys.postgres);
    cr_assert(run(clear) && run(copy));
    postgres_restart(&sys.postgres);
}

/* What was accepted after the copy is gone with the database; what was logged after it, too. */
static void restore(size_t ledger, size_t ledger_out, int64_t events)
{
    copy_cluster("backup", "pg");
    cell.in_doubt += (int64_t)(cell.ledger_out.n - ledger_out);
    cell.ledger.n = ledger;
    cell.ledger_out.n = ledger_out;
    cell.events = events;
    cell.may_lose_direct = (int64_t)cell.direct.n;
}

static size_t received(void)
{
    return sink_lines(&cell.web, "received.jsonl", "webhook_id");
}

static bool resume(const char *outward)
{
    char usher[512];

    snprintf(usher, sizeof(usher), "%s/usher", getenv("USHER_TEST_BIN"));
    const char *const words[] = {usher,       "restore", "resume", "--since", "1h",
                                 "--outward", outward,   "--by",   "a test",  NULL};
    return run(words);
}

static void until_stopped(size_t *before)
{
    cell_demand(!resume("rerun"), "resuming is refused before a leader has found the database behind");
    cell_scheduler();
    cell_worker();
    system_until_logged(2, "beacon.postgres_behind");
    *before = received();
    system_until("select redis_seq is not null from automation_priv.beacon");
    cell_demand(system_i64("select count(*) from automation_priv.ledger") > 0, "unfinished jobs are back");
}

/* Until everything of a first time is done; then back to the middle of it. */
static void back_in_time(size_t *before)
{
    size_t ledger, ledger_out;
    int64_t events;

    cell_scheduler();
    cell_load(LOAD);
    ledger = cell.ledger.n;
    ledger_out = cell.ledger_out.n;
    events = cell.events;
    cell_worker();
    cell_until_logged(cell_random(10, 30));
    copy_cluster("pg", "backup");
    cell_load(20);
    system_until_done();
    system_signal(0, SIGTERM); /* as the runbook says */
    system_signal(1, SIGTERM);
    (void)system_wait(0);
    (void)system_wait(1);
    restore(ledger, ledger_out, events);
    until_stopped(before);
}

static int64_t parked(void)
{
    return system_i64("select count(*) from automation_priv.ledger where parked_reason = 'unknown_outcome'");
}

FAULT_PG(postgres_restored_rerun)
{
    size_t before;

    back_in_time(&before);
    cell_interrupts(0);
    cell_demand(received() == before, "nothing is sent before the decision");
    cr_assert(resume("rerun"));
    cell_mended();
    cell_recovers();
}

FAULT_PG(postgres_restored_skip)
{
    size_t before;

    back_in_time(&before);
    cr_assert(resume("skip"));
    cell_mended();
    cell_recovers();
    cell_demand(received() == before + 1, "what may have been sent is not sent; what came after the decision is");
    cell_demand(system_i64("select count(*) from automation.execution_logs where reason = 'restored'") > 0, "skipped");
}

FAULT_PG(postgres_restored_ask)
{
    size_t before;

    back_in_time(&before);
    cell_interrupts(0);
    cr_assert(resume("ask"));
    cell_mended();
    system_until_logged(2, "beacon.accepted");
    system_until("select count(*) = 0 from automation_priv.ledger where due_at is not null");
    cell_demand(parked() > 0, "a person is asked");
    cell_demand(received() == before, "nothing is sent before the answer");
    system_sql("update automation_priv.ledger set due_at = automation.now(), parked_reason = null");
    cell_mended();
    cell_recovers();
}
