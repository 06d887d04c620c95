/* Redis for a thread that may wait. Connecting, sending and receiving are the same non-blocking wire as on
 * the loop; here poll(2) waits, and never past a deadline. Sending and receiving go on together, so a long
 * pipeline can not end with both sides waiting for the other to read.
 *
 * Failure modes: after any failure of the connection, a missed deadline or a change of the server's role
 * the session is dead: replies still expected end with ERR_CONN_LOST at once, and the owner closes it. An
 * error reply leaves it alive. Looking a name up is getaddrinfo(3), which has time-outs of its own. */
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/io/rconn.h"
#include "common/io/rconn_reply.h"
#include "common/io/rconn_url.h"
#include "common/io/rconn_wire.h"

#define DEFAULT_CONNECT_MS 3000
#define DEFAULT_COMMAND_MS 5000
#define ADDRESS_SIZE 64

struct rsession {
    struct rconn_wire wire;
    int64_t command_ms;
    size_t expected; /* replies not yet read */
    bool alive;
};

/* Waits for the socket: for `events`, or, with 0, for whatever there is to do. */
static enum err wait_socket(struct rsession *s, short events, int64_t deadline, short *ready, struct err_info *info)
{
    struct pollfd p = {.fd = s->wire.fd, .events = events};
    int rc;

    if (events == 0)
        p.events = (short)(POLLIN | (rconn_wire_unsent(&s->wire) > 0 ? POLLOUT : 0));
    do {
        int64_t left = deadline - clock_mono_ms();
        rc = poll(&p, 1, left > 0 ? (int)(left < INT32_MAX ? left : INT32_MAX) : 0);
    } while (rc < 0 && errno == EINTR);
    if (rc < 0)
        return err_set(info, ERR_IO, "Redis connection: poll: %s", strerror(errno));
    if (rc == 0)
        return err_set(info, ERR_TIMEOUT, "Redis did not reply in time");
    *ready = p.revents;
    return ERR_OK;
}

static enum err next_reply(struct rsession *s, int64_t deadline, const struct reply **reply, struct err_info *info)
{
    enum err err = rconn_reader_next(&s->wire.reader, reply, info);
    short ready = 0;
    bool more;

    while (err == ERR_OK && *reply == NULL) {
        err = wait_socket(s, 0, deadline, &ready, info);
        if (err == ERR_OK && (ready & POLLOUT))
            err = rconn_wire_send(&s->wire, info);
        if (err == ERR_OK && (ready & (POLLIN | POLLERR | POLLHUP)))
            err = rconn_wire_receive(&s->wire, &more, info);
        if (err == ERR_OK)
            err = rconn_reader_next(&s->wire.reader, reply, info);
    }
    return err;
}

static enum err greet(struct rsession *s, const struct rconn_url *url, const char *name, int64_t deadline,
                      struct err_info *info)
{
    struct rconn_greeting greeting;
    enum err err = ERR_OK;

    rconn_wire_greet(&s->wire, url, name, &greeting);
    while (err == ERR_OK && greeting.at < greeting.n) {
        const struct reply *reply = NULL;
        err = next_reply(s, deadline, &reply, info);
        if (err == ERR_OK)
            err = rconn_wire_greeted(&greeting, reply, info);
    }
    return err;
}

/* One address, or the unix socket with ip == NULL. */
static enum err join(struct rsession *s, const struct rconn_url *url, const char *ip, const char *name,
                     int64_t deadline, struct err_info *info)
{
    short ready = 0;
    enum err err = rconn_wire_open(&s->wire, url, ip, info);

    if (err != ERR_OK)
        return err;
    err = wait_socket(s, POLLOUT, deadline, &ready, info);
    if (err == ERR_OK)
        err = rconn_wire_connected(&s->wire, info);
    if (err == ERR_OK)
        err = greet(s, url, name, deadline, info);
    if (err != ERR_OK)
        rconn_wire_close(&s->wire);
    return err;
}

static enum err join_host(struct rsession *s, const struct rconn_url *url, const char *name, int64_t deadline,
                          struct err_info *info)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    enum err err = ERR_IO;
    int rc = getaddrinfo(url->host, NULL, &hints, &list);

    if (rc != 0)
        return err_set(info, ERR_IO, "Redis host %s: %s", url->host, gai_strerror(rc));
    for (const struct addrinfo *a = list; a != NULL && err != ERR_OK; a = a->ai_next) {
        char ip[ADDRESS_SIZE];
        if (getnameinfo(a->ai_addr, a->ai_addrlen, ip, sizeof(ip), NULL, 0, NI_NUMERICHOST) == 0)
            err = join(s, url, ip, name, deadline, info);
    }
    freeaddrinfo(list);
    return err;
}

enum err rsession_open(const struct rconn_config *config, struct rsession **out, struct err_info *info)
{
    const int64_t deadline = clock_mono_ms() + (config->connect_ms > 0 ? config->connect_ms : DEFAULT_CONNECT_MS);
    struct rsession *s = NULL;
    struct rconn_url url;
    enum err err = rconn_url_parse(config->url, &url, info);

    *out = NULL;
    if (err != ERR_OK)
        goto out;
    s = mem_zalloc(sizeof(*s));
    s->command_ms = config->command_ms > 0 ? config->command_ms : DEFAULT_COMMAND_MS;
    if (url.path[0] != '\0')
        err = join(s, &url, NULL, config->name, deadline, info);
    else
        err = join_host(s, &url, config->name, deadline, info);
    if (err != ERR_OK)
        goto out;
    s->alive = true;
    *out = s;
    s = NULL;
out:
    mem_free(s);
    return err;
}

void rsession_close(struct rsession *s)
{
    if (s == NULL)
        return;
    rconn_wire_close(&s->wire);
    mem_free(s);
}

bool rsession_alive(const struct rsession *s)
{
    return s->alive;
}

void rsession_append(struct rsession *s, size_t argc, const struct str *argv)
{
    s->expected++;
    if (!s->alive)
        return;
    rconn_reader_release(&s->wire.reader);
    rconn_wire_encode(&s->wire.out, argc, argv);
}

enum err rsession_read(struct rsession *s, const struct reply **reply, struct err_info *info)
{
    bool drop = false;
    enum err err;

    assert(s->expected > 0);
    s->expected--;
    *reply = NULL;
    if (!s->alive)
        return err_set(info, ERR_CONN_LOST, "Redis session: the connection was lost earlier");
    err = next_reply(s, clock_mono_ms() + s->command_ms, reply, info);
    if (err != ERR_OK) {
        s->alive = false;
        rconn_wire_shut(&s->wire);
        return err;
    }
    err = rconn_reply_error(*reply, &drop);
    if (err != ERR_OK)
        err_set(info, err, "Redis: %.*s", (int)(*reply)->s.n, (*reply)->s.p);
    if (drop) {
        s->alive = false;
        rconn_wire_shut(&s->wire);
    }
    return err;
}

enum err rsession_command(struct rsession *s, size_t argc, const struct str *argv, const struct reply **reply,
                          struct err_info *info)
{
    assert(s->expected == 0);
    rsession_append(s, argc, argv);
    return rsession_read(s, reply, info);
}

enum err rsession_receive(struct rsession *s, const struct reply **reply, struct err_info *info)
{
    s->expected++;
    if (s->alive)
        rconn_reader_release(&s->wire.reader);
    return rsession_read(s, reply, info);
}
