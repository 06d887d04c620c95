/* worker_tenants: bare entries of tenants that a worker does not know: they run only when the database knows them. */
#include <criterion/criterion.h>
#include <signal.h>

#include "tests/support/system.h"

#define OTHER "00000000-0000-0000-0000-0000000000a9"
#define NOBODY "30000000-0000-4000-8000-000000000003"
#define TRIES 100

TestSuite(worker_tenants, .fini = system_close, .timeout = 240);

static struct id entry_of(const char *tenant, const char *kind, const char *payload)
{
    const char *const fields[] = {"kind", kind, "payload", payload, "tenant", tenant, NULL};

    return system_entry("*", fields);
}

static int64_t adopted(void)
{
    return system_i64("select coalesce(sum(accepted), 0)::bigint from automation_priv.audit()");
}

/* Ready, and its set is loaded: an entry of a tenant that exists goes straight through. */
static int worker_that_knows_the_tenants(void)
{
    int w = system_worker(NULL);

    (void)entry_of(SYSTEM_TENANT, "noop", "{\"first\":1}");
    system_until_done();
    cr_assert_eq(adopted(), 0);
    return w;
}

/* One entry after the other, until the worker's next look at the tenants shows. */
static void until_entries_are(bool (*so)(int64_t before), const char *what)
{
    for (int i = 0; i < TRIES; i++) {
        const int64_t before = adopted();
        (void)entry_of(OTHER, "drill", "{\"take_ms\":100}");
        system_until_done();
        if (so(before))
            return;
    }
    cr_assert_fail("%d entries, and none was %s", TRIES, what);
}

static bool direct(int64_t before)
{
    return adopted() == before;
}

static bool refused(int64_t before)
{
    (void)before;
    return system_dead("unknown_tenant") == 1;
}

Test(worker_tenants, an_entry_of_nobody_is_a_dead_letter_and_never_runs)
{
    const char *const platform[] = {"kind", "noop", "payload", "{}", NULL};
    char id[ID_TEXT_SIZE];

    if (!system_open(false))
        return;
    int w = worker_that_knows_the_tenants();
    struct id forged = entry_of(NOBODY, "drill", "{\"abort\":true}"); /* run, it would end the worker */
    (void)system_entry("*", platform);
    (void)entry_of(NOBODY, "thumbnail.render", "{}");
    (void)entry_of(NOBODY, "send_email", "{}");
    system_until_done();
    cr_expect_eq(system_dead("unknown_tenant"), 2);
    cr_expect_eq(system_dead("forged"), 1, "what is wrong anyway stays so");
    cr_expect_eq(system_i64("select count(*) from automation.dead_letters where job_id = '%s' and tenant_id = '" NOBODY
                            "' and error = 'unknown tenant " NOBODY "' and payload = '{\"abort\":true}'"
                            " and source_entry like '" SYSTEM_IN " %%'",
                            id_format(&forged, id)),
                 1);
    cr_expect_eq(system_i64("select count(*) from automation.execution_logs where execution_id = '%s' and outcome = 2"
                            " and reason = 'unknown_tenant' and started_at is null",
                            id),
                 1);
    cr_expect_eq(system_outcomes("done"), 2, "the platform is a tenant");
    cr_expect_eq(adopted(), 3, "and its entry went straight through");
    system_signal(w, SIGTERM);
    cr_expect_eq(system_wait(w), 0, "the same process all the time");
    system_judge();
}

Test(worker_tenants, a_refused_entry_is_replayed_once_its_tenant_exists)
{
    const char *const replay = "select count(*) from automation_priv.replay_dead(null, array(select job_id from "
                               "automation.dead_letters), 'me') where result = '%s'";

    if (!system_open(false))
        return;
    system_scheduler(NULL);
    worker_that_knows_the_tenants();
    (void)entry_of(OTHER, "noop", "{}");
    system_until_done();
    cr_expect_eq(system_i64(replay, "unknown_tenant"), 1);
    system_sql("insert into automation.tenants (tenant_id, name) values ('" OTHER "', 'B')");
    cr_expect_eq(system_i64(replay, "replayed"), 1);
    system_until_done();
    cr_expect_eq(
        system_i64("select count(*) from automation.execution_logs where tenant_id = '" OTHER "' and outcome = 0"), 1);
    system_judge();
}

/* The worker may not look for a while, so that it surely does not know. */
Test(worker_tenants, a_new_tenant_goes_through_the_ledger_until_the_next_look_and_a_deleted_one_is_refused)
{
    if (!system_open(false))
        return;
    system_scheduler(NULL);
    int w = worker_that_knows_the_tenants();
    system_sql("revoke execute on function automation_priv.tenant_ids from automation_worker");
    system_until_logged(w, "worker.tenants");
    system_sql("insert into automation.tenants (tenant_id, name) values ('" OTHER "', 'B')");
    (void)entry_of(OTHER, "noop", "{}");
    (void)entry_of(OTHER, "noop", "{\"again\":1}");
    (void)entry_of(SYSTEM_TENANT, "noop", "{\"again\":2}");
    system_until_done();
    cr_expect_eq(system_outcomes("done"), 4);
    cr_expect_eq(adopted(), 2, "only the new tenant's, and its first one taught the worker nothing");
    system_sql("grant execute on function automation_priv.tenant_ids to automation_worker");
    until_entries_are(direct, "direct");
    system_sql("delete from automation.tenants where tenant_id = '" OTHER "'");
    until_entries_are(refused, "refused");
    system_judge();
}
