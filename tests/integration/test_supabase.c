/* The migrations and the life of the log's months on a server that looks like Supabase's: its roles, a `postgres` that is no superuser,
 * all of public granted to all. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/io/migrate.h"
#include "common/io/store_archive.h"
#include "tests/support/months.h"
#include "tests/support/pg.h"
#include "tests/support/postgres.h"

/* tests/tools/sql.sh runs suites of tests/sql behind the same file. */
static void bootstrap(void)
{
    char sql[4096] = "";
    FILE *f = fopen("tests/support/supabase.sql", "r");

    cr_assert(f != NULL);
    const size_t n = fread(sql, 1, sizeof(sql) - 1, f);
    cr_assert(n > 0 && n < sizeof(sql) - 1);
    fclose(f);
    test_pg_run_server(sql);
}

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
    bootstrap();
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

/* The database as another login of it. */
static struct test_pg as(const struct test_pg *pg, const char *login)
{
    struct test_pg other = *pg;
    char *user = strstr(other.url, "user=");

    cr_assert_not_null(user, "%s", other.url);
    cr_assert_lt(snprintf(user, sizeof(other.url) - (size_t)(user - other.url), "user=%s", login), 64);
    return other;
}

static void done(struct months *t, months_call call, const char *leaf)
{
    struct err_info info = {0};

    cr_assert_eq(months_do(t, call, leaf, &info), ERR_OK, "%s", info.text);
}

static void a_month_leaves_and_comes_back(struct months *t)
{
    const int64_t digest = months_digest(t, MONTHS_LEAF);

    done(t, archive_run, MONTHS_LEAF);
    cr_expect(months_in(t, MONTHS_LEAF, "verified"));
    done(t, archive_drop, MONTHS_LEAF);
    cr_expect_eq(months_rows(t, MONTHS_LEAF), 0);
    done(t, months_verify, MONTHS_LEAF);
    done(t, months_restore, MONTHS_LEAF);
    cr_expect_eq(months_digest(t, MONTHS_LEAF), digest);
    cr_expect_eq(months_rows(t, MONTHS_LEAF), MONTHS_ROWS);
    cr_expect_eq(months_differences(t), 0);
}

/* As a worker that COPY is refused to does it: the row of a month that was taken out waits in quarantine until the month is there again. */
static void a_late_row_waits(struct months *t, const struct test_pg *worker)
{
    static const char stage[] =
        "insert into automation_priv.log_stage (batch_id, tenant_id, queued_at, execution_id, job_id, duration_us, "
        "attempt, outcome, kind, queue) "
        "values ('a0000000-0000-4000-8000-000000000000', '00000000-0000-0000-0000-000000000001', '2024-03-02 "
        "00:00:00+00', "
        "'a0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 1, 1, 0, 'noop', 'default')";
    static const char merge[] = "select automation_priv.merge_logs('a0000000-0000-4000-8000-000000000000')";
    struct db_session *db = test_pg_session(&t->pg);
    const int64_t rows = months_rows(t, MONTHS_NEXT);
    struct err_info info = {0};
    int64_t replayed = 0, repeated = 0;

    done(t, archive_detach, MONTHS_NEXT);
    test_pg_run(worker, stage);
    cr_expect_eq(test_pg_i64(worker, merge), 0);
    cr_expect_eq(store_archive_replay(db, 10, &replayed, &repeated, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(replayed, 0, "its month is not there");
    done(t, months_restore, MONTHS_NEXT);
    cr_expect_eq(store_archive_replay(db, 10, &replayed, &repeated, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(replayed, 1);
    cr_expect_eq(months_rows(t, MONTHS_NEXT), rows + 1);
    db_close(db);
}

Test(supabase, months_leave_the_log_and_come_back_without_a_superuser, .timeout = 240)
{
    struct postgres server = {0};
    struct months t;

    postgres_start(&server);
    bootstrap();
    cr_assert(months_open(&t));
    cr_expect_eq(test_pg_i64(&t.pg, "select rolsuper::int from pg_roles where rolname = current_user"), 0);
    a_month_leaves_and_comes_back(&t);
    test_pg_run(&t.pg, "create role usher_maint login in role automation_maint;"
                       "create role usher_scheduler login in role automation_scheduler;"
                       "create role usher_worker login in role automation_worker");
    const struct test_pg maint = as(&t.pg, "usher_maint"), scheduler = as(&t.pg, "usher_scheduler"),
                         worker = as(&t.pg, "usher_worker");
    test_pg_run(&t.pg, "update automation_priv.log_partitions set hold_until = null");
    t.config.url = maint.url;
    a_month_leaves_and_comes_back(&t);
    a_late_row_waits(&t, &worker);
    cr_expect_eq(test_pg_i64(&scheduler, "select automation_priv.ensure_partitions('2031-01-15', '2031-01-15')"), 4);
    cr_expect_eq(
        test_pg_i64(
            &t.pg,
            "select count(*) from pg_class c where c.relnamespace = 'automation_part'::regnamespace and c.relkind = "
            "'r' and "
            "(not c.relrowsecurity or c.relowner <> 'automation_owner'::regrole or "
            "has_table_privilege('anon', c.oid, 'select') or has_table_privilege('service_role', c.oid, 'select'))"),
        0);
    months_close(&t);
    postgres_stop(&server);
}
