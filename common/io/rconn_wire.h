/* rconn_wire: one non-blocking connection to Redis: socket, bytes to send, reader, and the greeting that a
 * new connection starts with. It never waits: rconn.c waits with the loop, rsession.c with poll(2). */
#ifndef COMMON_IO_RCONN_WIRE_H
#define COMMON_IO_RCONN_WIRE_H

#include <stddef.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/io/rconn.h"
#include "common/io/rconn_reply.h"
#include "common/io/rconn_url.h"

struct redisContext;
struct rconn_wire {
    struct redisContext *hi;
    int fd; /* -1 when closed */
    struct buf out;
    size_t sent; /* of out */
    struct rconn_reader reader;
};

/* Appends the command in Redis's protocol. */
void rconn_wire_encode(struct buf *out, size_t argc, const struct str *argv);

/* Starts to connect to url->path, or to the numeric address `ip`. On an error nothing is left to close.
 * When the socket is writable, rconn_wire_connected says how it went. */
enum err rconn_wire_open(struct rconn_wire *w, const struct rconn_url *url, const char *ip,
                         struct err_info *info) MUST_USE;
enum err rconn_wire_connected(struct rconn_wire *w, struct err_info *info) MUST_USE;
/* Closes the socket alone; replies stay valid. */
void rconn_wire_shut(struct rconn_wire *w);
void rconn_wire_close(struct rconn_wire *w);

/* Sends what the socket takes; rconn_wire_unsent tells whether something is left. */
enum err rconn_wire_send(struct rconn_wire *w, struct err_info *info) MUST_USE;
size_t rconn_wire_unsent(const struct rconn_wire *w);
/* Receives once. *more: the socket may hold more already. ERR_CONN_LOST at the end of the stream. */
enum err rconn_wire_receive(struct rconn_wire *w, bool *more, struct err_info *info) MUST_USE;

/* The greeting: AUTH, SELECT and CLIENT SETNAME as far as they are needed, and a PING, which an instance
 * that is loading, or that wants a password it was not given, answers with an error. */
enum rconn_hello { RCONN_HELLO_AUTH, RCONN_HELLO_SELECT, RCONN_HELLO_NAME, RCONN_HELLO_PING };
#define RCONN_HELLO_MAX 4
struct rconn_greeting {
    enum rconn_hello steps[RCONN_HELLO_MAX];
    size_t n;
    size_t at;
};
void rconn_wire_greet(struct rconn_wire *w, const struct rconn_url *url, const char *name, struct rconn_greeting *g);
/* Takes the reply to the next step; the greeting is over when g->at == g->n. */
enum err rconn_wire_greeted(struct rconn_greeting *g, const struct reply *reply, struct err_info *info) MUST_USE;

#endif
