/* Redis on the loop: connecting, logging in, names, servers that refuse, are silent, full or loading. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/io/loop.h"
#include "common/io/rconn.h"
#include "tests/support/rconn_owner.h"
#include "tests/support/redis.h"

TestSuite(rconn, .init = rconn_owner_set_up, .fini = rconn_owner_tear_down, .timeout = 60);

Test(rconn, logs_in_selects_and_names_itself)
{
    struct outcome who = {0}, name = {0}, db = {0};
    char url[REDIS_URL_SIZE + 64];
    struct owner o;
    struct rsession *s;

    redis_server_start(&rconn_owner_server, NULL);
    s = redis_session(rconn_owner_server.url);
    redis_run(s, "ACL SETUSER bob on >se:cret ~* +@all");
    snprintf(url, sizeof(url), "unix://bob:se%%3acret@%s?db=7", rconn_owner_server.url + strlen("unix://"));
    rconn_owner_open_up(&o, url);
    rconn_owner_command(&o, 0, &who, "ACL WHOAMI");
    rconn_owner_command(&o, 0, &name, "CLIENT GETNAME");
    rconn_owner_command(&o, 0, &db, "SET here 1");
    WAIT_FOR(db.calls == 1);
    cr_expect_str_eq(who.text, "bob");
    cr_expect_str_eq(name.text, "a-test");
    redis_run(s, "SELECT 7");
    cr_expect_eq(redis_run(s, "EXISTS here")->i, 1);
    rsession_close(s);
    rconn_owner_close(&o);
}

Test(rconn, reports_why_it_can_not_log_in)
{
    static const struct {
        const char *login, *says;
    } cases[] = {{"", "NOAUTH"}, {":wrong@", "WRONGPASS"}, {"bob:secret@", "WRONGPASS"}};
    struct rsession *s, *none = NULL;
    char url[REDIS_URL_SIZE + 64];
    struct owner o;

    redis_server_start(&rconn_owner_server, NULL);
    s = redis_session(rconn_owner_server.url);
    redis_run(s, "CONFIG SET requirepass secret");
    rsession_close(s);
    for (size_t i = 0; i < 3; i++) {
        struct err_info info = {0};
        snprintf(url, sizeof(url), "unix://%s%s", cases[i].login, rconn_owner_server.url + strlen("unix://"));
        rconn_owner_open(&o, url, 0);
        WAIT_FOR(o.downs == 1);
        cr_expect_eq(o.last_err, ERR_DENIED, "%s", o.last_text);
        cr_expect_not_null(strstr(o.last_text, cases[i].says), "%s", o.last_text);
        rconn_owner_close(&o);
        cr_expect_eq(rsession_open(&(struct rconn_config){.url = url}, &none, &info), ERR_DENIED);
        cr_expect_not_null(strstr(info.text, cases[i].says), "%s", info.text);
        cr_expect_null(none);
    }
}

Test(rconn, reports_a_refused_connection_and_connects_when_the_server_is_there)
{
    struct outcome early = {0}, late = {0};
    struct owner o;

    redis_server_start(&rconn_owner_server, NULL);
    redis_server_kill(&rconn_owner_server);
    rconn_owner_open(&o, rconn_owner_server.url, 0);
    WAIT_FOR(o.downs == 1);
    cr_expect_eq(o.last_err, ERR_REFUSED, "%s", o.last_text);
    cr_expect_not(rconn_up(o.c));
    rconn_owner_command(&o, 0, &early, "PING");
    cr_expect_eq(rconn_pending(o.c), 1);
    WAIT_FOR(early.calls == 1);
    cr_expect_eq(early.err, ERR_CONN_LOST);
    cr_expect_eq(rconn_pending(o.c), 0);

    for (int64_t start = loop_now_ms(rconn_owner_loop);
         loop_now_ms(rconn_owner_loop) < start + 500;) { /* some more attempts, unless that is broken */
        rconn_owner_command(&o, 0, &early, "PING");
        WAIT_FOR(early.calls == 1);
    }
    cr_expect_eq(o.downs, 1, "the same refusal is told once");
    redis_server_restart(&rconn_owner_server);
    WAIT_FOR(o.ups == 1);
    rconn_owner_command(&o, 0, &late, "PING");
    WAIT_FOR(late.calls == 1);
    cr_expect_str_eq(late.text, "PONG");
    rconn_owner_close(&o);
}

Test(rconn, finds_a_host_by_name_and_comes_back_to_it)
{
    struct outcome pong = {0};
    char url[REDIS_URL_SIZE];
    struct owner o;

    redis_server_start_tcp(&rconn_owner_server, NULL); /* listens on 127.0.0.1 alone */
    snprintf(url, sizeof(url), "redis://localhost:%d/3", rconn_owner_server.port);
    rconn_owner_open_up(&o, url);
    rconn_owner_command(&o, 0, &pong, "PING");
    WAIT_FOR(pong.calls == 1);
    cr_expect_str_eq(pong.text, "PONG");
    redis_server_kill(&rconn_owner_server);
    WAIT_FOR(o.downs == 1);
    cr_expect_eq(o.last_err, ERR_CONN_LOST);
    WAIT_FOR(o.downs == 2);
    cr_expect_eq(o.last_err, ERR_REFUSED, "%s", o.last_text);
    redis_server_restart(&rconn_owner_server);
    WAIT_FOR(o.ups == 2);
    rconn_owner_close(&o);
}

static void on_tick(void *arg)
{
    ++*(int *)arg;
}

Test(rconn, a_name_that_does_not_resolve_is_reported_and_does_not_hold_up_the_loop)
{
    struct owner o, at_once;
    int ticks = 0;
    struct timer *ticker = timer_new(rconn_owner_loop, on_tick, &ticks);

    timer_start(ticker, 0, 1);
    rconn_owner_open(&o, "redis://no-such-host.invalid", 5000);
    rconn_owner_open(&at_once, "redis://no-such-host.invalid", 5000);
    loop_turn(rconn_owner_loop); /* the look-up has begun, and is given up */
    rconn_owner_close(&at_once);
    WAIT_FOR(o.downs == 1);
    cr_expect(o.last_err == ERR_IO || o.last_err == ERR_TIMEOUT, "%s", o.last_text);
    cr_expect_gt(ticks, 0);
    timer_free(ticker);
    rconn_owner_close(&o);
}

Test(rconn, a_server_that_accepts_but_says_nothing_is_given_up)
{
    struct owner o;
    struct rsession *s = NULL;
    int64_t start = clock_mono_ms();

    redis_server_start(&rconn_owner_server, NULL);
    redis_server_freeze(&rconn_owner_server);
    rconn_owner_open(&o, rconn_owner_server.url, 100);
    WAIT_FOR(o.downs == 1);
    cr_expect_eq(o.last_err, ERR_TIMEOUT, "%s", o.last_text);
    cr_expect_geq(clock_mono_ms() - start, 95);
    cr_expect_eq(rsession_open(&(struct rconn_config){.url = rconn_owner_server.url, .connect_ms = 50}, &s, NULL),
                 ERR_TIMEOUT);
    redis_server_thaw(&rconn_owner_server);
    WAIT_FOR(o.ups == 1);
    rconn_owner_close(&o);
}

Test(rconn, a_server_with_too_many_clients_says_so)
{
    struct owner o, second;
    struct rsession *s;

    redis_server_start(&rconn_owner_server, NULL);
    s = redis_session(rconn_owner_server.url);
    rconn_owner_open_up(&o, rconn_owner_server.url);
    redis_run(s, "CONFIG SET maxclients 2");
    rconn_owner_open(&second, rconn_owner_server.url, 0);
    WAIT_FOR(second.downs == 1);
    cr_expect(second.last_err == ERR_BUSY, "%s", second.last_text);
    redis_run(s, "CONFIG SET maxclients 100");
    WAIT_FOR(second.ups == 1);
    rsession_close(s);
    rconn_owner_close(&second);
    rconn_owner_close(&o);
}

Test(rconn, is_not_up_while_the_server_is_loading)
{
    static const char *const options[] = {
        "--save", "3600 1", "--key-load-delay", "100000", "--loading-process-events-interval-bytes", "1024", NULL};
    struct rsession *s;
    struct owner o;

    redis_server_start(&rconn_owner_server, options);
    s = redis_session(rconn_owner_server.url);
    for (int i = 0; i < 4; i++) {
        char text[64];
        snprintf(text, sizeof(text), "SETRANGE k%d 5000 x", i);
        redis_run(s, text);
    }
    redis_run(s, "CONFIG SET rdbcompression no");
    redis_run(s, "SAVE");
    rsession_close(s);
    redis_server_kill(&rconn_owner_server);
    rconn_owner_open(&o, rconn_owner_server.url, 0);
    redis_server_launch(&rconn_owner_server);
    WAIT_FOR(o.downs >= 1 && o.last_err == ERR_REDIS_LOADING);
    WAIT_FOR(o.ups == 1);
    rconn_owner_close(&o);
}
