/* The leader dies, freezes, is two. */
#include <signal.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/io/die.h"
#include "tests/faults/cell.h"

#define LOAD 90
#define KILL_TAKEOVER_S 5 /* a standby tries once a second */

static bool leads(void *arg)
{
    const int *process = arg;

    return system_logged(*process, "leader.took") > 0;
}

/* The first leads; the second stands by. */
static void start_two(const char *const *first_env)
{
    int first = system_scheduler(first_env);

    system_until_holds(leads, &first, "the first scheduler leads");
    cell_scheduler();
}

/* The first has just stopped or died: from now on. What is accepted meanwhile waits for the standby. */
static void taken_over(int limit_s)
{
    int standby = 1;

    cell_mended();
    cell_load(20);
    system_until_holds(leads, &standby, "the standby leads");
    cell_demand(clock_mono_ms() - cell.mended_ms <= limit_s * 1000, "the takeover took too long");
    cell_recovers();
}

/* Its session ends with it, and with that its lock. */
static void leader_dies(void)
{
    start_two(NULL);
    cell_worker();
    cell_load(LOAD);
    system_kill(0);
    taken_over(KILL_TAKEOVER_S);
}

static void goes_on(void)
{
    system_signal(0, SIGCONT);
    system_until_logged(0, "leader.lost");
    cell_load(20);
}

static void leader_hangs(void)
{
    start_two(NULL);
    cell_worker();
    cell_load(LOAD);
    system_signal(0, SIGSTOP);
    taken_over(CELL_TAKEOVER_S);
    goes_on();
}

/* Over unix sockets, where no packet tells the server that the other side hangs; and over TCP, where its kernel goes on to acknowledge
 * what the server sends. */
FAULT(leader_kill)
{
    leader_dies();
}

FAULT(leader_stop)
{
    leader_hangs();
}

FAULT_TCP(leader_kill_over_tcp)
{
    leader_dies();
}

FAULT_TCP(leader_stop_over_tcp)
{
    leader_hangs();
}

/* What it adds when it goes on are second entries. */
static void stops_at(const char *stop)
{
    const char *const env[] = {stop, NULL};

    start_two(env);
    cell_worker();
    cell_load(LOAD);
    system_until_stopped(0);
    taken_over(CELL_TAKEOVER_S);
    goes_on();
}

FAULT(leader_stop_between_commit_and_xadd)
{
    stops_at("USHER_TEST_STOP=before_xadd:2");
}

FAULT(leader_stop_after_xadd)
{
    stops_at("USHER_TEST_STOP=after_xadd:2");
}

FAULT(leader_stop_before_plan_commit)
{
    stops_at("USHER_TEST_STOP=before_plan_commit");
}

static bool has_lost(void *times)
{
    return system_logged(0, "leader.lost") + system_logged(1, "leader.lost") >= *(size_t *)times;
}

/* Its lock is lost, its duties still run: for a second or so there are two. */
FAULT(two_leaders)
{
    start_two(NULL);
    cell_worker();
    cell_worker();
    for (size_t i = 1; i <= 5; i++) {
        system_sql("select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
                   " and application_name = 'usher-scheduler leader'"
                   " and pid in (select pid from pg_locks where locktype = 'advisory' and granted)");
        cell_goes_on(30, cell_random(5, 30));
        system_until_holds(has_lost, &i, "the leader notices");
        system_until(
            "select count(*) = 1 from pg_locks k join pg_stat_activity a using (pid) where k.locktype = 'advisory'"
            " and k.granted and a.datname = current_database()");
    }
    cell_mended();
    cell_recovers();
}

/* ---- in the middle of duties over streams ---- */

static void dies_relieving(const char *die)
{
    const char *const env[] = {die, "USHER_DIRECT_MAX=1000", NULL};

    cell_direct(1500);
    cr_assert_eq(system_wait(system_scheduler(env)), DIE_STATUS);
    cell_scheduler();
    cell_ledger(20);
    cell_mended();
    cell_worker();
    cell_recovers();
}

FAULT(leader_kill_relieving_before_commit)
{
    dies_relieving("USHER_TEST_DIE=before_relieve_commit:2");
}

FAULT(leader_kill_relieving_before_ack)
{
    dies_relieving("USHER_TEST_DIE=before_relieve_ack:2");
}

FAULT(leader_kill_feeding)
{
    static const char *const refused[] = {"kind", "drill", "payload", "{\"dead\":true}", NULL};
    const char *const env[] = {"USHER_TEST_DIE=before_feed_mark", NULL};
    int w = cell_worker(), first = system_scheduler(env);

    (void)w;
    for (int i = 0; i < 5; i++)
        cell_offer_entry("*", refused, false);
    cell.may_die = 5;
    cr_assert_eq(system_wait(first), DIE_STATUS);
    cell_demand(system_i64("select count(*) from automation.dead_letters where not fed") > 0, "a letter is not marked");
    cell_scheduler();
    cell_mended();
    cell_recovers();
    system_until("select count(*) = 5 from automation.dead_letters where fed");
    cell_demand(system_redis("XLEN usher:{0}:dlq") >= 5, "every dead letter is in the feed");
}
