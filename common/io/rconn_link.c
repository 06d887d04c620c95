/* CONNECTING --writable--> GREETING --last reply--> READY       any state --error--> lost
 *
 * Commands are appended to the wire's buffer and sent together just before the loop goes to sleep (a
 * prepare handle), so one turn costs one send(2); what the socket does not take waits for it to be
 * writable.
 *
 * Failure modes: libuv stops a poll handle when it reports an error, so an error that were dropped here
 * would leave the connection mute for ever (that is what hiredis's own adapter does). It is read from the
 * socket instead, and `lost` runs in any case. After every call out l->given_up says whether the owner is
 * still interested. */
#include "common/io/rconn_link.h"

#include <stdbool.h>

#include <uv.h>

#include "common/base/mem.h"
#include "common/io/loop.h"
#include "common/io/rconn_wire.h"

/* How much one connection may receive before the others have their turn. */
#define RECEIVES_PER_TURN 16

enum link_state { LINK_CONNECTING, LINK_GREETING, LINK_READY };

struct rconn_link {
    uv_poll_t poll;
    uv_prepare_t flush;
    int open_handles;
    int wanted; /* poll events */
    enum link_state state;
    bool given_up;
    struct rconn_wire wire;
    struct rconn_greeting greeting;
    const struct rconn_url *url;
    const char *name;
    const struct rconn_link_events *events;
    void *arg;
};

static void on_handle_closed(uv_handle_t *h)
{
    struct rconn_link *l = h->data;

    if (--l->open_handles > 0)
        return;
    rconn_wire_close(&l->wire);
    mem_free(l);
}

void rconn_link_give_up(struct rconn_link *l)
{
    if (l == NULL)
        return;
    l->given_up = true;
    uv_close((uv_handle_t *)&l->flush, on_handle_closed);
    uv_close((uv_handle_t *)&l->poll, on_handle_closed);
    /* After uv_close the descriptor is out of the loop's hands. */
    rconn_wire_shut(&l->wire);
}

static void on_poll(uv_poll_t *uv, int status, int events);

static void want(struct rconn_link *l, int events)
{
    if (l->wanted == events)
        return;
    l->wanted = events;
    uv_poll_start(&l->poll, events, on_poll);
}

static void send_some(struct rconn_link *l)
{
    struct err_info info = {0};
    enum err err = rconn_wire_send(&l->wire, &info);

    if (err != ERR_OK)
        l->events->lost(l->arg, err, &info);
    else
        want(l, rconn_wire_unsent(&l->wire) > 0 ? UV_READABLE | UV_WRITABLE : UV_READABLE);
}

static void on_flush(uv_prepare_t *uv)
{
    struct rconn_link *l = uv->data;

    uv_prepare_stop(uv);
    if (!l->given_up)
        send_some(l);
}

static void on_connected(struct rconn_link *l)
{
    struct err_info info = {0};
    enum err err = rconn_wire_connected(&l->wire, &info);

    if (err != ERR_OK) {
        l->events->lost(l->arg, err, &info);
        return;
    }
    l->state = LINK_GREETING;
    rconn_wire_greet(&l->wire, l->url, l->name, &l->greeting);
    send_some(l);
}

static void on_greeting_reply(struct rconn_link *l, const struct reply *reply)
{
    struct err_info info = {0};
    enum err err = rconn_wire_greeted(&l->greeting, reply, &info);

    if (err != ERR_OK) {
        l->events->lost(l->arg, err, &info);
    } else if (l->greeting.at == l->greeting.n) {
        l->state = LINK_READY;
        l->events->ready(l->arg);
    }
}

/* Hands out every whole reply. */
static void dispatch(struct rconn_link *l)
{
    while (!l->given_up) {
        const struct reply *reply;
        struct err_info info = {0};
        enum err err = rconn_reader_next(&l->wire.reader, &reply, &info);

        if (err != ERR_OK)
            l->events->lost(l->arg, err, &info);
        if (err != ERR_OK || reply == NULL)
            return;
        if (l->state == LINK_READY)
            l->events->reply(l->arg, reply);
        else
            on_greeting_reply(l, reply);
        rconn_reader_release(&l->wire.reader);
    }
}

void rconn_link_receive(struct rconn_link *l)
{
    struct err_info info = {0};
    bool more = true;

    if (l->state == LINK_CONNECTING)
        return;
    for (int i = 0; i < RECEIVES_PER_TURN && more && !l->given_up; i++) {
        enum err err = rconn_wire_receive(&l->wire, &more, &info);
        if (err != ERR_OK) {
            l->events->lost(l->arg, err, &info);
            return;
        }
        dispatch(l);
    }
}

static void on_poll(uv_poll_t *uv, int status, int events)
{
    struct rconn_link *l = uv->data;
    struct err_info info = {0};

    if (l->given_up)
        return;
    if (l->state == LINK_CONNECTING) {
        on_connected(l);
        return;
    }
    if (status < 0 || (events & UV_READABLE))
        rconn_link_receive(l);
    if (!l->given_up && status == 0 && (events & UV_WRITABLE))
        send_some(l);
    if (!l->given_up && status < 0) {
        err_set(&info, ERR_CONN_LOST, "Redis connection: %s", uv_strerror(status));
        l->events->lost(l->arg, ERR_CONN_LOST, &info);
    }
}

struct rconn_link *rconn_link_open(struct loop *loop, const struct rconn_url *url, const char *ip, const char *name,
                                   const struct rconn_link_events *events, void *arg, struct err_info *info)
{
    uv_loop_t *uv = loop_uv(loop);
    struct rconn_link *l = mem_zalloc(sizeof(*l));
    int rc;

    if (rconn_wire_open(&l->wire, url, ip, info) != ERR_OK)
        goto fail;
    rc = uv_poll_init(uv, &l->poll, l->wire.fd);
    if (rc != 0) {
        err_set(info, ERR_IO, "Redis connection: %s", uv_strerror(rc));
        rconn_wire_close(&l->wire);
        goto fail;
    }
    uv_prepare_init(uv, &l->flush);
    l->poll.data = l;
    l->flush.data = l;
    l->open_handles = 2;
    l->url = url;
    l->name = name;
    l->events = events;
    l->arg = arg;
    want(l, UV_WRITABLE);
    return l;
fail:
    mem_free(l);
    return NULL;
}

void rconn_link_add(struct rconn_link *l, size_t argc, const struct str *argv)
{
    rconn_wire_encode(&l->wire.out, argc, argv);
    if (!(l->wanted & UV_WRITABLE))
        uv_prepare_start(&l->flush, on_flush);
}

size_t rconn_link_unsent(const struct rconn_link *l)
{
    return rconn_wire_unsent(&l->wire);
}
