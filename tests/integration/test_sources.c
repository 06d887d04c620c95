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
