/* buf: a growable byte buffer. Always NUL-terminated one past `len`, so text buffers can be printed. Growth aborts when
 * memory is gone, so whoever appends outside input bounds it first. */
#ifndef COMMON_BASE_BUF_H
#define COMMON_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

/* Zero-initialise ({0}) before use. */
struct buf {
    char *data; /* NULL until the first append */
    size_t len;
    size_t cap;
};

void buf_reserve(struct buf *b, size_t extra);
void buf_put(struct buf *b, const void *p, size_t n);
void buf_put_str(struct buf *b, const char *s);
void buf_put_char(struct buf *b, char c);
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_be16(struct buf *b, uint16_t v);
void buf_put_be32(struct buf *b, uint32_t v);
void buf_put_be64(struct buf *b, uint64_t v);
void buf_set_be32(struct buf *b, size_t at, uint32_t v); /* overwrites; at + 4 <= len */
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_put_json(struct buf *b, const char *s, size_t n); /* a JSON string with quotes; invalid UTF-8 becomes U+FFFD */
void buf_reset(struct buf *b);                             /* len = 0, memory kept */
void buf_free(struct buf *b);                              /* back to {0} */
const char *buf_text(const struct buf *b);                 /* NUL-terminated, "" when empty */

#endif
