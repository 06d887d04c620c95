/* What a pooled connection keeps of the tenant it last served: nothing, also after an error, and no cursor sees more than its opener. */
#include <criterion/criterion.h>

#include <stdio.h>

#include "common/base/err.h"
#include "tests/support/pg.h"

#define A "10000000-0000-4000-8000-000000000001"
#define B "10000000-0000-4000-8000-000000000002"
#define AS_API(tenant) "begin; select set_config('app.tenant_id', '" tenant "', true); set local role automation_api"

static struct test_pg pg;
static struct db_session *session;

static void setup(void)
{
    if (!test_pg_available())
        return;
    test_pg_create_migrated(&pg);
    test_pg_run(&pg, "insert into automation.tenants (tenant_id, name) values ('" A "', 'A'), ('" B "', 'B');"
                     "insert into automation.weddings (tenant_id, wedding_id, title, time_zone) select t.tenant_id,"
                     " gen_random_uuid(), t.name, 'UTC' from automation.tenants t, generate_series(1, 3)"
                     " where t.name in ('A', 'B')");
    session = test_pg_session(&pg);
}

static void teardown(void)
{
    if (!session)
        return;
    db_close(session);
    test_pg_drop(&pg);
}

static enum err run(const char *sql)
{
    struct err_info info = {0};
    return db_exec(session, sql, NULL, &info);
}

static int64_t ask(const char *sql)
{
    const struct db_stmt stmt = {"ask", sql};
    struct db_result *res = NULL;
    struct err_info info = {0};
    cr_assert_eq(db_query_once(session, &stmt, NULL, &res, &info), ERR_OK, "%s: %s", sql, info.text);
    int64_t n = db_rows(res) > 0 ? db_i64(res, 0, 0) : -1;
    db_result_free(res);
    return n;
}

static const char *const all = "select count(*) from automation.weddings";
static const char *const of_b = "select count(*) from automation.weddings where tenant_id = '" B "'";

/* The same session, as the API without a word of whom it serves. */
static void expect_nothing_seen(const char *when)
{
    cr_assert_eq(run("begin; set local role automation_api"), ERR_OK);
    cr_expect_eq(ask(all), 0, "%s", when);
    cr_assert_eq(run("rollback"), ERR_OK);
}

Test(tenant_context, ends_with_its_transaction, .init = setup, .fini = teardown, .timeout = 120)
{
    static const struct {
        const char *when, *end;
        bool fails;
    } ends[] = {{"after a commit", "commit", false},
                {"after a rollback", "rollback", false},
                {"after an error", "select 1 / 0", true},
                {"after a refused write", "delete from automation.weddings", true}};

    if (!session)
        return;
    expect_nothing_seen("at first");
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        cr_assert_eq(run(AS_API(A)), ERR_OK);
        cr_expect_eq(ask(all), 3, "%s", ends[i].when);
        cr_expect_eq(ask(of_b), 0, "%s", ends[i].when);
        cr_expect_eq(run(ends[i].end) != ERR_OK, ends[i].fails, "%s", ends[i].when);
        if (ends[i].fails)
            cr_assert_eq(run("rollback"), ERR_OK);
        expect_nothing_seen(ends[i].when);
    }
    cr_assert_eq(run(AS_API(B)), ERR_OK);
    cr_expect_eq(ask(of_b), 3, "the next tenant sees its own");
    cr_expect_eq(ask(all), 3);
}

Test(tenant_context, a_cursor_stays_with_the_tenant_that_opened_it, .init = setup, .fini = teardown, .timeout = 120)
{
    if (!session)
        return;
    cr_assert_eq(run(AS_API(A) "; declare c cursor for select (tenant_id = '" A
                               "')::int::int8 from automation.weddings"),
                 ERR_OK);
    cr_expect_eq(ask("fetch c"), 1);
    cr_assert_eq(run("reset role; select set_config('app.tenant_id', '" B "', true); set local role automation_api"),
                 ERR_OK);
    cr_expect_eq(ask("fetch c"), 1);
    cr_expect_eq(ask("fetch c"), 1);
    cr_expect_eq(ask("fetch c"), -1, "it never goes on into the next tenant's rows");
    cr_assert_eq(run("commit"), ERR_OK);
    cr_expect_neq(run("fetch c"), ERR_OK, "and ends with its transaction");
}
