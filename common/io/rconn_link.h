/* rconn_link: one connection on the loop, from the first packet of connect to its end; rconn.c makes a new
 * one each time. */
#ifndef COMMON_IO_RCONN_LINK_H
#define COMMON_IO_RCONN_LINK_H

#include <stddef.h>

#include "common/base/err.h"
#include "common/io/rconn.h"
#include "common/io/rconn_url.h"

struct loop;
struct rconn_link;

/* All run on the loop, and rconn_link_give_up may be called from each: nothing follows then. */
struct rconn_link_events {
    void (*ready)(void *arg); /* connected and greeted: commands may be added */
    void (*reply)(void *arg, const struct reply *reply);
    void (*lost)(void *arg, enum err err, const struct err_info *info); /* the owner gives the link up */
};

/* Connects to url->path or to the numeric address `ip`; NULL with `info` when that fails at once. `url`,
 * `name` and `events` must stay where they are. `lost` runs only once this has returned. */
struct rconn_link *rconn_link_open(struct loop *loop, const struct rconn_url *url, const char *ip, const char *name,
                                   const struct rconn_link_events *events, void *arg, struct err_info *info);
/* Appends a command; what a turn of the loop appends is sent at its end in one piece. */
void rconn_link_add(struct rconn_link *l, size_t argc, const struct str *argv);
size_t rconn_link_unsent(const struct rconn_link *l);
/* Takes what the socket has, now, when the owner can not wait for the loop to say so. */
void rconn_link_receive(struct rconn_link *l);
/* No event follows. Memory, and the reply being looked at, live until the loop has closed the handles. NULL
 * is fine. */
void rconn_link_give_up(struct rconn_link *l);

#endif
