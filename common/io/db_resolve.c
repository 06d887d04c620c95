/* db_resolve: name service on libuv's threads, because libpq's own would block the loop.
 *
 * The hosts of the URL are asked one after another; each address found becomes a host of its own, so that libpq tries
 * all of them in order. A name without address is left out; only when none is left the connect fails. An abandoned
 * question can not be called back: its answer finds no connection and frees itself. */
#include "common/io/db_conn_private.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <uv.h>

#include "common/base/mem.h"

struct db_resolve {
    uv_getaddrinfo_t req;
    struct db_conn *conn; /* NULL: abandoned */
    db_resolve_cb done;
    struct arena arena;
    struct db_host asked[DB_MAX_HOSTS];
    int n_asked;
    int at;
    struct db_host found[DB_MAX_HOSTS];
    int n_found;
    char text[200]; /* why the last name had no address */
};

static void step(struct db_resolve *r);

static void add(struct db_resolve *r, const struct db_host *host, const char *addr)
{
    if (r->n_found < DB_MAX_HOSTS)
        r->found[r->n_found++] = (struct db_host){host->host, host->port, arena_strdup(&r->arena, addr)};
}

static void resolve_free(struct db_resolve *r)
{
    arena_free(&r->arena);
    mem_free(r);
}

static void on_addresses(uv_getaddrinfo_t *req, int status, struct addrinfo *list)
{
    struct db_resolve *r = req->data;
    if (!r->conn) {
        uv_freeaddrinfo(list);
        resolve_free(r);
        return;
    }
    const struct db_host *host = &r->asked[r->at++];
    if (status != 0)
        snprintf(r->text, sizeof(r->text), "no address for %.80s: %s", host->host, uv_strerror(status));
    for (const struct addrinfo *a = list; a; a = a->ai_next) {
        char addr[64] = "";
        if (uv_ip_name(a->ai_addr, addr, sizeof(addr)) == 0)
            add(r, host, addr);
    }
    uv_freeaddrinfo(list);
    step(r);
}

static void finish(struct db_resolve *r)
{
    struct db_conn *c = r->conn;
    c->resolve = NULL;
    r->done(c, r->n_found > 0 ? ERR_OK : ERR_CONN_LOST, r->found, r->n_found, r->text);
    resolve_free(r);
}

static void step(struct db_resolve *r)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    for (; r->at < r->n_asked; r->at++) {
        const struct db_host *host = &r->asked[r->at];
        if (!db_conninfo_is_name(host)) {
            add(r, host, host->addr);
            continue;
        }
        int rc = uv_getaddrinfo(loop_uv(r->conn->loop), &r->req, on_addresses, host->host, NULL, &hints);
        if (rc == 0)
            return;
        snprintf(r->text, sizeof(r->text), "no address for %.80s: %s", host->host, uv_strerror(rc));
    }
    finish(r);
}

void db_resolve_start(struct db_conn *c, const struct db_host *hosts, int n, db_resolve_cb done)
{
    struct db_resolve *r = mem_zalloc(sizeof(*r));
    r->req.data = r;
    r->conn = c;
    r->done = done;
    r->n_asked = n;
    for (int i = 0; i < n; i++) {
        r->asked[i].host = arena_strdup(&r->arena, hosts[i].host);
        r->asked[i].port = arena_strdup(&r->arena, hosts[i].port);
        r->asked[i].addr = arena_strdup(&r->arena, hosts[i].addr);
    }
    c->resolve = r;
    step(r);
}

void db_resolve_abandon(struct db_resolve *r)
{
    if (!r)
        return;
    r->conn = NULL;
    uv_cancel((uv_req_t *)&r->req); /* works only before a thread took it; else the answer comes late */
}
