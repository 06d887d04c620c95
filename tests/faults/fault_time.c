/* Clocks differ, jump, and pass the end of a month. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/str.h"
#include "tests/faults/cell.h"

#define LOAD 90

static char library[96];

static bool can_fake(void)
{
    glob_t found;

    if (glob("/usr/lib/*/faketime/libfaketime.so.1", 0, NULL, &found) == 0)
        (void)str_copy(library, sizeof(library), found.gl_pathv[0]);
    else
        cell_skip("libfaketime is not installed");
    globfree(&found);
    return library[0] != '\0';
}

/* Variables of a program whose clock is off. */
struct off {
    char preload[128], time[64];
    const char *env[6];
};

static const char *const *off_by(struct off *o, const char *offset)
{
    snprintf(o->preload, sizeof(o->preload), "LD_PRELOAD=%s", library);
    snprintf(o->time, sizeof(o->time), "FAKETIME=%s", offset);
    const char *const env[] = {
        o->preload, o->time, "FAKETIME_DONT_FAKE_MONOTONIC=1", "USHER_BATCH=20", "USHER_CONCURRENCY=8", NULL};
    for (size_t i = 0; i < sizeof(env) / sizeof(env[0]); i++)
        o->env[i] = env[i];
    return o->env;
}

/* Workers' clocks say what they like: leases are PostgreSQL's. An entry that looks old or far ahead is adopted. */
FAULT(clocks_of_workers_differ)
{
    struct off ahead, behind;

    if (!can_fake())
        return;
    cell_scheduler();
    system_worker(off_by(&ahead, "+3600"));
    system_worker(off_by(&behind, "-3600"));
    cell_load(LOAD);
    cell_until_logged(cell_random(20, 60));
    system_kill(1);
    cell_interrupts(1);
    cell_load(20);
    cell_mended();
    cell_recovers();
}

/* The leader's own clock is off by two minutes: it ticks no more, jobs go on. */
FAULT(clock_of_the_leader_differs)
{
    struct off o;

    if (!can_fake())
        return;
    system_scheduler(off_by(&o, "+120"));
    cell_worker();
    cell_load(LOAD);
    cell_mended();
    cell_recovers();
    system_until_logged(0, "clocks.apart");
    cell_load(20);
}

/* ---- the end of a month ---- */

/* PostgreSQL and the programs live some seconds before the next month begins. Redis does not: libfaketime can not stand before it, and the
 * times of bare entries are its own. */
static void set_clocks(const char *offset)
{
    setenv("LD_PRELOAD", library, 1);
    setenv("FAKETIME", offset, 1);
    setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1", 1);
}

static void seconds_to_next_month(int before, char offset[32])
{
    const time_t now = time(NULL);
    struct tm t;

    cr_assert_not_null(gmtime_r(&now, &t));
    t = (struct tm){.tm_year = t.tm_year, .tm_mon = t.tm_mon + 1, .tm_mday = 1};
    snprintf(offset, 32, "+%lld", (long long)(timegm(&t) - now - before));
}

static int64_t leaves(void)
{
    return system_i64("select count(distinct tableoid) from automation.execution_logs");
}

static bool both_months(void *arg)
{
    (void)arg;
    cell_load(5);
    return leaves() == 2;
}

FAULT_PG(month_ends_while_logging)
{
    char offset[32];

    if (!can_fake())
        return;
    seconds_to_next_month(12, offset);
    set_clocks(offset);
    postgres_restart(&sys.postgres);
    cell_scheduler();
    cell_worker();
    cell_worker();
    cell_load(LOAD);
    cell_until_logged(20);
    cell_demand(leaves() == 1, "the first rows are of the old month");
    system_until_holds(both_months, NULL, "rows of both months");
    unsetenv("LD_PRELOAD");
    cell_mended();
    cell_recovers();
    cell_demand(system_i64("select count(*) from automation_priv.log_quarantine") == 0, "no row without its month");
    cell_demand(
        system_i64(
            "select count(*) from automation.execution_logs where queued_at >= date_trunc('month', automation.now())") >
            0,
        "rows of the new month");
}
