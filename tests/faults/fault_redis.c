/* Redis dies, forgets, goes back in time, refuses. */
#include <stdio.h>
#include <stdlib.h>
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

static const char *faketime_library(void)
{
    static const char path[] = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

    return access(path, R_OK) == 0 ? path : NULL;
}

/* From the next start on. */
static void redis_clock(const char *offset)
{
    if (offset != NULL) {
        setenv("LD_PRELOAD", faketime_library(), 1);
        setenv("FAKETIME", offset, 1);
        setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1", 1);
    } else {
        unsetenv("LD_PRELOAD");
        unsetenv("FAKETIME");
    }
}

/* Ids that come again below those of before. */
FAULT(redis_flushall_with_clock_set_back)
{
    if (faketime_library() == NULL) {
        cell_skip("libfaketime is not installed");
        return;
    }
    start();
    cell_redis_loses();
    redis_server_kill(&sys.redis);
    redis_clock("-40");
    redis_server_restart(&sys.redis);
    redis_clock(NULL);
    cell_load(30);
    cell_recovers();
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

static void full(bool *refused)
{
    accept_meanwhile();
    *refused = !cell_offer_direct(false);
    system_until_logged(0, "admit.refused");
}

/* Reading and acknowledging go on; XADD waits. */
FAULT(redis_maxmemory)
{
    bool refused = false;

    start();
    config("CONFIG SET maxmemory 1");
    full(&refused);
    cell_demand(refused, "XADD is refused when memory is full");
    const int64_t reading = system_i64("select count(*) from automation_priv.workers");
    config("CONFIG SET maxmemory 0");
    cell_mended();
    cell_load(20);
    cell_recovers();
    cell_demand(reading == 2, "workers live on");
}

static bool snapshot_failed(void *arg)
{
    const struct str words[] = {STR("SET"), STR("probe"), STR("1")};
    const struct reply *reply = NULL;

    return rsession_command(arg, 3, words, &reply, NULL) == ERR_REDIS_FULL;
}

static void fail_snapshot(void)
{
    const struct str words[] = {STR("CONFIG"), STR("SET"), STR("save"), STR("3600 1")};
    struct rsession *s = redis_session(sys.redis.url);
    const struct reply *reply = NULL;

    cr_assert_eq(rsession_command(s, 4, words, &reply, NULL), ERR_OK);
    redis_run(s, "BGSAVE");
    system_until_holds(snapshot_failed, s, "Redis refuses to write");
    rsession_close(s);
}

/* A snapshot could not be written: every write is refused, XACK too. */
FAULT(redis_misconf)
{
    char blocked[128];
    bool refused = false;

    start();
    snprintf(blocked, sizeof(blocked), "%s/dump.rdb", sys.redis.dir);
    cr_assert_eq(mkdir(blocked, 0700), 0);
    fail_snapshot();
    full(&refused);
    cell_demand(refused, "XADD is refused when snapshots fail");
    cr_assert_eq(rmdir(blocked), 0);
    config("CONFIG SET stop-writes-on-bgsave-error no");
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
    cell_demand(!cell_offer_direct(false), "XADD is refused by a replica");
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
