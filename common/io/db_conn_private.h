/* db_conn_private: the connection on the loop, shared by db_conn.c (its life), db_request.c (what runs on it) and
 * db_resolve.c (name service). */
#ifndef COMMON_IO_DB_CONN_PRIVATE_H
#define COMMON_IO_DB_CONN_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/list.h"
#include "common/io/db_private.h"
#include "common/io/loop.h"

#define DB_CONN_MAX_QUEUE 64

struct db_poll;
struct db_resolve;

enum db_conn_state {
    DB_CONN_WAITING, /* for the next try */
    DB_CONN_RESOLVING,
    DB_CONN_CONNECTING,
    DB_CONN_SETTING_UP,
    DB_CONN_UP,
    DB_CONN_CLOSING
};

enum db_request_kind {
    DB_REQUEST_QUERY, /* prepared; in pipeline mode */
    DB_REQUEST_EXEC,  /* one statement; in pipeline mode */
    DB_REQUEST_TEXT,  /* several statements: alone, in the simple protocol */
    DB_REQUEST_COPY   /* alone, as libpq has no COPY in pipeline mode */
};

struct db_request {
    struct list node; /* waiting, sent or ended */
    enum db_request_kind kind;
    const struct db_stmt *stmt;
    const char *sql;
    struct db_args args; /* values stand behind the struct */
    struct db_prepared *prepared;
    bool opening;   /* BEGIN goes first, its answer is still to come */
    bool preparing; /* the answer to the Parse message is still to come */
    bool copying;   /* the server waits for data */
    const struct buf *data;
    size_t data_at;
    struct pg_result *res; /* the last good one */
    enum err err;
    struct err_info info;
    db_cb cb;
    void *arg;
};

struct db_conn {
    struct loop *loop;
    struct db_conn_config config;
    char *url;
    char *name;
    enum db_conn_state state;
    struct db_conninfo info;
    struct pg_conn *pg;
    struct db_poll *poll;
    struct db_resolve *resolve;
    struct timer *clock; /* backoff, connect deadline or statement deadline, as the state says */
    struct timer *kick;  /* ends requests outside the call that made them fail */
    int64_t head_deadline_ms;
    struct db_prepared_set prepared;
    struct list waiting;
    struct list sent; /* the first one is what the server works on */
    struct list ended;
    int n_pending; /* waiting and sent */
    bool begin;    /* BEGIN goes with the next statement */
    bool pipeline;
    bool last_was_null;
    int failures; /* connects in a row */
    bool tell_down;
    struct err_info down_info;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* ---- db_request.c ------------------------------------------------------------------------------------------------------- */
/* Sends what may be sent now. A failure is left to db_conn_lost, which only queues the callbacks. */
void db_request_pump(struct db_conn *c);
/* Takes in what libpq has received; runs callbacks. */
void db_request_read(struct db_conn *c);
/* Goes on with a COPY after the socket took what was given. */
void db_request_feed(struct db_conn *c);
/* Moves everything pending to `ended`: the first one sent with `first`, the others with `rest`. */
void db_request_end_all(struct db_conn *c, enum err first, enum err rest, const char *text);
/* The same with ERR_CANCELED, also for what was in `ended` already. */
void db_request_cancel_all(struct db_conn *c, const char *text);
/* Runs the callbacks of what is in `ended` at this moment. */
void db_request_deliver(struct db_conn *c);

/* ---- db_conn.c ---------------------------------------------------------------------------------------------------------- */
/* The connection is gone: ends requests (`first`: the one the server worked on), reconnects later. Runs no callback. */
void db_conn_lost(struct db_conn *c, enum err first, const char *text);
/* Writes what libpq holds back. False while something is left, or when the connection is lost. */
bool db_conn_flush(struct db_conn *c);
void db_conn_new_head(struct db_conn *c); /* the statement deadline starts */
void db_conn_kick(struct db_conn *c);

/* ---- db_resolve.c ------------------------------------------------------------------------------------------------------- */
/* Resolves the hosts without blocking, then calls done(c, ERR_OK, hosts, n) once from the loop: a host of several addresses
 * is several hosts. ERR_CONN_LOST when no host has an address. */
typedef void (*db_resolve_cb)(struct db_conn *c, enum err err, const struct db_host *hosts, int n, const char *text);
void db_resolve_start(struct db_conn *c, const struct db_host *hosts, int n, db_resolve_cb done);
void db_resolve_abandon(struct db_resolve *r); /* `done` will not be called; NULL is fine */

#endif
