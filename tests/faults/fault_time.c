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

#define SOON_US 6000000
#define LATE_S 10 /* of a loaded machine; the leader's clock is off by five times as much */
#define CEREMONY_RULE                                                                                                  \
    "'{\"schema_version\":1,\"name\":\"at the ceremony\","                                                             \
    "\"trigger\":{\"type\":\"milestone\",\"milestone\":\"ceremony\",\"offset\":\"PT0S\"},"                             \
    "\"actions\":[{\"type\":\"create_task\",\"params\":{\"title\":\"t\"}},"                                            \
    "{\"type\":\"create_note\",\"params\":{\"text\":\"n\"}}]}'"
#define OF_CEREMONY " rule_id = (select rule_id from automation.rules where name = 'at the ceremony') "

struct plan {
    int64_t due_us;
    struct id job, later; /* at that instant; some seconds after it */
};

static int64_t now_us(void)
{
    return system_i64("select (extract(epoch from clock_timestamp()) * 1000000)::bigint");
}

static void offer_at(int64_t us, struct id *job)
{
    cr_assert(cell_offer_at(us));
    *job = cell.ledger.v[cell.ledger.n - 1];
}

/* A leader whose clock is off, a job for later, and a wedding whose ceremony is at that instant, all by PostgreSQL's clock. */
static void plan_under(const char *offset, struct plan *p)
{
    struct off o;

    system_scheduler(off_by(&o, offset));
    cell_worker();
    system_until_logged(0, "clocks.apart");
    system_sql("insert into automation.rules (tenant_id, rule_id, name, status, definition) values ('" SYSTEM_TENANT
               "', gen_random_uuid(), 'at the ceremony', 'active', " CEREMONY_RULE ")");
    system_until("select count(*) = 2 from automation.rules where validated_revision = revision");
    p->due_us = now_us() + SOON_US;
    offer_at(p->due_us, &p->job);
    offer_at(p->due_us + SOON_US / 2, &p->later);
    system_sql("insert into automation.weddings (tenant_id, wedding_id, title, status, ceremony_date, ceremony_time, "
               "time_zone)"
               " select '" SYSTEM_TENANT "', gen_random_uuid(), 'C', 'booked', d::date, d::time, 'UTC'"
               " from (select to_timestamp(%lld / 1000000.0) at time zone 'UTC') x(d)",
               (long long)p->due_us);
    cell.events++;
    cell_load(LOAD);
}

static void until_logged(const struct id *job)
{
    char text[ID_TEXT_SIZE];

    system_until("select count(*) > 0 from automation.execution_logs where job_id = '%s'", id_format(job, text));
}

static void demand_at(int64_t due_us, const char *which)
{
    const int64_t after_ms = system_i64("select ((extract(epoch from min(started_at)) * 1000000 - %lld) / 1000)::bigint"
                                        " from automation.execution_logs where %s",
                                        (long long)due_us, which);

    fprintf(stderr, "%s: begun %lld ms after its instant\n", cell.name, (long long)after_ms);
    cell_demand(after_ms >= 0, "planned early by the leader's clock");
    cell_demand(after_ms <= LATE_S * 1000, "planned late by the leader's clock");
}

static void demand_job_at(const struct plan *p)
{
    char text[ID_TEXT_SIZE], which[80];

    snprintf(which, sizeof(which), "job_id = '%s'", id_format(&p->job, text));
    demand_at(p->due_us, which);
}

/* What is due is due by PostgreSQL's clock: nothing is early when the leader's is ahead, and nothing late when it is behind. */
static void planned_in_time(const char *offset)
{
    struct plan p;

    plan_under(offset, &p);
    system_until("select count(*) = 1 from automation.runs where" OF_CEREMONY);
    cell_demand(now_us() >= p.due_us, "a run is planned early"); /* its job would wait, its conditions have been asked */
    until_logged(&p.later);
    system_until("select count(*) = 2 from automation.execution_logs where" OF_CEREMONY);
    demand_job_at(&p);
    demand_at(p.due_us, OF_CEREMONY);
    cell_recovers();
}

FAULT(clock_of_the_leader_ahead)
{
    if (can_fake())
        planned_in_time("+50");
}

FAULT(clock_of_the_leader_behind)
{
    if (can_fake())
        planned_in_time("-50");
}

/* Off by two minutes: it ticks no more, jobs go on. A leader whose clock is right fires what has waited. */
FAULT(clock_of_the_leader_differs)
{
    struct plan p;

    if (!can_fake())
        return;
    plan_under("+120", &p);
    until_logged(&p.later);
    cell_demand(system_i64("select count(*) from automation.runs where" OF_CEREMONY) == 0, "it does not tick");
    demand_job_at(&p);
    system_kill(0);
    cell_scheduler();
    cell_mended();
    system_until("select count(*) = 2 from automation.execution_logs where" OF_CEREMONY);
    cell_recovers();
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
