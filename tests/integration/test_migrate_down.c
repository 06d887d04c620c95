/* Down, and up again, with the project's own migrations. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/io/migrate.h"
#include "tests/support/pg.h"

/* Attributes and memberships of our roles, and what new functions are granted: none of it is in the fingerprint. */
#define ROLES                                                                                                          \
    "select hashtextextended(string_agg(line, ';' order by line collate \"C\"), 0) from (\n"                           \
    "select concat_ws('|', rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolbypassrls, "     \
    "rolconfig) as line from pg_roles where rolname ~ '^automation_|^(anon|authenticated|service_role)$'\n"            \
    "union all select concat_ws('|', m.roleid::regrole, m.member::regrole, m.admin_option) from pg_auth_members m "    \
    "where m.roleid::regrole::text ~ '^automation_' or m.member::regrole::text ~ '^automation_'\n"                     \
    "union all select concat_ws('|', defaclrole::regrole, defaclobjtype, defaclacl) from pg_default_acl "              \
    "where defaclrole::regrole::text ~ '^automation_') l"

#define OURS "select count(*) from pg_namespace where nspname ~ '^automation'"

static struct test_pg pg;
static struct migrate_config config;
static struct err_info info;

static void setup(void)
{
    if (!test_pg_available())
        cr_skip("no server");
    test_pg_create_migrated(&pg);
    config = (struct migrate_config){.url = pg.url, .dir = "migrations"};
}

static void teardown(void)
{
    test_pg_drop(&pg);
}

static void up(char fingerprint[MIGRATE_FINGERPRINT_SIZE])
{
    cr_assert_eq(migrate_up(&config, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(migrate_verify(&config, fingerprint, &info), ERR_OK, "%s", info.text);
}

/* Down says `text` and nothing changed. */
static void refused(const char *confirm, const char *text)
{
    cr_assert_eq(migrate_down(&config, confirm, &info), ERR_STATE, "%s", info.text);
    cr_assert(strstr(info.text, text), "\"%s\" is not in: %s", text, info.text);
    cr_assert_eq(test_pg_i64(&pg, OURS), 3);
}

#define DOWN_TEST(name) Test(migrate_down, name, .init = setup, .fini = teardown, .timeout = 120)

DOWN_TEST(down_and_up_again_gives_the_same_schema_and_roles)
{
    char first[MIGRATE_FINGERPRINT_SIZE], again[MIGRATE_FINGERPRINT_SIZE];

    up(first);
    const int64_t roles = test_pg_i64(&pg, ROLES);
    test_pg_run(&pg, "insert into automation.tenants (tenant_id, name) values (gen_random_uuid(), 'a')");
    cr_assert_eq(migrate_down(&config, pg.name, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(test_pg_i64(&pg, OURS), 0);
    cr_expect_eq(test_pg_i64(&pg, "select count(*) from pg_default_acl"), 0);
    up(again);
    cr_expect_str_eq(first, again);
    cr_expect_eq(test_pg_i64(&pg, ROLES), roles);
    up(again);
    cr_expect_str_eq(first, again);
    cr_expect_eq(test_pg_i64(&pg, "select count(*) from automation.tenants where name = 'a'"), 0);
}

DOWN_TEST(nothing_is_lost_unless_the_database_is_named)
{
    char fingerprint[MIGRATE_FINGERPRINT_SIZE], after[MIGRATE_FINGERPRINT_SIZE];
    char says[128];

    up(fingerprint);
    snprintf(says, sizeof(says), "tables of the database \"%s\"", pg.name);
    refused(NULL, says);
    refused("postgres", says);
    refused("", "every tenant, wedding, rule, unfinished job, run, dead letter and log row");
    cr_assert_eq(migrate_verify(&config, after, &info), ERR_OK, "%s", info.text);
    cr_expect_str_eq(fingerprint, after);
    cr_assert_eq(migrate_down(&config, pg.name, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(migrate_down(&config, pg.name, &info), ERR_STATE);
    cr_expect(strstr(info.text, "nothing to do"), "%s", info.text);
}

DOWN_TEST(programs_at_work_refuse_it)
{
    static const char *const names[] = {"usher-worker", "usher-scheduler", "usher-scheduler leader"};
    char fingerprint[MIGRATE_FINGERPRINT_SIZE];

    up(fingerprint);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct db_session_config at_work = {.url = pg.url, .name = names[i]};
        struct db_session *s = NULL;
        cr_assert_eq(db_open(&at_work, &s, &info), ERR_OK, "%s", info.text);
        refused(pg.name, "stop them first");
        db_close(s);
    }
}

/* A session that has just been closed may still be listed. */
static void down(void)
{
    enum err err = ERR_STATE;
    while (err == ERR_STATE) {
        err = migrate_down(&config, pg.name, &info);
        cr_assert(err == ERR_OK || strstr(info.text, "stop them first"), "%s", info.text);
    }
}

DOWN_TEST(what_the_host_built_on_ours_refuses_it_and_its_tables_stay)
{
    static const struct {
        const char *make, *drop, *says;
    } cases[] = {
        {"create view public.brides as select tenant_id from automation.weddings", "drop view public.brides",
         "public.brides"},
        {"create table public.gifts (t uuid references automation.tenants)", "drop table public.gifts", "public.gifts"},
        {"create function public.f(w automation.weddings) returns int language sql as 'select 1'",
         "drop function public.f", "public.f(automation.weddings)"},
    };
    char fingerprint[MIGRATE_FINGERPRINT_SIZE];

    up(fingerprint);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        test_pg_run(&pg, cases[i].make);
        refused(pg.name, cases[i].says);
        test_pg_run(&pg, cases[i].drop);
    }
    test_pg_run(&pg,
                "insert into automation.tenants (tenant_id, name) values ('10000000-0000-4000-8000-000000000001', 'a');"
                "create table public.bookings (id serial primary key, couple text, day date);"
                "select automation.attach_source('public.bookings', '{\"into\": \"weddings\", \"tenant\": "
                "{\"value\": \"10000000-0000-4000-8000-000000000001\"}, \"columns\": {\"title\": \"couple\", "
                "\"ceremony_date\": \"day\", \"time_zone\": {\"value\": \"UTC\"}}}')");
    cr_assert_gt(test_pg_i64(&pg, "select count(*) from pg_trigger where tgrelid = 'public.bookings'::regclass"), 0);
    down();
    cr_expect_eq(test_pg_i64(&pg, "select count(*) from pg_trigger where tgrelid = 'public.bookings'::regclass"), 0);
    test_pg_run(&pg, "insert into public.bookings (couple, day) values ('Ana & Rui', '2027-05-01')");
}
