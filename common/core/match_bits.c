/* match_bits: see match_bits.h. Nothing fails. */
#include "common/core/match_bits.h"

enum { BITS = 64 };

size_t match_bits_words(size_t n)
{
    return (n + BITS - 1) / BITS;
}

void match_bits_set(uint64_t *bits, size_t at)
{
    bits[at / BITS] |= UINT64_C(1) << (at % BITS);
}

void match_bits_insert(uint64_t *bits, size_t n_words, size_t at, bool set)
{
    size_t w = at / BITS;
    uint64_t below = (UINT64_C(1) << (at % BITS)) - 1;

    for (size_t i = n_words - 1; i > w; i--)
        bits[i] = bits[i] << 1 | bits[i - 1] >> (BITS - 1);
    bits[w] = (bits[w] & below) | (bits[w] & ~below) << 1 | (uint64_t)set << (at % BITS);
}

void match_bits_remove(uint64_t *bits, size_t n_words, size_t at)
{
    size_t w = at / BITS;
    uint64_t below = (UINT64_C(1) << (at % BITS)) - 1;

    bits[w] = (bits[w] & below) | (bits[w] >> 1 & ~below);
    for (; w + 1 < n_words; w++) {
        bits[w] |= bits[w + 1] << (BITS - 1);
        bits[w + 1] >>= 1;
    }
}
