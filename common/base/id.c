/* id: version 7 UUIDs. The 12 bits behind the version hold the fraction of the millisecond (RFC 9562 §6.2, method 3), so that
 * ids of one process sort by time within a millisecond too; 62 random bits follow.
 *
 * Failure: a kernel without getrandom(2) can not make ids that are unique, so id_new aborts. */
#include "common/base/id.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "common/base/clock.h"

static void random_bytes(uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort();
        p += got;
        n -= (size_t)got;
    }
}

void id_new(struct id *out)
{
    uint64_t us = (uint64_t)clock_wall_us();
    uint64_t ms = us / 1000;
    unsigned fraction = (unsigned)(us % 1000 * 4096 / 1000);

    for (int i = 0; i < 6; i++)
        out->b[i] = (uint8_t)(ms >> (40 - 8 * i));
    out->b[6] = (uint8_t)(0x70 | fraction >> 8);
    out->b[7] = (uint8_t)fraction;
    random_bytes(out->b + 8, 8);
    out->b[8] = (uint8_t)(0x80 | (out->b[8] & 0x3f));
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

static bool dash_at(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

enum err id_parse(struct str s, struct id *out)
{
    struct id id = ID_ZERO;
    size_t digits = 0;

    if (s.n != ID_TEXT_SIZE - 1)
        return ERR_INVALID;
    for (size_t i = 0; i < s.n; i++) {
        if (dash_at(i)) {
            if (s.p[i] != '-')
                return ERR_INVALID;
            continue;
        }
        int v = hex_value(s.p[i]);
        if (v < 0)
            return ERR_INVALID;
        id.b[digits / 2] = (uint8_t)(id.b[digits / 2] << 4 | v);
        digits++;
    }
    *out = id;
    return ERR_OK;
}

const char *id_format(const struct id *id, char out[ID_TEXT_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    size_t digits = 0;

    for (size_t i = 0; i < ID_TEXT_SIZE - 1; i++) {
        if (dash_at(i)) {
            out[i] = '-';
            continue;
        }
        unsigned byte = id->b[digits / 2];
        out[i] = hex[digits % 2 == 0 ? byte >> 4 : byte & 0xf];
        digits++;
    }
    out[ID_TEXT_SIZE - 1] = '\0';
    return out;
}

bool id_eq(const struct id *a, const struct id *b)
{
    return id_cmp(a, b) == 0;
}

bool id_is_zero(const struct id *id)
{
    return id_eq(id, &ID_ZERO);
}

int id_cmp(const struct id *a, const struct id *b)
{
    return memcmp(a->b, b->b, sizeof(a->b));
}
