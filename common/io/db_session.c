/* db_session: one blocking connection.
 *
 * Everything goes through libpq's non-blocking calls and poll(2), because the blocking ones wait for ever on a half-open
 * socket: connect → SETs → per call: send, flush, read results until libpq has no more.
 * Failures: an error of the server leaves the session usable (inside a transaction the caller sends ROLLBACK). A lost
 * connection, a fatal error or no answer within the deadline kills it: every later call returns ERR_CONN_LOST at once. */
#include "common/io/db_private.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>

#include <libpq-fe.h>

#include "common/base/clock.h"

enum err db_session_lost(struct db_session *s, struct err_info *info)
{
    s->dead = true;
    db_error_connection(s->pg, info);
    if (info)
        info->code = ERR_CONN_LOST;
    return ERR_CONN_LOST;
}

void db_session_arm(struct db_session *s)
{
    s->deadline_ms = clock_mono_ms() + s->statement_ms + DB_GRACE_MS;
}

/* Waits for `events` of the socket; ERR_TIMEOUT at the deadline. */
static enum err wait_socket(int fd, short events, int64_t deadline_ms, short *revents)
{
    for (;;) {
        int64_t left_ms = deadline_ms - clock_mono_ms();
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, left_ms < 0 ? 0 : left_ms > INT32_MAX ? INT32_MAX : (int)left_ms);
        if (n > 0) {
            *revents = p.revents;
            return ERR_OK;
        }
        if (n < 0 && errno != EINTR)
            return ERR_IO;
        if (n == 0 && clock_mono_ms() >= deadline_ms)
            return ERR_TIMEOUT;
    }
}

enum err db_session_wait(struct db_session *s, short events, struct err_info *info)
{
    short revents = 0;
    enum err err = wait_socket(PQsocket(s->pg), events, s->deadline_ms, &revents);
    if (err == ERR_TIMEOUT) {
        s->dead = true;
        return err_set(info, ERR_TIMEOUT,
                       "no answer from the server %" PRId64 " ms after the statement's own time limit",
                       (int64_t)DB_GRACE_MS);
    }
    if (err != ERR_OK || ((revents & ~POLLOUT) && !PQconsumeInput(s->pg)))
        return db_session_lost(s, info);
    return ERR_OK;
}

enum err db_session_flush(struct db_session *s, struct err_info *info)
{
    for (;;) {
        int left = PQflush(s->pg);
        if (left < 0)
            return db_session_lost(s, info);
        if (left == 0)
            return ERR_OK;
        enum err err = db_session_wait(s, POLLIN | POLLOUT, info);
        if (err != ERR_OK)
            return err;
    }
}

/* The next result, NULL at the end of the statement's. */
enum err db_session_next(struct db_session *s, PGresult **out, struct err_info *info)
{
    *out = NULL;
    enum err err = db_session_flush(s, info);
    while (err == ERR_OK && PQisBusy(s->pg))
        err = db_session_wait(s, POLLIN, info);
    if (err == ERR_OK)
        *out = PQgetResult(s->pg);
    return err;
}

static bool is_copy(ExecStatusType status)
{
    return status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH;
}

/* A COPY where none was expected can only be ended by ending the connection. */
enum err db_session_refuse_copy(struct db_session *s, struct err_info *info)
{
    s->dead = true;
    return err_set(info, ERR_STATE, "COPY from or to the client is not possible here");
}

static void note_error(const PGresult *res, struct db_progress *progress)
{
    const char *position = PQresultErrorField(res, PG_DIAG_STATEMENT_POSITION);
    const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
    int64_t at = 0;
    if (!progress)
        return;
    if (position && str_to_i64(str_of(position), &at) == ERR_OK && at <= INT32_MAX)
        progress->position = (int)at;
    str_copy(progress->sqlstate, sizeof(progress->sqlstate), state ? state : "");
    progress->stale_plan = db_error_stale_plan(res);
}

/* Reads all results of what was sent; the last good one goes to *out, the first error counts. */
enum err db_session_collect(struct db_session *s, PGresult **out, struct db_progress *progress, struct err_info *info)
{
    enum err err = ERR_OK;
    PGresult *res = NULL;
    for (;;) {
        enum err read = db_session_next(s, &res, info);
        if (read != ERR_OK || !res)
            return read != ERR_OK ? read : err;
        ExecStatusType status = PQresultStatus(res);
        bool good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_EMPTY_QUERY;
        if (is_copy(status)) {
            PQclear(res);
            return db_session_refuse_copy(s, info);
        }
        if (!good && err == ERR_OK) {
            err = db_error_result(res, info);
            note_error(res, progress);
            s->dead = s->dead || err == ERR_CONN_LOST;
        }
        if (good && progress)
            progress->completed++;
        if (good && err == ERR_OK) {
            PQclear(*out);
            *out = res;
            db_session_arm(s); /* the server's time limit is per statement, and a text may hold many */
        } else {
            PQclear(res);
        }
    }
}

/* What db_send left under way: its last result or its error, once. */
static enum err receive(struct db_session *s, PGresult **out, struct err_info *info)
{
    struct db_progress progress = {0};
    enum err err = ERR_OK;
    if (s->sent && !s->dead) {
        db_session_arm(s);
        err = db_session_collect(s, out, &progress, info);
        if (progress.stale_plan)
            db_prepared_remove(&s->prepared, s->sent);
        s->sent = NULL;
    }
    return err;
}

enum err db_session_start(struct db_session *s, struct err_info *info)
{
    enum err err =
        s->dead ? err_set(info, ERR_CONN_LOST, "the session was lost before") : receive(s, &s->received, info);
    if (err == ERR_OK)
        db_session_arm(s);
    return err;
}

enum err db_session_run(struct db_session *s, const char *sql, struct db_progress *progress, struct err_info *info)
{
    PGresult *res = NULL;
    if (progress)
        *progress = (struct db_progress){0};
    enum err err = db_session_start(s, info);
    if (err != ERR_OK)
        return err;
    err = PQsendQuery(s->pg, sql) ? db_session_collect(s, &res, progress, info) : db_session_lost(s, info);
    if (err == ERR_OK)
        err = db_error_commit(sql, res, info);
    PQclear(res);
    return err;
}

enum err db_exec(struct db_session *s, const char *sql, int *position, struct err_info *info)
{
    struct db_progress progress = {0};
    enum err err = db_session_run(s, sql, &progress, info);
    if (position)
        *position = progress.position;
    return err;
}

static enum err prepare(struct db_session *s, const struct db_stmt *stmt, const struct db_args *args,
                        struct db_prepared **out, struct err_info *info)
{
    *out = db_prepared_find(&s->prepared, stmt, args);
    if (*out)
        return ERR_OK;
    PGresult *res = NULL;
    struct db_prepared *p = db_prepared_add(&s->prepared, stmt, args);
    enum err err = ERR_OK;
    if (PQsendPrepare(s->pg, p->name, stmt->sql, p->n, p->types))
        err = db_session_collect(s, &res, NULL, info);
    else
        err = db_session_lost(s, info);
    PQclear(res);
    if (err != ERR_OK) {
        db_prepared_remove(&s->prepared, p);
        return err;
    }
    p->ready = true;
    *out = p;
    return ERR_OK;
}

static enum err send_prepared(struct db_session *s, const struct db_prepared *p, const struct db_args *args,
                              struct err_info *info)
{
    bool sent = PQsendQueryPrepared(s->pg, p->name, p->n, args ? args->values : NULL, args ? args->lengths : NULL,
                                    db_prepared_formats, 1);
    return sent ? ERR_OK : db_session_lost(s, info);
}

static bool send_once(struct db_session *s, const struct db_stmt *stmt, const struct db_args *a)
{
    return PQsendQueryParams(s->pg, stmt->sql, a ? a->n : 0, a ? a->types : NULL, a ? a->values : NULL,
                             a ? a->lengths : NULL, db_prepared_formats, 1);
}

static enum err query(struct db_session *s, const struct db_stmt *stmt, const struct db_args *args, bool once,
                      struct db_result **out, struct err_info *info)
{
    struct db_prepared *p = NULL;
    struct db_progress progress = {0};
    PGresult *res = NULL;
    if (out)
        *out = NULL;
    enum err err = db_session_start(s, info);
    if (err == ERR_OK && !once)
        err = prepare(s, stmt, args, &p, info);
    if (err != ERR_OK)
        return err;
    if (!once)
        err = send_prepared(s, p, args, info);
    else if (!send_once(s, stmt, args))
        err = db_session_lost(s, info);
    if (err == ERR_OK)
        err = db_session_collect(s, &res, &progress, info);
    if (err == ERR_OK && out) {
        *out = db_result_new(res);
        res = NULL;
    }
    if (progress.stale_plan && p)
        db_prepared_remove(&s->prepared, p);
    PQclear(res);
    return err;
}

enum err db_query(struct db_session *s, const struct db_stmt *stmt, const struct db_args *args, struct db_result **out,
                  struct err_info *info)
{
    return query(s, stmt, args, s->pooled, out, info);
}

enum err db_query_once(struct db_session *s, const struct db_stmt *stmt, const struct db_args *args,
                       struct db_result **out, struct err_info *info)
{
    return query(s, stmt, args, true, out, info);
}

enum err db_send(struct db_session *s, const struct db_stmt *stmt, const struct db_args *args, struct err_info *info)
{
    struct db_prepared *p = NULL;
    enum err err = db_session_start(s, info);
    if (err == ERR_OK)
        err = prepare(s, stmt, args, &p, info);
    if (err == ERR_OK)
        err = send_prepared(s, p, args, info);
    if (err == ERR_OK)
        err = db_session_flush(s, info);
    if (err == ERR_OK)
        s->sent = p;
    return err;
}

enum err db_receive(struct db_session *s, struct db_result **out, struct err_info *info)
{
    enum err err = receive(s, &s->received, info);
    if (err == ERR_OK && !s->received)
        err = s->dead ? err_set(info, ERR_CONN_LOST, "the session was lost before")
                      : err_set(info, ERR_STATE, "no statement is under way");
    if (err == ERR_OK && out)
        *out = db_result_new(s->received);
    else
        PQclear(s->received);
    s->received = NULL;
    return err;
}

void db_cancel(struct db_session *s)
{
    char ignored[256];
    PGcancel *cancel = PQgetCancel(s->pg);
    if (cancel)
        (void)PQcancel(cancel, ignored, sizeof(ignored));
    PQfreeCancel(cancel);
}

/* ---- life -------------------------------------------------------------------------------------------------------------- */
static enum err connect_wait(struct db_session *s, struct err_info *info)
{
    PostgresPollingStatusType step = PGRES_POLLING_WRITING; /* as libpq's manual wants it before the first poll */
    while (PQstatus(s->pg) != CONNECTION_BAD) {
        short revents = 0;
        short events = step == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        if (wait_socket(PQsocket(s->pg), events, s->deadline_ms, &revents) == ERR_TIMEOUT)
            return err_set(info, ERR_TIMEOUT, "no connection to PostgreSQL within the time limit");
        step = PQconnectPoll(s->pg);
        if (step == PGRES_POLLING_OK)
            return ERR_OK;
        if (step == PGRES_POLLING_FAILED)
            break;
    }
    return db_error_connection(s->pg, info);
}

static enum err setup(struct db_session *s, const char *role, struct err_info *info)
{
    struct arena arena = {0};
    const char *sql = s->pooled ? "SET TimeZone='UTC'; SET DateStyle='ISO, MDY'"
                                : db_conninfo_setup(s->pg, &arena, s->statement_ms, role);
    enum err err = sql ? db_exec(s, sql, NULL, info) : err_set(info, ERR_INVALID, "the role's name is not valid UTF-8");
    arena_free(&arena);
    return err;
}

enum err db_open(const struct db_session_config *config, struct db_session **out, struct err_info *info)
{
    struct db_conninfo ci = {0};
    struct err_info local;
    *out = NULL;
    info = info ? info : &local;
    enum err err = db_conninfo_load(&ci, config->url, config->name, info);
    if (err != ERR_OK) {
        db_conninfo_free(&ci);
        return err;
    }
    struct db_session *s = mem_zalloc(sizeof(*s));
    s->statement_ms = config->statement_ms > 0 ? config->statement_ms : DB_STATEMENT_MS;
    s->pooled = config->pooled;
    s->deadline_ms = clock_mono_ms() + (config->connect_ms > 0 ? config->connect_ms : DB_CONNECT_MS);
    s->pg = db_conninfo_start(&ci, NULL, 0);
    err = s->pg ? connect_wait(s, info) : err_set(info, ERR_NOMEM, "no memory for a connection");
    if (err == ERR_OK) {
        db_conninfo_started(s->pg);
        s->backend_pid = s->pooled ? 0 : PQbackendPID(s->pg);
        err = s->pooled ? ERR_OK : db_pooler_refuse(s, config, &s->backend_pid, info);
    }
    if (err == ERR_OK)
        err = setup(s, config->role, info);
    if (err == ERR_OK)
        *out = s;
    else
        db_close(s);
    db_conninfo_free(&ci);
    return err;
}

void db_close(struct db_session *s)
{
    if (!s)
        return;
    PQclear(s->received);
    db_prepared_clear(&s->prepared);
    PQfinish(s->pg);
    mem_free(s);
}

bool db_alive(const struct db_session *s)
{
    return !s->dead && PQstatus(s->pg) == CONNECTION_OK;
}

int db_backend_pid(const struct db_session *s)
{
    return s->backend_pid;
}

static bool take_notifies(struct db_session *s)
{
    bool any = false;
    for (PGnotify *n = PQnotifies(s->pg); n; n = PQnotifies(s->pg)) {
        any = true;
        PQfreemem(n);
    }
    return any;
}

bool db_wait_notify(struct db_session *s, int64_t timeout_ms)
{
    int64_t deadline_ms = clock_mono_ms() + timeout_ms;
    for (;;) {
        short revents = 0;
        if (s->dead)
            return false;
        if (take_notifies(s))
            return true;
        if (wait_socket(PQsocket(s->pg), POLLIN, deadline_ms, &revents) != ERR_OK)
            return false;
        if (!PQconsumeInput(s->pg))
            s->dead = true;
    }
}
