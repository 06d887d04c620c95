/* str: bounded strings and the parsing of numbers, durations and sizes. Text is <pointer, length> or NUL-terminated; a
 * function that takes a `struct str` never reads past its length. */
#ifndef COMMON_BASE_STR_H
#define COMMON_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

/* A borrowed piece of text or bytes; not NUL-terminated. */
struct str {
    const char *p;
    size_t n;
};

#define STR(literal) ((struct str){literal, sizeof(literal) - 1})
struct str str_of(const char *s); /* NULL becomes the empty string */
bool str_eq(struct str a, struct str b);
bool str_is(struct str a, const char *b);
bool str_starts(struct str s, const char *prefix);

/* Copies at most size - 1 bytes and terminates; returns false when it had to cut. */
bool str_copy(char *dst, size_t size, const char *src);
bool str_copy_n(char *dst, size_t size, const char *src, size_t n);

/* Whole-text decimal integers: no blanks, no sign for the unsigned one, ERR_INVALID on anything else or overflow. */
enum err str_to_i64(struct str s, int64_t *out) MUST_USE;
enum err str_to_u64(struct str s, uint64_t *out) MUST_USE;
enum err str_to_double(struct str s, double *out) MUST_USE;

/* "250ms" "30s" "5m" "2h" "1d", or a bare number of milliseconds. */
enum err str_to_ms(struct str s, int64_t *out) MUST_USE;
/* "64KiB" "1MiB" "2GiB" "100kB" "5MB", or a bare number of bytes. */
enum err str_to_bytes(struct str s, int64_t *out) MUST_USE;

/* True when the bytes are valid UTF-8 without NUL (PostgreSQL text refuses both). */
bool str_is_utf8(struct str s);
/* Length (1 to 4) of the valid UTF-8 sequence that `s` begins with; 0 when it begins with none. NUL is a valid one here. */
size_t str_utf8_len(struct str s);

/* RFC 3339 with milliseconds in UTC ("2026-05-02T09:00:00.000Z", 24 characters + NUL) to and from µs since 1970. Parsing takes
 * any offset and 0 to 6 fraction digits. */
#define STR_TIME_SIZE 32
void str_from_time(char out[STR_TIME_SIZE], int64_t us);
enum err str_to_time(struct str s, int64_t *us) MUST_USE;

#endif
