/* migrate_private: the parts of the migration runner: the folder, the text of a file, the catalog. */
#ifndef COMMON_IO_MIGRATE_PRIVATE_H
#define COMMON_IO_MIGRATE_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"
#include "common/core/hash.h"
#include "common/io/db.h"
#include "common/io/migrate.h"

/* ---- migrate.c: sessions ------------------------------------------------------------------------------------------------------ */
enum err migrate_session_open(const struct migrate_config *config, struct db_session **out,
                              struct err_info *info) MUST_USE;
/* `prefix` is "SET", or how else the statement begins. */
enum err migrate_lock_timeout(const struct migrate_config *config, struct db_session *s, const char *prefix,
                              struct err_info *info) MUST_USE;

#define MIGRATE_MAX_FILES 10000
#define MIGRATE_MAX_FILE_BYTES (16 << 20) /* schema, not data; libpq and the server hold the text several times */

/* ---- migrate_dir.c: the files --------------------------------------------------------------------------------------------- */
struct migrate_file {
    int version;
    char *name;
    struct buf text;
    uint8_t sha256[HASH_SIZE];
    bool no_transaction;
};
/* Zero-initialise ({0}) before use; freed with migrate_dir_free, also after an error. */
struct migrate_dir {
    const char *path;
    struct migrate_file *files; /* by version */
    int n;
};
enum err migrate_dir_load(struct migrate_dir *d, const char *path, struct err_info *info) MUST_USE;
void migrate_dir_free(struct migrate_dir *d);
struct migrate_file *migrate_dir_find(const struct migrate_dir *d, int version); /* NULL when absent */

/* ---- migrate_sql.c: where statements begin and end ------------------------------------------------------------------------- */
/* The next statement of `text` from *at on, without comments and blanks before it and without its semicolon; false at the
 * end. Knows quotes, dollar quotes, nested comments, parentheses and BEGIN ATOMIC bodies. */
bool migrate_sql_next(struct str text, size_t *at, struct str *statement);
int migrate_sql_line(struct str text, size_t offset_bytes);     /* 1-based */
size_t migrate_sql_offset(struct str text, int position_chars); /* of a 1-based character, in bytes */
bool migrate_sql_ends_transaction(struct str statement);        /* COMMIT, ROLLBACK … */

/* ---- migrate_ledger.c: automation_priv.schema_migrations ----------------------------------------------------------------------- */
struct migrate_row {
    int version;
    char *name;
    uint8_t sha256[HASH_SIZE];
    enum migrate_state state; /* applied, running or failed */
    int64_t finished_at_us;
    int64_t duration_ms;
};
/* Zero-initialise ({0}) before use. */
struct migrate_ledger {
    struct migrate_row *rows; /* by version */
    int n;
};
enum err migrate_ledger_create(struct db_session *s, struct err_info *info) MUST_USE; /* schema and table, if absent */
enum err migrate_ledger_load(struct migrate_ledger *l, struct db_session *s,
                             struct err_info *info) MUST_USE; /* no table: no rows */
void migrate_ledger_free(struct migrate_ledger *l);
/* Writes the row of `file`, replacing one that is not applied. ERR_STATE when the session `lock_pid` does not hold the
 * runners' lock. */
enum err migrate_ledger_write(struct db_session *s, const struct migrate_file *file, enum migrate_state state,
                              int64_t duration_ms, int lock_pid, struct err_info *info) MUST_USE;
/* The runners' lock: waits by asking again, since a statement that waits would hold a snapshot for which the other runner's
 * CREATE INDEX CONCURRENTLY waits in turn. */
enum err migrate_ledger_lock(struct db_session *s, const struct migrate_config *config, struct err_info *info) MUST_USE;

/* ---- migrate_catalog.c ------------------------------------------------------------------------------------------------------- */
enum err migrate_catalog_fingerprint(struct db_session *s, char out[MIGRATE_FINGERPRINT_SIZE],
                                     struct err_info *info) MUST_USE;
/* The name of an index that a failed CREATE INDEX CONCURRENTLY left behind; "" when there is none. */
enum err migrate_catalog_invalid_index(struct db_session *s, char *name, size_t size, struct err_info *info) MUST_USE;

#endif
