/* archive_private: what the archive*.c files share. */
#ifndef COMMON_IO_ARCHIVE_PRIVATE_H
#define COMMON_IO_ARCHIVE_PRIVATE_H

#include "common/io/archive.h"
#include "common/io/db.h"
#include "common/io/store_archive.h"

#define ARCHIVE_NAME_SIZE (MANIFEST_LEAF_SIZE + 16)

struct archive {
    struct archive_config config;
    struct db_session *db;
    char server[MANIFEST_WORD_SIZE];
};

/* Tells the progress; ERR_CANCELED when asked to stop. */
enum err archive_tell(struct archive *a, const char *leaf, const char *phase, int64_t done, int64_t total,
                      struct err_info *info) MUST_USE;
/* The error that a folder is needed and none is set. */
enum err archive_need_dir(const struct archive *a, struct err_info *info) MUST_USE;

/* Commits when err is ERR_OK, else rolls back; returns the first error. */
enum err archive_end(struct archive *a, enum err err, struct err_info *info) MUST_USE;

void archive_data_name(char out[ARCHIVE_NAME_SIZE], const char *leaf);
void archive_manifest_name(char out[ARCHIVE_NAME_SIZE], const char *leaf);

/* archive_export.c: detached → exported. */
enum err archive_export(struct archive *a, const char *leaf, const struct store_leaf *part,
                        struct err_info *info) MUST_USE;

/* archive_load.c: the manifest, which must be of that leaf and, where the book knows one, of that file. */
enum err archive_read_manifest(struct archive *a, const char *leaf, const struct store_leaf *part, struct manifest *m,
                               struct err_info *info) MUST_USE;
/* Loads the archive into the table automation_part.<table>, of the present transaction, and compares. */
enum err archive_load(struct archive *a, const char *leaf, const char *table, const struct manifest *m, bool frozen,
                      struct err_info *info) MUST_USE;
/* Reads the archive into a table that is rolled back. */
enum err archive_check(struct archive *a, const char *leaf, const struct store_leaf *part, struct manifest *m,
                       struct err_info *info) MUST_USE;

#endif
