/* store_archive: the archiver's statements over a blocking session of automation_owner, and what operators ask of partitions. Errors as in
 * db.h; leaves are named execution_logs_YYYY_MM (manifest_leaf_ok), which the callers have checked. */
#ifndef COMMON_IO_STORE_ARCHIVE_H
#define COMMON_IO_STORE_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/core/manifest.h"
#include "common/io/db.h"

/* The lock of the one archiver of a database; false: another has it. */
enum err store_archive_lock(struct db_session *s, bool *got, struct err_info *info) MUST_USE;
/* Lets it go, if it is held; a failure leaves that to the end of the session. */
void store_archive_unlock(struct db_session *s);

struct store_archive_clock {
    int64_t now_us; /* the server's */
    bool stepped;
    char server[MANIFEST_WORD_SIZE]; /* version */
};
enum err store_archive_clock(struct db_session *s, struct store_archive_clock *out, struct err_info *info) MUST_USE;

#define STORE_WORD_SIZE 16
struct store_leaf {
    char state[STORE_WORD_SIZE];
    char actual[STORE_WORD_SIZE]; /* attached pending alone gone */
    int64_t lo_us, hi_us;
    char sha256[MANIFEST_HEX_SIZE]; /* "" without an archive */
    int64_t n_rows, bytes;          /* of the archive; -1: none */
};
/* ERR_NOTFOUND: no such partition. */
enum err store_archive_leaf(struct db_session *s, const char *leaf, struct store_leaf *out,
                            struct err_info *info) MUST_USE;
/* Columns of the leaf's rows: leaf, state, step, lo, hi; oldest first. */
enum err store_archive_due(struct db_session *s, int64_t after_months, int64_t grace_ms, struct db_result **out,
                           struct err_info *info) MUST_USE;

enum err store_archive_move(struct db_session *s, const char *leaf, const char *from, const char *to,
                            struct err_info *info) MUST_USE;
enum err store_archive_detach(struct db_session *s, const char *leaf, struct err_info *info) MUST_USE;
enum err store_archive_finalize(struct db_session *s, const char *leaf, struct err_info *info) MUST_USE;
enum err store_archive_drop(struct db_session *s, const char *leaf, struct err_info *info) MUST_USE;

/* Columns of automation_part.<table>, or with NULL of the log itself. */
enum err store_archive_columns(struct db_session *s, const char *table, struct manifest *m,
                               struct err_info *info) MUST_USE;
/* n_rows, digest and tenants of automation_part.<table>, over the columns of m. */
enum err store_archive_facts(struct db_session *s, const char *table, struct manifest *m, struct err_info *info) MUST_USE;
/* Are two JSON objects equal? */
enum err store_archive_same(struct db_session *s, const char *a, const char *b, bool *same,
                            struct err_info *info) MUST_USE;

/* Streams the table's rows in the key's order as CSV. */
enum err store_archive_copy_out(struct db_session *s, const char *table, const struct manifest *m, db_copy_sink sink,
                                void *arg, struct err_info *info) MUST_USE;
/* The other way; the header must name m's columns. frozen: into a table of this transaction, as if vacuumed. */
enum err store_archive_copy_in(struct db_session *s, const char *table, const struct manifest *m, bool frozen,
                               db_copy_source source, void *arg, struct err_info *info) MUST_USE;

/* detached → exported, with what the archive holds. */
enum err store_archive_exported(struct db_session *s, const struct manifest *m, struct err_info *info) MUST_USE;

/* A table to load an archive into, without WAL, for this transaction: automation_part.verify_<leaf>. */
enum err store_archive_scratch(struct db_session *s, const char *leaf, struct err_info *info) MUST_USE;
enum err store_archive_make(struct db_session *s, const char *leaf, const struct store_leaf *part,
                            struct err_info *info) MUST_USE;
enum err store_archive_attach(struct db_session *s, const char *leaf, const struct store_leaf *part,
                              struct err_info *info) MUST_USE;
/* from → restored, not archived again for hold_ms. */
enum err store_archive_restored(struct db_session *s, const char *leaf, const char *from, int64_t hold_ms,
                                struct err_info *info) MUST_USE;

/* ---- what operators ask: any session that may read ------------------------------------------------------------------------ */
/* Columns: leaf, state, lo, hi, changed_at, hold_until, archived rows, archived bytes, size on disk, quarantined rows; oldest first. */
enum err store_archive_list(struct db_session *s, struct db_result **out, struct err_info *info) MUST_USE;
/* Makes what is missing up to `months` months ahead. */
enum err store_archive_ensure(struct db_session *s, int64_t months, int64_t *made, struct err_info *info) MUST_USE;
/* The months from the present one to `months` ahead that are no part of the log. Columns: month (2031-05), what the book says of it
 * or "absent". */
enum err store_archive_gaps(struct db_session *s, int64_t months, struct db_result **out, struct err_info *info) MUST_USE;
enum err store_archive_replay(struct db_session *s, int64_t limit, int64_t *replayed, int64_t *repeated,
                              struct err_info *info) MUST_USE;
/* Makes the log's statistics when they are older than a week, or a partition is new. */
enum err store_archive_analyze(struct db_session *s, bool *made, struct err_info *info) MUST_USE;

#endif
