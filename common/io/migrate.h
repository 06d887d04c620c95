/* migrate: brings a database's schema up to date from a folder of files NNN_name.sql (NNN: 001 to 999999999), in order of
 * their numbers, and keeps book in automation_priv.schema_migrations.
 *
 * Each file runs in a transaction of its own with its ledger row, so it is there as a whole or not at all. A file whose
 * first line is "-- no-transaction" (CREATE INDEX CONCURRENTLY) holds exactly one statement that may be run again after a
 * failure. Refused before anything runs: a file that was changed after it was applied, a new file numbered below an
 * applied one, two files of one number, a file that ends its own transaction. Numbers may have gaps. An applied version
 * without file (a newer release was here) is reported.
 *
 * Two runners at once are safe: a session advisory lock lets the second wait and then find nothing to do. The lock needs a
 * direct connection or a session pooler; a transaction pooler is refused. */
#ifndef COMMON_IO_MIGRATE_H
#define COMMON_IO_MIGRATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"

#define MIGRATE_DEFAULT_DIR "migrations"

struct migrate_config {
    const char *url;
    const char *dir;         /* NULL: MIGRATE_DEFAULT_DIR */
    const char *role;        /* SET ROLE first, so that it owns what is created; NULL: the login itself */
    int64_t statement_ms;    /* per statement; 0: 10 min */
    int64_t runner_wait_ms;  /* for another runner to finish; 0: 10 min */
    int64_t lock_timeout_ms; /* per table lock, then the file is rolled back and tried again; 0: 5 s */
    int tries;               /* of one file; 0: 10 */
    bool pooled;             /* as in db_session_config; migrate_status alone works so */
    /* One line of progress without a line end ("applied 030_rules.sql in 41 ms"); may be NULL. */
    void (*report)(void *arg, const char *line);
    void *arg;
};

/* Applies what is missing. Errors carry "file:line: message". ERR_INVALID: the folder or a file is not as above; ERR_STATE:
 * folder and database disagree, or a pooler is in between; ERR_TIMEOUT: the other runner did not finish; others as db.h. */
enum err migrate_up(const struct migrate_config *config, struct err_info *info) MUST_USE;

/* Removes all that `up` made, in one transaction: the three schemas with every row in them, what was attached to the host's
 * tables, and the ledger itself; `up` then begins anew. Roles stay: they are the server's, and logins are members of them.
 * There is no way down by a single file, since the rows of what stays would no longer fit the files that are gone.
 * ERR_STATE, and nothing is changed: `confirm` is not the database's name (the text says what would be lost; NULL asks for
 * just that), a worker or scheduler is connected, the host's own objects (views, foreign keys) need ours, or nothing is
 * there. ERR_DB_LOCK: a table was in use for lock_timeout_ms. */
enum err migrate_down(const struct migrate_config *config, const char *confirm, struct err_info *info) MUST_USE;

enum migrate_state {
    MIGRATE_APPLIED,
    MIGRATE_RUNNING,
    MIGRATE_FAILED,
    MIGRATE_PENDING,
    MIGRATE_CHANGED,
    MIGRATE_UNKNOWN
};
const char *migrate_state_text(enum migrate_state state); /* "applied" … */
struct migrate_entry {
    int version;
    const char *name;         /* the file's */
    enum migrate_state state; /* MIGRATE_UNKNOWN: in the database, not in the folder */
    int64_t finished_at_us;   /* DB_NULL_TIME unless applied */
    int64_t duration_ms;
};
/* Calls `row` for every file and every ledger row, by version; writes nothing. *pending (may be NULL) counts the files that
 * `up` would run; ERR_STATE when `up` would refuse. */
enum err migrate_status(const struct migrate_config *config, void (*row)(void *arg, const struct migrate_entry *entry),
                        void *arg, int *pending, struct err_info *info) MUST_USE;

#define MIGRATE_FINGERPRINT_SIZE 65 /* SHA-256 in hex and NUL */
/* Checks that folder and ledger agree in every row and nothing is pending (else ERR_STATE), then writes the catalog's
 * fingerprint: a hash over the definitions of everything in the schemas automation, automation_part and automation_priv (owners
 * and grants included, names and not oids, so that two databases with the same schema have the same). */
enum err migrate_verify(const struct migrate_config *config, char fingerprint[MIGRATE_FINGERPRINT_SIZE],
                        struct err_info *info) MUST_USE;

#endif
