/* Streams and groups are damaged, flooded, fed with odd entries. */
#include <stdio.h>

#include "tests/faults/cell.h"

#define LOAD 90
#define LAST_MS "18446744073709551615"

static void start(void)
{
    cell_scheduler();
    cell_worker();
    cell_worker();
    cell_load(LOAD);
    cell_until_logged(cell_random(20, 60));
}

FAULT(streams_groups_destroyed)
{
    start();
    for (int i = 0; i < 3; i++) {
        cell_interrupts(0); /* what was delivered comes again to whoever makes the group */
        system_redis("XGROUP DESTROY " SYSTEM_Q " workers");
        system_redis("XGROUP DESTROY " SYSTEM_IN " workers");
        cell_goes_on(20, 20);
    }
    cell_recovers();
}

FAULT(streams_deleted)
{
    start();
    for (int i = 0; i < 3; i++) {
        cell_redis_loses();
        system_redis("DEL " SYSTEM_Q);
        system_redis("DEL " SYSTEM_IN);
        cell_goes_on(20, 20);
    }
    cell_recovers();
}

static void odd_entry(const char *id)
{
    static const char *const fields[] = {"kind", "hook", "payload", "{}", NULL};

    cr_assert(cell_offer_entry(id, fields, true), "XADD %s was refused", id);
}

static bool offer_direct(void *arg)
{
    (void)arg;
    return cell_offer_direct();
}

/* Ids of 1970, of tomorrow, and the last possible one, after which Redis takes no entry any more until the stream is made anew. */
FAULT(streams_absurd_ids)
{
    cell_scheduler();
    odd_entry("1-1");
    odd_entry("2-0");
    cell_worker();
    cell_direct(10);
    odd_entry("4000000000000-0");
    cell_direct(10); /* Redis goes on from there */
    odd_entry(LAST_MS "-" LAST_MS);
    cell_demand(!cell_offer_direct(), "no id is left");
    cell_ledger(20);
    cell_mended();
    system_until_holds(offer_direct, NULL, "the stream takes entries again");
    cell_load(20);
    cell_recovers();
}

/* Only the leader adds to q:, but who has access may. */
FAULT(streams_absurd_id_among_ledger_jobs)
{
    start();
    system_redis("XADD " SYSTEM_Q " " LAST_MS "-" LAST_MS " job 00000000-0000-4000-8000-000000000000 n 0");
    cell_load(20);
    cell_mended();
    cell_recovers();
}

static void garbage(const char *command)
{
    system_redis(command);
}

/* What is no entry of ours ends as a dead letter with its bytes; the rest is not held up. */
FAULT(streams_malformed_entries)
{
    start();
    garbage("XADD " SYSTEM_IN " * kind noop");
    garbage("XADD " SYSTEM_IN " * payload {}");
    garbage("XADD " SYSTEM_IN " * kind send_email payload {}");
    garbage("XADD " SYSTEM_IN " * kind noop payload [1]");
    garbage("XADD " SYSTEM_IN " * kind noop payload {} tenant nobody");
    garbage("XADD " SYSTEM_Q " * job nonsense n x");
    garbage("XADD " SYSTEM_Q " * what ever");
    cell_load(20);
    cell_mended();
    cell_recovers();
    system_until("select count(*) = 5 from automation.dead_letters");
    cell.may_die = 5;
    cell_demand(system_dead("malformed") == 4 && system_dead("forged") == 1, "five dead letters");
}

/* To the sink, in the name of a tenant. */
static void offer_of(const char *tenant, bool outward)
{
    const char *const fields[] = {"kind", "hook", "payload", "{}", "tenant", tenant, NULL};

    cr_assert(cell_offer_entry("*", fields, outward));
}

/* Entries of a tenant that does not exist never act; those of one that is made under load do. */
FAULT(streams_unknown_tenants)
{
    enum { FORGED = 5 };
    static const char nobody[] = "30000000-0000-4000-8000-000000000003";
    static const char fresh[] = "00000000-0000-0000-0000-0000000000a9";
    char id[ID_TEXT_SIZE];

    start();
    cell.may_die = FORGED;
    for (int i = 0; i < FORGED; i++) {
        offer_of(nobody, false);
        cell_direct(2);
    }
    system_sql("insert into automation.tenants (tenant_id, name) values ('%s', 'new')", fresh);
    offer_of(fresh, true);
    cell_load(20);
    offer_of(fresh, true);
    cell_mended();
    cell_recovers();
    system_until("select count(*) = %d from automation.dead_letters where reason = 'unknown_tenant'", FORGED);
    for (size_t i = 0; i < cell.direct.n; i++) {
        const bool forged = system_i64("select count(*) from automation.dead_letters where job_id = '%s'",
                                       id_format(&cell.direct.v[i], id)) > 0;
        cell_demand(!forged || sink_lines(&cell.web, "received.jsonl", id) == 0, "nothing of nobody's is sent");
    }
}
