/* conf: one table of settings per program. Precedence: flag, then environment, then file, then default. Errors are
 * collected and reported all at once, each naming the setting, where it came from, what was found and what is allowed.
 *
 * A row `{"log-format", …}` is the flag --log-format, the variable USHER_LOG_FORMAT (or `env`, where another name is the
 * custom: DATABASE_URL), the file line `log-format = …`, and USHER_LOG_FORMAT_FILE naming a file that holds the value (for
 * secrets). An unknown USHER_* variable, flag or file key is an error with the nearest known name; variables of the other
 * programs' tables are known through conf_foreign, USHER_TEST_* and USHER_CONFORMANCE_* are the tests'. An empty variable counts as unset;
 * an empty text leaves a CONF_STR unset (NULL). */
#ifndef COMMON_BASE_CONF_H
#define COMMON_BASE_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"

enum conf_type {
    CONF_STR,   /* char * (owned; freed by conf_free; NULL when unset) */
    CONF_INT,   /* int64_t, min..max */
    CONF_BOOL,  /* bool: true false yes no on off 1 0; as a flag without value: true */
    CONF_MS,    /* int64_t milliseconds, min..max; see str_to_ms */
    CONF_BYTES, /* int64_t, min..max; see str_to_bytes */
    CONF_CHOICE /* int64_t index into `choices` */
};

enum conf_flag { CONF_SECRET = 1, CONF_REQUIRED = 2, CONF_URL = 4 /* password masked when shown */ };

struct conf_key {
    const char *name; /* lower case with dashes */
    enum conf_type type;
    size_t offset;   /* of the field in the program's settings struct */
    const char *def; /* NULL: none */
    int64_t min, max;
    unsigned flags;
    const char *help;           /* one line */
    const char *env;            /* NULL: USHER_ + name */
    const char *const *choices; /* CONF_CHOICE: NULL-terminated */
};
/* A table ends with a row whose name is NULL. */

struct conf_source {
    const char *file; /* --config or USHER_CONFIG win over this; NULL: none; "key = value" lines, # comments */
    int argc;         /* flags and operands, program name excluded */
    char **argv;
    char *const *environ_; /* NULL: the process's environment */
};

/* Fills `out` (the program's settings struct; conf_free'd by the caller also after an error). Operands (words that are no
 * flags, everything behind "--") are moved to the front of source->argv and counted in *operands. `errors` collects one line
 * per error. --check-config and --help are the caller's rows. Returns ERR_INVALID when there was any error. */
enum err conf_load(const struct conf_key *keys, void *out, struct conf_source *source, int *operands,
                   struct buf *errors) MUST_USE;
void conf_free(const struct conf_key *keys, void *out);

/* Names the tables of the other programs, whose USHER_* variables are then not reported as unknown. NULL-terminated array, borrowed. */
void conf_foreign(const struct conf_key *const *tables);

/* Appends the help text of the table (flag, value form, default, help), or a Markdown table row per setting. */
void conf_help(const struct conf_key *keys, struct buf *out);
void conf_markdown(const struct conf_key *keys, struct buf *out);

/* Appends "name = value   # from where" per setting, secrets and URL passwords masked. */
void conf_show(const struct conf_key *keys, const void *settings, struct buf *out);

#endif
