/* base64: RFC 4648 §4, with padding. Decoding is strict: no blanks, no line breaks, padding required, unused bits zero. Pure. */
#ifndef COMMON_CORE_BASE64_H
#define COMMON_CORE_BASE64_H

#include <stddef.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"

void base64_encode(struct buf *out, const void *p, size_t n); /* appends 4 × ceil(n / 3) characters */

/* Writes at most `size` bytes to `out` and the number to `n`; ERR_MALFORMED, or ERR_LIMIT when `size` is too small. */
enum err base64_decode(struct str s, void *out, size_t size, size_t *n) MUST_USE;

#endif
