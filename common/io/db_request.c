/* db_request: what runs on a connection of the loop.
 *
 * waiting → sent → callback. Queries and single statements are sent at once in libpq's pipeline mode, each with its own
 * Sync, so that a failed one does not take its followers with it; BEGIN shares the Sync of the statement behind it, which is
 * skipped when BEGIN fails. A text of several statements and COPY leave pipeline mode and run alone.
 * Failures: an error of the server ends its own request only. A statement that is prepared for the first time holds
 * back its followers of the same statement until the server has confirmed. When the connection is lost everything goes
 * to `ended` and is called back from the kick timer, never from inside the caller's call. */
#include "common/io/db_conn_private.h"

#include <assert.h>
#include <string.h>

#include <libpq-fe.h>

#include "common/base/mem.h"
#include "common/base/str.h"

static struct db_request *first_of(const struct list *list)
{
    struct list *node = list_first(list);
    return node ? LIST_OWNER(node, struct db_request, node) : NULL;
}

static bool piped(const struct db_request *r)
{
    return r->kind == DB_REQUEST_QUERY || r->kind == DB_REQUEST_EXEC;
}

static void request_free(struct db_request *r)
{
    PQclear(r->res);
    mem_free(r);
}

/* ---- start ------------------------------------------------------------------------------------------------------------- */
static struct db_request *request_new(enum db_request_kind kind, const struct db_args *args, db_cb cb, void *arg)
{
    size_t bytes = 0;
    int n = args ? args->n : 0;
    for (int i = 0; i < n; i++)
        bytes += (size_t)args->lengths[i] + 1; /* + 1: an empty value is not NULL */
    struct db_request *r = mem_alloc(sizeof(*r) + bytes);
    memset(r, 0, offsetof(struct db_request, args));
    memset(&r->prepared, 0, sizeof(*r) - offsetof(struct db_request, prepared));
    r->kind = kind;
    r->cb = cb;
    r->arg = arg;
    r->args.arena = NULL;
    r->args.n = n;
    char *at = (char *)(r + 1);
    for (int i = 0; i < n; i++) {
        size_t length = (size_t)args->lengths[i];
        r->args.values[i] = args->values[i] ? at : NULL;
        r->args.lengths[i] = args->lengths[i];
        r->args.types[i] = args->types[i];
        if (args->values[i] && length > 0)
            memcpy(at, args->values[i], length);
        at += length + 1;
    }
    return r;
}

static void request_start(struct db_conn *c, struct db_request *r)
{
    if (c->state != DB_CONN_UP) {
        r->err = c->state == DB_CONN_CLOSING ? ERR_CANCELED : ERR_CONN_LOST;
        err_set(&r->info, r->err, "no connection to PostgreSQL");
        list_append(&c->ended, &r->node);
        db_conn_kick(c);
        return;
    }
    assert(c->n_pending < DB_CONN_MAX_QUEUE);
    c->n_pending++;
    list_append(&c->waiting, &r->node);
    db_request_pump(c);
}

void db_conn_query(struct db_conn *c, const struct db_stmt *stmt, const struct db_args *args, db_cb cb, void *arg)
{
    struct db_request *r = request_new(DB_REQUEST_QUERY, args, cb, arg);
    r->stmt = stmt;
    r->opening = c->begin;
    c->begin = false;
    request_start(c, r);
}

void db_conn_begin(struct db_conn *c)
{
    c->begin = true;
}

/* The extended protocol takes one statement; a semicolon inside tells that there may be more. */
static bool is_single(const char *sql)
{
    const char *semicolon = strchr(sql, ';');
    return !semicolon || semicolon[1 + strspn(semicolon + 1, " \n\t")] == '\0';
}

void db_conn_exec(struct db_conn *c, const char *sql, db_cb cb, void *arg)
{
    struct db_request *r = request_new(is_single(sql) ? DB_REQUEST_EXEC : DB_REQUEST_TEXT, NULL, cb, arg);
    r->sql = sql;
    request_start(c, r);
}

void db_conn_copy_in(struct db_conn *c, const char *copy_sql, const struct buf *data, db_cb cb, void *arg)
{
    struct db_request *r = request_new(DB_REQUEST_COPY, NULL, cb, arg);
    r->sql = copy_sql;
    r->data = data;
    request_start(c, r);
}

/* ---- send -------------------------------------------------------------------------------------------------------------- */
/* False when the statement is being prepared for an earlier request: its name can not be used before it is confirmed. */
static bool may_send(const struct db_conn *c, const struct db_request *r)
{
    if (list_empty(&c->sent))
        return true;
    if (!c->pipeline || !piped(r))
        return false;
    const struct db_prepared *p = r->stmt ? db_prepared_find(&c->prepared, r->stmt, &r->args) : NULL;
    return !p || p->ready;
}

static bool send_query(struct db_conn *c, struct db_request *r)
{
    r->prepared = db_prepared_find(&c->prepared, r->stmt, &r->args);
    if (!r->prepared) {
        r->prepared = db_prepared_add(&c->prepared, r->stmt, &r->args);
        r->preparing = true;
        if (!PQsendPrepare(c->pg, r->prepared->name, r->stmt->sql, r->args.n, r->args.types))
            return false;
    }
    return PQsendQueryPrepared(c->pg, r->prepared->name, r->args.n, r->args.values, r->args.lengths,
                               db_prepared_formats, 1);
}

static bool send_text(struct db_conn *c, const char *sql)
{
    return PQsendQueryParams(c->pg, sql, 0, NULL, NULL, NULL, NULL, 1);
}

static bool request_send(struct db_conn *c, struct db_request *r)
{
    bool pipe = piped(r);
    if (pipe != c->pipeline && !(pipe ? PQenterPipelineMode(c->pg) : PQexitPipelineMode(c->pg)))
        return false;
    c->pipeline = pipe;
    switch (r->kind) {
    case DB_REQUEST_QUERY: return (!r->opening || send_text(c, "begin")) && send_query(c, r) && PQpipelineSync(c->pg);
    case DB_REQUEST_EXEC: return send_text(c, r->sql) && PQpipelineSync(c->pg);
    case DB_REQUEST_TEXT:
    case DB_REQUEST_COPY: return PQsendQuery(c->pg, r->sql);
    }
    return false;
}

void db_request_pump(struct db_conn *c)
{
    struct db_request *r = first_of(&c->waiting);
    bool any = false;
    for (; r && c->state == DB_CONN_UP && may_send(c, r); r = first_of(&c->waiting)) {
        bool head = list_empty(&c->sent);
        list_remove(&r->node);
        list_append(&c->sent, &r->node);
        if (!request_send(c, r)) {
            db_conn_lost(c, ERR_CONN_LOST, PQerrorMessage(c->pg));
            return;
        }
        if (head)
            db_conn_new_head(c);
        any = true;
    }
    if (any)
        db_conn_flush(c);
}

void db_request_feed(struct db_conn *c)
{
    struct db_request *r = first_of(&c->sent);
    if (!r || !r->copying)
        return;
    while (r->data_at < r->data->len) {
        size_t left = r->data->len - r->data_at;
        size_t n = left < DB_COPY_CHUNK ? left : DB_COPY_CHUNK;
        if (PQputCopyData(c->pg, r->data->data + r->data_at, (int)n) != 1) {
            db_conn_lost(c, ERR_CONN_LOST, PQerrorMessage(c->pg));
            return;
        }
        r->data_at += n;
        if (!db_conn_flush(c))
            return; /* the socket is full: goes on when it can be written */
    }
    r->copying = false;
    if (PQputCopyEnd(c->pg, NULL) != 1)
        db_conn_lost(c, ERR_CONN_LOST, PQerrorMessage(c->pg));
    else
        db_conn_flush(c);
}

/* ---- receive ----------------------------------------------------------------------------------------------------------- */
static void forget(struct db_conn *c, struct db_prepared *p)
{
    LIST_FOR (it, &c->sent) {
        struct db_request *r = LIST_OWNER(it, struct db_request, node);
        if (r->prepared == p)
            r->prepared = NULL;
    }
    db_prepared_remove(&c->prepared, p);
}

/* Keeps the last good result or the first error of the request. */
static void take_result(struct db_conn *c, struct db_request *r, PGresult *res)
{
    ExecStatusType status = PQresultStatus(res);
    bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
    if (good && r->opening) {
        r->opening = false;
    } else if (good && r->preparing) {
        r->preparing = false;
        r->prepared->ready = true;
    } else if (good) {
        PGresult *old = r->res;
        r->res = res;
        res = old;
    } else if (r->err == ERR_OK) {
        r->err = db_error_result(res, &r->info);
        if (r->prepared && (r->preparing || db_error_stale_plan(res)))
            forget(c, r->prepared);
    }
    PQclear(res);
}

static void call_back(struct db_request *r)
{
    const struct db_result res = {r->res};
    if (r->err == ERR_OK)
        err_set(&r->info, ERR_OK, "%s", "");
    r->cb(r->arg, r->err, r->err == ERR_OK ? &res : NULL, &r->info);
    request_free(r);
}

/* Runs the callback last: it may have dropped or closed the connection when this returns. */
static void request_finish(struct db_conn *c, struct db_request *r)
{
    list_remove(&r->node);
    c->n_pending--;
    c->last_was_null = false;
    if (r->err == ERR_OK && r->sql)
        r->err = db_error_commit(r->sql, r->res, &r->info);
    if (!list_empty(&c->sent))
        db_conn_new_head(c);
    else
        db_request_pump(c);
    call_back(r);
}

/* One result; false when there is nothing more to take now. */
static bool read_result(struct db_conn *c, struct db_request *r)
{
    if (r->copying || PQisBusy(c->pg))
        return false;
    PGresult *res = PQgetResult(c->pg);
    bool again = !c->last_was_null;
    c->last_was_null = !res;
    if (!res && c->pipeline)
        return again; /* ends one message's results; twice in a row: libpq has nothing */
    if (!res) {
        request_finish(c, r);
        return true;
    }
    ExecStatusType status = PQresultStatus(res);
    if (status == PGRES_PIPELINE_SYNC) {
        PQclear(res);
        request_finish(c, r);
    } else if (status == PGRES_COPY_IN && r->kind == DB_REQUEST_COPY) {
        PQclear(res);
        r->copying = true;
        db_request_feed(c);
    } else if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH) {
        PQclear(res);
        db_conn_lost(c, ERR_STATE, "COPY from or to the client is not possible here");
    } else {
        take_result(c, r, res);
        if (r->err == ERR_CONN_LOST)
            db_conn_lost(c, ERR_CONN_LOST, r->info.text);
    }
    return true;
}

void db_request_read(struct db_conn *c)
{
    const struct pg_conn *pg = c->pg;
    bool more = true;
    while (more && c->pg == pg && c->state == DB_CONN_UP) {
        struct db_request *r = first_of(&c->sent);
        more = r && read_result(c, r);
    }
    if (c->pg == pg && c->state == DB_CONN_UP)
        db_request_pump(c);
}

/* ---- end --------------------------------------------------------------------------------------------------------------- */
static void end_list(struct db_conn *c, struct list *from, enum err first, enum err rest, const char *text)
{
    enum err err = first;
    for (struct list *node = list_take(from); node; node = list_take(from)) {
        struct db_request *r = LIST_OWNER(node, struct db_request, node);
        r->err = err_set(&r->info, err, "%s", text);
        list_append(&c->ended, &r->node);
        err = rest;
    }
}

void db_request_end_all(struct db_conn *c, enum err first, enum err rest, const char *text)
{
    end_list(c, &c->sent, first, rest, text);
    end_list(c, &c->waiting, rest, rest, text);
    c->n_pending = 0;
    if (!list_empty(&c->ended))
        db_conn_kick(c);
}

void db_request_cancel_all(struct db_conn *c, const char *text)
{
    struct list lost_before;
    list_init(&lost_before);
    for (struct list *node = list_take(&c->ended); node; node = list_take(&c->ended))
        list_append(&lost_before, node);
    end_list(c, &lost_before, ERR_CANCELED, ERR_CANCELED, text);
    db_request_end_all(c, ERR_CANCELED, ERR_CANCELED, text);
}

void db_request_deliver(struct db_conn *c)
{
    /* Counted first: a callback that asks again while the connection is down must not keep us here. */
    for (size_t n = list_length(&c->ended); n > 0; n--) {
        struct list *node = list_take(&c->ended);
        call_back(LIST_OWNER(node, struct db_request, node));
    }
}
