/* id: 128-bit identifiers, written as UUIDs. id_new makes time-ordered version 7 ids (RFC 9562 §5.7), which keep B-trees
 * compact; ids that must be the same in every play are derived by hash (common/core/key.h). */
#ifndef COMMON_BASE_ID_H
#define COMMON_BASE_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"

struct id {
    uint8_t b[16];
};

#define ID_TEXT_SIZE 37 /* 36 characters and NUL */
#define ID_ZERO ((struct id){{0}})

void id_new(struct id *out); /* UUIDv7 from the wall clock and getrandom(2); aborts if the kernel has no randomness */
enum err id_parse(struct str s, struct id *out) MUST_USE;           /* 36 characters, any case; ERR_INVALID otherwise */
const char *id_format(const struct id *id, char out[ID_TEXT_SIZE]); /* lower case; returns out */
bool id_eq(const struct id *a, const struct id *b);
bool id_is_zero(const struct id *id);
int id_cmp(const struct id *a, const struct id *b); /* memcmp order, which is PostgreSQL's uuid order */

#endif
