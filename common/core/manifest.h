/* manifest: what an archived month of the execution log holds, as JSON beside the archive. Pure: text in, text out.
 *
 * The file that it describes is CSV in the zstd format with a header line. `sha256` is of the compressed bytes; `digest` and
 * `tenants` are of the rows, whatever their order (automation_priv.leaf_facts), so they can be compared with a table. */
#ifndef COMMON_CORE_MANIFEST_H
#define COMMON_CORE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/core/hash.h"

#define MANIFEST_LEAF_SIZE 64
#define MANIFEST_HEX_SIZE (2 * HASH_SIZE + 1)
#define MANIFEST_DIGEST_SIZE 96
#define MANIFEST_WORD_SIZE 64
#define MANIFEST_BYTES_MAX (64 * 1024 * 1024) /* a tenant takes 50 bytes */
#define MANIFEST_COLUMNS_MAX 32

struct manifest_column {
    const char *name;
    const char *type; /* as PostgreSQL writes it */
};

/* Zero-initialise ({0}) before use. Strings of variable length live in `arena`. */
struct manifest {
    struct arena arena;
    char leaf[MANIFEST_LEAF_SIZE];
    int64_t lo_us, hi_us; /* the month: from lo, before hi */
    int64_t created_us;
    struct manifest_column columns[MANIFEST_COLUMNS_MAX];
    size_t n_columns;
    char columns_sha256[MANIFEST_HEX_SIZE]; /* of the lines "name type\n" */
    int64_t n_rows;
    char digest[MANIFEST_DIGEST_SIZE];
    const char *tenants; /* a JSON object: rows by tenant */
    char sha256[MANIFEST_HEX_SIZE];
    int64_t bytes;     /* of the file */
    int64_t raw_bytes; /* of the CSV in it */
    char tool[MANIFEST_WORD_SIZE];
    char server[MANIFEST_WORD_SIZE];
};
void manifest_free(struct manifest *m);

/* "execution_logs_YYYY_MM" of a month that exists. Nothing else is ever a part of a file's name or of a statement. */
bool manifest_leaf_ok(const char *leaf);

/* Fills n_columns, columns and their hash from a JSON array of [name, type]. */
enum err manifest_set_columns(struct manifest *m, struct str json, struct err_info *info) MUST_USE;

/* Appends the document, and a newline. */
void manifest_format(const struct manifest *m, struct buf *out);

/* ERR_MALFORMED with the place for anything that manifest_format did not write. */
enum err manifest_parse(struct str text, struct manifest *m, struct err_info *info) MUST_USE;

/* Can a table with the columns of `now` take what `m` holds? Every column of m must be there with its type; the table may have
 * others beside. ERR_STATE names the first that is not. */
enum err manifest_fits(const struct manifest *m, const struct manifest *now, struct err_info *info) MUST_USE;

/* Lower-case hexadecimal and NUL. */
void manifest_hex(const uint8_t hash[HASH_SIZE], char out[MANIFEST_HEX_SIZE]);

#endif
