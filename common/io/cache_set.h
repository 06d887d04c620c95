/* cache_set: a tenant's rule set as bytes, for the cache's second level. One MessagePack array:
 *
 *   [1, tenant (bin, 16), version, [[rule (bin, 16), revision, definition (str)], …], digest (bin, 32)]
 *
 * 1 is the format's number and the digest is SHA-256 of all bytes before its own head. What is read comes from outside the program,
 * and a damaged definition would silently take a rule away: anything but a whole, undamaged set of that tenant at that version, in
 * the encoding that is written here, is refused. */
#ifndef COMMON_IO_CACHE_SET_H
#define COMMON_IO_CACHE_SET_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/id.h"
#include "common/base/str.h"
#include "common/io/store_lead.h"

/* Above this a set is not kept in Redis: reading it would hold up Redis's other clients for longer than PostgreSQL takes. */
#define CACHE_SET_MAX_BYTES ((size_t)8 * 1024 * 1024)

struct cache_set {
    struct store_rule *rules; /* the definitions are borrowed from the bytes; tenant_id is zero, as in PostgreSQL's rows */
    size_t n;
};

/* Replaces what `out` holds. ERR_LIMIT, with `out` empty, for a set above CACHE_SET_MAX_BYTES. */
enum err cache_set_encode(const struct id *tenant, int64_t version, const struct store_rule *rules, size_t n,
                          struct buf *out) MUST_USE;
/* ERR_MALFORMED: no such encoding, or damaged. ERR_INVALID: of another format, tenant or version. ERR_LIMIT: too large. ERR_NOMEM.
 * `out` is empty then. */
enum err cache_set_decode(struct str bytes, const struct id *tenant, int64_t version, struct cache_set *out) MUST_USE;
void cache_set_free(struct cache_set *set); /* back to {0}; {0} is fine */

#endif
