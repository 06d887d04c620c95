/* Redis dies, forgets, goes back in time. */
#include <stdio.h>

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

FAULT(redis_flushall)
{
    start();
    for (int i = 1; i <= 3; i++) {
        cell_redis_loses();
        system_redis("FLUSHALL");
        cell_load(20);
        cell_until_logged(cell_logged() + 10);
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
}
