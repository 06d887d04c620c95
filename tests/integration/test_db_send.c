/* A statement in two halves: the server works on it while the caller does something else. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/io/db.h"
#include "tests/support/pg.h"

static struct test_pg pg;
static struct db_session *s;
static struct err_info info;
static bool ready;

static void setup(void)
{
    ready = test_pg_available();
    if (!ready)
        return;
    test_pg_create(&pg, NULL);
    s = test_pg_session(&pg);
}

static void teardown(void)
{
    if (!ready)
        return;
    db_close(s);
    test_pg_drop(&pg);
}

TestSuite(db_send, .init = setup, .fini = teardown, .timeout = 60);
#define NEED_SERVER()                                                                                                  \
    if (!ready)                                                                                                        \
    cr_skip("no server")

static const struct db_stmt seven = {"seven", "select 7::bigint"};
static const struct db_stmt eight = {"eight", "select 8::bigint"};
static const struct db_stmt refused = {"refused", "select 1 / 0"};

static int64_t receive(void)
{
    struct db_result *res = NULL;
    int64_t v;

    cr_assert_eq(db_receive(s, &res, &info), ERR_OK, "%s", info.text);
    v = db_i64(res, 0, 0);
    db_result_free(res);
    return v;
}

Test(db_send, the_answer_waits_for_who_sent_the_statement)
{
    struct db_result *res = NULL;

    NEED_SERVER();
    cr_assert_eq(db_send(s, &seven, NULL, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(receive(), 7);
    cr_expect_eq(db_receive(s, &res, &info), ERR_STATE, "it is given once");

    cr_assert_eq(db_send(s, &seven, NULL, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(db_query(s, &eight, NULL, &res, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(db_i64(res, 0, 0), 8);
    db_result_free(res);
    cr_expect_eq(receive(), 7, "also after other statements");

    cr_assert_eq(db_send(s, &seven, NULL, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(db_send(s, &eight, NULL, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(receive(), 8, "the answer of the last one is kept");
}

Test(db_send, an_error_is_told_once)
{
    NEED_SERVER();
    cr_assert_eq(db_exec(s, "begin", NULL, &info), ERR_OK);
    cr_assert_eq(db_send(s, &refused, NULL, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(db_receive(s, NULL, &info), ERR_DB_DATA);
    cr_expect(strstr(info.text, "division by zero") != NULL, "%s", info.text);
    cr_expect_eq(db_exec(s, "rollback", NULL, &info), ERR_OK, "%s", info.text);

    cr_assert_eq(db_exec(s, "begin", NULL, &info), ERR_OK);
    cr_assert_eq(db_send(s, &refused, NULL, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(db_query(s, &seven, NULL, NULL, &info), ERR_DB_DATA, "by what is called next");
    cr_expect(strstr(info.text, "division by zero") != NULL, "%s", info.text);
    cr_expect_eq(db_exec(s, "rollback", NULL, &info), ERR_OK, "%s", info.text);
}

Test(db_send, a_session_lost_meanwhile_says_so)
{
    static const struct db_stmt slow = {"slow", "select pg_sleep(600)"};
    struct db_session *other;
    char sql[80];

    NEED_SERVER();
    other = test_pg_session(&pg);
    cr_assert_eq(db_send(s, &slow, NULL, &info), ERR_OK, "%s", info.text);
    (void)snprintf(sql, sizeof(sql), "select pg_terminate_backend(%d, 5000)", db_backend_pid(s));
    cr_assert_eq(db_exec(other, sql, NULL, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(db_receive(s, NULL, &info), ERR_CONN_LOST);
    cr_expect_not(db_alive(s));
    cr_expect_eq(db_receive(s, NULL, &info), ERR_CONN_LOST);
    db_close(other);
}
