/* db_session_copy: COPY on a blocking connection. Its errors leave the session usable, but for those that kill it (db_session.c). */
#include "common/io/db_private.h"

#include <poll.h>

#include <libpq-fe.h>

static enum err put_piece(struct db_session *s, const char *p, size_t n, struct err_info *info)
{
    for (size_t at = 0; at < n;) {
        size_t part = n - at < DB_COPY_CHUNK ? n - at : DB_COPY_CHUNK;
        int put = PQputCopyData(s->pg, p + at, (int)part);
        if (put < 0)
            return db_session_lost(s, info);
        at += put == 1 ? part : 0;
        enum err err = db_session_flush(s, info);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

static enum err copy_data(struct db_session *s, db_copy_source source, void *arg, struct err_info *info)
{
    const char *p = NULL;
    size_t n = 0;
    enum err err = ERR_OK;
    do {
        err = source(arg, &p, &n, info);
        if (err == ERR_OK) {
            db_session_arm(s);
            err = put_piece(s, p, n, info);
        }
    } while (err == ERR_OK && n > 0);
    if (!s->dead && PQputCopyEnd(s->pg, err != ERR_OK ? "the client gave up" : NULL) < 0)
        return db_session_lost(s, info);
    return err;
}

/* Sends the statement; *out is the first result when it says `wanted`. */
static enum err start_copy(struct db_session *s, const char *sql, ExecStatusType wanted, struct err_info *info)
{
    PGresult *res = NULL;
    enum err err = db_session_start(s, info);
    if (err == ERR_OK)
        err = PQsendQuery(s->pg, sql) ? db_session_next(s, &res, info) : db_session_lost(s, info);
    if (err != ERR_OK)
        return err;
    if (PQresultStatus(res) == PGRES_FATAL_ERROR) {
        err = db_error_result(res, info);
        s->dead = s->dead || err == ERR_CONN_LOST;
    } else if (PQresultStatus(res) != wanted) {
        err = db_session_refuse_copy(s, info);
    }
    PQclear(res);
    return err;
}

/* The rest of the statement's results; the first error counts. */
static enum err end_copy(struct db_session *s, enum err err, struct err_info *info)
{
    struct err_info ignored = {0};
    PGresult *res = NULL;
    if (s->dead)
        return err;
    enum err rest = db_session_collect(s, &res, NULL, err == ERR_OK ? info : &ignored);
    PQclear(res);
    return err != ERR_OK ? err : rest;
}

enum err db_copy_from(struct db_session *s, const char *copy_sql, db_copy_source source, void *arg, struct err_info *info)
{
    enum err err = start_copy(s, copy_sql, PGRES_COPY_IN, info);
    if (err == ERR_OK)
        err = copy_data(s, source, arg, info);
    return end_copy(s, err, info);
}

struct whole {
    const struct buf *data;
    bool given;
};

static enum err give_whole(void *arg, const char **p, size_t *n, struct err_info *info)
{
    struct whole *w = arg;
    (void)info;
    *p = w->data->data;
    *n = w->given ? 0 : w->data->len;
    w->given = true;
    return ERR_OK;
}

enum err db_copy_in(struct db_session *s, const char *copy_sql, const struct buf *data, struct err_info *info)
{
    struct whole w = {.data = data};
    return db_copy_from(s, copy_sql, give_whole, &w, info);
}

/* The next row: 0 bytes after the last one. */
static enum err get_row(struct db_session *s, char **row, int *n, struct err_info *info)
{
    enum err err = ERR_OK;
    while (err == ERR_OK && (*n = PQgetCopyData(s->pg, row, 1)) == 0)
        err = db_session_wait(s, POLLIN, info);
    return err;
}

enum err db_copy_to(struct db_session *s, const char *copy_sql, db_copy_sink sink, void *arg, struct err_info *info)
{
    struct err_info ignored = {0};
    enum err err = start_copy(s, copy_sql, PGRES_COPY_OUT, info), sunk = ERR_OK;
    char *row = NULL;
    int n = 1;
    if (err != ERR_OK)
        return end_copy(s, err, info);
    /* After an error of the sink the rows that are under way are read and forgotten, so that the session stays usable. */
    while (err == ERR_OK && n > 0) {
        db_session_arm(s);
        err = get_row(s, &row, &n, sunk == ERR_OK ? info : &ignored);
        if (err == ERR_OK && n > 0 && sunk == ERR_OK) {
            sunk = sink(arg, row, (size_t)n, info);
            if (sunk != ERR_OK)
                db_cancel(s);
        }
        PQfreemem(row);
        row = NULL;
    }
    return end_copy(s, sunk != ERR_OK ? sunk : err, info);
}
