/* What runs on a connection of the loop: order, errors, COPY, time limits of the server. */
#include <criterion/criterion.h>

#include <string.h>
#include <sys/resource.h>

#include "tests/integration/db_play.h"

#define SERVER_TEST(name) Test(db_conn, name, .init = db_play_setup, .fini = db_play_teardown, .timeout = 60)

static const struct db_stmt divide = {"divide", "SELECT 1::int8 / $1"};
static const struct db_stmt never_prepared = {"never_prepared", "SELECT 7::int8"};
static const struct db_stmt insert = {"insert", "INSERT INTO t (a) VALUES ($1) RETURNING a"};

SERVER_TEST(sixty_four_queries_wait_and_end_in_order)
{
    DB_PLAY_NEEDS_SERVER();
    cr_assert(db_conn_up(play.conn));
    for (int i = 0; i < 64; i++)
        db_play_i64(&db_play_one, i);
    db_play_wait(64);
    for (int i = 0; i < 64; i++)
        cr_assert(play.calls[i].err == ERR_OK && play.calls[i].value == i + 1 && play.calls[i].order == i,
                  "call %d: %s", i, play.calls[i].text);
}

SERVER_TEST(a_transaction_is_queued_as_a_whole)
{
    DB_PLAY_NEEDS_SERVER();
    struct buf b = {0};
    db_play_ints(&b, 1, 100000);
    db_play_exec("CREATE TABLE t (a int PRIMARY KEY, b text)");
    db_play_exec("BEGIN; SET LOCAL lock_timeout = '300ms'");
    db_play_i64(&insert, 0);
    db_play_copy(DB_PLAY_COPY, &b);
    db_play_query(&db_play_count);
    db_play_exec("COMMIT;");
    db_play_exec("TRUNCATE t");
    db_play_wait(7);
    db_play_want((const enum err[]){ERR_OK, ERR_OK, ERR_OK, ERR_OK, ERR_OK, ERR_OK, ERR_OK}, 7);
    cr_assert_eq(play.calls[2].value, 0);
    cr_assert_eq(play.calls[3].value, 100000);
    cr_assert_eq(play.calls[4].value, 100001);
    buf_free(&b);
}

SERVER_TEST(an_error_ends_its_own_request_only)
{
    DB_PLAY_NEEDS_SERVER();
    db_play_i64(&divide, 1);
    db_play_i64(&divide, 0);
    db_play_i64(&divide, 1);
    db_play_exec("SELEC");
    db_play_exec("BEGIN");
    db_play_i64(&divide, 0);
    db_play_i64(&divide, 1);
    db_play_exec("COMMIT");
    db_play_i64(&divide, 1);
    db_play_exec("BEGIN");
    db_play_i64(&divide, 0);
    db_play_exec("ROLLBACK");
    db_play_i64(&db_play_one, 1);
    db_play_wait(13);
    db_play_want((const enum err[]){ERR_OK, ERR_DB_DATA, ERR_OK, ERR_DB_BROKEN, ERR_OK, ERR_DB_DATA, ERR_DB, ERR_DB,
                                    ERR_OK, ERR_OK, ERR_DB_DATA, ERR_OK, ERR_OK},
                 13);
    cr_assert(strstr(play.calls[1].text, "division by zero (22012)"), "%s", play.calls[1].text);
    cr_assert(strstr(play.calls[6].text, "25P02"), "%s", play.calls[6].text);
    cr_assert(strstr(play.calls[7].text, "rolled it back"), "%s", play.calls[7].text);
}

SERVER_TEST(begin_goes_with_the_statement_behind_it)
{
    DB_PLAY_NEEDS_SERVER();
    db_play_exec("CREATE TABLE t (a int PRIMARY KEY, b text)");
    db_conn_begin(play.conn);
    db_play_i64(&insert, 1);
    db_play_exec("ROLLBACK");
    db_play_query(&db_play_count); /* 3: it was a transaction */
    db_play_exec("BEGIN");
    db_play_i64(&divide, 0);
    db_conn_begin(play.conn);
    db_play_query(&never_prepared); /* 6: BEGIN fails, and takes it along although it was being prepared */
    db_play_exec("ROLLBACK");
    db_play_query(&never_prepared);
    db_play_wait(9);
    db_play_want((const enum err[]){ERR_OK, ERR_OK, ERR_OK, ERR_OK, ERR_OK, ERR_DB_DATA, ERR_DB, ERR_OK, ERR_OK}, 9);
    cr_assert_eq(play.calls[3].value, 0);
    cr_assert(strstr(play.calls[6].text, "25P02"), "%s", play.calls[6].text);
}

SERVER_TEST(a_prepare_that_failed_does_not_harm_its_followers)
{
    DB_PLAY_NEEDS_SERVER();
    db_play_query(&db_play_count);
    db_play_query(&db_play_count);
    db_play_exec("CREATE TABLE t (a int)");
    db_play_query(&db_play_count);
    db_play_query(&db_play_count);
    db_play_exec("DEALLOCATE ALL");
    db_play_query(&db_play_count);
    db_play_query(&db_play_count);
    db_play_wait(8);
    db_play_want(
        (const enum err[]){ERR_DB_BROKEN, ERR_DB_BROKEN, ERR_OK, ERR_OK, ERR_OK, ERR_OK, ERR_DB_LOCK, ERR_DB_LOCK}, 8);
    db_play_query(&db_play_count);
    db_play_wait(9);
    cr_assert_eq(play.calls[8].err, ERR_OK, "%s", play.calls[8].text);
}

static int64_t peak_kib(void)
{
    struct rusage usage;
    cr_assert_eq(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

SERVER_TEST(a_big_copy_flows_without_being_held_in_memory)
{
    DB_PLAY_NEEDS_SERVER();
    struct buf b = {0};
    db_play_ints(&b, 1, 300000);
    cr_assert_gt(b.len, 20u << 20);
    db_play_exec("CREATE TABLE t (a int, b text)");
    int64_t before_kib = peak_kib();
    db_play_copy(DB_PLAY_COPY, &b);
    db_play_copy(DB_PLAY_COPY, &b);
    db_play_query(&db_play_count);
    db_play_wait(4);
    cr_assert_lt(peak_kib() - before_kib, 8192, "libpq's buffer grew to the size of the data");
    db_play_want((const enum err[]){ERR_OK, ERR_OK, ERR_OK, ERR_OK}, 4);
    cr_assert_eq(play.calls[1].value, 300000);
    cr_assert_eq(play.calls[3].value, 600000);
    buf_free(&b);
}

SERVER_TEST(a_refused_copy_ends_its_own_request_only)
{
    DB_PLAY_NEEDS_SERVER();
    struct buf b = {0};
    struct buf empty = {0};
    db_play_ints(&b, 1, 100000);
    db_play_exec("CREATE TABLE t (a int PRIMARY KEY, b text)");
    db_play_exec("INSERT INTO t VALUES (77)");
    db_play_copy(DB_PLAY_COPY, &b);
    db_play_copy("COPY missing FROM STDIN (FORMAT binary)", &b);
    db_play_copy(DB_PLAY_COPY, &empty);
    db_play_query(&db_play_count);
    db_play_wait(6);
    db_play_want((const enum err[]){ERR_OK, ERR_OK, ERR_DB_UNIQUE, ERR_DB_BROKEN, ERR_DB_DATA, ERR_OK}, 6);
    cr_assert_eq(play.calls[5].value, 1);
    buf_free(&b);
}

SERVER_TEST(copy_through_another_call_ends_the_connection)
{
    DB_PLAY_NEEDS_SERVER();
    db_play_exec("COPY (SELECT 1) TO STDOUT");
    db_play_exec("SELECT 1");
    db_play_wait(2);
    db_play_want((const enum err[]){ERR_STATE, ERR_CONN_LOST}, 2);
    db_play_wait_states(2, 1);
}

SERVER_TEST(the_servers_time_limit_ends_the_statement_only)
{
    DB_PLAY_NEEDS_SERVER();
    db_play_reopen(play.pg.url, 50, 0);
    db_play_wait_states(2, 0);
    db_play_double(&db_play_nap, 60);
    db_play_i64(&db_play_one, 1);
    db_play_wait(2);
    db_play_want((const enum err[]){ERR_TIMEOUT, ERR_OK}, 2);
    cr_assert_eq(play.n_down, 0);
}
