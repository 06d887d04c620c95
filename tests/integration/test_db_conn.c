/* Connections on the loop, against a real server. */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/io/db.h"
#include "common/io/db_conn_private.h"
#include "common/io/loop.h"
#include "tests/support/pg.h"

#define MAX_CALLS 128

/* What one request's callback saw. */
struct call {
    int times;
    int order;
    enum err err;
    int rows;
    int64_t value; /* first cell, or rows affected */
    char text[320];
};

static struct test_pg pg;
static struct loop *loop;
static struct db_conn *conn;
static struct timer *guard;
static struct arena arena;
static struct db_args args;
static struct call calls[MAX_CALLS];
static int n_calls;
static int n_done;
static int n_up;
static int n_down;
static bool in_start; /* inside db_conn_*: no callback may run */
static bool closed;
static bool ready;
static int stop_at; /* calls done */
static bool close_in_callback;

static const struct db_stmt one = {"one", "SELECT 1::int8 + $1"};
static const struct db_stmt pid_stmt = {"pid", "SELECT pg_backend_pid()"};
static const struct db_stmt divide = {"divide", "SELECT 1::int8 / $1"};
static const struct db_stmt nap = {"nap", "SELECT 1::int8 FROM pg_sleep($1)"};
static const struct db_stmt insert = {"insert", "INSERT INTO t (a) VALUES ($1) RETURNING a"};
static const struct db_stmt count = {"count", "SELECT count(*) FROM t"};

static void on_closed(void *arg)
{
    cr_assert(!in_start);
    cr_assert_eq(arg, &closed);
    closed = true;
    loop_stop(loop);
}

static void close_conn(void)
{
    struct db_conn *c = conn;
    conn = NULL;
    in_start = true;
    db_conn_close(c, on_closed, &closed);
    in_start = false;
}

static void on_result(void *arg, enum err err, const struct db_result *res, const struct err_info *info)
{
    struct call *call = arg;
    cr_assert(!in_start, "a callback ran before the starting call returned");
    cr_assert(err == ERR_OK ? res != NULL : !res && info->code == err);
    call->times++;
    call->order = n_done++;
    call->err = err;
    snprintf(call->text, sizeof(call->text), "%s", info->text);
    if (res) {
        call->rows = db_rows(res);
        call->value = call->rows > 0 ? db_i64(res, 0, 0) : db_affected(res);
    }
    if (close_in_callback && conn)
        close_conn();
    if (n_done == stop_at)
        loop_stop(loop);
}

static void on_state(void *arg, bool up, const struct err_info *info)
{
    cr_assert(!in_start && arg == &n_up);
    cr_assert(up || info->code == ERR_CONN_LOST);
    n_up += up;
    n_down += !up;
    loop_stop(loop);
}

static void on_guard(void *arg)
{
    (void)arg;
    fprintf(stderr, "the loop waited too long: %d of %d calls, up %d, down %d\n", n_done, stop_at, n_up, n_down);
    abort();
}

static void wait_calls(int n)
{
    stop_at = n;
    while (n_done < n)
        loop_run(loop);
}

static void wait_states(int up, int down)
{
    while (n_up < up || n_down < down)
        loop_run(loop);
}

static void open_conn(const char *url, int64_t statement_ms, int64_t connect_ms)
{
    const struct db_conn_config config = {.url = url, .name = "usher-test", .statement_ms = statement_ms,
                                          .connect_ms = connect_ms, .on_state = on_state, .arg = &n_up};
    in_start = true;
    conn = db_conn_open(loop, &config);
    in_start = false;
}

static void setup(void)
{
    ready = test_pg_available();
    if (!ready)
        return;
    test_pg_create(&pg, NULL);
    loop = loop_new();
    guard = timer_new(loop, on_guard, NULL);
    timer_start(guard, 30000, 0);
    open_conn(pg.url, 0, 0);
    wait_states(1, 0);
}

static void teardown(void)
{
    if (!ready)
        return;
    if (conn)
        close_conn();
    while (!closed)
        loop_run(loop);
    timer_free(guard);
    loop_run(loop);
    for (int i = 0; i < n_calls; i++)
        cr_expect_eq(calls[i].times, 1, "call %d ran %d times", i, calls[i].times);
    cr_expect_eq(loop_free(loop), 0, "handles were left");
    arena_free(&arena);
    test_pg_drop(&pg);
}

#define SERVER_TEST(name) Test(db_conn, name, .init = setup, .fini = teardown, .timeout = 60)
#define NEED_SERVER()                                                                                                  \
    if (!ready)                                                                                                        \
    cr_skip("no server")

static int query_i64(const struct db_stmt *stmt, int64_t v)
{
    db_args_init(&args, &arena);
    db_arg_i64(&args, v);
    in_start = true;
    db_conn_query(conn, stmt, &args, on_result, &calls[n_calls]);
    in_start = false;
    memset((char *)(uintptr_t)args.values[0], 0xee, 8); /* arguments were copied */
    return n_calls++;
}

static int query_double(const struct db_stmt *stmt, double v)
{
    db_args_init(&args, &arena);
    db_arg_double(&args, v);
    in_start = true;
    db_conn_query(conn, stmt, &args, on_result, &calls[n_calls]);
    in_start = false;
    return n_calls++;
}

static int query_plain(const struct db_stmt *stmt)
{
    in_start = true;
    db_conn_query(conn, stmt, NULL, on_result, &calls[n_calls]);
    in_start = false;
    return n_calls++;
}

static int exec(const char *sql)
{
    in_start = true;
    db_conn_exec(conn, sql, on_result, &calls[n_calls]);
    in_start = false;
    return n_calls++;
}

static int copy_in(const char *sql, const struct buf *data)
{
    in_start = true;
    db_conn_copy_in(conn, sql, data, on_result, &calls[n_calls]);
    in_start = false;
    return n_calls++;
}

static void want_errors(const enum err *want, int n)
{
    for (int i = 0; i < n; i++) {
        cr_assert_eq(calls[i].err, want[i], "call %d: %s: %s", i, err_name(calls[i].err), calls[i].text);
        cr_assert_eq(calls[i].order, i, "call %d ended as number %d", i, calls[i].order);
    }
}

SERVER_TEST(sixty_four_queries_wait_and_end_in_order)
{
    NEED_SERVER();
    cr_assert(db_conn_up(conn));
    for (int i = 0; i < 64; i++)
        query_i64(&one, i);
    wait_calls(64);
    for (int i = 0; i < 64; i++)
        cr_assert(calls[i].err == ERR_OK && calls[i].value == i + 1 && calls[i].order == i, "call %d: %s", i, calls[i].text);
}

static void copy_ints(struct buf *b, int from, int to)
{
    db_copy_begin(b);
    for (int i = from; i <= to; i++) {
        db_copy_row(b, 2);
        db_copy_i32(b, i);
        db_copy_text(b, STR("a text that gives the row some width, so that the socket's buffer fills"));
    }
    db_copy_end(b);
}

#define COPY_SQL "COPY t FROM STDIN (FORMAT binary)"

SERVER_TEST(a_transaction_is_queued_as_a_whole)
{
    NEED_SERVER();
    struct buf b = {0};
    copy_ints(&b, 1, 100000);
    exec("CREATE TABLE t (a int PRIMARY KEY, b text)");
    exec("BEGIN; SET LOCAL lock_timeout = '300ms'");
    query_i64(&insert, 0);
    copy_in(COPY_SQL, &b);
    query_plain(&count);
    exec("COMMIT;");
    exec("TRUNCATE t");
    wait_calls(7);
    want_errors((const enum err[]){ERR_OK, ERR_OK, ERR_OK, ERR_OK, ERR_OK, ERR_OK, ERR_OK}, 7);
    cr_assert_eq(calls[2].value, 0);
    cr_assert_eq(calls[3].value, 100000);
    cr_assert_eq(calls[4].value, 100001);
    buf_free(&b);
}

SERVER_TEST(an_error_ends_its_own_request_only)
{
    NEED_SERVER();
    query_i64(&divide, 1);
    query_i64(&divide, 0);
    query_i64(&divide, 1);
    exec("SELEC");
    exec("BEGIN");
    query_i64(&divide, 0);
    query_i64(&divide, 1);
    exec("COMMIT");
    query_i64(&divide, 1);
    exec("BEGIN");
    query_i64(&divide, 0);
    exec("ROLLBACK");
    query_i64(&one, 1);
    wait_calls(13);
    want_errors((const enum err[]){ERR_OK, ERR_DB_DATA, ERR_OK, ERR_DB, ERR_OK, ERR_DB_DATA, ERR_DB, ERR_DB, ERR_OK, ERR_OK,
                                   ERR_DB_DATA, ERR_OK, ERR_OK}, 13);
    cr_assert(strstr(calls[1].text, "division by zero (22012)"), "%s", calls[1].text);
    cr_assert(strstr(calls[6].text, "25P02"), "%s", calls[6].text);
    cr_assert(strstr(calls[7].text, "rolled it back"), "%s", calls[7].text);
}

SERVER_TEST(a_prepare_that_failed_does_not_harm_its_followers)
{
    NEED_SERVER();
    query_plain(&count);
    query_plain(&count);
    exec("CREATE TABLE t (a int)");
    query_plain(&count);
    query_plain(&count);
    exec("DEALLOCATE ALL");
    query_plain(&count);
    query_plain(&count);
    wait_calls(8);
    want_errors((const enum err[]){ERR_DB, ERR_DB, ERR_OK, ERR_OK, ERR_OK, ERR_OK, ERR_DB_LOCK, ERR_DB_LOCK}, 8);
    query_plain(&count);
    wait_calls(9);
    cr_assert_eq(calls[8].err, ERR_OK, "%s", calls[8].text);
}

static int64_t peak_kib(void)
{
    struct rusage usage;
    cr_assert_eq(getrusage(RUSAGE_SELF, &usage), 0);
    return usage.ru_maxrss;
}

SERVER_TEST(a_big_copy_flows_without_being_held_in_memory)
{
    NEED_SERVER();
    struct buf b = {0};
    copy_ints(&b, 1, 300000);
    cr_assert_gt(b.len, 20u << 20);
    exec("CREATE TABLE t (a int, b text)");
    int64_t before_kib = peak_kib();
    copy_in(COPY_SQL, &b);
    copy_in(COPY_SQL, &b);
    query_plain(&count);
    wait_calls(4);
    cr_assert_lt(peak_kib() - before_kib, 8192, "libpq's buffer grew to the size of the data");
    want_errors((const enum err[]){ERR_OK, ERR_OK, ERR_OK, ERR_OK}, 4);
    cr_assert_eq(calls[1].value, 300000);
    cr_assert_eq(calls[3].value, 600000);
    buf_free(&b);
}

SERVER_TEST(a_refused_copy_ends_its_own_request_only)
{
    NEED_SERVER();
    struct buf b = {0};
    struct buf empty = {0};
    copy_ints(&b, 1, 100000);
    exec("CREATE TABLE t (a int PRIMARY KEY, b text)");
    exec("INSERT INTO t VALUES (77)");
    copy_in(COPY_SQL, &b);
    copy_in("COPY missing FROM STDIN (FORMAT binary)", &b);
    copy_in(COPY_SQL, &empty);
    query_plain(&count);
    wait_calls(6);
    want_errors((const enum err[]){ERR_OK, ERR_OK, ERR_DB_UNIQUE, ERR_DB, ERR_DB_DATA, ERR_OK}, 6);
    cr_assert_eq(calls[5].value, 1);
    buf_free(&b);
}

SERVER_TEST(copy_through_another_call_ends_the_connection)
{
    NEED_SERVER();
    exec("COPY (SELECT 1) TO STDOUT");
    exec("SELECT 1");
    wait_calls(2);
    want_errors((const enum err[]){ERR_STATE, ERR_CONN_LOST}, 2);
    wait_states(2, 1);
}

static int backend_pid(void)
{
    int call = query_plain(&pid_stmt);
    wait_calls(n_calls);
    cr_assert_eq(calls[call].err, ERR_OK);
    return (int)calls[call].value;
}

static void terminate(int pid)
{
    struct buf sql = {0};
    buf_printf(&sql, "SELECT pg_terminate_backend(%d, 5000)", pid);
    test_pg_run(&pg, buf_text(&sql));
    buf_free(&sql);
}

SERVER_TEST(a_terminated_connection_ends_everything_pending_and_comes_back)
{
    NEED_SERVER();
    query_i64(&one, 1);
    int pid = backend_pid();
    query_double(&nap, 60);
    for (int i = 0; i < 20; i++)
        query_i64(&one, i);
    exec("COMMIT; SELECT 1"); /* was not sent yet */
    loop_turn(loop);
    terminate(pid);
    wait_calls(24);
    for (int i = 2; i < 24; i++)
        cr_assert(calls[i].err == ERR_CONN_LOST && calls[i].order == i, "call %d: %s", i, calls[i].text);
    cr_assert(strstr(calls[2].text, "terminating connection due to administrator command (57P01)"), "%s", calls[2].text);
    wait_states(2, 1);
    int call = query_i64(&one, 41);
    wait_calls(25);
    cr_assert_eq(calls[call].err, ERR_OK, "prepared again: %s", calls[call].text);
    cr_assert_eq(calls[call].value, 42);
    cr_assert_neq(backend_pid(), pid);
}

SERVER_TEST(an_idle_connection_that_is_ended_comes_back)
{
    NEED_SERVER();
    terminate(backend_pid());
    wait_states(2, 1);
    cr_assert(db_conn_up(conn));
    cr_assert_eq(n_down, 1);
}

SERVER_TEST(a_copy_survives_the_end_of_its_connection_as_an_error)
{
    NEED_SERVER();
    struct buf b = {0};
    copy_ints(&b, 1, 300000);
    exec("CREATE TABLE t (a int, b text)");
    int pid = backend_pid();
    cr_assert_eq(kill(pid, SIGSTOP), 0);
    copy_in(COPY_SQL, &b);
    query_plain(&count);
    loop_turn(loop);
    kill(pid, SIGTERM);
    kill(pid, SIGCONT);
    wait_calls(4);
    cr_assert_eq(calls[2].err, ERR_CONN_LOST, "%s", calls[2].text);
    cr_assert_eq(calls[3].err, ERR_CONN_LOST);
    buf_free(&b);
    wait_states(2, 1);
    query_plain(&count);
    wait_calls(5);
    cr_assert_eq(calls[4].value, 0);
}

SERVER_TEST(while_down_requests_end_at_once)
{
    NEED_SERVER();
    query_double(&nap, 60);
    in_start = true;
    db_conn_drop(conn);
    db_conn_drop(conn);
    in_start = false;
    cr_assert(!db_conn_up(conn));
    query_i64(&one, 1);
    exec("SELECT 1");
    wait_calls(3);
    want_errors((const enum err[]){ERR_CONN_LOST, ERR_CONN_LOST, ERR_CONN_LOST}, 3);
    wait_states(2, 1);
    query_i64(&one, 1);
    wait_calls(4);
    cr_assert_eq(calls[3].err, ERR_OK);
}

SERVER_TEST(closing_cancels_what_is_pending)
{
    NEED_SERVER();
    query_double(&nap, 60);
    query_i64(&one, 1);
    exec("COMMIT; SELECT 1");
    close_conn();
    cr_assert_eq(n_done, 0);
    wait_calls(3);
    want_errors((const enum err[]){ERR_CANCELED, ERR_CANCELED, ERR_CANCELED}, 3);
}

SERVER_TEST(closing_after_a_loss_cancels_too)
{
    NEED_SERVER();
    query_double(&nap, 60);
    db_conn_drop(conn);
    query_i64(&one, 1);
    close_conn();
    wait_calls(2);
    want_errors((const enum err[]){ERR_CANCELED, ERR_CANCELED}, 2);
    cr_assert_eq(n_down, 0);
}

SERVER_TEST(closing_from_a_callback_is_allowed)
{
    NEED_SERVER();
    query_i64(&one, 1);
    query_i64(&one, 2);
    query_double(&nap, 60);
    close_in_callback = true;
    wait_calls(3);
    want_errors((const enum err[]){ERR_OK, ERR_CANCELED, ERR_CANCELED}, 3);
}

SERVER_TEST(closing_works_while_connecting)
{
    NEED_SERVER();
    static const char *const urls[] = {NULL, "host=localhost port=1", "postgresql://bad%zz", "host=/nonexistent"};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
        for (int turns = 0; turns < 4; turns++) {
            close_conn();
            while (!closed)
                loop_run(loop);
            closed = false;
            open_conn(urls[i] ? urls[i] : pg.url, 0, 0);
            for (int turn = 0; turn < turns; turn++)
                loop_turn(loop);
        }
}

SERVER_TEST(the_servers_time_limit_ends_the_statement_only)
{
    NEED_SERVER();
    close_conn();
    while (!closed)
        loop_run(loop);
    closed = false;
    open_conn(pg.url, 50, 0);
    wait_states(2, 0);
    query_double(&nap, 60);
    query_i64(&one, 1);
    wait_calls(2);
    want_errors((const enum err[]){ERR_TIMEOUT, ERR_OK}, 2);
    cr_assert_eq(n_down, 0);
}

SERVER_TEST(a_frozen_server_ends_the_first_with_timeout_and_the_rest_as_lost)
{
    NEED_SERVER();
    close_conn();
    while (!closed)
        loop_run(loop);
    closed = false;
    open_conn(pg.url, 50, 0);
    wait_states(2, 0);
    int pid = backend_pid();
    cr_assert_eq(kill(pid, SIGSTOP), 0);
    int64_t before_ms = clock_mono_ms();
    query_i64(&one, 1);
    query_i64(&one, 2);
    exec("COMMIT; SELECT 1");
    wait_calls(4);
    int64_t took_ms = clock_mono_ms() - before_ms;
    kill(pid, SIGCONT);
    want_errors((const enum err[]){ERR_OK, ERR_TIMEOUT, ERR_CONN_LOST, ERR_CONN_LOST}, 4);
    cr_assert(took_ms >= 5000 && took_ms < 15000, "%d", (int)took_ms);
    wait_states(3, 1);
}

/* A socket on a free port of 127.0.0.1: listening without ever answering, or refusing. */
static int take_port(int *port, bool listening)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&addr, size), 0);
    cr_assert(!listening || listen(fd, 8) == 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&addr, &size), 0);
    *port = ntohs(addr.sin_port);
    return fd;
}

SERVER_TEST(names_are_resolved_and_a_silent_server_is_tried_again)
{
    NEED_SERVER();
    int port = 0;
    int accepted[2];
    char url[128];
    int fd = take_port(&port, true);
    close_conn();
    while (!closed)
        loop_run(loop);
    closed = false;
    snprintf(url, sizeof(url), "host=does-not-exist.invalid,localhost port=%d user=x dbname=x sslmode=disable gssencmode=disable",
             port);
    open_conn(url, 0, 100);
    while (conn->state == DB_CONN_WAITING)
        loop_turn(loop);
    cr_assert_eq(conn->state, DB_CONN_RESOLVING, "libpq was left to block on name service");
    for (int i = 0; i < 2; i++)
        while ((accepted[i] = accept(fd, NULL, NULL)) < 0)
            loop_turn(loop);
    query_i64(&one, 1);
    wait_calls(1);
    cr_assert_eq(calls[0].err, ERR_CONN_LOST);
    cr_assert(n_up == 1 && n_down == 0);
    close(accepted[0]);
    close(accepted[1]);
    close(fd);
}

SERVER_TEST(the_next_host_is_tried_when_the_first_refuses)
{
    NEED_SERVER();
    int port = 0;
    char url[700];
    int fd = take_port(&port, false);
    const char *dir = strstr(pg.url, "?host=") + strlen("?host=");
    close_conn();
    while (!closed)
        loop_run(loop);
    closed = false;
    snprintf(url, sizeof(url), "host=127.0.0.1,localhost,%.*s port=%d,%d,5432 dbname=%s user=postgres", (int)strcspn(dir, "&"), dir, port,
             port, pg.name);
    open_conn(url, 0, 0);
    wait_states(2, 0);
    cr_assert_eq(conn->failures, 0);
    query_i64(&one, 1);
    wait_calls(1);
    cr_assert_eq(calls[0].err, ERR_OK);
    close(fd);
}

SERVER_TEST(a_connection_comes_up_when_the_server_does)
{
    NEED_SERVER();
    struct buf sql = {0};
    close_conn();
    while (!closed)
        loop_run(loop);
    closed = false;
    /* The database appears under its name only after the first tries have failed. */
    buf_printf(&sql, "ALTER DATABASE %s RENAME TO %s_away", pg.name, pg.name);
    test_pg_run_server(buf_text(&sql));
    open_conn(pg.url, 0, 0);
    int64_t until_ms = clock_mono_ms() + 300;
    while (clock_mono_ms() < until_ms)
        loop_turn(loop);
    cr_assert(!db_conn_up(conn));
    buf_reset(&sql);
    buf_printf(&sql, "ALTER DATABASE %s_away RENAME TO %s", pg.name, pg.name);
    test_pg_run_server(buf_text(&sql));
    wait_states(2, 0);
    query_i64(&one, 1);
    wait_calls(1);
    cr_assert_eq(calls[0].value, 2);
    buf_free(&sql);
}
