/* The life of a connection on the loop: connecting, loss, reconnecting, a server that stops answering, closing. */
#include <criterion/criterion.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/io/db_conn_private.h"
#include "tests/integration/db_play.h"
#include "tests/support/proxy.h"

#define SERVER_TEST(name) Test(db_conn, name, .init = db_play_setup, .fini = db_play_teardown, .timeout = 60)

static const struct db_stmt pid_stmt = {"pid", "SELECT pg_backend_pid()"};

static int backend_pid(void)
{
    int call = db_play_query(&pid_stmt);
    db_play_wait(play.n_calls);
    cr_assert_eq(play.calls[call].err, ERR_OK);
    return (int)play.calls[call].value;
}

static void terminate(int pid)
{
    struct buf sql = {0};
    buf_printf(&sql, "SELECT pg_terminate_backend(%d, 5000)", pid);
    test_pg_run(&play.pg, buf_text(&sql));
    buf_free(&sql);
}

SERVER_TEST(a_terminated_connection_ends_everything_pending_and_comes_back)
{
    DB_PLAY_NEEDS_SERVER();
    db_play_i64(&db_play_one, 1);
    int pid = backend_pid();
    db_play_double(&db_play_nap, 60);
    for (int i = 0; i < 20; i++)
        db_play_i64(&db_play_one, i);
    db_play_exec("COMMIT; SELECT 1"); /* was not sent yet */
    loop_turn(play.loop);
    terminate(pid);
    db_play_wait(24);
    for (int i = 2; i < 24; i++)
        cr_assert(play.calls[i].err == ERR_CONN_LOST && play.calls[i].order == i, "call %d: %s", i, play.calls[i].text);
    cr_assert(strstr(play.calls[2].text, "terminating connection due to administrator command (57P01)"), "%s",
              play.calls[2].text);
    db_play_wait_states(2, 1);
    int call = db_play_i64(&db_play_one, 41);
    db_play_wait(25);
    cr_assert_eq(play.calls[call].err, ERR_OK, "prepared again: %s", play.calls[call].text);
    cr_assert_eq(play.calls[call].value, 42);
    cr_assert_neq(backend_pid(), pid);
}

SERVER_TEST(an_idle_connection_that_is_ended_comes_back)
{
    DB_PLAY_NEEDS_SERVER();
    terminate(backend_pid());
    db_play_wait_states(2, 1);
    cr_assert(db_conn_up(play.conn));
    cr_assert_eq(play.n_down, 1);
}

/* The socket is in error, and has something to read all the same: the error shows only at the read after that. */
SERVER_TEST(a_reset_after_some_last_words_is_noticed)
{
    static const char parameter_status[] = "S\0\0\0\10a\0b\0";
    struct proxy proxy;
    char to[PROXY_PATH_SIZE], url[512];
    DB_PLAY_NEEDS_SERVER();
    const char *host = strstr(play.pg.url, "host=") + strlen("host="), *rest = host + strcspn(host, "&");
    snprintf(to, sizeof(to), "%.*s/.s.PGSQL.5432", (int)(rest - host), host);
    proxy_start(&proxy, ".s.PGSQL.5432", to, 1);
    proxy.last_words = parameter_status;
    proxy.n_last_words = sizeof(parameter_status) - 1;
    snprintf(url, sizeof(url), "%.*s%s%s", (int)(host - play.pg.url), play.pg.url, proxy.dir, rest);
    db_play_reopen(url, 5000, 0);
    db_play_wait_states(play.n_up + 1, 0);
    (void)backend_pid();
    proxy_hold(&proxy);
    int call = db_play_query(&pid_stmt);
    loop_turn(play.loop);
    proxy_set(&proxy, PROXY_RESET);
    db_play_wait(play.n_calls);
    cr_expect_eq(play.calls[call].err, ERR_CONN_LOST, "%s", play.calls[call].text);
    proxy_stop(&proxy);
}

SERVER_TEST(a_copy_survives_the_end_of_its_connection_as_an_error)
{
    DB_PLAY_NEEDS_SERVER();
    struct buf b = {0};
    db_play_ints(&b, 1, 300000);
    db_play_exec("CREATE TABLE t (a int, b text)");
    int pid = backend_pid();
    cr_assert_eq(kill(pid, SIGSTOP), 0);
    db_play_copy(DB_PLAY_COPY, &b);
    db_play_query(&db_play_count);
    loop_turn(play.loop);
    kill(pid, SIGTERM);
    kill(pid, SIGCONT);
    db_play_wait(4);
    cr_assert_eq(play.calls[2].err, ERR_CONN_LOST, "%s", play.calls[2].text);
    cr_assert_eq(play.calls[3].err, ERR_CONN_LOST);
    buf_free(&b);
    db_play_wait_states(2, 1);
    db_play_query(&db_play_count);
    db_play_wait(5);
    cr_assert_eq(play.calls[4].value, 0);
}

SERVER_TEST(while_down_requests_end_at_once)
{
    DB_PLAY_NEEDS_SERVER();
    db_play_double(&db_play_nap, 60);
    play.in_start = true;
    db_conn_drop(play.conn);
    db_conn_drop(play.conn);
    play.in_start = false;
    cr_assert(!db_conn_up(play.conn));
    db_play_i64(&db_play_one, 1);
    db_play_exec("SELECT 1");
    db_play_wait(3);
    db_play_want((const enum err[]){ERR_CONN_LOST, ERR_CONN_LOST, ERR_CONN_LOST}, 3);
    db_play_wait_states(2, 1);
    db_play_i64(&db_play_one, 1);
    db_play_wait(4);
    cr_assert_eq(play.calls[3].err, ERR_OK);
}

SERVER_TEST(closing_cancels_what_is_pending)
{
    DB_PLAY_NEEDS_SERVER();
    db_play_double(&db_play_nap, 60);
    db_play_i64(&db_play_one, 1);
    db_play_exec("COMMIT; SELECT 1");
    db_play_close();
    cr_assert_eq(play.n_done, 0);
    db_play_wait(3);
    db_play_want((const enum err[]){ERR_CANCELED, ERR_CANCELED, ERR_CANCELED}, 3);
}

SERVER_TEST(closing_after_a_loss_cancels_too)
{
    DB_PLAY_NEEDS_SERVER();
    db_play_double(&db_play_nap, 60);
    db_conn_drop(play.conn);
    db_play_i64(&db_play_one, 1);
    db_play_close();
    db_play_wait(2);
    db_play_want((const enum err[]){ERR_CANCELED, ERR_CANCELED}, 2);
    cr_assert_eq(play.n_down, 0);
}

SERVER_TEST(closing_from_a_callback_is_allowed)
{
    DB_PLAY_NEEDS_SERVER();
    db_play_i64(&db_play_one, 1);
    db_play_i64(&db_play_one, 2);
    db_play_double(&db_play_nap, 60);
    play.close_in_callback = true;
    db_play_wait(3);
    db_play_want((const enum err[]){ERR_OK, ERR_CANCELED, ERR_CANCELED}, 3);
}

SERVER_TEST(closing_works_while_connecting)
{
    DB_PLAY_NEEDS_SERVER();
    static const char *const urls[] = {NULL, "host=localhost port=1", "postgresql://bad%zz", "host=/nonexistent"};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
        for (int turns = 0; turns < 4; turns++) {
            db_play_reopen(urls[i] ? urls[i] : play.pg.url, 0, 0);
            for (int turn = 0; turn < turns; turn++)
                loop_turn(play.loop);
        }
}

SERVER_TEST(a_frozen_server_ends_the_first_with_timeout_and_the_rest_as_lost)
{
    DB_PLAY_NEEDS_SERVER();
    db_play_reopen(play.pg.url, 50, 0);
    db_play_wait_states(2, 0);
    int pid = backend_pid();
    cr_assert_eq(kill(pid, SIGSTOP), 0);
    int64_t before_ms = clock_mono_ms();
    db_play_i64(&db_play_one, 1);
    db_play_i64(&db_play_one, 2);
    db_play_exec("COMMIT; SELECT 1");
    db_play_wait(4);
    int64_t took_ms = clock_mono_ms() - before_ms;
    kill(pid, SIGCONT);
    db_play_want((const enum err[]){ERR_OK, ERR_TIMEOUT, ERR_CONN_LOST, ERR_CONN_LOST}, 4);
    cr_assert(took_ms >= 5000 && took_ms < 15000, "%d", (int)took_ms);
    db_play_wait_states(3, 1);
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
    DB_PLAY_NEEDS_SERVER();
    int port = 0;
    int accepted[2];
    char url[128];
    int fd = take_port(&port, true);
    db_play_shut();
    snprintf(url, sizeof(url),
             "host=does-not-exist.invalid,localhost port=%d user=x dbname=x sslmode=disable gssencmode=disable", port);
    db_play_open(url, 0, 100);
    while (play.conn->state == DB_CONN_WAITING)
        loop_turn(play.loop);
    cr_assert_eq(play.conn->state, DB_CONN_RESOLVING, "libpq was left to block on name service");
    for (int i = 0; i < 2; i++)
        while ((accepted[i] = accept(fd, NULL, NULL)) < 0)
            loop_turn(play.loop);
    db_play_i64(&db_play_one, 1);
    db_play_wait(1);
    cr_assert_eq(play.calls[0].err, ERR_CONN_LOST);
    cr_assert(play.n_up == 1 && play.n_down == 0);
    close(accepted[0]);
    close(accepted[1]);
    close(fd);
}

SERVER_TEST(the_next_host_is_tried_when_the_first_refuses)
{
    DB_PLAY_NEEDS_SERVER();
    int port = 0;
    char url[700];
    int fd = take_port(&port, false);
    const char *dir = strstr(play.pg.url, "?host=") + strlen("?host=");
    db_play_shut();
    snprintf(url, sizeof(url), "host=127.0.0.1,localhost,%.*s port=%d,%d,5432 dbname=%s user=postgres",
             (int)strcspn(dir, "&"), dir, port, port, play.pg.name);
    db_play_open(url, 0, 0);
    db_play_wait_states(2, 0);
    cr_assert_eq(play.conn->failures, 0);
    db_play_i64(&db_play_one, 1);
    db_play_wait(1);
    cr_assert_eq(play.calls[0].err, ERR_OK);
    close(fd);
}

SERVER_TEST(a_connection_comes_up_when_the_server_does)
{
    DB_PLAY_NEEDS_SERVER();
    struct buf sql = {0};
    db_play_shut();
    /* The database appears under its name only after the first tries have failed. */
    buf_printf(&sql, "ALTER DATABASE %s RENAME TO %s_away", play.pg.name, play.pg.name);
    test_pg_run_server(buf_text(&sql));
    db_play_open(play.pg.url, 0, 0);
    int64_t until_ms = clock_mono_ms() + 300;
    while (clock_mono_ms() < until_ms)
        loop_turn(play.loop);
    cr_assert(!db_conn_up(play.conn));
    buf_reset(&sql);
    buf_printf(&sql, "ALTER DATABASE %s_away RENAME TO %s", play.pg.name, play.pg.name);
    test_pg_run_server(buf_text(&sql));
    db_play_wait_states(2, 0);
    db_play_i64(&db_play_one, 1);
    db_play_wait(1);
    cr_assert_eq(play.calls[0].value, 2);
    buf_free(&sql);
}
