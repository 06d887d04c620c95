/* rconn: Redis through hiredis, which is included by rconn*.c alone. Replies are our own `struct reply`,
 * built by hiredis's reader straight into one arena per top-level reply (no malloc per field).
 *
 * hiredis 0.14.1's bundled libuv adapter never reports a refused connection (it drops poll errors) and has
 * no time-outs for asynchronous commands: rconn has its own adapter and a deadline on connect and on every
 * command. A command that misses its deadline drops the connection, since a context with an unread reply
 * can not be used again.
 *
 * Error replies are mapped once: NOGROUP, UNBLOCKED…key → ERR_REDIS_NOGROUP · OOM, MISCONF, NOREPLICAS →
 * ERR_REDIS_FULL · LOADING, READONLY, MASTERDOWN, BUSY, TRYAGAIN, UNBLOCKED force… → ERR_REDIS_LOADING (the
 * connection is dropped for READONLY and forced UNBLOCKED, to find the new master) · NOSCRIPT →
 * ERR_REDIS_NOSCRIPT · NOAUTH, WRONGPASS, NOPERM → ERR_DENIED · else ERR_REDIS. */
#ifndef COMMON_IO_RCONN_H
#define COMMON_IO_RCONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"

struct loop;

enum reply_type { REPLY_NIL, REPLY_STRING, REPLY_STATUS, REPLY_ERROR, REPLY_INTEGER, REPLY_ARRAY };
struct reply {
    enum reply_type type;
    int64_t i;    /* REPLY_INTEGER */
    struct str s; /* string, status, error text; NUL-terminated */
    size_t n;     /* REPLY_ARRAY */
    struct reply **items;
};

struct rconn_config {
    /* redis://[[user]:password@]host[:port][/db] · unix://[[user]:password@]/path[?db=n] · redis+unix://…, the same;
     * rediss:// is refused with a clear message. */
    const char *url;
    const char *name;   /* CLIENT SETNAME */
    int64_t connect_ms; /* 0: 3 s */
    int64_t command_ms; /* default deadline of a command; 0: 5 s */
    /* After each connect (info == NULL), after each loss, and when attempts fail for another reason than
     * before. May be NULL. */
    void (*on_state)(void *arg, bool up, const struct err_info *info);
    void *arg;
};

/* Checks the URL only; `info` says what is wrong with it. */
enum err rconn_check_url(const char *url, struct err_info *info) MUST_USE;

/* ---- on the loop: pipelined, reconnects with backoff (50 ms to 3 s, jittered) until closed ----------- */
struct rconn;
struct rconn *rconn_open(struct loop *loop, const struct rconn_config *config); /* the URL was checked before */
bool rconn_up(const struct rconn *c);
/* Exactly once, never before the starting call returned. `reply` is borrowed; NULL unless ERR_OK or an
 * error reply. */
typedef void (*rconn_cb)(void *arg, enum err err, const struct reply *reply);
/* deadline_ms = 0: the default; a blocking read gives its BLOCK time plus slack. Arguments are copied.
 * While down: ERR_CONN_LOST at once (by callback). With 65,536 commands or 64 MiB of them waiting:
 * ERR_BUSY. */
void rconn_command(struct rconn *c, int64_t deadline_ms, rconn_cb cb, void *arg, size_t argc, const struct str *argv);
size_t rconn_pending(const struct rconn *c);
void rconn_close(struct rconn *c, void (*closed)(void *arg), void *arg); /* pending commands end with ERR_CANCELED */

/* ---- blocking: scheduler's duty thread, command line, tests ------------------------------------------ */
struct rsession;
enum err rsession_open(const struct rconn_config *config, struct rsession **out, struct err_info *info) MUST_USE;
void rsession_close(struct rsession *s); /* NULL is fine */
bool rsession_alive(const struct rsession *s);
/* The reply (never NULL on ERR_OK) is borrowed until the next call on the session. Error replies come as
 * their enum err with the text in info. */
enum err rsession_command(struct rsession *s, size_t argc, const struct str *argv, const struct reply **reply,
                          struct err_info *info) MUST_USE;
/* Pipelining: rsession_append n times, then rsession_read n times. Each reply is valid until the next
 * rsession_append or _command. */
void rsession_append(struct rsession *s, size_t argc, const struct str *argv);
enum err rsession_read(struct rsession *s, const struct reply **reply, struct err_info *info) MUST_USE;
/* After SUBSCRIBE: the next message, which no command asked for. None before the command deadline:
 * ERR_TIMEOUT, and the session is dead. */
enum err rsession_receive(struct rsession *s, const struct reply **reply, struct err_info *info) MUST_USE;

#endif
