/* hiredis opens the socket and parses replies; sending and receiving are ours, because hiredis 0.14.1
 * writes without MSG_NOSIGNAL, reads 16 KiB at a time, and its asynchronous layer looks into reply objects
 * as if they were its own (an unasked-for error reply, such as "max number of clients reached", ends in an
 * assertion when they are not).
 *
 * errno becomes enum err here: nobody listening is ERR_REFUSED, anything after the connection stood is
 * ERR_CONN_LOST. */
#include "common/io/rconn_wire.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <hiredis/hiredis.h>

#include "common/base/mem.h"
#include "common/base/str.h"

#define RECEIVE_BYTES (64 * 1024)
/* Sent data that stays in front of unsent data is moved away only when it is worth the copy. */
#define COMPACT_BYTES (256 * 1024)
/* A peer that is gone without a word is noticed by deadlines; this ends its socket in the kernel too. */
#define TCP_UNACKED_MS 10000
#define TCP_IDLE_S 30
#define TCP_PROBE_S 10
#define NAME_MAX_BYTES 64

static enum err connect_error(int e)
{
    switch (e) {
    case ECONNREFUSED:
    case ENOENT: /* unix socket: no server has made it yet */ return ERR_REFUSED;
    case EACCES:
    case EPERM: return ERR_DENIED;
    case ETIMEDOUT: return ERR_TIMEOUT;
    case EAGAIN: /* unix socket: the server's backlog is full */ return ERR_BUSY;
    default: return ERR_IO;
    }
}

static const char *target(const struct rconn_url *url, const char *ip, char *out, size_t size)
{
    if (url->path[0] != '\0')
        snprintf(out, size, "%s", url->path);
    else
        snprintf(out, size, "%s (%s) port %d", url->host, ip, url->port);
    return out;
}

static void put_length(struct buf *out, char kind, size_t n)
{
    char line[24];
    size_t at = sizeof(line);

    line[--at] = '\n';
    line[--at] = '\r';
    do {
        line[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    line[--at] = kind;
    buf_put(out, line + at, sizeof(line) - at);
}

void rconn_wire_encode(struct buf *out, size_t argc, const struct str *argv)
{
    put_length(out, '*', argc);
    for (size_t i = 0; i < argc; i++) {
        put_length(out, '$', argv[i].n);
        buf_put(out, argv[i].p, argv[i].n);
        buf_put(out, "\r\n", 2);
    }
}

/* Failures are ignored: the options make a dead peer visible earlier, nothing depends on them. */
static void set_options(int fd, bool tcp)
{
    const int on = 1, idle = TCP_IDLE_S, probe = TCP_PROBE_S, unacked = TCP_UNACKED_MS;

    fcntl(fd, F_SETFD, FD_CLOEXEC);
    if (!tcp)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &probe, sizeof(probe));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked, sizeof(unacked));
}

enum err rconn_wire_open(struct rconn_wire *w, const struct rconn_url *url, const char *ip, struct err_info *info)
{
    const bool tcp = url->path[0] == '\0';
    char where[512];
    int e;

    *w = (struct rconn_wire){.fd = -1};
    errno = 0;
    w->hi = tcp ? redisConnectNonBlock(ip, url->port) : redisConnectUnixNonBlock(url->path);
    e = errno;
    if (w->hi == NULL)
        return err_set(info, ERR_NOMEM, "Redis: out of memory");
    if (w->hi->err != 0) {
        enum err err = w->hi->err == REDIS_ERR_IO ? connect_error(e) : ERR_IO;
        err_set(info, err, "Redis at %s: %s", target(url, ip, where, sizeof(where)), w->hi->errstr);
        redisFree(w->hi);
        w->hi = NULL;
        return err;
    }
    w->fd = w->hi->fd;
    set_options(w->fd, tcp);
    rconn_reader_init(&w->reader);
    return ERR_OK;
}

enum err rconn_wire_connected(struct rconn_wire *w, struct err_info *info)
{
    int e = 0;
    socklen_t n = sizeof(e);

    if (getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &e, &n) != 0)
        e = errno;
    if (e == 0)
        return ERR_OK;
    return err_set(info, connect_error(e), "Redis connection: %s", strerror(e));
}

void rconn_wire_shut(struct rconn_wire *w)
{
    if (w->hi != NULL)
        redisFree(w->hi);
    w->hi = NULL;
    w->fd = -1;
}

void rconn_wire_close(struct rconn_wire *w)
{
    rconn_wire_shut(w);
    buf_free(&w->out);
    rconn_reader_fini(&w->reader);
}

size_t rconn_wire_unsent(const struct rconn_wire *w)
{
    return w->out.len - w->sent;
}

enum err rconn_wire_send(struct rconn_wire *w, struct err_info *info)
{
    while (w->sent < w->out.len) {
        ssize_t n = send(w->fd, w->out.data + w->sent, w->out.len - w->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n < 0 && errno != EPIPE && errno != ECONNRESET)
            return err_set(info, ERR_CONN_LOST, "Redis connection: %s", strerror(errno));
        /* A closed connection may still hold the server's last words ("max number of clients reached"): the
         * end is found by reading, which follows at once since the socket is readable. */
        w->sent = n < 0 ? w->out.len : w->sent + (size_t)n;
    }
    if (w->sent == w->out.len && w->out.cap > COMPACT_BYTES) {
        buf_free(&w->out);
        w->sent = 0;
    } else if (w->sent == w->out.len) {
        buf_reset(&w->out);
        w->sent = 0;
    } else if (w->sent > COMPACT_BYTES) {
        memmove(w->out.data, w->out.data + w->sent, w->out.len - w->sent);
        w->out.len -= w->sent;
        w->sent = 0;
    }
    return ERR_OK;
}

enum err rconn_wire_receive(struct rconn_wire *w, bool *more, struct err_info *info)
{
    char chunk[RECEIVE_BYTES];
    ssize_t n;

    *more = false;
    do {
        n = recv(w->fd, chunk, sizeof(chunk), 0);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return ERR_OK;
    if (n < 0)
        return err_set(info, ERR_CONN_LOST, "Redis connection: %s", strerror(errno));
    if (n == 0)
        return err_set(info, ERR_CONN_LOST, "Redis closed the connection");
    *more = (size_t)n == sizeof(chunk);
    return rconn_reader_feed(&w->reader, chunk, (size_t)n, info);
}

/* ---- greeting ---------------------------------------------------------------------------------------- */

static void add_step(struct rconn_wire *w, struct rconn_greeting *g, enum rconn_hello step, size_t argc,
                     const struct str *argv)
{
    assert(g->n < RCONN_HELLO_MAX);
    g->steps[g->n++] = step;
    rconn_wire_encode(&w->out, argc, argv);
}

/* Redis refuses names with blanks and control characters. */
static struct str clean_name(const char *name, char out[NAME_MAX_BYTES + 1])
{
    size_t n = 0;

    for (; n < NAME_MAX_BYTES && name[n] != '\0'; n++)
        out[n] = name[n] > ' ' && name[n] <= '~' ? name[n] : '-';
    out[n] = '\0';
    return (struct str){out, n};
}

void rconn_wire_greet(struct rconn_wire *w, const struct rconn_url *url, const char *name, struct rconn_greeting *g)
{
    char db[16], clean[NAME_MAX_BYTES + 1];

    *g = (struct rconn_greeting){.n = 0};
    if (url->user[0] != '\0')
        add_step(w, g, RCONN_HELLO_AUTH, 3, (struct str[]){STR("AUTH"), str_of(url->user), str_of(url->password)});
    else if (url->password[0] != '\0')
        add_step(w, g, RCONN_HELLO_AUTH, 2, (struct str[]){STR("AUTH"), str_of(url->password)});
    if (url->db != 0) {
        snprintf(db, sizeof(db), "%d", url->db);
        add_step(w, g, RCONN_HELLO_SELECT, 2, (struct str[]){STR("SELECT"), str_of(db)});
    }
    if (name != NULL && name[0] != '\0')
        add_step(w, g, RCONN_HELLO_NAME, 3, (struct str[]){STR("CLIENT"), STR("SETNAME"), clean_name(name, clean)});
    add_step(w, g, RCONN_HELLO_PING, 1, (struct str[]){STR("PING")});
}

enum err rconn_wire_greeted(struct rconn_greeting *g, const struct reply *reply, struct err_info *info)
{
    static const char *const names[] = {"AUTH", "SELECT", "CLIENT SETNAME", "PING"};
    const enum rconn_hello step = g->steps[g->at++];
    bool drop;
    enum err err = rconn_reply_error(reply, &drop);

    /* The name is for people who read CLIENT LIST, and a PING that is not permitted proves the login as
     * well as one that is answered: a user that may do neither can still work. */
    if (step == RCONN_HELLO_NAME && (err == ERR_DENIED || err == ERR_REDIS))
        return ERR_OK;
    if (err == ERR_OK || (step == RCONN_HELLO_PING && str_starts(reply->s, "NOPERM")))
        return ERR_OK;
    if (step == RCONN_HELLO_AUTH && err == ERR_REDIS)
        err = ERR_DENIED;
    return err_set(info, err, "Redis refused %s: %.*s", names[step], (int)reply->s.n, reply->s.p);
}
