/* archive_file: files of the archive: zstd while they are written and read, SHA-256 of what lies on the disk, and a name only once all of
 * it is there (written beside as .<name>.tmp, synced, renamed, the folder synced).
 *
 * Failures: ERR_IO with the file, the call and the system's reason (full disk, no permission); ERR_NOTFOUND where there is no such
 * file; ERR_MALFORMED where it ends too early or is no zstd. A name is the last part of a path; folders are not made. */
#ifndef COMMON_IO_ARCHIVE_FILE_H
#define COMMON_IO_ARCHIVE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/core/manifest.h"

/* ---- writing ---------------------------------------------------------------------------------------------------------- */
struct archive_writer;
enum err archive_writer_open(const char *dir, const char *name, struct archive_writer **out,
                             struct err_info *info) MUST_USE;
/* Compresses and writes. After an error only archive_writer_close makes sense. */
enum err archive_writer_put(struct archive_writer *w, const void *p, size_t n, struct err_info *info) MUST_USE;
/* Gives the file its name. `bytes` and `sha256` are of the compressed file. */
enum err archive_writer_finish(struct archive_writer *w, char sha256[MANIFEST_HEX_SIZE], int64_t *bytes,
                               struct err_info *info) MUST_USE;
/* Frees; without archive_writer_finish nothing stays on the disk. NULL is fine. */
void archive_writer_close(struct archive_writer *w);

/* A small file, not compressed, as safely. */
enum err archive_file_put(const char *dir, const char *name, const struct buf *text, struct err_info *info) MUST_USE;

/* ---- reading ------------------------------------------------------------------------------------------------------------ */
struct archive_reader;
enum err archive_reader_open(const char *dir, const char *name, struct archive_reader **out,
                             struct err_info *info) MUST_USE;
/* The next piece, decompressed, borrowed until the next call; *n = 0 at the end of a whole file. */
enum err archive_reader_next(struct archive_reader *r, const char **p, size_t *n, struct err_info *info) MUST_USE;
int64_t archive_reader_bytes(const struct archive_reader *r); /* compressed bytes read so far */
/* Of the compressed bytes; after the end, once. */
void archive_reader_sha256(struct archive_reader *r, char sha256[MANIFEST_HEX_SIZE]);
void archive_reader_close(struct archive_reader *r); /* NULL is fine */

/* SHA-256 of a file as it lies there. */
enum err archive_file_sha256(const char *dir, const char *name, char sha256[MANIFEST_HEX_SIZE],
                             struct err_info *info) MUST_USE;
/* All of a file of at most `most` bytes, ERR_LIMIT if it is longer. */
enum err archive_file_get(const char *dir, const char *name, size_t most, struct buf *out,
                          struct err_info *info) MUST_USE;

#endif
