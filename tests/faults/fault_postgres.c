/* PostgreSQL dies, restarts, refuses, goes back in time. */
#include "tests/faults/cell.h"

#define LOAD 90

FAULT_PG(postgres_kill)
{
    cell_scheduler();
    cell_worker();
    cell_worker();
    cell_load(LOAD);
    for (int i = 0; i < 3; i++) {
        cell_until_logged(cell_logged() + cell_random(10, 40));
        cell_interrupts(2);
        postgres_halt(&sys.postgres);
        cell_direct(10);
        postgres_restart(&sys.postgres);
        cell_ledger(10);
    }
    cell_recovers();
}
