/* err: one table of error codes, shared by every layer.
 *
 * A function that can fail returns `enum err` and is MUST_USE. Detail that a person will read goes into a
 * `struct err_info`; passing NULL where one is expected is always allowed. SQLSTATE, errno and Redis errors are mapped to
 * these codes once, where they enter (common/io/db.c, common/io/rconn.c). */
#ifndef COMMON_BASE_ERR_H
#define COMMON_BASE_ERR_H

#include <stdbool.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/* X(code, text, retryable): retryable means that the same call may succeed later without anybody changing its input. */
#define ERR_MAP(X)                                                                                                     \
    X(ERR_OK, "ok", false)                                                                                             \
    X(ERR_INVALID, "invalid input", false)                                                                             \
    X(ERR_MALFORMED, "malformed data", false)                                                                          \
    X(ERR_LIMIT, "limit exceeded", false)                                                                              \
    X(ERR_NOMEM, "out of memory", true)                                                                                \
    X(ERR_NOTFOUND, "not found", false)                                                                                \
    X(ERR_EXISTS, "already exists", false)                                                                             \
    X(ERR_STATE, "not possible in this state", false)                                                                  \
    X(ERR_DENIED, "permission denied", false)                                                                          \
    X(ERR_TIMEOUT, "timed out", true)                                                                                  \
    X(ERR_CANCELED, "canceled", false)                                                                                 \
    X(ERR_BUSY, "busy", true)                                                                                          \
    X(ERR_REFUSED, "connection refused", true)                                                                         \
    X(ERR_CONN_LOST, "connection lost", true)                                                                          \
    X(ERR_IO, "input or output failed", true)                                                                          \
    X(ERR_DB, "database error", false)                                                                                 \
    X(ERR_DB_BROKEN, "the schema or the server is not in order", false)                                                \
    X(ERR_DB_UNIQUE, "duplicate key", false)                                                                           \
    X(ERR_DB_LOCK, "lock, deadlock or serialization conflict", true)                                                   \
    X(ERR_DB_DATA, "value refused by the database", false)                                                             \
    X(ERR_DB_FEATURE, "not supported by the database for this role", false)                                            \
    X(ERR_REDIS, "Redis error", false)                                                                                 \
    X(ERR_REDIS_NOGROUP, "stream or group missing", true)                                                              \
    X(ERR_REDIS_FULL, "Redis refuses writes", true)                                                                    \
    X(ERR_REDIS_LOADING, "Redis is loading, read-only or switching over", true)                                        \
    X(ERR_REDIS_NOSCRIPT, "script not loaded", true)

#define ERR_ENUM(code, text, retryable) code,
enum err { ERR_MAP(ERR_ENUM) ERR_COUNT };
#undef ERR_ENUM

#define ERR_TEXT_SIZE 320

/* Detail of an error for people: place, what was found, what was expected. */
struct err_info {
    enum err code;
    char text[ERR_TEXT_SIZE];
};

/* The table's text of `code`: static, never NULL. */
const char *err_text(enum err code);

/* The code's name as written above ("ERR_TIMEOUT"): static. */
const char *err_name(enum err code);

bool err_retryable(enum err code);

/* Stores code and formatted text (truncated to fit) in `info` when it is not NULL; returns `code`, so that callers can
 * write `return err_set(info, ERR_INVALID, "line %d: …", n);`. */
enum err err_set(struct err_info *info, enum err code, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
