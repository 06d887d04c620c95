/* Host tables, end to end: a statement of the host's on a table of its own makes a rule run. */
#include <criterion/criterion.h>

#include "tests/support/system.h"

TestSuite(sources, .fini = system_close, .timeout = 240);

static void attach(void)
{
    system_sql(
        "create table public.studio_events (id serial primary key, couple text, day date, balance numeric(10, 2), "
        "state text);"
        "select automation.attach_source('public.studio_events', '{\"into\": \"weddings\", \"tenant\": {\"value\": "
        "\"" SYSTEM_TENANT
        "\"}, \"columns\": {\"title\": \"couple\", \"client_name\": \"couple\", \"ceremony_date\": \"day\","
        " \"time_zone\": {\"value\": \"Europe/Lisbon\"}, \"status\": {\"value\": \"booked\"},"
        " \"attributes.invoice.balance_due\": \"balance\"}, \"events\": [{\"on\": \"update\", \"column\": \"state\", "
        "\"to\":"
        " \"paid\", \"type\": \"payment.received\", \"payload\": {\"was\": \"balance\"}}]}')");
}

Test(sources, an_update_of_the_hosts_makes_a_rule_run)
{
    if (!system_open(false))
        return;
    attach();
    system_sql(
        "insert into automation.rules (tenant_id, rule_id, name, status, definition) values ('" SYSTEM_TENANT
        "', gen_random_uuid(), 'r', 'active', '{\"schema_version\":1,\"name\":\"r\",\"trigger\":{\"type\":\"event\","
        "\"event\":\"payment.received\"},\"conditions\":{\"==\":[{\"var\":\"invoice.balance_due\"},0]},\"actions\":"
        "[{\"type\":\"create_task\",\"params\":{\"title\":\"Thank {{client.name}} ({{event.key}})\"}}]}')");
    system_worker(NULL);
    system_scheduler(NULL);
    system_until("select count(*) from automation.rules where validated_revision = revision");
    system_sql("insert into public.studio_events (couple, day, balance, state) values"
               " ('Ana & Rui', current_date + 100, 500, 'open'), ('Bea & Tom', current_date + 200, 500, 'open')");
    system_sql("update public.studio_events set balance = 0, state = 'paid' where couple like 'Ana%%'");
    system_until("select count(*) from automation.tasks where title = 'Thank Ana & Rui (1)'");
    system_until_done();
    cr_expect_eq(system_i64("select count(*) from automation.runs where state = 'succeeded'"), 1, "Ana and Rui alone");
    cr_expect_eq(system_i64("select count(*) from automation_priv.source_errors"), 0);
    cr_expect_eq(system_i64("select count(*) from automation.timings"), 0);
    system_judge();
}

/* A rule's own effect, written back by the host, ends: the row that comes back is as it was. */
Test(sources, what_the_host_writes_back_unchanged_ends_the_chain)
{
    if (!system_open(false))
        return;
    attach();
    system_sql(
        "create function public.write_back() returns trigger language plpgsql security definer as $f$ begin"
        " update public.studio_events set couple = new.title where couple = old.title; return null; end $f$;"
        "create trigger back after update of title on automation.weddings for each row execute function "
        "public.write_back();"
        "insert into automation.rules (tenant_id, rule_id, name, status, definition) values ('" SYSTEM_TENANT
        "', gen_random_uuid(), 'r', 'active', '{\"schema_version\":1,\"name\":\"r\",\"trigger\":{\"type\":\"event\","
        "\"event\":\"payment.received\"},\"actions\":[{\"type\":\"set_field\",\"params\":{\"path\":\"wedding.title\","
        "\"value\":\"Paid\"}}]}')");
    system_worker(NULL);
    system_scheduler(NULL);
    system_until("select count(*) from automation.rules where validated_revision = revision");
    system_sql("insert into public.studio_events (couple, balance, state) values ('Ana & Rui', 500, 'open');"
               "update public.studio_events set state = 'paid'");
    system_until("select count(*) from public.studio_events where couple = 'Paid'");
    system_until_done();
    cr_expect_eq(system_i64("select count(*) from automation.runs"), 1);
    cr_expect_eq(system_i64("select count(*) from automation_priv.source_errors"), 0);
}

/* The backfill holds its source's row and waits for a row of the host's, whose transaction then writes what can not be projected. */
Test(sources, a_failing_projection_beside_a_backfill_does_not_break_the_hosts_write)
{
    struct test_pg_beside backfill = {.sql = "select automation.backfill_source('public.host_days')"};
    struct test_pg pg;
    struct err_info info = {0};

    if (!test_pg_available())
        return;
    test_pg_create_migrated(&pg);
    test_pg_run(&pg, "insert into automation.tenants (tenant_id, name) values ('" SYSTEM_TENANT "', 'Studio');"
                     "create table public.host_days (id serial primary key, couple text, day text);"
                     "insert into public.host_days (couple, day) values ('Ana & Rui', '2031-06-14');"
                     "select automation.attach_source('public.host_days', '{\"into\": \"weddings\", \"tenant\": "
                     "{\"value\": \"" SYSTEM_TENANT "\"}, \"columns\": {\"title\": \"couple\", \"ceremony_date\": "
                     "\"day\", \"time_zone\": {\"value\": \"UTC\"}}}', false)");
    struct db_session *host = test_pg_session(&pg);
    backfill.s = test_pg_session(&pg);
    cr_assert_eq(db_exec(host, "begin; update public.host_days set couple = 'Ana'", NULL, &info), ERR_OK, "%s",
                 info.text);
    test_pg_beside(&pg, &backfill);
    cr_assert_not(backfill.done, "it waits for the host");
    cr_expect_eq(db_exec(host, "update public.host_days set day = 'soon'", NULL, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(db_exec(host, "commit", NULL, &info), ERR_OK, "%s", info.text);
    test_pg_join(&backfill);
    cr_expect_eq(backfill.err, ERR_OK, "%s", backfill.info.text);
    cr_expect_eq(test_pg_i64(&pg, "select count(*) from public.host_days where day = 'soon'"), 1);
    cr_expect_geq(test_pg_i64(&pg, "select count(*) from automation_priv.source_errors where sqlstate = '22007'"), 1);
    db_close(host);
    db_close(backfill.s);
    test_pg_drop(&pg);
}

/* The row was deleted while the source was off, and comes again in a transaction that a repair does not see yet. */
Test(sources, a_row_that_comes_again_beside_a_repair_is_not_taken_for_gone)
{
    struct test_pg_beside repair = {.sql = "select automation.repair_source('public.host_days')"};
    struct test_pg pg;
    struct err_info info = {0};

    if (!test_pg_available())
        return;
    test_pg_create_migrated(&pg);
    test_pg_run(&pg, "insert into automation.tenants (tenant_id, name) values ('" SYSTEM_TENANT "', 'Studio');"
                     "create table public.host_days (id integer primary key, couple text);"
                     "insert into public.host_days values (1, 'Ana & Rui'), (2, 'Bea & Tom');"
                     "select automation.attach_source('public.host_days', '{\"into\": \"weddings\", \"tenant\": "
                     "{\"value\": \"" SYSTEM_TENANT "\"}, \"columns\": {\"title\": \"couple\", \"status\": {\"value\": "
                     "\"booked\"}, \"time_zone\": {\"value\": \"UTC\"}}}')");
    test_pg_run(&pg, "update automation_priv.sources set state = 'off'; delete from public.host_days where id = 1;"
                     "update automation_priv.sources set state = 'on'");
    struct db_session *host = test_pg_session(&pg);
    repair.s = test_pg_session(&pg);
    cr_assert_eq(db_exec(host, "begin; insert into public.host_days values (1, 'Ana & Rui')", NULL, &info), ERR_OK,
                 "%s", info.text);
    test_pg_beside(&pg, &repair);
    cr_assert_not(repair.done, "it waits for the host");
    cr_expect_eq(db_exec(host, "commit", NULL, &info), ERR_OK, "%s", info.text);
    test_pg_join(&repair);
    cr_expect_eq(repair.err, ERR_OK, "%s", repair.info.text);
    cr_expect_eq(
        test_pg_i64(&pg, "select count(*) from automation.weddings where title = 'Ana & Rui' and status = 'booked'"), 1);
    cr_expect_eq(test_pg_i64(&pg, "select count(*) from automation.weddings where status = 'archived'"), 0);
    cr_expect_eq(test_pg_i64(&pg, "select count(*) from automation_priv.source_rows"), 2);
    db_close(host);
    db_close(repair.s);
    test_pg_drop(&pg);
}

/* 20 rows, each of a wedding that somebody holds: two seconds for each would be more than the host's own time limit. */
Test(sources, a_statement_over_locked_weddings_waits_once)
{
    struct test_pg pg;
    struct err_info info = {0};

    if (!test_pg_available())
        return;
    test_pg_create_migrated(&pg);
    test_pg_run(&pg, "insert into automation.tenants (tenant_id, name) values ('" SYSTEM_TENANT "', 'Studio');"
                     "create table public.host_days (id serial primary key, couple text);"
                     "select automation.attach_source('public.host_days', '{\"into\": \"weddings\", \"tenant\": "
                     "{\"value\": \"" SYSTEM_TENANT "\"}, \"columns\": {\"title\": \"couple\", \"time_zone\": "
                     "{\"value\": \"UTC\"}}}', false);"
                     "insert into public.host_days (couple) select 'Couple ' || i from generate_series(1, 21) i");
    struct db_session *host = test_pg_session(&pg), *other = test_pg_session(&pg);
    cr_assert_eq(db_exec(other, "begin; select from automation.weddings where title <> 'Couple 21' for update", NULL,
                         &info),
                 ERR_OK, "%s", info.text);
    cr_assert_eq(db_exec(host, "set statement_timeout = '20s'; update public.host_days set couple = couple || '!'",
                         NULL, &info),
                 ERR_OK, "%s", info.text);
    cr_assert_eq(db_exec(other, "rollback", NULL, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(test_pg_i64(&pg, "select count(*) from automation_priv.source_errors where sqlstate = '55P03'"), 20);
    cr_expect_eq(test_pg_i64(&pg, "select count(*) from automation.weddings where title like '%!'"), 1,
                 "what nobody holds is projected");
    cr_expect_eq(test_pg_i64(&pg, "select automation.repair_source('public.host_days')"), 0);
    cr_expect_eq(test_pg_i64(&pg, "select count(*) from automation.weddings where title like '%!'"), 21);
    db_close(other);
    db_close(host);
    test_pg_drop(&pg);
}
