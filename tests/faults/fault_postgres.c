/* PostgreSQL dies, restarts, refuses, is locked, is full. */
#include <stdio.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "tests/faults/cell.h"

#define LOAD 90

static void start(void)
{
    cell_scheduler();
    cell_worker();
    cell_worker();
    cell_load(LOAD);
    cell_until_logged(cell_random(20, 60));
}

FAULT_PG(postgres_kill)
{
    start();
    for (int i = 0; i < 3; i++) {
        cell_interrupts(2);
        postgres_halt(&sys.postgres);
        cell_direct(10);
        postgres_restart(&sys.postgres);
        cell_goes_on(30, cell_random(5, 30));
    }
    cell_recovers();
}

/* Shut down under load and back at once, while nobody had time to notice. */
FAULT_PG(postgres_restart_at_once)
{
    start();
    for (int i = 0; i < 3; i++) {
        cell_interrupts(2);
        postgres_restart(&sys.postgres);
        cell_goes_on(30, cell_random(5, 30));
    }
    cell_recovers();
}

/* All sessions of the programs, of the workers, of the leader, again and again. */
FAULT(postgres_backends_killed)
{
    start();
    for (int i = 0; i < 10; i++) {
        cell_interrupts(2);
        system_sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
                   " and application_name like 'usher-%%' and hashtext(pid::text || %d) %% 2 = 0",
                   cell_random(0, 1000000));
        cell_goes_on(20, cell_random(5, 20));
    }
    cell_recovers();
}

/* Statements end, sessions stay: each is left in a transaction that has failed. */
FAULT(postgres_statements_cancelled)
{
    struct db_session *other;

    start();
    for (int i = 0; i < 10; i++) {
        cell_interrupts(2);
        other = system_hold("lock table automation.execution_logs in share row exclusive mode");
        cell_direct(5);
        cell_ledger(5);
        system_until("select bool_or(pg_cancel_backend(pid)) from pg_stat_activity where datname = current_database()"
                     " and application_name like 'usher-%%' and wait_event_type = 'Lock'");
        system_let_go(other, "commit");
        cell_goes_on(20, cell_random(5, 20));
    }
    cell_recovers();
}

/* ---- others' transactions ---- */

/* A session that enqueued, and then forgot its transaction: nobody waits for it, and what it commits at last is done. */
FAULT(postgres_idle_in_transaction)
{
    struct db_session *s;

    cell_scheduler();
    cell_worker();
    s = system_hold("select automation.enqueue_job('drill', p_tenant => '" SYSTEM_TENANT
                    "'), automation.publish_event('" SYSTEM_TENANT "', 'nobody.asks', null, '{}')");
    cell_load(LOAD);
    cell_mended();
    cell_recovers();
    cell_load(20);
    cell_recovers();
    system_let_go(s, "commit");
    system_until("select count(*) = 1 from automation.execution_logs where kind = 'drill' and outcome = 0");
}

#define OTHER "00000000-0000-0000-0000-0000000000a2"
#define HELD 6      /* runs that need the locked wedding */
#define LOCKED_S 10 /* what others may take while it is locked; the lock is tried for 300 ms at a time */

/* Another tenant with the same rule. */
static void second_tenant(void)
{
    system_sql("insert into automation.tenants (tenant_id, name) values ('" OTHER "', 'B');"
               "insert into automation.rules (tenant_id, rule_id, name, status, definition)"
               " select '" OTHER
               "', gen_random_uuid(), name, status, definition from automation.rules where name = 'r'");
}

/* Events of n new weddings of each tenant. */
static void events_of_both(int n)
{
    system_events(n);
    system_sql("insert into automation.weddings (tenant_id, wedding_id, title, status, ceremony_date, ceremony_time, "
               "time_zone)"
               " select '" OTHER "', gen_random_uuid(), 'O', 'booked', current_date + 365, '15:00', 'Europe/Lisbon'"
               " from generate_series(1, %d);"
               "select count(automation.publish_event('" OTHER "', 'form.submitted', w.wedding_id, '{}')) from"
               " (select wedding_id from automation.weddings where title = 'O' order by ctid desc limit %d) w",
               n, n);
    cell.events += 2 * n;
}

/* One wedding is locked, and several runs need it. All the time it is, every other wedding's runs and every other job end, of this tenant
 * and of another; what was held settles when the lock is let go, without another run. */
FAULT(postgres_lock_on_one_wedding)
{
    struct db_session *s;

    system_sql("update automation.rules set definition = jsonb_set(definition, '{actions}', definition -> 'actions' ||"
               " '[{\"type\":\"add_tag\",\"params\":{\"tag\":\"t\"}}]') || '{\"settings\":{\"mode\":\"parallel\"}}' "
               "where name = 'r'");
    second_tenant();
    events_of_both(10);
    system_sql("select count(automation.publish_event(tenant_id, 'form.submitted', wedding_id, '{}'))"
               " from automation.weddings, generate_series(2, %d) where title = 'W1'",
               HELD);
    cell.events += HELD - 1;
    s = system_hold("select from automation.weddings where title = 'W1' for update");
    cell_scheduler();
    cell_worker();
    system_until(
        "select count(*) > 0 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
        " and application_name like 'usher-worker%%'");
    const int64_t since_ms = clock_mono_ms();
    events_of_both(20);
    cell_ledger(LOAD);
    cell_direct(LOAD);
    for (int i = 0; i < LOAD; i++)
        cr_assert(cell_offer_of(OTHER));
    system_until("select count(*) = %lld from automation.runs where state = 'succeeded'", (long long)cell.events - HELD);
    system_until("select count(*) = %zu from automation.execution_logs where kind = 'hook'",
                 cell.ledger.n + cell.direct.n);
    cell_demand(clock_mono_ms() - since_ms <= LOCKED_S * 1000, "the others are held up");
    cell_demand(system_i64("select count(*) from automation.runs where state = 'running'") == HELD, "its runs wait");
    system_let_go(s, "commit");
    cell_mended();
    cell_recovers();
    cell_demand(system_i64("select count(*) from automation.execution_logs where run_id is not null") == 3 * cell.events,
                "every step ran once");
}

/* A host's session asks for keys, of a job that runs and of one that nobody has yet, and stays open. */
FAULT(postgres_keys_undecided)
{
    static const char *const keyed[] = {"kind", "hook", "payload", "{}", "key", "new", NULL};
    struct db_session *s;

    cell_scheduler();
    cell_worker();
    system_sql("select automation.enqueue_job('drill', '{\"take_ms\":500}', '" SYSTEM_TENANT
               "', p_unique_key => 'held',"
               " p_run_at => now() + interval '1 second')");
    s = system_hold("select automation.enqueue_job('drill', '{}', '" SYSTEM_TENANT "', p_unique_key => 'held'),"
                    " automation.enqueue_job('hook', p_unique_key => 'new')");
    cell_offer_entry("*", keyed, true);
    cell_load(LOAD);
    system_until("select count(*) >= %zu from automation.execution_logs where outcome = 0 and run_id is null",
                 cell.ledger.n + cell.direct.n);
    system_let_go(s, "rollback");
    cell_mended();
    cell_recovers();
}

/* ---- no room ---- */

static bool run(const char *const *words)
{
    int status = 0;
    const pid_t pid = fork();

    if (pid == 0) {
        execvp(words[0], (char **)(uintptr_t)words);
        _exit(127);
    }
    return waitpid(pid, &status, 0) == pid && status == 0;
}

/* The cluster moves to a small file system; false: not allowed here. */
static bool move_to_small_disk(char mount_point[128])
{
    char old[128], aside[128];

    snprintf(mount_point, 128, "%s/small", sys.postgres.dir);
    snprintf(old, sizeof(old), "%s/pg", sys.postgres.dir);
    snprintf(aside, sizeof(aside), "%s/old", sys.postgres.dir);
    const char *const make[] = {"mkdir", "-m", "755", mount_point, NULL};
    const char *const copy[] = {"cp", "-a", old, mount_point, NULL};
    if (!run(make) || mount("tmpfs", mount_point, "tmpfs", 0, "size=220m,mode=755") != 0)
        return false;
    postgres_halt(&sys.postgres);
    cr_assert(run(copy) && rename(old, aside) == 0);
    cr_assert_eq(symlink("small/pg", old), 0);
    postgres_restart(&sys.postgres);
    return true;
}

static void fill(const char *mount_point, char path[160])
{
    static char block[1 << 16];
    FILE *f;

    snprintf(path, 160, "%s/filler", mount_point);
    f = fopen(path, "w");
    cr_assert_not_null(f);
    while (fwrite(block, 1, sizeof(block), f) == sizeof(block) && fflush(f) == 0) {
    }
    (void)fclose(f);
}

/* Every job accepted takes room. */
static bool door_is_shut(void *arg)
{
    (void)arg;
    for (int i = 0; i < 500; i++) {
        if (!cell_offer_ledger())
            return true;
    }
    return false;
}

static bool programs_are_refused(void *arg)
{
    size_t n = 0;

    (void)arg;
    for (int i = 0; i < sys.n_processes; i++)
        n += system_logged(i, "53100") + system_logged(i, "worker.database");
    return n > 0;
}

/* Tables can not grow; when the log of transactions can not either the server stops itself. */
FAULT_PG(postgres_disk_full)
{
    char mount_point[128], filler[160];

    if (geteuid() != 0 || !move_to_small_disk(mount_point)) {
        cell_skip("mounting a small file system needs root");
        return;
    }
    start();
    cell_interrupts(2);
    fill(mount_point, filler);
    system_until_holds(door_is_shut, NULL, "the disk is full");
    system_until_holds(programs_are_refused, NULL, "a program is refused");
    cr_assert_eq(remove(filler), 0);
    postgres_restart(&sys.postgres);
    cell_mended();
    cell_load(20);
    cell_recovers();
    cell_judge();
    postgres_halt(&sys.postgres);
    cr_assert_eq(umount2(mount_point, MNT_DETACH), 0);
}
