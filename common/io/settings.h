/* settings: the rows of settings that all programs share, and the tables of the daemons, in one place so that each program
 * knows the others' names. A program's settings struct begins with its `struct settings`.
 *
 * A daemon's main is:
 *     struct worker_settings s;
 *     int code = settings_start(&settings_worker, &s, argc, argv);
 *     if (code >= 0) return code;          (--help, --version, --check-config, or an error that was printed)
 *     …
 *     settings_free(&settings_worker, &s);                                                                              */
#ifndef COMMON_IO_SETTINGS_H
#define COMMON_IO_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/conf.h"
#include "common/base/err.h"

#ifndef USHER_VERSION
#define USHER_VERSION "0.1.0"
#endif

/* clang-format off */
/* Rows of a table: name, offset of the field, variable (NULL: USHER_ and the name; in the table of a command: none), default
 * as text or NULL, … */
#define SETTING_STR(n, at, var, deflt, flags_, text)                                                                   \
    {.name = (n), .type = CONF_STR, .offset = (at), .def = (deflt), .flags = (flags_), .help = (text),                 \
     .env = (var)}
#define SETTING_NUMBER(kind, n, at, var, deflt, least, most, text)                                                     \
    {.name = (n), .type = (kind), .offset = (at), .def = (deflt), .min = (least), .max = (most),                       \
     .help = (text), .env = (var)}
#define SETTING_INT(n, ...) SETTING_NUMBER(CONF_INT, n, __VA_ARGS__)
#define SETTING_MS(n, ...) SETTING_NUMBER(CONF_MS, n, __VA_ARGS__)
#define SETTING_BYTES(n, ...) SETTING_NUMBER(CONF_BYTES, n, __VA_ARGS__)
#define SETTING_BOOL(n, at, var, text)                                                                                 \
    {.name = (n), .type = CONF_BOOL, .offset = (at), .help = (text), .env = (var)}
#define SETTING_CHOICE(n, at, var, deflt, words, text)                                                                 \
    {.name = (n), .type = CONF_CHOICE, .offset = (at), .def = (deflt), .help = (text), .env = (var),                   \
     .choices = (words)}
/* clang-format on */

/* sysexits.h: the supervisor must not restart a program that was set up wrongly. */
#define SETTINGS_EXIT_CONFIG 78
#define SETTINGS_QUEUES_MAX 16
#define SETTINGS_QUEUE_NAME_MAX 32

enum settings_environment { SETTINGS_PRODUCTION, SETTINGS_DEVELOPMENT };

/* Common to every program. Strings are NULL when unset. */
struct settings {
    char *database_url;       /* NULL or "": libpq's PG* variables */
    bool database_pooled;     /* database_url leads through a transaction pooler: for commands that read or enqueue */
    char *maint_database_url; /* direct connection of the maintenance login; NULL: database_url */
    char *redis_url;
    int64_t log_level;   /* enum log_level */
    int64_t log_format;  /* enum log_format */
    int64_t environment; /* enum settings_environment */
    char *migrations;    /* folder; NULL: looked for, see settings_find_migrations */
    char *archive_dir;   /* NULL: no archiving */
    int64_t archive_after_months;
    int64_t archive_grace_ms;
    int64_t shards; /* 1: more needs Redis Cluster support, which is not built */
    bool help;
    bool version;
    bool check_config;
};

struct worker_settings {
    struct settings common;
    int64_t concurrency; /* actions in progress */
    char *queues;        /* comma-separated, see settings_queues */
    int64_t batch;       /* entries of one claim */
    int64_t drain_timeout_ms;
    char *smtp_url;
    char *smtp_user;
    char *smtp_password;
    int64_t smtp_tls; /* index into settings_smtp_tls */
    char *mail_from;
    char *egress_allow;
    bool egress_http;
    char *webhook_secret;
};

struct scheduler_settings {
    struct settings common;
    char *queues;
    int64_t window;         /* most jobs of a queue ahead of its workers; the greatest is 64 MiB of memory */
    int64_t tick_ms;        /* milestone tick and poll of the outbox */
    int64_t dispatch_batch; /* outbox rows of one transaction */
    int64_t smear_above;    /* runs due in one minute that are not spread; 0: none ever is */
    int64_t smear_within_ms;
    int64_t direct_max; /* waiting bare entries of a queue from which on the leader adopts */
    int64_t drain_timeout_ms;
};

/* "none", "try", "require": the words that struct outbound_config takes. NULL-terminated. */
extern const char *const settings_smtp_tls[];

/* One program: its table (which includes the common rows), the check of what a table can not say, and its names. */
struct settings_program {
    const char *name;    /* of the executable */
    const char *role;    /* in log lines */
    const char *summary; /* first line of --help */
    const struct conf_key *keys;
    size_t size; /* of its settings struct, which begins with struct settings */
    void (*check)(const void *settings, struct buf *errors); /* appends a line per error; may be NULL */
};
extern const struct settings_program settings_worker;
extern const struct settings_program settings_scheduler;

/* The common rows alone, with offsets in struct settings; ends with a NULL name. */
extern const struct conf_key settings_common_keys[];

/* Makes every program's USHER_* variables known to conf_load, so that they are not reported as unknown. */
void settings_foreign(void);

/* What the table can not check: URLs, shards. Appends one line per error. */
void settings_check(const struct settings *s, struct buf *errors);

/* Loads and checks a daemon's settings (flags, environment, /etc/usher/usher.conf or what --config or USHER_CONFIG name),
 * starts the log, and answers --help, --version and --check-config. Returns -1 when the program is to run; otherwise the
 * exit code, with everything printed and freed. argc and argv are main's. */
int settings_start(const struct settings_program *program, void *out, int argc, char **argv) MUST_USE;
void settings_free(const struct settings_program *program, void *settings);

/* The file that programs read when nothing names one: /etc/usher/usher.conf if it exists, else NULL. */
const char *settings_default_file(void);

/* Splits a list of queue names at its commas. Names are [a-z0-9][a-z0-9_-]*, at most SETTINGS_QUEUE_NAME_MAX bytes, at most
 * SETTINGS_QUEUES_MAX of them, none twice: ERR_INVALID with a reason otherwise. */
enum err settings_queues(const char *list, char names[SETTINGS_QUEUES_MAX][SETTINGS_QUEUE_NAME_MAX + 1], size_t *n,
                         struct err_info *info) MUST_USE;

/* The folder of migrations: the setting, else "migrations" in the working folder or in up to four folders above the
 * executable's (also as share/usher/migrations there), else where the build installs it. Allocated; NULL with a reason in
 * `info` when there is none. */
char *settings_find_migrations(const struct settings *s, struct err_info *info);

#endif
