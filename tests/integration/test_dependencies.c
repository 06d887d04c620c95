/* Rules that wait for each other, written by two sessions at once: each sees only its own half of the cycle. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "common/base/err.h"
#include "tests/support/pg.h"

#define TENANT "10000000-0000-4000-8000-000000000001"
#define RULE(n) "30000000-0000-4000-8000-00000000000" #n
#define NEED(a, b)                                                                                                     \
    "insert into automation.rule_dependencies (tenant_id, rule_id, needs_rule_id) values ('" TENANT                    \
    "', '" RULE(a) "', '" RULE(b) "')"

static const char *const rules =
    "insert into automation.tenants (tenant_id, name) values ('" TENANT "', 'Studio');"
    "insert into automation.rules (tenant_id, rule_id, name, definition) select '" TENANT "',"
    " ('30000000-0000-4000-8000-00000000000' || i)::uuid, 'r' || i, '{\"schema_version\": 1, \"name\": \"r\","
    " \"trigger\": {\"type\": \"manual\"}, \"actions\": [{\"type\": \"stop\"}]}' from generate_series(1, 3) i";

static void run(struct db_session *s, const char *sql)
{
    struct err_info info = {0};
    cr_assert_eq(db_exec(s, sql, NULL, &info), ERR_OK, "%s", info.text);
}

/* The second session has its snapshot before the first one's row is there, and is asked for its own while that is not committed. */
static void race(const char *isolation, struct test_pg_beside *b)
{
    struct test_pg pg;
    char begin[96];

    test_pg_create_migrated(&pg);
    test_pg_run(&pg, rules);
    struct db_session *a = test_pg_session(&pg);
    b->s = test_pg_session(&pg);
    snprintf(begin, sizeof(begin), "begin isolation level %s; select 1 from automation.rules", isolation);
    run(a, begin);
    run(b->s, begin);
    run(a, NEED(1, 2) ";" NEED(2, 3));
    test_pg_beside(&pg, b);
    run(a, "commit");
    test_pg_join(b);
    run(b->s, "rollback");
    cr_expect_eq(test_pg_i64(&pg, "select count(*) from automation.rule_dependencies"), 2);
    db_close(a);
    db_close(b->s);
    test_pg_drop(&pg);
}

Test(dependencies, two_sessions_can_not_close_a_cycle_together, .timeout = 120)
{
    static const char *const levels[] = {"read committed", "repeatable read", "serializable"};

    if (!test_pg_available())
        return;
    for (int i = 0; i < 3; i++) {
        struct test_pg_beside b = {.sql = NEED(3, 1)};
        race(levels[i], &b);
        cr_expect_neq(b.err, ERR_OK, "%s", levels[i]);
        cr_expect(strstr(b.info.text, i == 0 ? "would wait for itself" : "could not serialize") != NULL, "%s: %s",
                  levels[i], b.info.text);
    }
}
