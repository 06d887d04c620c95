/* months: a database whose log has old months with rows of every kind of value, a folder for archives, and an archiver. */
#ifndef TESTS_SUPPORT_MONTHS_H
#define TESTS_SUPPORT_MONTHS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/io/archive.h"
#include "tests/support/pg.h"

#define MONTHS_LEAF "execution_logs_2024_02" /* with rows */
#define MONTHS_ROWS 3000
#define MONTHS_NEXT "execution_logs_2024_03" /* with a few */

struct months {
    struct test_pg pg;
    char dir[64];
    struct archive_config config; /* 12 months, no grace */
};

/* False when there is no server: the test returns. */
bool months_open(struct months *t);
void months_close(struct months *t);

/* An archiver for one call: opened, used, closed. */
typedef enum err (*months_call)(struct archive *a, const char *leaf, struct err_info *info);
enum err months_do(struct months *t, months_call call, const char *leaf, struct err_info *info);
/* archive_verify and archive_restore (for a day) in that shape. */
enum err months_verify(struct archive *a, const char *leaf, struct err_info *info);
enum err months_restore(struct archive *a, const char *leaf, struct err_info *info);
/* The same in a process of its own that ends at a point (common/io/die.h): its exit status. */
int months_die(struct months *t, months_call call, const char *leaf, const char *point);

/* Is the leaf in that state? */
bool months_in(struct months *t, const char *leaf, const char *state);
/* A digest of the month as the log shows it, and of its number of rows. */
int64_t months_digest(struct months *t, const char *leaf);
/* Owner, rights, row-level security, policies, constraints, indexes, storage: in how many of these MONTHS_LEAF differs from a
 * fresh leaf, or lets anybody but the owner in. */
int64_t months_differences(struct months *t);
int64_t months_rows(struct months *t, const char *leaf);

/* Files of the folder: is it there; its size; one byte of it changed (negative: from the end); its length changed by `by`. */
bool months_has(const struct months *t, const char *name);
void months_flip(const struct months *t, const char *name, long at);
void months_cut(const struct months *t, const char *name, long by);
int months_files(const struct months *t);

#endif
