/* webhook: signing and verification after Standard Webhooks 1.0 (standardwebhooks.com), symmetric scheme v1.
 *
 * Signed content: id "." timestamp "." body, with the timestamp in whole seconds since 1970. Signature header: a list,
 * separated by single spaces, of "v1," and base64(HMAC-SHA256(secret, content)). A secret is "whsec_" and base64 of 24 to 64
 * bytes. Verification takes several secrets, so that they can be rotated, and ignores entries of other versions. Pure. */
#ifndef COMMON_CORE_WEBHOOK_H
#define COMMON_CORE_WEBHOOK_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"

#define WEBHOOK_TOLERANCE_S 300 /* both ways, as the specification recommends */
#define WEBHOOK_SECRET_MIN_BYTES 24
#define WEBHOOK_SECRET_MAX_BYTES 64
#define WEBHOOK_ID_MAX_BYTES 256
#define WEBHOOK_SIGNATURES_MAX 16 /* entries looked at: bounds the work of an unauthenticated request */

/* The three headers. */
struct webhook_headers {
    struct str id;
    struct str timestamp;
    struct str signature;
};

/* ERR_INVALID when the text is no secret. */
enum err webhook_check_secret(const char *secret) MUST_USE;

/* Appends the value of `webhook-signature`: one entry per secret, in their order. ERR_INVALID for a bad secret, an id that is empty,
 * too long, or holds '.', blanks or control characters, or a timestamp below zero; `out` is then unchanged. */
enum err webhook_sign(struct buf *out, const char *const *secrets, size_t n_secrets, const char *id,
                      int64_t timestamp_s, struct str body) MUST_USE;

/* ERR_OK when any entry was made with any secret. ERR_MALFORMED: headers missing or not readable; ERR_TIMEOUT: the timestamp is more than
 * tolerance_s away from now_s; ERR_DENIED: no signature fits; ERR_INVALID: a secret is none. The comparison takes constant time. */
enum err webhook_verify(const struct webhook_headers *h, const char *const *secrets, size_t n_secrets, struct str body,
                        int64_t now_s, int64_t tolerance_s) MUST_USE;

#endif
