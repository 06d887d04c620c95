/* key: identifiers and jitter derived by hash, so that every play of the same season gives the same ids.
 *
 * Byte layout (SQL computes the same ids, so it is part of the protocol and never changes):
 *   1. text = domain "\n" part1 "\n" part2 "\n" …   Every part is followed by one newline, also the last and also an empty one.
 *      Inside parts a backslash becomes "\\" (two characters) and a newline "\n" (backslash, n); nothing else is escaped.
 *      Parts are UTF-8 text: ids as 36 lower-case characters, numbers in decimal, instants in µs since 1970.
 *   2. digest = SHA-256(text), 32 bytes.
 *   3. id = digest[0..15] with the high nibble of byte 6 set to 8 and the two high bits of byte 8 to binary 10
 *      (UUID version 8, RFC 9562 §5.8).
 *   4. hash64 = digest[0..7] as a big-endian number, without version or variant bits.
 *
 * The same in SQL, with h = substr(sha256(convert_to(text, 'UTF8')), 1, 16):
 *   encode(set_byte(set_byte(h, 6, get_byte(h, 6) & 15 | 128), 8, get_byte(h, 8) & 63 | 128), 'hex')::uuid
 * and every part as replace(replace(part, E'\\', E'\\\\'), E'\n', E'\\n') || E'\n'.
 *
 * Example: domain "job", parts "a" and "b\c" (b, backslash, c): text = job⏎a⏎b\\c⏎ (11 bytes),
 * id = 8d03ae6f-055f-823e-b840-51066c04214b (tests/unit/test_key.c holds this and more vectors). */
#ifndef COMMON_CORE_KEY_H
#define COMMON_CORE_KEY_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/id.h"
#include "common/base/str.h"

/* `domain` is a literal of the program ("job", "run", "fire"): without backslash and newline. Aborts when SHA-256 is not to be had. */
void key_derive(struct id *out, const char *domain, const struct str *parts, size_t n);
uint64_t key_hash64(const char *domain, const struct str *parts, size_t n);

#endif
