/* envelope: bare stream entries (PROTOCOL.md, "Bare entries"): flat fields, `kind` and `payload` required.
 *
 *     XADD usher:{0}:in:default * kind thumbnail.render payload '{"id":7}'
 *
 * Pure: fields in, struct out; every text points into the entry. */
#ifndef COMMON_CORE_ENVELOPE_H
#define COMMON_CORE_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/id.h"
#include "common/base/str.h"

#define ENVELOPE_FIELDS_MAX 64
#define ENVELOPE_FIELD_MAX_BYTES 1024 /* of every field but the payload */
#define ENVELOPE_KEY_MAX_BYTES 200

struct envelope {
    struct str kind;
    struct str payload;     /* MessagePack map, or JSON object when it begins with '{' */
    struct id tenant;       /* zero: the platform */
    struct id wedding;      /* zero: none */
    struct str key;         /* unique key; n == 0: none */
    int64_t at_us;          /* not before; 0: now */
    int64_t deadline_us;    /* 0: none */
    int64_t timeout_ms;     /* 0: the kind's */
    int max_attempts;       /* 0: the kind's */
    struct str traceparent; /* W3C Trace Context, 55 bytes; n == 0: none */
};

/* `fields` alternates names and values, n of them. ERR_MALFORMED or ERR_LIMIT with the field, what was found and what
 * is expected.
 * Unknown fields and h.* are ignored. `at` and `deadline` are RFC 3339 or milliseconds since 1970. */
enum err envelope_parse(const struct str *fields, size_t n, struct envelope *out, struct err_info *info) MUST_USE;

/* The log key's id: a pure function of stream, entry id and the entry's bytes, so that ids that come again after a
 * loss of Redis
 * are other entries. */
void envelope_log_id(struct str stream, struct str entry_id, const struct str *fields, size_t n, struct id *out);

#endif
