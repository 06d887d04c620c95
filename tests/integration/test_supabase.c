/* The migrations on a server that looks like Supabase's: its roles, a `postgres` that is no superuser, all of public granted to all. */
#include <criterion/criterion.h>

#include <stdlib.h>

#include "common/io/migrate.h"
#include "tests/support/pg.h"
#include "tests/support/postgres.h"

/* As supabase/postgres sets its images up; the last statement takes our own power away. */
static const char bootstrap[] =
    "create role supabase_admin superuser login;"
    "create role anon nologin noinherit;"
    "create role authenticated nologin noinherit;"
    "create role service_role nologin noinherit bypassrls;"
    "create role authenticator login noinherit;"
    "grant anon, authenticated, service_role to authenticator;"
    "grant usage on schema public to anon, authenticated, service_role;"
    "alter default privileges in schema public grant all on tables to postgres, anon, authenticated, service_role;"
    "alter default privileges in schema public grant all on functions to postgres, anon, authenticated, service_role;"
    "alter default privileges in schema public grant all on sequences to postgres, anon, authenticated, service_role;"
    "alter role postgres nosuperuser createdb createrole login replication bypassrls";

static void up(const struct test_pg *pg, char fingerprint[MIGRATE_FINGERPRINT_SIZE])
{
    const struct migrate_config config = {.url = pg->url, .dir = "migrations"};
    struct err_info info = {0};

    cr_assert_eq(migrate_up(&config, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(migrate_verify(&config, fingerprint, &info), ERR_OK, "%s", info.text);
}

Test(supabase, installs_without_a_superuser_and_again_and_anew_to_the_same_schema, .timeout = 240)
{
    struct postgres server = {0};
    struct test_pg pg = {0};
    char first[MIGRATE_FINGERPRINT_SIZE], again[MIGRATE_FINGERPRINT_SIZE], anew[MIGRATE_FINGERPRINT_SIZE];

    postgres_start(&server);
    test_pg_run_server(bootstrap);
    cr_assert_not(test_pg_available() == false);
    test_pg_create(&pg, NULL);
    up(&pg, first);
    up(&pg, again);
    cr_expect_str_eq(first, again);
    cr_expect_eq(test_pg_i64(&pg, "select count(*) from pg_class where relnamespace = 'public'::regnamespace"), 0);
    cr_expect_eq(test_pg_i64(&pg,
                             "select count(*) from pg_class where relnamespace::regnamespace::text ~ '^automation' "
                             "and has_table_privilege('anon', oid, 'select,insert,update,delete,truncate') and relkind "
                             "in ('r','p','v','m')"),
                 0);
    cr_expect_eq(test_pg_i64(&pg, "select rolsuper::int from pg_roles where rolname = current_user"), 0);
    const struct migrate_config config = {.url = pg.url, .dir = "migrations"};
    struct err_info info = {0};
    cr_assert_eq(migrate_down(&config, pg.name, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(test_pg_i64(&pg, "select count(*) from pg_namespace where nspname ~ '^automation'"), 0);
    up(&pg, anew);
    cr_expect_str_eq(first, anew);
    test_pg_drop(&pg);
    postgres_stop(&server);
}
