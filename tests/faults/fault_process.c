/* Processes die, freeze, are too many or too few. */
#include <signal.h>

#include "tests/faults/cell.h"

#define LOAD 90

/* The lease passes by itself: workers are not believed dead before 20 s of silence. */
FAULT(worker_kill)
{
    cell_scheduler();
    for (int i = 0; i < 2; i++)
        cell_worker();
    cell_load(LOAD);
    cell_until_logged(cell_random(20, 60));
    system_kill(1);
    cell_interrupts(1);
    cell_mended();
    cell_recovers();
}

/* An entry whose execution aborts the process: adopted when it comes back, and dead after four deaths; the others are spared. */
FAULT(poison_entries)
{
    static const char *const poison[] = {"kind", "drill", "payload", "{\"abort\":true}", NULL};
    int deaths = 0;

    cell_scheduler();
    cell_load(20);
    cell_offer_entry("*", poison, false);
    cell_load(20);
    while (deaths < 8 && system_until_done_or_ended(cell_worker())) {
        deaths++;
        cell_interrupts(1);
        system_lease_passes();
        system_idle_passes();
    }
    cell_demand(system_dead("poison") == 1, "one dead letter");
    cell_demand(deaths >= 4 && deaths <= 5, "four or five deaths");
    cell_worker();
    cell_recovers();
}
