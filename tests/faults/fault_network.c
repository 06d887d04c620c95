/* What networks do, by a proxy between the programs and their servers. A worker and the scheduler go through it; another worker, whose
 * connections are sound, does not. */
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "tests/faults/cell.h"
#include "tests/support/proxy.h"

#define LOAD 90
#define URL_SIZE 512

static struct proxy proxy;

static void stop_proxy(void)
{
    proxy_stop(&proxy);
    cell_close();
}

#define NETWORK_FAULT(name)                                                                                            \
    static void name(void);                                                                                            \
    Test(faults, name, .fini = stop_proxy, .timeout = CELL_TIMEOUT_S)                                                  \
    {                                                                                                                  \
        cell_cycles(#name, CELL_SHARED_POSTGRES, name);                                                                \
    }                                                                                                                  \
    static void name(void)

static void redis_through_proxy(void)
{
    static char url[URL_SIZE];
    char to[PROXY_PATH_SIZE];

    snprintf(to, sizeof(to), "%s/redis.sock", sys.redis.dir);
    proxy_start(&proxy, "redis.sock", to, cell.random);
    snprintf(url, sizeof(url), "REDIS_URL=unix://%s", proxy.from);
    const char *const env[] = {url, "USHER_BATCH=20", "USHER_CONCURRENCY=8", NULL};
    system_scheduler(env);
    system_worker(env);
}

/* "postgresql:///name?host=<folder>&user=…" with the proxy's folder. */
static void through(char out[URL_SIZE], const char *url, const char *folder)
{
    const char *host = strstr(url, "host=") + 5;

    snprintf(out, URL_SIZE, "DATABASE_URL=%.*s%s%s", (int)(host - url), url, folder, host + strcspn(host, "&"));
}

static void postgres_through_proxy(void)
{
    static char worker[URL_SIZE], scheduler[URL_SIZE];
    char to[PROXY_PATH_SIZE];
    const char *host = strstr(sys.pg.url, "host=") + 5;

    snprintf(to, sizeof(to), "%.*s/.s.PGSQL.5432", (int)strcspn(host, "&"), host);
    proxy_start(&proxy, ".s.PGSQL.5432", to, cell.random);
    through(worker, sys.urls[0], proxy.dir);
    through(scheduler, sys.urls[1], proxy.dir);
    const char *const for_worker[] = {worker, "USHER_BATCH=20", "USHER_CONCURRENCY=8", NULL};
    const char *const for_scheduler[] = {scheduler, NULL};
    system_scheduler(for_scheduler);
    system_worker(for_worker);
}

static void split(void)
{
    proxy_set(&proxy, PROXY_SPLIT);
    cell_load(LOAD);
    cell_mended();
    cell_recovers();
}

NETWORK_FAULT(redis_replies_split)
{
    redis_through_proxy();
    split();
}

NETWORK_FAULT(postgres_replies_split)
{
    postgres_through_proxy();
    split();
}

static void cut(void)
{
    for (int i = 0; i < 5; i++) {
        cell_interrupts(2);
        proxy_set(&proxy, PROXY_CUT);
        cell_load(20);
        proxy_set(&proxy, PROXY_PASS);
        cell_goes_on(20, 10);
    }
    cell_recovers();
}

NETWORK_FAULT(redis_replies_cut)
{
    redis_through_proxy();
    cut();
}

NETWORK_FAULT(postgres_replies_cut)
{
    postgres_through_proxy();
    cut();
}

#define OF_THE_FIRST " owner = (select worker_id from automation_priv.workers order by started_at limit 1)"

static bool standby_leads(void *arg)
{
    (void)arg;
    return system_logged(2, "leader.took") > 0;
}

/* Nothing tells either side that the other is gone. Each has its own limits, and the sound ones wait for the longer ones:
 *   the leader's lock stands in the server until the standby has seen a beat older than 15 s twice, and ends that session: 20 s
 *   (what the leader itself still waits for takes longer, and is of a term that has ended);
 *   the worker has no answer to its beat for 15 s: it begins nothing more of what it holds;
 *   its jobs are free when its beat is older than 20 s: 30 s in all, with the sweep and the work itself.
 * It is cut off from PostgreSQL and not from the world: until then it may do what it has claimed, and can not settle it. */
NETWORK_FAULT(postgres_half_open)
{
    postgres_through_proxy();
    cell_load(LOAD);
    cell_until_logged(cell_random(20, 60));
    cell_scheduler();
    cell_worker();
    cell_interrupts(1);
    system_until("select count(*) = 2 from automation_priv.workers");
    proxy_hold(&proxy);
    cell.may_repeat += system_i64("select count(*) from automation_priv.ledger where kind = 'hook' and" OF_THE_FIRST);
    cell_mended();
    cell_load(20);
    system_until_holds(standby_leads, NULL, "the standby leads");
    cell_demand(clock_mono_ms() - cell.mended_ms <= CELL_TAKEOVER_S * 1000, "the takeover took too long");
    system_until("select count(*) = 1 from automation_priv.workers"); /* the first one's row is swept */
    cell_demand(system_logged(1, "worker.fenced") > 0, "the worker has stopped before others have its jobs");
    cell_recovers();
    cell_interrupts(0); /* bare entries that it has sent and can not log: others may adopt them before it can */
    proxy_set(&proxy, PROXY_PASS);
    system_until_logged(0, "leader.lost");
    cell_load(20);
}

/* The leader itself has lost Redis and still leads: admission waits for its network. */
NETWORK_FAULT(redis_half_open)
{
    redis_through_proxy();
    cell_load(LOAD);
    cell_until_logged(cell_random(20, 60));
    cell_worker();
    cell_interrupts(1);
    proxy_set(&proxy, PROXY_HOLD);
    cell_load(20);
    system_until_logged(0, "duty.failed");
    proxy_set(&proxy, PROXY_PASS);
    cell_mended();
    cell_load(20);
    cell_recovers();
}
