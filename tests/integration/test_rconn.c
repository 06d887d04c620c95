/* Redis on the loop: connecting, losing, deadlines, order, exactly-once. Every test breaks a server of its own. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/io/loop.h"
#include "common/io/rconn.h"
#include "tests/support/redis.h"

#define GUARD_MS 20000

static struct loop *loop;
static struct timer *guard;
static struct redis_server server;

/* What one connection has told its owner. */
struct owner {
    struct rconn *c;
    int ups;
    int downs;
    enum err last_err;
    char last_text[320];
    bool closed;
    bool close_when_told; /* rconn_close from on_state */
};

/* What became of one command. */
struct outcome {
    int calls;
    enum err err;
    enum reply_type type;
    int64_t i;
    char text[64];
    struct owner *close; /* rconn_close from the callback */
    struct owner *again; /* another command from the callback */
};

static void on_guard(void *arg)
{
    (void)arg;
    fprintf(stderr, "the test waits for something that does not happen\n");
    abort();
}

static void set_up(void)
{
    loop = loop_new();
    guard = timer_new(loop, on_guard, NULL);
    timer_start(guard, GUARD_MS, 0);
    server = (struct redis_server){.pid = 0};
}

static void tear_down(void)
{
    timer_free(guard);
    cr_expect_eq(loop_free(loop), 0, "handles were forgotten");
    redis_server_stop(&server);
}

TestSuite(rconn, .init = set_up, .fini = tear_down, .timeout = 60);

/* Every callback below stops the loop, so the condition is looked at after each. */
#define WAIT_FOR(condition)  \
    do {                     \
        while (!(condition)) \
            loop_run(loop);  \
    } while (0)

static void on_closed(void *arg)
{
    struct owner *o = arg;

    o->closed = true;
    o->c = NULL;
    loop_stop(loop);
}

static void on_state(void *arg, bool up, const struct err_info *info)
{
    struct owner *o = arg;

    cr_assert_eq(up, info == NULL);
    cr_assert_not(o->closed);
    *(up ? &o->ups : &o->downs) += 1;
    o->last_err = up ? ERR_OK : info->code;
    snprintf(o->last_text, sizeof(o->last_text), "%s", up ? "" : info->text);
    if (o->close_when_told)
        rconn_close(o->c, on_closed, o);
    loop_stop(loop);
}

static void open_with(struct owner *o, const char *url, int64_t connect_ms, int64_t command_ms)
{
    const struct rconn_config config = {.url = url, .name = "a test", .connect_ms = connect_ms, .command_ms = command_ms,
                                        .on_state = on_state, .arg = o};
    *o = (struct owner){.c = rconn_open(loop, &config)};
    cr_assert_eq(o->ups + o->downs, 0, "never before rconn_open returned");
}

static void open_up(struct owner *o, const char *url)
{
    open_with(o, url, 0, 0);
    WAIT_FOR(o->ups == 1);
    cr_assert(rconn_up(o->c));
}

static void close_owner(struct owner *o)
{
    rconn_close(o->c, on_closed, o);
    cr_assert_not(o->closed, "never before rconn_close returned");
    WAIT_FOR(o->closed);
}

static void on_reply(void *arg, enum err err, const struct reply *reply);

static void command(struct owner *o, int64_t deadline_ms, struct outcome *out, const char *text)
{
    struct str words[16];
    char copy[256];
    size_t n = 0;

    /* The arguments live no longer than this call. */
    snprintf(copy, sizeof(copy), "%s", text);
    for (char *save = NULL, *w = strtok_r(copy, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save))
        words[n++] = str_of(w);
    out->calls = 0;
    rconn_command(o->c, deadline_ms, on_reply, out, n, words);
    memset(copy, 'x', sizeof(copy));
    cr_assert_eq(out->calls, 0, "never before rconn_command returned");
}

static void on_reply(void *arg, enum err err, const struct reply *reply)
{
    struct outcome *out = arg;
    struct owner *again = out->again;

    out->calls++;
    out->err = err;
    cr_assert(reply != NULL || err != ERR_OK);
    if (reply != NULL) {
        out->type = reply->type;
        out->i = reply->i;
        snprintf(out->text, sizeof(out->text), "%.*s", (int)reply->s.n, reply->s.p != NULL ? reply->s.p : "");
    }
    out->again = NULL;
    if (out->close != NULL)
        rconn_close(out->close->c, on_closed, out->close);
    if (again != NULL)
        command(again, 0, out, "PING");
    loop_stop(loop);
}

/* ---- connecting --------------------------------------------------------------------------------------------------------- */

Test(rconn, logs_in_selects_and_names_itself)
{
    struct outcome who = {0}, name = {0}, db = {0};
    char url[REDIS_URL_SIZE + 64];
    struct owner o;
    struct rsession *s;

    redis_server_start(&server, NULL);
    s = redis_session(server.url);
    redis_run(s, "ACL SETUSER bob on >se:cret ~* +@all");
    snprintf(url, sizeof(url), "unix://bob:se%%3acret@%s?db=7", server.url + strlen("unix://"));
    open_up(&o, url);
    command(&o, 0, &who, "ACL WHOAMI");
    command(&o, 0, &name, "CLIENT GETNAME");
    command(&o, 0, &db, "SET here 1");
    WAIT_FOR(db.calls == 1);
    cr_expect_str_eq(who.text, "bob");
    cr_expect_str_eq(name.text, "a-test");
    redis_run(s, "SELECT 7");
    cr_expect_eq(redis_run(s, "EXISTS here")->i, 1);
    rsession_close(s);
    close_owner(&o);
}

Test(rconn, reports_why_it_can_not_log_in)
{
    static const struct {
        const char *login, *says;
    } cases[] = {{"", "NOAUTH"}, {":wrong@", "WRONGPASS"}, {"bob:secret@", "WRONGPASS"}};
    struct rsession *s, *none = NULL;
    char url[REDIS_URL_SIZE + 64];
    struct owner o;

    redis_server_start(&server, NULL);
    s = redis_session(server.url);
    redis_run(s, "CONFIG SET requirepass secret");
    rsession_close(s);
    for (size_t i = 0; i < 3; i++) {
        struct err_info info = {0};
        snprintf(url, sizeof(url), "unix://%s%s", cases[i].login, server.url + strlen("unix://"));
        open_with(&o, url, 0, 0);
        WAIT_FOR(o.downs == 1);
        cr_expect_eq(o.last_err, ERR_DENIED, "%s", o.last_text);
        cr_expect_not_null(strstr(o.last_text, cases[i].says), "%s", o.last_text);
        close_owner(&o);
        cr_expect_eq(rsession_open(&(struct rconn_config){.url = url}, &none, &info), ERR_DENIED);
        cr_expect_not_null(strstr(info.text, cases[i].says), "%s", info.text);
        cr_expect_null(none);
    }
}

Test(rconn, reports_a_refused_connection_and_connects_when_the_server_is_there)
{
    struct outcome early = {0}, late = {0};
    struct owner o;

    redis_server_start(&server, NULL);
    redis_server_kill(&server);
    open_with(&o, server.url, 0, 0);
    WAIT_FOR(o.downs == 1);
    cr_expect_eq(o.last_err, ERR_REFUSED, "%s", o.last_text);
    cr_expect_not(rconn_up(o.c));
    command(&o, 0, &early, "PING");
    cr_expect_eq(rconn_pending(o.c), 1);
    WAIT_FOR(early.calls == 1);
    cr_expect_eq(early.err, ERR_CONN_LOST);
    cr_expect_eq(rconn_pending(o.c), 0);

    redis_server_restart(&server);
    WAIT_FOR(o.ups == 1);
    cr_expect_eq(o.downs, 1, "the same refusal is told once");
    command(&o, 0, &late, "PING");
    WAIT_FOR(late.calls == 1);
    cr_expect_str_eq(late.text, "PONG");
    close_owner(&o);
}

Test(rconn, finds_a_host_by_name_and_tries_all_its_addresses)
{
    struct outcome pong = {0};
    char url[REDIS_URL_SIZE];
    struct owner o;

    redis_server_start_tcp(&server, NULL); /* listens on 127.0.0.1 alone */
    snprintf(url, sizeof(url), "redis://localhost:%d/3", server.port);
    open_up(&o, url);
    command(&o, 0, &pong, "PING");
    WAIT_FOR(pong.calls == 1);
    cr_expect_str_eq(pong.text, "PONG");
    redis_server_kill(&server);
    WAIT_FOR(o.downs == 1);
    cr_expect_eq(o.last_err, ERR_CONN_LOST);
    WAIT_FOR(o.downs == 2);
    cr_expect_eq(o.last_err, ERR_REFUSED, "%s", o.last_text);
    redis_server_restart(&server);
    WAIT_FOR(o.ups == 2);
    close_owner(&o);
}

static void on_tick(void *arg)
{
    ++*(int *)arg;
}

Test(rconn, a_name_that_does_not_resolve_is_reported_and_does_not_hold_up_the_loop)
{
    struct owner o, at_once;
    int ticks = 0;
    struct timer *ticker = timer_new(loop, on_tick, &ticks);

    timer_start(ticker, 0, 1);
    open_with(&o, "redis://no-such-host.invalid", 5000, 0);
    open_with(&at_once, "redis://no-such-host.invalid", 5000, 0);
    loop_turn(loop); /* the look-up has begun, and is given up */
    close_owner(&at_once);
    WAIT_FOR(o.downs == 1);
    cr_expect(o.last_err == ERR_IO || o.last_err == ERR_TIMEOUT, "%s", o.last_text);
    cr_expect_gt(ticks, 0);
    timer_free(ticker);
    close_owner(&o);
}

Test(rconn, a_server_that_accepts_but_says_nothing_is_given_up)
{
    struct owner o;
    struct rsession *s = NULL;
    int64_t start = clock_mono_ms();

    redis_server_start(&server, NULL);
    redis_server_freeze(&server);
    open_with(&o, server.url, 100, 0);
    WAIT_FOR(o.downs == 1);
    cr_expect_eq(o.last_err, ERR_TIMEOUT, "%s", o.last_text);
    cr_expect_geq(clock_mono_ms() - start, 95);
    cr_expect_eq(rsession_open(&(struct rconn_config){.url = server.url, .connect_ms = 50}, &s, NULL), ERR_TIMEOUT);
    redis_server_thaw(&server);
    WAIT_FOR(o.ups == 1);
    close_owner(&o);
}

Test(rconn, a_server_with_too_many_clients_says_so)
{
    struct owner o, second;
    struct rsession *s;

    redis_server_start(&server, NULL);
    s = redis_session(server.url);
    open_up(&o, server.url);
    redis_run(s, "CONFIG SET maxclients 2");
    open_with(&second, server.url, 0, 0);
    WAIT_FOR(second.downs == 1);
    cr_expect(second.last_err == ERR_BUSY, "%s", second.last_text);
    redis_run(s, "CONFIG SET maxclients 100");
    WAIT_FOR(second.ups == 1);
    rsession_close(s);
    close_owner(&second);
    close_owner(&o);
}

Test(rconn, is_not_up_while_the_server_is_loading)
{
    static const char *const options[] = {"--save", "3600 1", "--key-load-delay", "100000", "--loading-process-events-interval-bytes",
                                          "1024", NULL};
    struct rsession *s;
    struct owner o;

    redis_server_start(&server, options);
    s = redis_session(server.url);
    for (int i = 0; i < 4; i++) {
        char text[64];
        snprintf(text, sizeof(text), "SETRANGE k%d 5000 x", i);
        redis_run(s, text);
    }
    redis_run(s, "CONFIG SET rdbcompression no");
    redis_run(s, "SAVE");
    rsession_close(s);
    redis_server_kill(&server);
    open_with(&o, server.url, 0, 0);
    redis_server_launch(&server);
    WAIT_FOR(o.downs >= 1 && o.last_err == ERR_REDIS_LOADING);
    WAIT_FOR(o.ups == 1);
    close_owner(&o);
}

/* ---- commands ------------------------------------------------------------------------------------------------------------ */

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
        loop_stop(loop);
}

Test(rconn, pipelines_in_order_and_past_the_sockets_buffers)
{
    struct flood f = {.total = 2000, .in_order = true};
    char *big = mem_alloc(300000);
    struct owner o;

    redis_server_start(&server, NULL);
    open_up(&o, server.url);
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
    close_owner(&o);
}

Test(rconn, refuses_more_than_it_can_hold)
{
    struct outcome last = {0};
    struct outcome *many = mem_zalloc(70000 * sizeof(*many));
    struct owner o;
    size_t ok = 0, busy = 0;

    redis_server_start(&server, NULL);
    open_up(&o, server.url);
    for (size_t i = 0; i < 70000; i++)
        command(&o, 0, &many[i], "PING");
    WAIT_FOR(rconn_pending(o.c) == 0);
    for (size_t i = 0; i < 70000; i++) {
        cr_assert_eq(many[i].calls, 1);
        ok += many[i].err == ERR_OK;
        busy += many[i].err == ERR_BUSY;
    }
    cr_expect_eq(ok, 65536);
    cr_expect_eq(busy, 70000 - 65536);
    command(&o, 0, &last, "PING");
    WAIT_FOR(last.calls == 1);
    cr_expect_eq(last.err, ERR_OK);
    mem_free(many);
    close_owner(&o);
}

Test(rconn, a_missed_deadline_drops_the_connection)
{
    struct outcome fast = {0}, slow = {0}, after = {0};
    struct owner o;
    int64_t start;

    redis_server_start(&server, NULL);
    open_up(&o, server.url);
    redis_server_freeze(&server);
    start = clock_mono_ms();
    command(&o, 0, &slow, "PING");
    command(&o, 100, &fast, "PING");
    WAIT_FOR(fast.calls == 1 && slow.calls == 1);
    cr_expect_eq(fast.err, ERR_TIMEOUT);
    cr_expect_eq(slow.err, ERR_CONN_LOST, "it had time left");
    cr_expect(clock_mono_ms() - start >= 95 && clock_mono_ms() - start < 4000);
    cr_expect_eq(o.downs, 1);
    cr_expect_eq(o.last_err, ERR_TIMEOUT);
    redis_server_thaw(&server);
    WAIT_FOR(o.ups == 2);
    command(&o, 0, &after, "ECHO fresh");
    WAIT_FOR(after.calls == 1);
    cr_expect_str_eq(after.text, "fresh", "no reply of the old connection");
    close_owner(&o);
}

static void busy_wait(void *arg)
{
    const int64_t until = clock_mono_ms() + *(int64_t *)arg;

    while (clock_mono_ms() < until) {}
}

Test(rconn, a_loop_that_was_late_itself_does_not_blame_the_server)
{
    struct outcome out = {0};
    int64_t stall_ms = 150;
    struct timer *stall = timer_new(loop, busy_wait, &stall_ms);
    struct owner o;

    redis_server_start(&server, NULL);
    open_up(&o, server.url);
    command(&o, 100, &out, "PING");
    timer_start(stall, 5, 0); /* the reply is there when the deadline is looked at */
    loop_turn(loop);
    busy_wait(&stall_ms);
    WAIT_FOR(out.calls == 1);
    cr_expect_eq(out.err, ERR_OK);
    cr_expect_eq(o.downs, 0);
    timer_free(stall);
    close_owner(&o);
}

Test(rconn, a_killed_connection_ends_all_that_is_pending_once_and_reconnects)
{
    struct outcome out[50] = {{0}}, after = {0};
    struct owner o;
    struct rsession *s;

    redis_server_start(&server, NULL);
    s = redis_session(server.url);
    open_up(&o, server.url);
    command(&o, 10000, &out[0], "BLPOP nothing 5");
    for (int i = 1; i < 50; i++)
        command(&o, 0, &out[i], "PING");
    loop_turn(loop);
    while (redis_run(s, "INFO clients")->s.p != NULL && strstr(redis_run(s, "INFO clients")->s.p, "blocked_clients:1") == NULL) {}
    redis_run(s, "CLIENT KILL TYPE normal SKIPME yes");
    WAIT_FOR(o.downs == 1 && rconn_pending(o.c) == 0);
    for (int i = 0; i < 50; i++) {
        cr_expect_eq(out[i].calls, 1, "command %d", i);
        cr_expect_eq(out[i].err, ERR_CONN_LOST);
    }
    cr_expect_eq(o.last_err, ERR_CONN_LOST);
    WAIT_FOR(o.ups == 2);
    command(&o, 0, &after, "PING");
    WAIT_FOR(after.calls == 1);
    cr_expect_eq(after.err, ERR_OK);
    rsession_close(s);
    close_owner(&o);
}

Test(rconn, closing_cancels_what_is_pending_once_and_then_says_so)
{
    struct outcome out[10] = {{0}}, late = {0};
    struct owner o;

    redis_server_start(&server, NULL);
    open_up(&o, server.url);
    for (int i = 0; i < 10; i++)
        command(&o, 0, &out[i], i == 0 ? "BLPOP nothing 5" : "PING");
    rconn_close(o.c, on_closed, &o);
    command(&o, 0, &late, "PING");
    cr_expect_eq(out[0].calls, 0, "never from inside rconn_close");
    WAIT_FOR(o.closed);
    for (int i = 0; i < 10; i++)
        cr_expect(out[i].calls == 1 && out[i].err == ERR_CANCELED, "command %d: %d %s", i, out[i].calls, err_name(out[i].err));
    cr_expect(late.calls == 1 && late.err == ERR_CANCELED);
    cr_expect_eq(o.downs, 0, "closing is no loss");
}

Test(rconn, may_be_closed_and_used_from_its_own_callbacks)
{
    struct outcome closing = {0}, behind = {0}, again = {0}, last = {0};
    struct owner o, told;

    redis_server_start(&server, NULL);
    open_up(&o, server.url);
    again.again = &o;
    command(&o, 0, &again, "SET k v");
    WAIT_FOR(again.calls == 1 && strcmp(again.text, "PONG") == 0);
    closing.close = &o;
    last.again = &o;
    command(&o, 0, &closing, "PING");
    command(&o, 0, &behind, "PING");
    command(&o, 0, &last, "PING"); /* answers its cancellation with a new command */
    WAIT_FOR(o.closed);
    cr_expect(closing.calls == 1 && closing.err == ERR_OK);
    cr_expect(behind.calls == 1 && behind.err == ERR_CANCELED);
    cr_expect(last.calls == 1 && last.err == ERR_CANCELED);

    open_with(&told, server.url, 0, 0);
    told.close_when_told = true;
    WAIT_FOR(told.closed);
    cr_expect_eq(told.ups, 1);
    redis_server_kill(&server);
    open_with(&told, server.url, 0, 0);
    told.close_when_told = true;
    WAIT_FOR(told.closed);
    cr_expect_eq(told.downs, 1);
}

Test(rconn, may_be_closed_in_every_stage_of_connecting)
{
    char url[REDIS_URL_SIZE];

    redis_server_start_tcp(&server, NULL);
    snprintf(url, sizeof(url), "redis://localhost:%d", server.port);
    for (int turns = 0; turns < 12; turns++) {
        struct owner o;
        open_with(&o, turns % 2 == 0 ? url : server.url, 0, 0);
        for (int i = 0; i < turns; i++)
            loop_turn(loop);
        close_owner(&o);
    }
}

/* ---- roles and errors ------------------------------------------------------------------------------------------------------ */

Test(rconn, a_read_only_server_is_left_for_its_master)
{
    struct outcome set = {0}, behind = {0};
    struct owner o;
    struct rsession *s;

    redis_server_start(&server, NULL);
    s = redis_session(server.url);
    open_up(&o, server.url);
    redis_run(s, "REPLICAOF 127.0.0.1 1");
    command(&o, 0, &set, "SET k v");
    command(&o, 0, &behind, "PING");
    WAIT_FOR(set.calls == 1 && behind.calls == 1);
    cr_expect_eq(set.err, ERR_REDIS_LOADING);
    cr_expect_eq(behind.err, ERR_CONN_LOST);
    cr_expect_eq(o.downs, 1);
    cr_expect_not_null(strstr(o.last_text, "READONLY"), "%s", o.last_text);
    redis_run(s, "REPLICAOF NO ONE");
    WAIT_FOR(o.ups == 2);
    rsession_close(s);
    close_owner(&o);
}

Test(rconn, a_blocked_read_ends_when_the_server_becomes_a_replica)
{
    struct outcome group = {0}, read = {0};
    struct owner o;
    struct rsession *s;

    redis_server_start(&server, NULL);
    s = redis_session(server.url);
    open_up(&o, server.url);
    command(&o, 0, &group, "XGROUP CREATE k g 0 MKSTREAM");
    command(&o, 10000, &read, "XREADGROUP GROUP g c COUNT 1 BLOCK 9000 STREAMS k >");
    WAIT_FOR(group.calls == 1);
    while (strstr(redis_run(s, "INFO clients")->s.p, "blocked_clients:1") == NULL) {}
    redis_run(s, "REPLICAOF 127.0.0.1 1");
    WAIT_FOR(read.calls == 1 && o.downs == 1);
    cr_expect_eq(read.err, ERR_REDIS_LOADING);
    cr_expect_not_null(strstr(read.text, "UNBLOCKED"), "%s", read.text);
    rsession_close(s);
    close_owner(&o);
}

/* Commands, killed connections, restarts and closes at random: every command ends exactly once. The seed is printed on failure. */
Test(rconn, every_command_ends_exactly_once_whatever_happens)
{
    enum { ROUNDS = 400 };
    struct outcome *out = mem_zalloc(ROUNDS * sizeof(*out));
    unsigned seed = (unsigned)clock_mono_us();
    const unsigned printed = seed;
    struct owner o;
    struct rsession *s;
    bool done = false;

    redis_server_start(&server, NULL);
    s = redis_session(server.url);
    open_with(&o, server.url, 0, 0);
    for (int i = 0; i < ROUNDS; i++) {
        command(&o, 0, &out[i], rand_r(&seed) % 20 == 0 ? "BLPOP nothing 0.001" : "PING");
        switch (rand_r(&seed) % 12) {
        case 0:
            redis_run(s, "CLIENT KILL TYPE normal SKIPME yes");
            break;
        case 1:
            close_owner(&o);
            open_with(&o, server.url, 0, 0);
            break;
        case 2:
            WAIT_FOR(rconn_up(o.c));
            break;
        case 3:
            WAIT_FOR(out[i].calls == 1);
            break;
        default:
            loop_turn(loop);
        }
    }
    while (!done) {
        done = true;
        for (int i = 0; i < ROUNDS; i++)
            done = done && out[i].calls > 0;
        if (!done)
            loop_run(loop);
    }
    close_owner(&o);
    for (int i = 0; i < ROUNDS; i++)
        cr_assert_eq(out[i].calls, 1, "seed %u, command %d", printed, i);
    rsession_close(s);
    mem_free(out);
}
