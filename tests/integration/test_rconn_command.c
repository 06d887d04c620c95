/* Commands on the loop: order, deadlines, losses, changes of role, closing; each ends exactly once. */
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

TestSuite(rconn_command, .init = rconn_owner_set_up, .fini = rconn_owner_tear_down, .timeout = 60);

struct flood {
    size_t next;
    size_t total;
    bool in_order;
};

static size_t flood_size(size_t i)
{
    return i % 100 == 0 ? 300000 : i % 37;
}

static void on_echo(void *arg, enum err err, const struct reply *reply)
{
    struct flood *f = arg;
    size_t i = f->next++;

    cr_assert_eq(err, ERR_OK);
    if (reply->s.n != flood_size(i) || (reply->s.n > 0 && reply->s.p[reply->s.n - 1] != (char)('a' + i % 26)))
        f->in_order = false;
    if (f->next == f->total)
        loop_stop(rconn_owner_loop);
}

Test(rconn_command, pipelines_in_order_and_past_the_sockets_buffers)
{
    struct flood f = {.total = 2000, .in_order = true};
    char *big = mem_alloc(300000);
    struct owner o;

    redis_server_start(&rconn_owner_server, NULL);
    rconn_owner_open_up(&o, rconn_owner_server.url);
    for (size_t i = 0; i < f.total; i++) {
        size_t n = flood_size(i);
        memset(big, (char)('a' + i % 26), n);
        rconn_command(o.c, 0, on_echo, &f, 2, (struct str[]){STR("ECHO"), {big, n}});
    }
    cr_expect_eq(rconn_pending(o.c), f.total);
    WAIT_FOR(f.next == f.total);
    cr_expect(f.in_order);
    cr_expect_eq(rconn_pending(o.c), 0);
    mem_free(big);
    rconn_owner_close(&o);
}

Test(rconn_command, refuses_more_than_it_can_hold)
{
    struct outcome last = {0};
    struct outcome *many = mem_zalloc(70000 * sizeof(*many));
    struct owner o;
    size_t ok = 0, busy = 0;

    redis_server_start(&rconn_owner_server, NULL);
    rconn_owner_open_up(&o, rconn_owner_server.url);
    for (size_t i = 0; i < 70000; i++)
        rconn_owner_command(&o, 0, &many[i], "PING");
    WAIT_FOR(rconn_pending(o.c) == 0);
    for (size_t i = 0; i < 70000; i++) {
        cr_assert_eq(many[i].calls, 1);
        ok += many[i].err == ERR_OK;
        busy += many[i].err == ERR_BUSY;
    }
    cr_expect_eq(ok, 65536);
    cr_expect_eq(busy, 70000 - 65536);
    rconn_owner_command(&o, 0, &last, "PING");
    WAIT_FOR(last.calls == 1);
    cr_expect_eq(last.err, ERR_OK);
    mem_free(many);
    rconn_owner_close(&o);
}

Test(rconn_command, a_missed_deadline_drops_the_connection)
{
    struct outcome fast = {0}, slow = {0}, after = {0};
    struct owner o;
    int64_t start;

    redis_server_start(&rconn_owner_server, NULL);
    rconn_owner_open_up(&o, rconn_owner_server.url);
    redis_server_freeze(&rconn_owner_server);
    start = clock_mono_ms();
    rconn_owner_command(&o, 0, &slow, "PING");
    rconn_owner_command(&o, 100, &fast, "PING");
    WAIT_FOR(fast.calls == 1 && slow.calls == 1);
    cr_expect_eq(fast.err, ERR_TIMEOUT);
    cr_expect_eq(slow.err, ERR_CONN_LOST, "it had time left");
    cr_expect(clock_mono_ms() - start >= 95 && clock_mono_ms() - start < 4000);
    cr_expect_eq(o.downs, 1);
    cr_expect_eq(o.last_err, ERR_TIMEOUT);
    redis_server_thaw(&rconn_owner_server);
    WAIT_FOR(o.ups == 2);
    rconn_owner_command(&o, 0, &after, "ECHO fresh");
    WAIT_FOR(after.calls == 1);
    cr_expect_str_eq(after.text, "fresh", "no reply of the old connection");
    rconn_owner_close(&o);
}

static void busy_wait(void *arg)
{
    const int64_t until = clock_mono_ms() + *(int64_t *)arg;

    while (clock_mono_ms() < until) {
    }
}

Test(rconn_command, a_loop_that_was_late_itself_does_not_blame_the_server)
{
    struct outcome out = {0};
    int64_t stall_ms = 150;
    struct owner o;

    redis_server_start(&rconn_owner_server, NULL);
    rconn_owner_open_up(&o, rconn_owner_server.url);
    do { /* sent, but the reply not yet read */
        rconn_owner_command(&o, 100, &out, "PING");
        loop_turn(rconn_owner_loop);
    } while (out.calls == 1);
    busy_wait(&stall_ms);
    WAIT_FOR(out.calls == 1);
    cr_expect_eq(out.err, ERR_OK);
    cr_expect_eq(o.downs, 0);
    rconn_owner_close(&o);
}

Test(rconn_command, a_killed_connection_ends_all_that_is_pending_once_and_reconnects)
{
    struct outcome out[50] = {{0}}, after = {0};
    struct owner o;
    struct rsession *s;

    redis_server_start(&rconn_owner_server, NULL);
    s = redis_session(rconn_owner_server.url);
    rconn_owner_open_up(&o, rconn_owner_server.url);
    rconn_owner_command(&o, 10000, &out[0], "BLPOP nothing 5");
    for (int i = 1; i < 50; i++)
        rconn_owner_command(&o, 0, &out[i], "PING");
    loop_turn(rconn_owner_loop);
    while (redis_run(s, "INFO clients")->s.p != NULL &&
           strstr(redis_run(s, "INFO clients")->s.p, "blocked_clients:1") == NULL) {
    }
    redis_run(s, "CLIENT KILL TYPE normal SKIPME yes");
    WAIT_FOR(o.downs == 1 && rconn_pending(o.c) == 0);
    for (int i = 0; i < 50; i++) {
        cr_expect_eq(out[i].calls, 1, "command %d", i);
        cr_expect_eq(out[i].err, ERR_CONN_LOST);
    }
    cr_expect_eq(o.last_err, ERR_CONN_LOST);
    WAIT_FOR(o.ups == 2);
    rconn_owner_command(&o, 0, &after, "PING");
    WAIT_FOR(after.calls == 1);
    cr_expect_eq(after.err, ERR_OK);
    rsession_close(s);
    rconn_owner_close(&o);
}

Test(rconn_command, closing_cancels_what_is_pending_once_and_then_says_so)
{
    struct outcome out[10] = {{0}}, late = {0};
    struct owner o;

    redis_server_start(&rconn_owner_server, NULL);
    rconn_owner_open_up(&o, rconn_owner_server.url);
    for (int i = 0; i < 10; i++)
        rconn_owner_command(&o, 0, &out[i], i == 0 ? "BLPOP nothing 5" : "PING");
    rconn_close(o.c, rconn_owner_closed, &o);
    rconn_owner_command(&o, 0, &late, "PING");
    cr_expect_eq(out[0].calls, 0, "never from inside rconn_close");
    WAIT_FOR(o.closed);
    for (int i = 0; i < 10; i++)
        cr_expect(out[i].calls == 1 && out[i].err == ERR_CANCELED, "command %d: %d %s", i, out[i].calls,
                  err_name(out[i].err));
    cr_expect(late.calls == 1 && late.err == ERR_CANCELED);
    cr_expect_eq(o.downs, 0, "closing is no loss");
}

Test(rconn_command, may_be_closed_and_used_from_its_own_callbacks)
{
    struct outcome closing = {0}, behind = {0}, again = {0}, last = {0};
    struct owner o, told;

    redis_server_start(&rconn_owner_server, NULL);
    rconn_owner_open_up(&o, rconn_owner_server.url);
    again.again = &o;
    rconn_owner_command(&o, 0, &again, "SET k v");
    WAIT_FOR(again.calls == 1 && strcmp(again.text, "PONG") == 0);
    closing.close = &o;
    last.again = &o;
    rconn_owner_command(&o, 0, &closing, "PING");
    rconn_owner_command(&o, 0, &behind, "PING");
    rconn_owner_command(&o, 0, &last, "PING"); /* answers its cancellation with a new command */
    WAIT_FOR(o.closed);
    cr_expect(closing.calls == 1 && closing.err == ERR_OK);
    cr_expect(behind.calls == 1 && behind.err == ERR_CANCELED);
    cr_expect(last.calls == 1 && last.err == ERR_CANCELED);

    rconn_owner_open(&told, rconn_owner_server.url, 0);
    told.close_when_told = true;
    WAIT_FOR(told.closed);
    cr_expect_eq(told.ups, 1);
    redis_server_kill(&rconn_owner_server);
    rconn_owner_open(&told, rconn_owner_server.url, 0);
    told.close_when_told = true;
    WAIT_FOR(told.closed);
    cr_expect_eq(told.downs, 1);
}

Test(rconn_command, may_be_closed_in_every_stage_of_connecting)
{
    char url[REDIS_URL_SIZE];

    redis_server_start_tcp(&rconn_owner_server, NULL);
    snprintf(url, sizeof(url), "redis://localhost:%d", rconn_owner_server.port);
    for (int turns = 0; turns < 12; turns++) {
        struct owner o;
        rconn_owner_open(&o, turns % 2 == 0 ? url : rconn_owner_server.url, 0);
        for (int i = 0; i < turns; i++)
            loop_turn(rconn_owner_loop);
        rconn_owner_close(&o);
    }
}

/* ---- roles and errors -------------------------------------------------------------------------------- */

Test(rconn_command, a_read_only_server_is_left_for_its_master)
{
    struct outcome set = {0}, behind = {0};
    struct owner o;
    struct rsession *s;

    redis_server_start(&rconn_owner_server, NULL);
    s = redis_session(rconn_owner_server.url);
    rconn_owner_open_up(&o, rconn_owner_server.url);
    redis_run(s, "REPLICAOF 127.0.0.1 1");
    rconn_owner_command(&o, 0, &set, "SET k v");
    rconn_owner_command(&o, 0, &behind, "PING");
    WAIT_FOR(set.calls == 1 && behind.calls == 1);
    cr_expect_eq(set.err, ERR_REDIS_LOADING);
    cr_expect_eq(behind.err, ERR_CONN_LOST);
    cr_expect_eq(o.downs, 1);
    cr_expect_not_null(strstr(o.last_text, "READONLY"), "%s", o.last_text);
    redis_run(s, "REPLICAOF NO ONE");
    WAIT_FOR(o.ups == 2);
    rsession_close(s);
    rconn_owner_close(&o);
}

Test(rconn_command, a_blocked_read_ends_when_the_server_becomes_a_replica)
{
    struct outcome group = {0}, read = {0};
    struct owner o;
    struct rsession *s;

    redis_server_start(&rconn_owner_server, NULL);
    s = redis_session(rconn_owner_server.url);
    rconn_owner_open_up(&o, rconn_owner_server.url);
    rconn_owner_command(&o, 0, &group, "XGROUP CREATE k g 0 MKSTREAM");
    rconn_owner_command(&o, 10000, &read, "XREADGROUP GROUP g c COUNT 1 BLOCK 9000 STREAMS k >");
    WAIT_FOR(group.calls == 1);
    while (strstr(redis_run(s, "INFO clients")->s.p, "blocked_clients:1") == NULL) {
    }
    redis_run(s, "REPLICAOF 127.0.0.1 1");
    WAIT_FOR(read.calls == 1 && o.downs == 1);
    cr_expect_eq(read.err, ERR_REDIS_LOADING);
    cr_expect_not_null(strstr(read.text, "UNBLOCKED"), "%s", read.text);
    rsession_close(s);
    rconn_owner_close(&o);
}

/* Commands, killed connections, restarts and closes at random: every command ends exactly once. The seed is
 * printed on failure. */
Test(rconn_command, every_command_ends_exactly_once_whatever_happens)
{
    enum { ROUNDS = 400 };
    struct outcome *out = mem_zalloc(ROUNDS * sizeof(*out));
    unsigned seed = (unsigned)clock_mono_us();
    const unsigned printed = seed;
    struct owner o;
    struct rsession *s;
    bool done = false;

    redis_server_start(&rconn_owner_server, NULL);
    s = redis_session(rconn_owner_server.url);
    rconn_owner_open(&o, rconn_owner_server.url, 0);
    for (int i = 0; i < ROUNDS; i++) {
        rconn_owner_command(&o, 0, &out[i], rand_r(&seed) % 20 == 0 ? "BLPOP nothing 0.001" : "PING");
        switch (rand_r(&seed) % 12) {
        case 0: redis_run(s, "CLIENT KILL TYPE normal SKIPME yes"); break;
        case 1:
            rconn_owner_close(&o);
            rconn_owner_open(&o, rconn_owner_server.url, 0);
            break;
        case 2: WAIT_FOR(rconn_up(o.c)); break;
        case 3: WAIT_FOR(out[i].calls == 1); break;
        default: loop_turn(rconn_owner_loop);
        }
    }
    while (!done) {
        done = true;
        for (int i = 0; i < ROUNDS; i++)
            done = done && out[i].calls > 0;
        if (!done)
            loop_run(rconn_owner_loop);
    }
    rconn_owner_close(&o);
    for (int i = 0; i < ROUNDS; i++)
        cr_assert_eq(out[i].calls, 1, "seed %u, command %d", printed, i);
    rsession_close(s);
    mem_free(out);
}
