#include "tests/support/rconn_owner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "common/base/str.h"

#define GUARD_MS 20000

struct loop *rconn_owner_loop;
struct redis_server rconn_owner_server;
static struct timer *guard;

static void on_guard(void *arg)
{
    (void)arg;
    fprintf(stderr, "the test waits for something that does not happen\n");
    abort();
}

void rconn_owner_set_up(void)
{
    rconn_owner_loop = loop_new();
    guard = timer_new(rconn_owner_loop, on_guard, NULL);
    timer_start(guard, GUARD_MS, 0);
    rconn_owner_server = (struct redis_server){.pid = 0};
}

void rconn_owner_tear_down(void)
{
    timer_free(guard);
    cr_expect_eq(loop_free(rconn_owner_loop), 0, "handles were forgotten");
    redis_server_stop(&rconn_owner_server);
}

void rconn_owner_closed(void *arg)
{
    struct owner *o = arg;

    o->closed = true;
    o->c = NULL;
    loop_stop(rconn_owner_loop);
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
        rconn_close(o->c, rconn_owner_closed, o);
    loop_stop(rconn_owner_loop);
}

void rconn_owner_open(struct owner *o, const char *url, int64_t connect_ms)
{
    const struct rconn_config config = {
        .url = url, .name = "a test", .connect_ms = connect_ms, .on_state = on_state, .arg = o};
    *o = (struct owner){.c = rconn_open(rconn_owner_loop, &config)};
    cr_assert_eq(o->ups + o->downs, 0, "never before rconn_open returned");
}

void rconn_owner_open_up(struct owner *o, const char *url)
{
    rconn_owner_open(o, url, 0);
    WAIT_FOR(o->ups == 1);
    cr_assert(rconn_up(o->c));
}

void rconn_owner_close(struct owner *o)
{
    rconn_close(o->c, rconn_owner_closed, o);
    cr_assert_not(o->closed, "never before rconn_close returned");
    WAIT_FOR(o->closed);
}

static void on_reply(void *arg, enum err err, const struct reply *reply);

void rconn_owner_command(struct owner *o, int64_t deadline_ms, struct outcome *out, const char *text)
{
    struct str words[16];
    char copy[256];
    size_t n = 0;

    /* The arguments live no longer than this call. */
    snprintf(copy, sizeof(copy), "%s", text);
    for (const char *p = copy; *p != '\0'; p += words[n - 1].n + strspn(p + words[n - 1].n, " "))
        words[n++] = (struct str){p, strcspn(p, " ")};
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
        rconn_close(out->close->c, rconn_owner_closed, out->close);
    if (again != NULL)
        rconn_owner_command(again, 0, out, "PING");
    loop_stop(rconn_owner_loop);
}
