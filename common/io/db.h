/* db: PostgreSQL through libpq, which is included by db*.c alone.
 *
 * Two ways to the same statements: a *session* blocks its thread (scheduler's duty thread, command line, migrations, tests);
 * a *connection* lives on the loop (workers). Both prepare each `struct db_stmt` once per connection, send parameters and
 * read results in binary format, set TimeZone=UTC, DateStyle=ISO, client_encoding=UTF8, an application_name and
 * statement_timeout, and map SQLSTATE to enum err:
 *   08xxx 57P01 57P02 57P03, any FATAL, socket errors → ERR_CONN_LOST (but 08P01, a protocol violation, is our mistake: ERR_DB) ·
 *   23505 → ERR_DB_UNIQUE · 40001 40P01 55P03, a prepared statement that a migration made stale → ERR_DB_LOCK ·
 *   22xxx 23xxx 54xxx → ERR_DB_DATA · 0A000 → ERR_DB_FEATURE · 42501 28xxx → ERR_DENIED · 57014 → ERR_TIMEOUT · P0002 → ERR_NOTFOUND ·
 *   53xxx (no room: connections, disk, memory) → ERR_BUSY · U0001 U0002 (ours: not the leader any more, not behind) → ERR_STATE ·
 *   42xxx 3Dxxx 3Fxxx 58xxx XXxxx → ERR_DB_BROKEN · else ERR_DB, also for a COMMIT that rolled back.
 * err_info carries "message (SQLSTATE) DETAIL … HINT …".
 * client_connection_check_interval is set too: the server lets go of what a killed process held within a second. */
#ifndef COMMON_IO_DB_H
#define COMMON_IO_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/id.h"
#include "common/base/mem.h"
#include "common/base/str.h"

struct loop;

/* A statement: static storage; the address identifies it in each connection's set of prepared statements. `name` is unique in the program
 * ("claim_jobs"). One that is made at run time (on the stack) may only go through db_query_once: the next one at its address would be taken
 * for it. */
struct db_stmt {
    const char *name;
    const char *sql;
};

/* ---- parameters: appended in order $1, $2 …; at most 32. Values are copied into the arena. ------------------------------ */
#define DB_MAX_ARGS 32
#define DB_NULL_TIME INT64_MIN /* a time that is SQL NULL, in arguments, arrays and results */
struct db_args {
    struct arena *arena;
    int n;
    const char *values[DB_MAX_ARGS];
    int lengths[DB_MAX_ARGS];
    unsigned types[DB_MAX_ARGS]; /* type OIDs */
};
void db_args_init(struct db_args *a, struct arena *arena);
void db_arg_null(struct db_args *a);
void db_arg_bool(struct db_args *a, bool v);
void db_arg_i32(struct db_args *a, int32_t v);
void db_arg_i64(struct db_args *a, int64_t v);
void db_arg_double(struct db_args *a, double v);
void db_arg_text(struct db_args *a, struct str s);                    /* s.p == NULL: NULL */
void db_arg_cstr(struct db_args *a, const char *s);                   /* NULL: NULL */
void db_arg_bytes(struct db_args *a, struct str s);                   /* bytea */
void db_arg_id(struct db_args *a, const struct id *id);               /* uuid; NULL: NULL */
void db_arg_time(struct db_args *a, int64_t us);                      /* timestamptz, µs since 1970 */
void db_arg_json(struct db_args *a, struct str s);                    /* jsonb from JSON text */
void db_arg_ids(struct db_args *a, const struct id *v, size_t n);     /* uuid[]; a zero id is stored as such */
void db_arg_i32s(struct db_args *a, const int32_t *v, size_t n);      /* int4[] */
void db_arg_i64s(struct db_args *a, const int64_t *v, size_t n);      /* int8[] */
void db_arg_texts(struct db_args *a, const struct str *v, size_t n);  /* text[]; p == NULL: NULL element */
void db_arg_bytess(struct db_args *a, const struct str *v, size_t n); /* bytea[]; p == NULL: NULL element */
void db_arg_times(struct db_args *a, const int64_t *v, size_t n);     /* timestamptz[] */
void db_arg_bools(struct db_args *a, const bool *v, size_t n);        /* bool[] */

/* ---- results: borrowed, in binary format ------------------------------------------------------------------------------- */
struct db_result;
int db_rows(const struct db_result *r);
int64_t db_affected(const struct db_result *r); /* rows hit by INSERT, UPDATE, DELETE, COPY */
bool db_null(const struct db_result *r, int row, int col);
bool db_bool(const struct db_result *r, int row, int col);     /* NULL reads as false */
int64_t db_i64(const struct db_result *r, int row, int col);   /* int2, int4, int8; NULL reads as 0 */
double db_double(const struct db_result *r, int row, int col); /* float4, float8 */
struct str
db_text(const struct db_result *r, int row,
        int col); /* text, bytea, json, jsonb as text; NULL: p == NULL. Valid while the result is; NUL-terminated */
struct id db_id(const struct db_result *r, int row, int col); /* NULL reads as ID_ZERO */
int64_t db_time(const struct db_result *r, int row, int col); /* µs since 1970; NULL: DB_NULL_TIME */

/* ---- blocking sessions --------------------------------------------------------------------------------------------------- */
struct db_session;
struct db_session_config {
    const char *url;      /* libpq URI or key=value text; "" takes PG* variables */
    const char *name;     /* application_name */
    const char *role;     /* SET ROLE after connecting, or NULL */
    int64_t connect_ms;   /* deadlines; 0: 5 s and 30 s */
    int64_t statement_ms; /* also watched on the client, plus 5 s: a half-open socket does not hang the caller */
    bool pooled; /* behind a transaction pooler, where a session's state may be another client's: nothing is prepared, and of our
                  * settings only TimeZone and DateStyle are made, which poolers keep for each client. No role. */
};
/* ERR_STATE: not `pooled`, and a transaction pooler is in between (db_pooler.c); nothing was set there. */
enum err db_open(const struct db_session_config *config, struct db_session **out, struct err_info *info) MUST_USE;
void db_close(struct db_session *s);       /* NULL is fine */
bool db_alive(const struct db_session *s); /* false after ERR_CONN_LOST or a client-side time-out: close it */
/* *out (may be NULL when no rows matter) is freed with db_result_free, also NULL-safe; it is NULL after an error. */
enum err db_query(struct db_session *s, const struct db_stmt *stmt, const struct db_args *args, struct db_result **out,
                  struct err_info *info) MUST_USE;
/* In two halves: between them the server works on the statement and the caller on something else. At most one is under way; whatever is
 * called on the session meanwhile waits for it first, and ends with its error where it has one. Not where `pooled`. */
enum err db_send(struct db_session *s, const struct db_stmt *stmt, const struct db_args *args,
                 struct err_info *info) MUST_USE;
enum err db_receive(struct db_session *s, struct db_result **out, struct err_info *info) MUST_USE;
/* The same without preparing, planned for these values: for ranges of skewed data, where a plan for any values is a bad one. */
enum err db_query_once(struct db_session *s, const struct db_stmt *stmt, const struct db_args *args,
                       struct db_result **out, struct err_info *info) MUST_USE;
/* Any number of statements in one text, no parameters: BEGIN, COMMIT, migration files. On error *position (may be NULL) is
 * the 1-based character the server pointed at, or 0. */
enum err db_exec(struct db_session *s, const char *sql, int *position, struct err_info *info) MUST_USE;
/* COPY … FROM STDIN with all of `data`. */
enum err db_copy_in(struct db_session *s, const char *copy_sql, const struct buf *data, struct err_info *info) MUST_USE;
/* The same piece by piece: the source is asked until it says *n = 0. Its error ends the COPY, which then has stored nothing. */
typedef enum err (*db_copy_source)(void *arg, const char **p, size_t *n, struct err_info *info);
enum err db_copy_from(struct db_session *s, const char *copy_sql, db_copy_source source, void *arg,
                      struct err_info *info) MUST_USE;
/* COPY … TO STDOUT: the sink is given each row (in CSV also the header) as one piece. Its error cancels the COPY. */
typedef enum err (*db_copy_sink)(void *arg, const char *p, size_t n, struct err_info *info);
enum err db_copy_to(struct db_session *s, const char *copy_sql, db_copy_sink sink, void *arg,
                    struct err_info *info) MUST_USE;
/* From any thread, while the session is open: asks the server to end the statement that runs (ERR_TIMEOUT there). */
void db_cancel(struct db_session *s);
void db_result_free(struct db_result *r);
/* Waits at most timeout_ms for a NOTIFY on the channels LISTENed to; true if one came. */
bool db_wait_notify(struct db_session *s, int64_t timeout_ms);
int db_backend_pid(const struct db_session *s); /* the server's process, also behind a session pooler; 0 where pooled */

/* ---- connections on the loop --------------------------------------------------------------------------------------------- */
struct db_conn;
struct db_conn_config {
    const char *url;
    const char *name;
    int64_t connect_ms;
    int64_t statement_ms;
    void (*on_state)(void *arg, bool up, const struct err_info *info); /* after each connect and each loss; may be NULL */
    void *arg;
};
/* Connects at once and, after a loss, again with backoff (100 ms to 5 s, jittered) until closed. */
struct db_conn *db_conn_open(struct loop *loop, const struct db_conn_config *config);
bool db_conn_up(const struct db_conn *c);
/* Runs on the loop, exactly once, never before the starting call returned. `res` is borrowed and NULL on error. */
typedef void (*db_cb)(void *arg, enum err err, const struct db_result *res, const struct err_info *info);
/* Queued behind what was started earlier (at most 64 wait; more is our mistake). Arguments are copied. While the connection
 * is down: ERR_CONN_LOST. What was sent when a connection is lost ends with ERR_CONN_LOST too: a COMMIT so ended may have happened. */
void db_conn_query(struct db_conn *c, const struct db_stmt *stmt, const struct db_args *args, db_cb cb, void *arg);
/* The statement that is started next is sent together with BEGIN, in one round trip: where BEGIN fails it is not run and ends with that
 * error, so that it never stands alone outside a transaction. */
void db_conn_begin(struct db_conn *c);
/* Static text without parameters: BEGIN, COMMIT, ROLLBACK. Several statements in one text run alone, outside the pipeline. */
void db_conn_exec(struct db_conn *c, const char *sql, db_cb cb, void *arg);
/* `data` is borrowed until the callback. */
void db_conn_copy_in(struct db_conn *c, const char *copy_sql, const struct buf *data, db_cb cb, void *arg);
/* Everything pending ends with ERR_CANCELED, then closed(arg). */
void db_conn_close(struct db_conn *c, void (*closed)(void *arg), void *arg);
/* Ends the present connection at once, as if the network had failed; it reconnects (after a transaction whose state is
 * unknown, and in tests). */
void db_conn_drop(struct db_conn *c);

/* ---- COPY BINARY rows (PostgreSQL manual, COPY, "Binary Format") --------------------------------------------------------- */
void db_copy_begin(struct buf *b);
void db_copy_end(struct buf *b);
void db_copy_row(struct buf *b, int columns);
void db_copy_null(struct buf *b);
void db_copy_id(struct buf *b, const struct id *id); /* NULL: NULL */
void db_copy_i16(struct buf *b, int16_t v);
void db_copy_i32(struct buf *b, int32_t v);
void db_copy_i64(struct buf *b, int64_t v);
void db_copy_bool(struct buf *b, bool v);
void db_copy_time(struct buf *b, int64_t us);   /* DB_NULL_TIME: NULL */
void db_copy_text(struct buf *b, struct str s); /* p == NULL: NULL */
void db_copy_bytes(struct buf *b, struct str s);
void db_copy_jsonb(struct buf *b, struct str s);

#endif
