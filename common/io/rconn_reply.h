/* rconn_reply: bytes from Redis to `struct reply`, and error replies to enum err. Knows no sockets: feed
 * bytes in pieces of any size, take whole replies out. */
#ifndef COMMON_IO_RCONN_REPLY_H
#define COMMON_IO_RCONN_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/io/rconn.h"

/* Bounds on what one reply may make us allocate: far above any COUNT that Usher uses, far below trouble. */
#define RCONN_MAX_ELEMENTS (1024 * 1024)
#define RCONN_MAX_UNREAD_BYTES (256u * 1024 * 1024)

struct redisReader;
struct rconn_reader {
    struct redisReader *hi;
    struct arena arena; /* of the replies taken and not yet released */
};

void rconn_reader_init(struct rconn_reader *r);
void rconn_reader_fini(struct rconn_reader *r); /* {0} is fine */
/* ERR_MALFORMED when the stream is broken or a bound is passed: the reader is of no use any more. */
enum err rconn_reader_feed(struct rconn_reader *r, const void *p, size_t n, struct err_info *info) MUST_USE;
/* *reply is the next whole reply, or NULL when more bytes are needed. Valid until rconn_reader_release,
 * which must not be called while a reply is half read, that is: only after a call that returned one. */
enum err rconn_reader_next(struct rconn_reader *r, const struct reply **reply, struct err_info *info) MUST_USE;
void rconn_reader_release(struct rconn_reader *r);

/* ERR_OK for anything but an error reply. *drop: the server has changed its role, so the connection is to
 * be given up. */
enum err rconn_reply_error(const struct reply *reply, bool *drop);

#endif
