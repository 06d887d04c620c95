/* Redis dies, forgets, goes back in time, refuses. */
#include <stdio.h>
#include <sys/stat.h>
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

/* Ledger jobs are accepted while Redis is away. */
static void accept_meanwhile(void)
{
    cell_ledger(cell_random(5, 15));
}

/* Started anew, empty, with other options. */
static void options(const char *const *options)
{
    sys.redis.options = options;
    redis_server_restart(&sys.redis);
}

static void config(const char *command)
{
    struct rsession *s = redis_session(sys.redis.url);

    redis_run(s, command);
    rsession_close(s);
}

/* ---- it forgets ---- */

FAULT(redis_flushall)
{
    start();
    for (int i = 1; i <= 3; i++) {
        cell_redis_loses();
        system_redis("FLUSHALL");
        cell_goes_on(20, 10);
    }
    cell_recovers();
}

FAULT(redis_kill_without_aof)
{
    start();
    cell_redis_loses();
    redis_server_kill(&sys.redis);
    accept_meanwhile();
    redis_server_restart(&sys.redis);
    cell_recovers();
    cell_load(20);
}

static const char *const aof_always[] = {"--appendonly", "yes", "--appendfsync", "always", NULL};

FAULT(redis_kill_with_aof)
{
    options(aof_always);
    start();
    redis_server_kill(&sys.redis);
    accept_meanwhile();
    redis_server_restart(&sys.redis);
    cell_load(20);
    cell_recovers();
}

FAULT(redis_restart)
{
    options(aof_always);
    start();
    for (int i = 0; i < 3; i++) {
        struct rsession *s = redis_session(sys.redis.url);
        (void)redis_try(s, "SHUTDOWN NOSAVE", NULL);
        rsession_close(s);
        redis_server_restart(&sys.redis);
        cell_goes_on(20, 10);
    }
    cell_recovers();
}

/* A snapshot of before: what was done since comes again, what was added since is gone. */
FAULT(redis_older_snapshot)
{
    start();
    config("SAVE");
    cell_goes_on(30, 60);
    cell_interrupts(2);
    cell_redis_loses();
    redis_server_kill(&sys.redis);
    accept_meanwhile();
    redis_server_restart(&sys.redis);
    cell_demand(system_redis("XLEN " SYSTEM_IN) > 0, "entries of before are back");
    cell_recovers();
    cell_load(20);
}

/* ---- its clock is behind ---- */

/* As a Redis does whose clock is 40 s ahead. */
static void entries_from_ahead(int n)
{
    static const char *const fields[] = {"kind", "hook", "payload", "{}", NULL};
    const int64_t ms = clock_wall_us() / 1000 + 40000;
    char id[48];

    for (int i = 0; i < n; i++) {
        snprintf(id, sizeof(id), "%lld-%d", (long long)ms, i);
        cr_assert(cell_offer_entry(id, fields, true), "XADD %s was refused", id);
    }
}

/* (libfaketime can not stand before redis-server, whose allocator asks for the time before it is ready.) After FLUSHALL the clock is right
 * again: ids come that lie below those of before, and are nobody's repetition. */
FAULT(redis_flushall_with_clock_set_back)
{
    cell_scheduler();
    cell_worker();
    cell_worker();
    entries_from_ahead(60);
    cell_ledger(30);
    cell_until_logged(cell_random(20, 60));
    cell_redis_loses();
    system_redis("FLUSHALL");
    cell_load(30);
    cell_recovers();
    cell_load(20);
}

/* ---- connections ---- */

FAULT(redis_client_kill)
{
    start();
    for (int i = 0; i < 5; i++) {
        config("CLIENT KILL TYPE normal");
        config("CLIENT KILL TYPE pubsub");
        cell_goes_on(20, cell_random(5, 20));
    }
    cell_recovers();
}

/* Nobody is answered for longer than commands may take; then all at once. */
FAULT(redis_client_pause)
{
    start();
    config("CLIENT PAUSE 8000 ALL");
    accept_meanwhile();
    cell_load(20); /* waits for the answers to XADD */
    cell_mended();
    cell_recovers();
}

FAULT(redis_frozen)
{
    start();
    redis_server_freeze(&sys.redis);
    accept_meanwhile();
    system_until_logged(0, "redis");
    redis_server_thaw(&sys.redis);
    cell_load(20);
    cell_recovers();
}

/* ---- it refuses to write ---- */

/* Reading and acknowledging go on; XADD waits. */
FAULT(redis_maxmemory)
{
    start();
    config("CONFIG SET maxmemory 1");
    system_until("select count(*) = %zu from automation.execution_logs where job_id = execution_id",
                 cell.direct.n); /* reading and XACK go on */
    accept_meanwhile();
    cell_demand(!cell_offer_direct(), "XADD is refused when memory is full");
    system_until_logged(0, "admit.refused");
    config("CONFIG SET maxmemory 0");
    cell_mended();
    cell_load(20);
    cell_recovers();
}

static bool snapshot_failed(void *arg)
{
    const struct str words[] = {STR("SET"), STR("probe"), STR("1")};
    const struct reply *reply = NULL;

    return rsession_command(arg, 3, words, &reply, NULL) == ERR_REDIS_FULL;
}

static void set_saving(struct rsession *s, const char *points)
{
    const struct str words[] = {STR("CONFIG"), STR("SET"), STR("save"), str_of(points)};
    const struct reply *reply = NULL;

    cr_assert_eq(rsession_command(s, 4, words, &reply, NULL), ERR_OK);
}

/* A snapshot could not be written: every write is refused, XACK too. */
FAULT(redis_misconf)
{
    struct rsession *s;
    char blocked[128];

    start();
    s = redis_session(sys.redis.url); /* Redis refuses even new sessions' PING */
    snprintf(blocked, sizeof(blocked), "%s/dump.rdb", sys.redis.dir);
    cr_assert_eq(mkdir(blocked, 0700), 0);
    set_saving(s, "3600 1");
    redis_run(s, "BGSAVE");
    system_until_holds(snapshot_failed, s, "Redis refuses to write");
    accept_meanwhile();
    cell_demand(!cell_offer_direct(), "XADD is refused when snapshots fail");
    system_until_logged(0, "error");
    cr_assert_eq(rmdir(blocked), 0);
    set_saving(s, "");
    redis_run(s, "CONFIG SET stop-writes-on-bgsave-error no");
    rsession_close(s);
    cell_mended();
    cell_load(20);
    cell_recovers();
}

/* A replica after a failover: connections are dropped to find the master. */
FAULT(redis_readonly)
{
    start();
    config("REPLICAOF 127.0.0.1 1");
    accept_meanwhile();
    cell_demand(!cell_offer_direct(), "XADD is refused by a replica");
    system_until_logged(0, "duty.failed");
    config("REPLICAOF NO ONE");
    cell_mended();
    cell_load(20);
    cell_recovers();
}

FAULT(redis_script_flush)
{
    start();
    for (int i = 0; i < 5; i++) {
        config("SCRIPT FLUSH");
        cell_goes_on(20, cell_random(5, 20));
    }
    cell_recovers();
    system_until_done();
    cell_demand(system_logged(0, "duty=trim") == 0, "trimming goes on");
}
