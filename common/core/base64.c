#include "common/core/base64.h"

#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buf *out, const void *p, size_t n)
{
    const uint8_t *in = p;
    buf_reserve(out, (n + 2) / 3 * 4);
    for (size_t i = 0; i < n; i += 3) {
        size_t have = n - i < 3 ? n - i : 3;
        uint32_t v = (uint32_t)in[i] << 16 | (have > 1 ? (uint32_t)in[i + 1] << 8 : 0) | (have > 2 ? in[i + 2] : 0);
        char group[4] = {alphabet[v >> 18 & 63], alphabet[v >> 12 & 63], alphabet[v >> 6 & 63], alphabet[v & 63]};
        if (have < 3)
            group[3] = '=';
        if (have < 2)
            group[2] = '=';
        buf_put(out, group, sizeof(group));
    }
}

/* The character's value, or -1. */
static int value_of(char c)
{
    const char *at = c != '\0' ? strchr(alphabet, c) : NULL;
    return at != NULL ? (int)(at - alphabet) : -1;
}

/* Decodes four characters of which the last `pad` are padding. */
static enum err decode_group(const char *p, size_t pad, uint32_t *out)
{
    uint32_t v = 0;
    for (size_t i = 0; i < 4 - pad; i++) {
        int d = value_of(p[i]);
        if (d < 0)
            return ERR_MALFORMED;
        v |= (uint32_t)d << (18 - 6 * i);
    }
    uint32_t unused = pad == 0 ? 0 : pad == 1 ? 0xff : 0xffff;
    *out = v;
    return (v & unused) == 0 ? ERR_OK : ERR_MALFORMED;
}

enum err base64_decode(struct str s, void *out, size_t size, size_t *n)
{
    uint8_t *to = out;
    *n = 0;
    if (s.n % 4 != 0)
        return ERR_MALFORMED;
    for (size_t i = 0; i < s.n; i += 4) {
        bool last = i + 4 == s.n;
        size_t pad = last ? (size_t)(s.p[i + 3] == '=') + (size_t)(s.p[i + 3] == '=' && s.p[i + 2] == '=') : 0;
        uint32_t v;
        enum err e = decode_group(s.p + i, pad, &v);
        if (e != ERR_OK)
            return e;
        for (size_t k = 0; k < 3 - pad; k++) {
            if (*n == size)
                return ERR_LIMIT;
            to[(*n)++] = (uint8_t)(v >> (16 - 8 * k));
        }
    }
    return ERR_OK;
}
