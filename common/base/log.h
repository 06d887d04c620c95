/* log: one line per event on standard error: a stable event name and typed fields, no prose. logfmt on a terminal, JSON
 * otherwise, or as log_init says. Secrets are never passed in; L_SECRET prints "***" so that their presence can be seen.
 *
 *     log_info("job.done", L_ID("job", &job->id), L_INT("attempt", n), L_MS("took", ms));                            */
#ifndef COMMON_BASE_LOG_H
#define COMMON_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/id.h"
#include "common/base/str.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_AUTO, LOG_LOGFMT, LOG_JSON };

enum log_type { LOG_T_STR, LOG_T_INT, LOG_T_DOUBLE, LOG_T_BOOL, LOG_T_ID, LOG_T_SECRET, LOG_T_BYTES };
struct log_field {
    const char *key;
    enum log_type type;
    union {
        const char *s;
        int64_t i;
        double d;
        const struct id *id;
        struct str bytes;
    } v;
};

#define L_STR(k, x) ((struct log_field){(k), LOG_T_STR, {.s = (x)}}) /* NULL prints as empty */
#define L_BYTES(k, p, n) ((struct log_field){(k), LOG_T_BYTES, {.bytes = {(p), (n)}}})
#define L_INT(k, x) ((struct log_field){(k), LOG_T_INT, {.i = (int64_t)(x)}})
#define L_MS(k, x) L_INT(k "_ms", x)
#define L_DOUBLE(k, x) ((struct log_field){(k), LOG_T_DOUBLE, {.d = (x)}})
#define L_BOOL(k, x) ((struct log_field){(k), LOG_T_BOOL, {.i = (x)}})
#define L_ID(k, x) ((struct log_field){(k), LOG_T_ID, {.id = (x)}})
#define L_SECRET(k) ((struct log_field){(k), LOG_T_SECRET, {.i = 0}})
#define L_ERR(code) L_STR("error", err_text(code))

/* `role` (static text, such as "worker") is in every line. Called once, before threads start; without it logfmt at LOG_INFO. */
void log_init(const char *role, enum log_level least, enum log_format format);
bool log_enabled(enum log_level level);

/* Writes one line with one write(2), so that lines of threads do not mix. Fields beyond 4 KiB are cut. */
void log_write(enum log_level level, const char *event, const struct log_field *fields, size_t n);

#define LOG_FIELDS_(...)                                                                                               \
    (const struct log_field[])                                                                                         \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }
#define LOG_(level, event, ...)                                                                                        \
    do {                                                                                                               \
        if (log_enabled(level))                                                                                        \
            log_write(level, event, LOG_FIELDS_(__VA_ARGS__),                                                          \
                      sizeof(LOG_FIELDS_(__VA_ARGS__)) / sizeof(struct log_field));                                    \
    } while (0)
/* At least one field each. */
#define log_debug(event, ...) LOG_(LOG_DEBUG, event, __VA_ARGS__)
#define log_info(event, ...) LOG_(LOG_INFO, event, __VA_ARGS__)
#define log_warn(event, ...) LOG_(LOG_WARN, event, __VA_ARGS__)
#define log_error(event, ...) LOG_(LOG_ERROR, event, __VA_ARGS__)

#endif
