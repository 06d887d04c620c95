/* Redis on the loop.
 *
 *   WAITING --retry timer--> RESOLVING --addresses--> JOINING --connected and greeted--> UP
 *      ^                        |                        |                                |
 *      +------------------------+------------------------+-- error, or past its deadline --+
 *   any state --rconn_close--> CLOSING --next turn--> freed
 *
 * Unix sockets skip RESOLVING; JOINING tries one address after the other. Replies come in the order of the
 * commands, which is that of `pending`.
 *
 * Failure modes. What was pending when a connection ends moves to `ended` with its error and is completed a
 * moment later by `kick`, never from inside a call of the owner. One timer (`sweep`) watches the earliest
 * deadline; before it condemns a connection it takes what has arrived, since it may be this loop that was
 * late. A name look-up can not be stopped once it runs: it is left to end, and its answer is used or
 * ignored.
 *
 * An rconn is freed by `kick` alone, so everything else may call out and go on; but after a call out the
 * state may be any. */
#include "common/io/rconn.h"

#include <assert.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <uv.h>

#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/io/loop.h"
#include "common/io/rconn_link.h"
#include "common/io/rconn_reply.h"
#include "common/io/rconn_url.h"

#define DEFAULT_CONNECT_MS 3000
#define DEFAULT_COMMAND_MS 5000
#define BACKOFF_MIN_MS 50
#define BACKOFF_MAX_MS 3000
#define BACKOFF_DOUBLINGS 6 /* 50 ms << 6 is past the maximum */
/* A callback that answers every failure with a new command must not keep the loop from its other work. */
#define KICK_MS 1
/* A worker has at most a few thousand commands open; more is a runaway caller, which is told so with
 * ERR_BUSY. */
#define MAX_PENDING 65536
#define MAX_UNSENT_BYTES (64u * 1024 * 1024)
#define MAX_ADDRESSES 8
#define ADDRESS_SIZE 64 /* numeric IPv6 with a scope name */
#define NEVER INT64_MAX

enum rconn_state { RCONN_WAITING, RCONN_RESOLVING, RCONN_JOINING, RCONN_UP, RCONN_CLOSING };

struct op {
    struct list node;
    rconn_cb cb;
    void *arg;
    int64_t deadline; /* loop_now_ms */
    enum err err;     /* in `ended` */
};

struct lookup {
    uv_getaddrinfo_t req;
    struct rconn *c; /* NULL: nobody waits any more */
};

struct rconn {
    struct loop *loop;
    struct rconn_url url;
    char *name;
    int64_t connect_ms;
    int64_t command_ms;
    void (*on_state)(void *arg, bool up, const struct err_info *info);
    void *arg;

    enum rconn_state state;
    struct rconn_link *link; /* JOINING and UP */
    struct lookup *lookup;   /* may outlast RESOLVING */
    char addresses[MAX_ADDRESSES][ADDRESS_SIZE];
    size_t n_addresses;
    size_t next_address;
    int64_t connect_deadline;
    int64_t up_since;
    unsigned failures;
    uint64_t rng;
    bool reported;     /* on_state has been called at least once */
    enum err last_err; /* of that call; ERR_OK: up */

    struct list pending;
    struct list ended;
    size_t n_ops; /* of both lists */

    struct timer *retry;
    struct timer *sweep;
    struct timer *kick;
    int64_t sweep_at;

    void (*closed)(void *arg);
    void *closed_arg;
};

static void on_link_ready(void *arg);
static void on_link_reply(void *arg, const struct reply *reply);
static void on_link_lost(void *arg, enum err err, const struct err_info *info);
static const struct rconn_link_events link_events = {on_link_ready, on_link_reply, on_link_lost};

static void drop(struct rconn *c, enum err err, const struct err_info *info);
static void connect_next(struct rconn *c);

/* ---- deadlines and completions ----------------------------------------------------------------------- */

static void arm_sweep(struct rconn *c, int64_t deadline)
{
    if (deadline >= c->sweep_at)
        return;
    c->sweep_at = deadline;
    timer_start(c->sweep, deadline - loop_now_ms(c->loop), 0);
}

static void end_op(struct rconn *c, struct op *op, enum err err)
{
    op->err = err;
    list_append(&c->ended, &op->node);
    if (!timer_active(c->kick))
        timer_start(c->kick, KICK_MS, 0);
}

static void finish(struct rconn *c)
{
    void (*closed)(void *arg) = c->closed;
    void *arg = c->closed_arg;

    if (c->lookup != NULL) {
        c->lookup->c = NULL;
        uv_cancel((uv_req_t *)&c->lookup->req);
    }
    timer_free(c->retry);
    timer_free(c->sweep);
    timer_free(c->kick);
    mem_free(c->name);
    mem_free(c);
    if (closed != NULL)
        closed(arg);
}

static void on_kick(void *arg)
{
    struct rconn *c = arg;
    struct list batch;

    list_init(&batch);
    for (struct list *it; (it = list_take(&c->ended)) != NULL;)
        list_append(&batch, it);
    /* c is freed by nobody but the lines below, so callbacks may do as they like. */
    for (struct list *it; (it = list_take(&batch)) != NULL;) {
        struct op *op = LIST_OWNER(it, struct op, node);
        c->n_ops--;
        op->cb(op->arg, op->err, NULL);
        mem_free(op);
    }
    if (c->state == RCONN_CLOSING && list_empty(&c->ended))
        finish(c);
}

static int64_t earliest_deadline(const struct rconn *c)
{
    int64_t least = NEVER;

    if (c->state == RCONN_RESOLVING || c->state == RCONN_JOINING)
        return c->connect_deadline;
    LIST_FOR (it, &c->pending) {
        const struct op *op = LIST_OWNER(it, struct op, node);
        if (op->deadline < least)
            least = op->deadline;
    }
    return least;
}

static void on_sweep(void *arg)
{
    struct rconn *c = arg;
    const int64_t now = loop_now_ms(c->loop);
    struct err_info info = {0};

    c->sweep_at = NEVER;
    if (earliest_deadline(c) <= now && c->link != NULL)
        rconn_link_receive(c->link);
    if (earliest_deadline(c) > now) {
        if (earliest_deadline(c) != NEVER)
            arm_sweep(c, earliest_deadline(c));
        return;
    }
    if (c->state == RCONN_UP)
        err_set(&info, ERR_TIMEOUT, "Redis did not reply to a command before its deadline");
    else
        err_set(&info, ERR_TIMEOUT, "Redis: no connection within %lld ms", (long long)c->connect_ms);
    drop(c, ERR_TIMEOUT, &info);
}

/* ---- states ------------------------------------------------------------------------------------------ */

static void report(struct rconn *c, enum err err, const struct err_info *info)
{
    if (c->reported && c->last_err == err)
        return;
    c->reported = true;
    c->last_err = err;
    if (c->on_state != NULL)
        c->on_state(c->arg, err == ERR_OK, err == ERR_OK ? NULL : info);
}

static int64_t jittered_backoff(struct rconn *c)
{
    const unsigned doublings = c->failures < BACKOFF_DOUBLINGS ? c->failures : BACKOFF_DOUBLINGS;
    int64_t ms = (int64_t)BACKOFF_MIN_MS << doublings;

    if (ms > BACKOFF_MAX_MS)
        ms = BACKOFF_MAX_MS;
    /* xorshift64 (G. Marsaglia, "Xorshift RNGs", 2003): enough to keep processes from returning in step. */
    c->rng ^= c->rng << 13;
    c->rng ^= c->rng >> 7;
    c->rng ^= c->rng << 17;
    return ms / 2 + (int64_t)(c->rng % (uint64_t)(ms / 2 + 1));
}

/* The connection, or the attempt at one, is over. Calls out last. */
static void drop(struct rconn *c, enum err err, const struct err_info *info)
{
    const int64_t now = loop_now_ms(c->loop);

    rconn_link_give_up(c->link);
    c->link = NULL;
    for (struct list *it; (it = list_take(&c->pending)) != NULL;) {
        struct op *op = LIST_OWNER(it, struct op, node);
        end_op(c, op, err == ERR_TIMEOUT && op->deadline <= now ? ERR_TIMEOUT : ERR_CONN_LOST);
    }
    if (c->state == RCONN_UP && now - c->up_since >= BACKOFF_MAX_MS)
        c->failures = 0;
    c->state = RCONN_WAITING;
    timer_start(c->retry, jittered_backoff(c), 0);
    c->failures++;
    report(c, err, info);
}

/* An attempt at one address failed: the next one, or all over again later. */
static void fail_attempt(struct rconn *c, enum err err, const struct err_info *info)
{
    if (c->next_address >= c->n_addresses) {
        drop(c, err, info);
        return;
    }
    rconn_link_give_up(c->link);
    c->link = NULL;
    connect_next(c);
}

/* One that swallows packets uses up all the time there is, so the next round begins with another. */
static void connect_next(struct rconn *c)
{
    struct err_info info = {0};
    const char *ip = NULL;

    if (c->url.path[0] == '\0')
        ip = c->addresses[(c->failures + c->next_address++) % c->n_addresses];
    c->state = RCONN_JOINING;
    c->link = rconn_link_open(c->loop, &c->url, ip, c->name, &link_events, c, &info);
    if (c->link == NULL)
        fail_attempt(c, info.code, &info);
}

static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    struct lookup *lookup = LIST_OWNER(req, struct lookup, req);
    struct rconn *c = lookup->c;
    struct err_info info = {0};

    mem_free(lookup);
    if (c == NULL)
        goto out;
    c->lookup = NULL;
    if (c->state != RCONN_RESOLVING)
        goto out;
    c->n_addresses = 0;
    c->next_address = 0;
    for (struct addrinfo *a = list; a != NULL && c->n_addresses < MAX_ADDRESSES; a = a->ai_next) {
        if (getnameinfo(a->ai_addr, a->ai_addrlen, c->addresses[c->n_addresses], ADDRESS_SIZE, NULL, 0,
                        NI_NUMERICHOST) == 0)
            c->n_addresses++;
    }
    if (c->n_addresses > 0) {
        connect_next(c);
    } else {
        err_set(&info, ERR_IO, "Redis host %s: %s", c->url.host, status != 0 ? uv_strerror(status) : "no usable address");
        drop(c, ERR_IO, &info);
    }
out:
    uv_freeaddrinfo(list);
}

static void resolve(struct rconn *c)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct err_info info = {0};
    int rc;

    c->state = RCONN_RESOLVING;
    if (c->lookup != NULL) /* an earlier one is still under way: its answer will do */
        return;
    c->lookup = mem_zalloc(sizeof(*c->lookup));
    c->lookup->c = c;
    rc = uv_getaddrinfo(loop_uv(c->loop), &c->lookup->req, on_resolved, c->url.host, NULL, &hints);
    if (rc == 0)
        return;
    mem_free(c->lookup);
    c->lookup = NULL;
    err_set(&info, ERR_IO, "Redis host %s: %s", c->url.host, uv_strerror(rc));
    drop(c, ERR_IO, &info);
}

static void on_retry(void *arg)
{
    struct rconn *c = arg;

    c->connect_deadline = loop_now_ms(c->loop) + c->connect_ms;
    c->n_addresses = 0;
    c->next_address = 0;
    arm_sweep(c, c->connect_deadline);
    if (c->url.path[0] != '\0')
        connect_next(c);
    else
        resolve(c);
}

static void on_link_ready(void *arg)
{
    struct rconn *c = arg;

    c->state = RCONN_UP;
    c->up_since = loop_now_ms(c->loop);
    report(c, ERR_OK, NULL);
}

static void on_link_lost(void *arg, enum err err, const struct err_info *info)
{
    struct rconn *c = arg;

    if (c->state == RCONN_JOINING)
        fail_attempt(c, err, info);
    else
        drop(c, err, info);
}

static void on_link_reply(void *arg, const struct reply *reply)
{
    struct rconn *c = arg;
    const struct rconn_link *link = c->link;
    struct list *it = list_take(&c->pending);
    struct err_info info = {0};
    bool role_changed;
    enum err err = rconn_reply_error(reply, &role_changed);
    struct op *op;

    if (it == NULL) {
        if (err == ERR_OK)
            err = ERR_MALFORMED;
        err_set(&info, err, "Redis sent a reply that nothing had asked for: %.*s", (int)reply->s.n, reply->s.p);
        drop(c, err, &info);
        return;
    }
    op = LIST_OWNER(it, struct op, node);
    c->n_ops--;
    if (role_changed)
        err_set(&info, err, "Redis has changed its role: %.*s", (int)reply->s.n, reply->s.p);
    op->cb(op->arg, err, reply);
    mem_free(op);
    if (role_changed && c->link == link)
        drop(c, err, &info);
}

/* ---- interface --------------------------------------------------------------------------------------- */

enum err rconn_check_url(const char *url, struct err_info *info)
{
    struct rconn_url parsed;

    return rconn_url_parse(url, &parsed, info);
}

struct rconn *rconn_open(struct loop *loop, const struct rconn_config *config)
{
    struct rconn *c = mem_zalloc(sizeof(*c));
    enum err err = rconn_url_parse(config->url, &c->url, NULL);

    assert(err == ERR_OK);
    (void)err;
    c->loop = loop;
    c->name = config->name != NULL ? mem_strdup(config->name) : NULL;
    c->connect_ms = config->connect_ms > 0 ? config->connect_ms : DEFAULT_CONNECT_MS;
    c->command_ms = config->command_ms > 0 ? config->command_ms : DEFAULT_COMMAND_MS;
    c->on_state = config->on_state;
    c->arg = config->arg;
    c->sweep_at = NEVER;
    if (getrandom(&c->rng, sizeof(c->rng), GRND_NONBLOCK) != (ssize_t)sizeof(c->rng) || c->rng == 0)
        c->rng = uv_hrtime() | 1;
    list_init(&c->pending);
    list_init(&c->ended);
    c->retry = timer_new(loop, on_retry, c);
    c->sweep = timer_new(loop, on_sweep, c);
    c->kick = timer_new(loop, on_kick, c);
    c->state = RCONN_WAITING;
    timer_start(c->retry, 0, 0);
    return c;
}

bool rconn_up(const struct rconn *c)
{
    return c->state == RCONN_UP;
}

size_t rconn_pending(const struct rconn *c)
{
    return c->n_ops;
}

void rconn_command(struct rconn *c, int64_t deadline_ms, rconn_cb cb, void *arg, size_t argc, const struct str *argv)
{
    struct op *op = mem_zalloc(sizeof(*op));

    op->cb = cb;
    op->arg = arg;
    c->n_ops++;
    if (c->state != RCONN_UP) {
        end_op(c, op, c->state == RCONN_CLOSING ? ERR_CANCELED : ERR_CONN_LOST);
        return;
    }
    if (c->n_ops > MAX_PENDING || rconn_link_unsent(c->link) > MAX_UNSENT_BYTES) {
        end_op(c, op, ERR_BUSY);
        return;
    }
    op->deadline = loop_now_ms(c->loop) + (deadline_ms > 0 ? deadline_ms : c->command_ms);
    list_append(&c->pending, &op->node);
    arm_sweep(c, op->deadline);
    rconn_link_add(c->link, argc, argv);
}

void rconn_close(struct rconn *c, void (*closed)(void *arg), void *arg)
{
    assert(c->state != RCONN_CLOSING);
    c->state = RCONN_CLOSING;
    c->closed = closed;
    c->closed_arg = arg;
    timer_stop(c->retry);
    timer_stop(c->sweep);
    rconn_link_give_up(c->link);
    c->link = NULL;
    for (struct list *it; (it = list_take(&c->pending)) != NULL;)
        end_op(c, LIST_OWNER(it, struct op, node), ERR_CANCELED);
    timer_start(c->kick, KICK_MS, 0);
}
