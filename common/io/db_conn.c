/* db_conn: the life of one connection on the loop.
 *
 *     WAITING → RESOLVING → CONNECTING → SETTING_UP → UP        any state --close--> CLOSING
 *        ^____________failure or loss______________|
 *
 * Happy path: names are resolved, libpq connects step by step under our poll handle, our SETs run, then requests do
 * (db_request.c). Failures: a connect that fails or takes too long is logged and tried again after 100 ms to 5 s with
 * jitter. A loss, or a statement without answer beyond its deadline, ends all requests and reconnects likewise. The poll
 * handle and a question to name service free themselves, so closing waits for callbacks of requests only. */
#include "common/io/db_conn_private.h"

#include <assert.h>
#include <string.h>
#include <sys/random.h>

#include <libpq-fe.h>
#include <uv.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000

struct db_poll {
    uv_poll_t uv;
    int fd;
    int events;
};

static void on_poll(uv_poll_t *uv, int status, int events);

/* ---- poll handle ------------------------------------------------------------------------------------------------------- */
static void on_poll_closed(uv_handle_t *uv)
{
    mem_free(uv->data);
}

static void poll_close(struct db_conn *c)
{
    if (!c->poll)
        return;
    c->poll->uv.data = c->poll;
    uv_close((uv_handle_t *)&c->poll->uv, on_poll_closed);
    c->poll = NULL;
}

/* Watches libpq's socket. While connecting it is called after every step with `fresh`: the socket may be another one,
 * even under the same number, and only a new start registers that one. */
static bool poll_set(struct db_conn *c, int events, bool fresh)
{
    int fd = PQsocket(c->pg);
    if (c->poll && c->poll->fd != fd)
        poll_close(c);
    if (!c->poll) {
        struct db_poll *p = mem_zalloc(sizeof(*p));
        if (fd < 0 || uv_poll_init(loop_uv(c->loop), &p->uv, fd) != 0) {
            mem_free(p);
            return false;
        }
        p->fd = fd;
        p->uv.data = c;
        c->poll = p;
    }
    if (!fresh && c->poll->events == events)
        return true;
    c->poll->events = events;
    return uv_poll_start(&c->poll->uv, events, on_poll) == 0;
}

/* ---- down -------------------------------------------------------------------------------------------------------------- */
static void teardown(struct db_conn *c)
{
    db_resolve_abandon(c->resolve);
    c->resolve = NULL;
    poll_close(c);
    PQfinish(c->pg);
    c->pg = NULL;
    c->pipeline = false;
    c->last_was_null = false;
    db_prepared_clear(&c->prepared);
    db_conninfo_free(&c->info);
    timer_stop(c->clock);
}

static int64_t backoff_ms(int failures)
{
    int64_t ms = BACKOFF_MIN_MS;
    uint32_t random = 0;
    for (int i = 1; i < failures && ms < BACKOFF_MAX_MS; i++)
        ms *= 2;
    ms = ms < BACKOFF_MAX_MS ? ms : BACKOFF_MAX_MS;
    if (getrandom(&random, sizeof(random), GRND_NONBLOCK) != (ssize_t)sizeof(random))
        random = (uint32_t)clock_mono_us();
    return ms / 2 + (int64_t)(random % (uint32_t)(ms / 2 + 1));
}

static void retry_later(struct db_conn *c)
{
    c->state = DB_CONN_WAITING;
    c->failures++;
    timer_start(c->clock, backoff_ms(c->failures), 0);
}

static void connect_failed(struct db_conn *c, const char *text)
{
    log_warn("db.connect_failed", L_STR("connection", c->name), L_STR("text", text), L_INT("failures", c->failures + 1));
    teardown(c);
    retry_later(c);
}

void db_conn_lost(struct db_conn *c, enum err first, const char *text)
{
    if (c->state == DB_CONN_SETTING_UP) {
        connect_failed(c, text);
        return;
    }
    err_set(&c->down_info, ERR_CONN_LOST, "%s", text[0] ? text : "connection lost");
    db_error_flatten(c->down_info.text);
    db_request_end_all(c, first, ERR_CONN_LOST, c->down_info.text);
    teardown(c);
    retry_later(c);
    c->tell_down = true;
    db_conn_kick(c);
}

/* ---- up ---------------------------------------------------------------------------------------------------------------- */
static void connect_step(struct db_conn *c)
{
    struct err_info info;
    PostgresPollingStatusType step = PQconnectPoll(c->pg);
    if (step == PGRES_POLLING_READING || step == PGRES_POLLING_WRITING) {
        if (!poll_set(c, step == PGRES_POLLING_READING ? UV_READABLE : UV_WRITABLE, true))
            connect_failed(c, "the socket can not be watched");
        return;
    }
    if (step != PGRES_POLLING_OK) {
        db_error_connection(c->pg, &info);
        connect_failed(c, info.text);
        return;
    }
    db_conninfo_started(c->pg);
    c->state = DB_CONN_SETTING_UP;
    const char *sql = db_conninfo_setup(c->pg, &c->info.arena, c->config.statement_ms, NULL);
    if (!PQsendQuery(c->pg, sql) || !poll_set(c, UV_READABLE, true))
        connect_failed(c, PQerrorMessage(c->pg));
    else
        db_conn_flush(c);
}

static void setup_step(struct db_conn *c)
{
    struct err_info info;
    while (!PQisBusy(c->pg)) {
        PGresult *res = PQgetResult(c->pg);
        if (!res) {
            timer_stop(c->clock);
            c->state = DB_CONN_UP;
            c->failures = 0;
            if (c->config.on_state)
                c->config.on_state(c->config.arg, true, NULL);
            return;
        }
        bool good = PQresultStatus(res) == PGRES_COMMAND_OK;
        if (!good)
            db_error_result(res, &info);
        PQclear(res);
        if (!good) {
            connect_failed(c, info.text);
            return;
        }
    }
}

static void on_resolved(struct db_conn *c, enum err err, const struct db_host *hosts, int n, const char *text)
{
    struct err_info info;
    if (err != ERR_OK) {
        connect_failed(c, text);
        return;
    }
    c->state = DB_CONN_CONNECTING;
    c->pg = db_conninfo_start(&c->info, hosts, n);
    if (!c->pg || PQstatus(c->pg) == CONNECTION_BAD) {
        db_error_connection(c->pg, &info);
        connect_failed(c, info.text);
    } else if (!poll_set(c, UV_WRITABLE, true)) {
        connect_failed(c, "the socket can not be watched");
    }
}

static void connect_start(struct db_conn *c)
{
    struct err_info info;
    struct db_host hosts[DB_MAX_HOSTS];
    timer_start(c->clock, c->config.connect_ms, 0);
    if (db_conninfo_load(&c->info, c->url, c->name, &info) != ERR_OK) {
        connect_failed(c, info.text);
        return;
    }
    int n = db_conninfo_hosts(&c->info, hosts);
    c->state = DB_CONN_RESOLVING;
    if (n > 0)
        db_resolve_start(c, hosts, n, on_resolved);
    else
        on_resolved(c, ERR_OK, NULL, 0, NULL);
}

/* ---- traffic ----------------------------------------------------------------------------------------------------------- */
bool db_conn_flush(struct db_conn *c)
{
    int left = PQflush(c->pg);
    if (left < 0 || !poll_set(c, left == 1 ? UV_READABLE | UV_WRITABLE : UV_READABLE, false)) {
        db_conn_lost(c, ERR_CONN_LOST, PQerrorMessage(c->pg));
        return false;
    }
    return left == 0;
}

static void drop_notifies(struct db_conn *c)
{
    for (PGnotify *n = PQnotifies(c->pg); n; n = PQnotifies(c->pg))
        PQfreemem(n);
}

static void on_traffic(struct db_conn *c, int events)
{
    if ((events & UV_READABLE) && !PQconsumeInput(c->pg)) {
        db_conn_lost(c, ERR_CONN_LOST, PQerrorMessage(c->pg));
        return;
    }
    if ((events & UV_WRITABLE) && db_conn_flush(c))
        db_request_feed(c);
    if (c->state == DB_CONN_SETTING_UP)
        setup_step(c);
    else if (c->state == DB_CONN_UP)
        db_request_read(c);
    if (c->state == DB_CONN_UP && c->pg)
        drop_notifies(c);
}

static void on_poll(uv_poll_t *uv, int status, int events)
{
    struct db_conn *c = uv->data;
    /* An error of the poll itself is seen by libpq as an error of the socket. */
    int seen = status < 0 ? UV_READABLE : events;
    switch (c->state) {
    case DB_CONN_CONNECTING: connect_step(c); break;
    case DB_CONN_SETTING_UP:
    case DB_CONN_UP: on_traffic(c, seen); break;
    case DB_CONN_WAITING:
    case DB_CONN_RESOLVING:
    case DB_CONN_CLOSING: break;
    }
    /* After an error libuv watches no more, and what libpq has read may have been the server's last words: the end is still to come. */
    if (status < 0 && c->poll != NULL && &c->poll->uv == uv && !poll_set(c, c->poll->events, true))
        db_conn_lost(c, ERR_CONN_LOST, "the socket can not be watched");
}

/* ---- timers ------------------------------------------------------------------------------------------------------------ */
void db_conn_new_head(struct db_conn *c)
{
    int64_t limit_ms = c->config.statement_ms + DB_GRACE_MS;
    c->head_deadline_ms = loop_now_ms(c->loop) + limit_ms;
    if (!timer_active(c->clock))
        timer_start(c->clock, limit_ms, 0);
}

/* The timer is not restarted with every statement: it looks when it fires whether the deadline has moved on. */
static void check_head(struct db_conn *c)
{
    int64_t left_ms = c->head_deadline_ms - loop_now_ms(c->loop);
    if (list_empty(&c->sent))
        return;
    if (left_ms > 0)
        timer_start(c->clock, left_ms, 0);
    else
        db_conn_lost(c, ERR_TIMEOUT, "no answer from the server after the statement's own time limit");
}

static void on_clock(void *arg)
{
    struct db_conn *c = arg;
    switch (c->state) {
    case DB_CONN_WAITING: connect_start(c); break;
    case DB_CONN_RESOLVING:
    case DB_CONN_CONNECTING:
    case DB_CONN_SETTING_UP: connect_failed(c, "no connection to PostgreSQL within the time limit"); break;
    case DB_CONN_UP: check_head(c); break;
    case DB_CONN_CLOSING: break;
    }
}

static void destroy(struct db_conn *c)
{
    void (*closed)(void *) = c->closed;
    void *arg = c->closed_arg;
    timer_free(c->clock);
    timer_free(c->kick);
    mem_free(c->url);
    mem_free(c->name);
    mem_free(c);
    if (closed)
        closed(arg);
}

void db_conn_kick(struct db_conn *c)
{
    timer_start(c->kick, 0, 0);
}

static void on_kick(void *arg)
{
    struct db_conn *c = arg;
    db_request_deliver(c);
    if (c->tell_down && c->state != DB_CONN_CLOSING) {
        c->tell_down = false;
        if (c->config.on_state)
            c->config.on_state(c->config.arg, false, &c->down_info);
    }
    if (!list_empty(&c->ended))
        db_conn_kick(c);
    else if (c->state == DB_CONN_CLOSING)
        destroy(c);
}

/* ---- public ------------------------------------------------------------------------------------------------------------ */
struct db_conn *db_conn_open(struct loop *loop, const struct db_conn_config *config)
{
    struct db_conn *c = mem_zalloc(sizeof(*c));
    c->loop = loop;
    c->config = *config;
    c->url = mem_strdup(config->url ? config->url : "");
    c->name = mem_strdup(config->name ? config->name : "usher");
    if (c->config.connect_ms <= 0)
        c->config.connect_ms = DB_CONNECT_MS;
    if (c->config.statement_ms <= 0)
        c->config.statement_ms = DB_STATEMENT_MS;
    list_init(&c->waiting);
    list_init(&c->sent);
    list_init(&c->ended);
    c->clock = timer_new(loop, on_clock, c);
    c->kick = timer_new(loop, on_kick, c);
    c->state = DB_CONN_WAITING;
    timer_start(c->clock, 0, 0); /* not from here: on_state must not run before we have returned */
    return c;
}

bool db_conn_up(const struct db_conn *c)
{
    return c->state == DB_CONN_UP;
}

void db_conn_drop(struct db_conn *c)
{
    switch (c->state) {
    case DB_CONN_UP: db_conn_lost(c, ERR_CONN_LOST, "the connection was dropped"); break;
    case DB_CONN_RESOLVING:
    case DB_CONN_CONNECTING:
    case DB_CONN_SETTING_UP: connect_failed(c, "the connection was dropped"); break;
    case DB_CONN_WAITING:
    case DB_CONN_CLOSING: break;
    }
}

void db_conn_close(struct db_conn *c, void (*closed)(void *arg), void *arg)
{
    assert(c->state != DB_CONN_CLOSING);
    c->state = DB_CONN_CLOSING;
    c->closed = closed;
    c->closed_arg = arg;
    db_request_cancel_all(c, "the connection was closed");
    teardown(c);
    db_conn_kick(c);
}
