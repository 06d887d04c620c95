/* archive: months of the execution log leave the database as files, and come back.
 *
 * A leaf goes attached → detaching → detached → exported → verified → dropped, and from each of the last four to restored. The state is
 * a row of automation_priv.log_partitions; each step is idempotent and begins by looking at what is really there, so a process that is
 * killed anywhere is followed by one that goes on:
 *   detach   DETACH CONCURRENTLY (FINALIZE where one was cut off): readers and writers are not blocked; rows of that month that come
 *            later go to quarantine
 *   export   <leaf>.csv.zst and <leaf>.json (common/core/manifest.h) are written beside, synced, renamed, and the folder synced
 *   verify   the file is read back into a table and compared: SHA-256, columns, number of rows, digest, rows per tenant. What
 *            fails is never trusted: the leaf, which is still there, is exported again
 *   drop     after the grace period, when the file's SHA-256 is still the one that was verified
 *   restore  one transaction: table, COPY, comparison with the manifest, ATTACH
 * Failures: a full disk or an I/O error leaves no file and the state as it was (ERR_IO). ERR_MALFORMED: the archive is not what it was.
 * ERR_STATE: not possible in the leaf's state, on a stepped clock, with clocks of client and server more than an hour apart, or because
 * the log's columns are others now. ERR_BUSY: another archiver is at work. ERR_CANCELED: asked to stop.
 *
 * All functions block. One archiver exists at a time in a database (session advisory lock). */
#ifndef COMMON_IO_ARCHIVE_H
#define COMMON_IO_ARCHIVE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/core/manifest.h"

struct archive;

struct archive_progress {
    const char *leaf;
    const char *phase;   /* "detach" "count" "export" "load" "compare" "drop" "attach": static */
    int64_t done, total; /* rows of an export, bytes of a load; total 0: not known, or not counted */
};

struct archive_config {
    const char *url; /* a direct connection of a login that may become automation_owner */
    const char *dir; /* where archives lie; NULL: only what needs no file */
    int64_t after_months;
    int64_t grace_ms;
    void (*progress)(void *arg, const struct archive_progress *progress); /* at most every 64 KiB of data; may be NULL */
    void *arg;
    const atomic_bool *stop; /* set: what runs ends with ERR_CANCELED at its next piece of data; may be NULL */
};

/* The config's strings and what it points to are borrowed until archive_close. */
enum err archive_open(const struct archive_config *config, struct archive **out, struct err_info *info) MUST_USE;
void archive_close(struct archive *a); /* NULL is fine */
/* From another thread, while `a` is open: ends the statement that runs. */
void archive_cancel(struct archive *a);

/* ---- what is there ------------------------------------------------------------------------------------------------------- */
#define ARCHIVE_WORD_SIZE 16
struct archive_part {
    char leaf[MANIFEST_LEAF_SIZE];
    char state[ARCHIVE_WORD_SIZE];
    char step[ARCHIVE_WORD_SIZE]; /* archive_due: "archive" "verify" "drop" */
    int64_t lo_us, hi_us;
    int64_t n_rows, bytes; /* of its archive; -1: none */
};
/* One leaf; step "archive". ERR_NOTFOUND, or ERR_INVALID for what is no leaf's name. */
enum err archive_look(struct archive *a, const char *leaf, struct archive_part *out, struct err_info *info) MUST_USE;
/* Steps that are due by the server's clock, oldest month first. *out is freed with mem_free. */
enum err archive_due(struct archive *a, struct archive_part **out, size_t *n, struct err_info *info) MUST_USE;

/* ---- steps --------------------------------------------------------------------------------------------------------------- */
/* Until the leaf is detached; what is further on already is left. */
enum err archive_detach(struct archive *a, const char *leaf, struct err_info *info) MUST_USE;
/* Detach, export, verify: until the leaf is verified; what is verified or dropped already is left. Due or not. */
enum err archive_run(struct archive *a, const char *leaf, struct err_info *info) MUST_USE;
/* Drops a verified leaf now, whatever the grace period. ERR_MALFORMED or ERR_NOTFOUND: the file is not what was verified; the
 * leaf will be exported again. */
enum err archive_drop(struct archive *a, const char *leaf, struct err_info *info) MUST_USE;
/* What is due, one leaf: archive_run, or archive_drop. */
enum err archive_step(struct archive *a, const struct archive_part *part, struct err_info *info) MUST_USE;
/* Reads the leaf's archive back and compares. Changes nothing, whatever it finds. *m (may be NULL) is what the archive says of itself. */
enum err archive_verify(struct archive *a, const char *leaf, struct manifest *m, struct err_info *info) MUST_USE;
/* Makes the leaf a part of the log again, from the table where it is still there, else from the archive; for hold_ms at least it is
 * not archived again. */
enum err archive_restore(struct archive *a, const char *leaf, int64_t hold_ms, struct err_info *info) MUST_USE;

#endif
