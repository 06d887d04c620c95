/* key: SHA-256 over escaped text; the layout is in key.h. */
#include "common/core/key.h"

#include <assert.h>
#include <string.h>

#include "common/core/hash.h"

static void put_escaped(struct hash *h, struct str part)
{
    size_t from = 0;
    for (size_t i = 0; i < part.n; i++) {
        if (part.p[i] != '\\' && part.p[i] != '\n')
            continue;
        hash_put(h, part.p + from, i - from);
        hash_put(h, part.p[i] == '\n' ? "\\n" : "\\\\", 2);
        from = i + 1;
    }
    if (part.n > from)
        hash_put(h, part.p + from, part.n - from);
    hash_put(h, "\n", 1);
}

static void digest(uint8_t out[HASH_SIZE], const char *domain, const struct str *parts, size_t n)
{
    assert(strpbrk(domain, "\\\n") == NULL);
    struct hash *h = hash_new();
    put_escaped(h, str_of(domain));
    for (size_t i = 0; i < n; i++)
        put_escaped(h, parts[i]);
    hash_done(h, out);
}

void key_derive(struct id *out, const char *domain, const struct str *parts, size_t n)
{
    uint8_t d[HASH_SIZE];
    digest(d, domain, parts, n);
    memcpy(out->b, d, sizeof(out->b));
    out->b[6] = (uint8_t)((out->b[6] & 0x0f) | 0x80);
    out->b[8] = (uint8_t)((out->b[8] & 0x3f) | 0x80);
}

uint64_t key_hash64(const char *domain, const struct str *parts, size_t n)
{
    uint8_t d[HASH_SIZE];
    digest(d, domain, parts, n);
    uint64_t h = 0;
    for (size_t i = 0; i < sizeof(h); i++)
        h = h << 8 | d[i];
    return h;
}
