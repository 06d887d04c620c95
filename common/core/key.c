/* key: SHA-256 over escaped text; the layout is in key.h. */
#include "common/core/key.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "common/core/hash.h"

/* Short parts are gathered: a call into libcrypto costs as much as hashing 64 bytes. */
struct gather {
    struct hash *hash;
    size_t n;
    char bytes[256];
};

static void put(struct gather *g, const char *p, size_t n)
{
    if (g->n + n > sizeof(g->bytes)) {
        hash_put(g->hash, g->bytes, g->n);
        g->n = 0;
    }
    if (n > sizeof(g->bytes)) {
        hash_put(g->hash, p, n);
        return;
    }
    memcpy(g->bytes + g->n, p, n);
    g->n += n;
}

static void put_escaped(struct gather *g, struct str part)
{
    size_t from = 0;
    bool plain = part.n == 0 || (!memchr(part.p, '\\', part.n) && !memchr(part.p, '\n', part.n));
    for (size_t i = 0; !plain && i < part.n; i++) {
        if (part.p[i] != '\\' && part.p[i] != '\n')
            continue;
        put(g, part.p + from, i - from);
        put(g, part.p[i] == '\n' ? "\\n" : "\\\\", 2);
        from = i + 1;
    }
    if (part.n > from)
        put(g, part.p + from, part.n - from);
    put(g, "\n", 1);
}

static void digest(uint8_t out[HASH_SIZE], const char *domain, const struct str *parts, size_t n)
{
    struct gather g;
    g.hash = hash_new();
    g.n = 0;
    assert(strpbrk(domain, "\\\n") == NULL);
    put_escaped(&g, str_of(domain));
    for (size_t i = 0; i < n; i++)
        put_escaped(&g, parts[i]);
    hash_put(g.hash, g.bytes, g.n);
    hash_done(g.hash, out);
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
