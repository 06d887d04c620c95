/* Streams and groups are damaged. */
#include "tests/faults/cell.h"

#define LOAD 90

FAULT(streams_groups_destroyed)
{
    cell_scheduler();
    cell_worker();
    cell_worker();
    cell_load(LOAD);
    cell_until_logged(cell_random(20, 60));
    for (int i = 0; i < 3; i++) {
        cell_interrupts(0); /* delivered entries come again to whoever makes the group */
        system_redis("XGROUP DESTROY " SYSTEM_Q " workers");
        system_redis("XGROUP DESTROY " SYSTEM_IN " workers");
        cell_load(20);
        cell_until_logged(cell_logged() + 20);
    }
    cell_recovers();
}
