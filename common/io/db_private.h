/* db_private: what the db*.c files share (and db_session_run, which the migration runner uses). libpq's types appear by
 * tag only, so that libpq-fe.h stays inside the db*.c files. */
#ifndef COMMON_IO_DB_PRIVATE_H
#define COMMON_IO_DB_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/io/db.h"

struct pg_conn;   /* PGconn */
struct pg_result; /* PGresult */

#define DB_CONNECT_MS 5000 /* defaults of the two configs */
#define DB_STATEMENT_MS 30000
#define DB_GRACE_MS 5000 /* the server's own statement_timeout gets this long to be heard before the client gives up */
#define DB_COPY_CHUNK 65536 /* bytes handed to libpq at a time, so that its buffer never holds a whole COPY */

/* Types as in the server's catalog/pg_type.dat. */
enum db_oid {
    DB_OID_NONE = 0,
    DB_OID_BOOL = 16,
    DB_OID_BYTEA = 17,
    DB_OID_INT8 = 20,
    DB_OID_INT4 = 23,
    DB_OID_TEXT = 25,
    DB_OID_FLOAT8 = 701,
    DB_OID_BOOL_ARRAY = 1000,
    DB_OID_BYTEA_ARRAY = 1001,
    DB_OID_INT4_ARRAY = 1007,
    DB_OID_TEXT_ARRAY = 1009,
    DB_OID_INT8_ARRAY = 1016,
    DB_OID_TIMESTAMPTZ = 1184,
    DB_OID_TIMESTAMPTZ_ARRAY = 1185,
    DB_OID_UUID = 2950,
    DB_OID_UUID_ARRAY = 2951,
    DB_OID_JSONB = 3802
};

/* ---- times: PostgreSQL counts µs since 2000-01-01; its infinities are the ends of int64 and read as INT64_MAX and
 * INT64_MIN + 1, since INT64_MIN is our NULL. */
#define DB_EPOCH_US INT64_C(946684800000000)

static inline int64_t db_time_to_pg(int64_t us)
{
    if (us == INT64_MAX)
        return INT64_MAX;
    return us <= INT64_MIN + DB_EPOCH_US ? INT64_MIN : us - DB_EPOCH_US;
}

static inline int64_t db_time_from_pg(int64_t pg_us)
{
    if (pg_us == INT64_MIN)
        return INT64_MIN + 1;
    return pg_us >= INT64_MAX - DB_EPOCH_US ? INT64_MAX : pg_us + DB_EPOCH_US;
}

/* ---- db_error.c ------------------------------------------------------------------------------------------------------- */
enum err db_error_code(const char *sqlstate); /* NULL or "": ERR_CONN_LOST, as only libpq itself reports without one */
enum err db_error_result(const struct pg_result *res, struct err_info *info);
/* The connection's last failure. After a refused connect the SQLSTATE is read from libpq's verbose text. */
enum err db_error_connection(const struct pg_conn *pg, struct err_info *info);
void db_error_flatten(char *text); /* makes one line of it, without trailing blanks */
/* True when a prepared statement has to be made again: the server lost it, or a migration changed its columns. */
bool db_error_stale_plan(const struct pg_result *res);
/* A COMMIT of a failed transaction reports success and rolls back: this makes it the error it is. */
enum err db_error_commit(const char *sql, const struct pg_result *res, struct err_info *info);

/* ---- db_result.c ------------------------------------------------------------------------------------------------------ */
struct db_result {
    struct pg_result *pg;
};
struct db_result *db_result_new(struct pg_result *pg); /* takes pg */

/* ---- db_prepared.c: the prepared statements of one connection ---------------------------------------------------------- */
struct db_prepared {
    struct db_prepared *next; /* another variant of the statement, with other parameter types */
    const struct db_stmt *stmt;
    bool ready; /* the server has confirmed it */
    int n;
    unsigned types[DB_MAX_ARGS];
    char name[56]; /* below the server's 63 bytes */
};
/* Zero-initialise ({0}) before use. */
struct db_prepared_set {
    struct map by_stmt;
    unsigned seq;
};
/* The variant whose parameter types are those of `args` (an untyped NULL fits any), or NULL. */
struct db_prepared *db_prepared_find(const struct db_prepared_set *set, const struct db_stmt *stmt,
                                     const struct db_args *args);
struct db_prepared *db_prepared_add(struct db_prepared_set *set, const struct db_stmt *stmt, const struct db_args *args);
void db_prepared_remove(struct db_prepared_set *set, struct db_prepared *p);
void db_prepared_clear(struct db_prepared_set *set);
extern const int db_prepared_formats[DB_MAX_ARGS]; /* all binary */

/* ---- db_conninfo.c: where to connect to -------------------------------------------------------------------------------- */
#define DB_CONNINFO_MAX 64 /* connection options; libpq 15 knows 43 */
#define DB_MAX_HOSTS 16    /* addresses tried per connect */
struct db_host {
    const char *host;
    const char *port;
    const char *addr; /* "" where libpq finds the way without name service */
};
/* Zero-initialise ({0}) before use; freed with db_conninfo_free, also after an error. */
struct db_conninfo {
    struct arena arena;
    const char *keys[DB_CONNINFO_MAX];
    const char *values[DB_CONNINFO_MAX];
    int n;
};
/* Error texts never quote the URL, which may hold a password. */
enum err db_conninfo_load(struct db_conninfo *ci, const char *url, const char *name, struct err_info *info) MUST_USE;
void db_conninfo_free(struct db_conninfo *ci);
/* Fills at most DB_MAX_HOSTS hosts and returns how many; 0 when none needs name service. */
int db_conninfo_hosts(struct db_conninfo *ci, struct db_host hosts[DB_MAX_HOSTS]);
bool db_conninfo_is_name(const struct db_host *host);
/* Starts a non-blocking connect; *hosts (n may be 0) replace those of the URL. NULL only when memory is gone. */
struct pg_conn *db_conninfo_start(const struct db_conninfo *ci, const struct db_host *hosts, int n);
/* To be called when the connect has succeeded: quiet error texts again, non-blocking writes. */
void db_conninfo_started(struct pg_conn *pg);
/* SETs of a fresh connection, one text; role may be NULL. Allocated in `arena`; NULL when the role can not be quoted. */
const char *db_conninfo_setup(struct pg_conn *pg, struct arena *arena, int64_t statement_ms, const char *role);

/* ---- db_session.c ----------------------------------------------------------------------------------------------------- */
struct db_progress {
    int position;  /* 1-based character the server pointed at, or 0 */
    int completed; /* statements of the text that ended without error */
    char sqlstate[6];
    bool stale_plan;
};
struct db_session {
    struct pg_conn *pg;
    struct db_prepared_set prepared;
    struct db_prepared *sent;   /* under way (db_send), or NULL */
    struct pg_result *received; /* of what was sent so, until db_receive */
    int64_t statement_ms;
    int64_t deadline_ms; /* of the call that runs, on the monotonic clock */
    int backend_pid;     /* 0 where pooled */
    bool dead;
    bool pooled;
};
/* Before anything is sent: ERR_CONN_LOST when the session is dead; what db_send left under way ends here, and its error is the caller's. */
enum err db_session_start(struct db_session *s, struct err_info *info) MUST_USE;
/* The deadline of what is waited for next. */
void db_session_arm(struct db_session *s);
enum err db_session_lost(struct db_session *s, struct err_info *info);
enum err db_session_wait(struct db_session *s, short events, struct err_info *info) MUST_USE;
enum err db_session_flush(struct db_session *s, struct err_info *info) MUST_USE;
/* The next result, NULL at the end of the statement's. */
enum err db_session_next(struct db_session *s, struct pg_result **out, struct err_info *info) MUST_USE;
/* Reads all results of what was sent; the last good one goes to *out, the first error counts. `progress` may be NULL. */
enum err db_session_collect(struct db_session *s, struct pg_result **out, struct db_progress *progress,
                            struct err_info *info) MUST_USE;
/* A COPY where none was expected can only be ended by ending the connection. */
enum err db_session_refuse_copy(struct db_session *s, struct err_info *info);
/* db_exec with more to tell; `progress` may be NULL. */
enum err db_session_run(struct db_session *s, const char *sql, struct db_progress *progress,
                        struct err_info *info) MUST_USE;

/* ---- db_pooler.c ------------------------------------------------------------------------------------------------------ */
/* *pid: the server process that the connection was told of; afterwards the one that serves it. ERR_STATE: a transaction pooler is in
 * between; others as db.h. `config` is the session's own, for a second one beside it. */
enum err db_pooler_refuse(struct db_session *s, const struct db_session_config *config, int *pid,
                          struct err_info *info) MUST_USE;

#endif
