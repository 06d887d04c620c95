/* match_bits: one bit per entry of a bucket, by place (private to match*.c). */
#ifndef COMMON_CORE_MATCH_BITS_H
#define COMMON_CORE_MATCH_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

size_t match_bits_words(size_t n); /* that hold n bits */

void match_bits_set(uint64_t *bits, size_t at);

/* Bit `at` becomes `set`, those from there on move up by one; the highest of `n_words` words is lost. */
void match_bits_insert(uint64_t *bits, size_t n_words, size_t at, bool set);

/* Bits above `at` move down by one; the highest becomes 0. */
void match_bits_remove(uint64_t *bits, size_t n_words, size_t at);

/* The first bit set at or after `from`, or `n`. Here, since it is asked once per candidate. */
static inline size_t match_bits_next(const uint64_t *bits, size_t n, size_t from)
{
    enum { BITS = 64 };

    for (size_t w = from / BITS; w * BITS < n; w++) {
        uint64_t word = bits[w];

        if (w == from / BITS)
            word &= ~UINT64_C(0) << (from % BITS);
        if (word != 0) {
            size_t i = w * BITS + (size_t)__builtin_ctzll(word);

            return i < n ? i : n;
        }
    }
    return n;
}

#endif
