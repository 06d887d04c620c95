/* buf: capacity doubles and always leaves room for the NUL, so an append is amortised constant time.
 *
 * Failure: growth aborts when memory is gone or the size would overflow; see mem. */
#include "common/base/buf.h"

#include <assert.h>
#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/str.h"

#define FIRST_CAP ((size_t)64)

void buf_reserve(struct buf *b, size_t extra)
{
    if (extra < SIZE_MAX / 4 && b->len + extra < b->cap)
        return;
    if (extra >= SIZE_MAX / 4 || b->len >= SIZE_MAX / 4)
        abort();
    size_t cap = b->cap < FIRST_CAP ? FIRST_CAP : b->cap;

    while (cap <= b->len + extra)
        cap *= 2;
    b->data = mem_realloc(b->data, cap);
    b->cap = cap;
    b->data[b->len] = '\0';
}

void buf_put(struct buf *b, const void *p, size_t n)
{
    buf_reserve(b, n);
    if (n > 0)
        memcpy(b->data + b->len, p, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void buf_put_str(struct buf *b, const char *s)
{
    buf_put(b, s, strlen(s));
}

void buf_put_char(struct buf *b, char c)
{
    buf_put(b, &c, 1);
}

void buf_put_u8(struct buf *b, uint8_t v)
{
    buf_put(b, &v, 1);
}

/* Inlined with `n` known: a store, not a call of memcpy; rows of COPY are made of dozens of these. */
static inline void put_fixed(struct buf *b, const void *p, size_t n)
{
    if (b->len + n >= b->cap)
        buf_reserve(b, n);
    memcpy(b->data + b->len, p, n);
    b->len += n;
    b->data[b->len] = '\0';
}

void buf_put_be16(struct buf *b, uint16_t v)
{
    const uint16_t be = htobe16(v);

    put_fixed(b, &be, sizeof(be));
}

void buf_put_be32(struct buf *b, uint32_t v)
{
    const uint32_t be = htobe32(v);

    put_fixed(b, &be, sizeof(be));
}

void buf_put_be64(struct buf *b, uint64_t v)
{
    const uint64_t be = htobe64(v);

    put_fixed(b, &be, sizeof(be));
}

void buf_set_be32(struct buf *b, size_t at, uint32_t v)
{
    const uint32_t be = htobe32(v);

    assert(b->len >= sizeof(be) && at <= b->len - sizeof(be));
    memcpy(b->data + at, &be, sizeof(be));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_list again;

    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    if (n < 0)
        abort(); /* a bad format string is our mistake */
    buf_reserve(b, (size_t)n);
    (void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
    b->len += (size_t)n;
    va_end(again);
    va_end(ap);
}

static void put_json_ascii(struct buf *b, unsigned char c)
{
    static const char named[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};

    if (c == '"' || c == '\\') {
        buf_put_char(b, '\\');
        buf_put_char(b, (char)c);
    } else if (c < sizeof(named) && named[c] != 0) {
        buf_put_char(b, '\\');
        buf_put_char(b, named[c]);
    } else if (c < 0x20 || c == 0x7f) {
        buf_printf(b, "\\u%04x", c);
    } else {
        buf_put_char(b, (char)c);
    }
}

void buf_put_json(struct buf *b, const char *s, size_t n)
{
    size_t at = 0;

    buf_reserve(b, n + 2);
    buf_put_char(b, '"');
    while (at < n) {
        size_t len = str_utf8_len((struct str){s + at, n - at});
        if (len == 0)
            buf_put_str(b, "\xef\xbf\xbd"); /* U+FFFD */
        else if (len == 1)
            put_json_ascii(b, (unsigned char)s[at]);
        else
            buf_put(b, s + at, len);
        at += len == 0 ? 1 : len;
    }
    buf_put_char(b, '"');
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    if (b->data != NULL)
        b->data[0] = '\0';
}

void buf_free(struct buf *b)
{
    mem_free(b->data);
    *b = (struct buf){0};
}

const char *buf_text(const struct buf *b)
{
    return b->data == NULL ? "" : b->data;
}
