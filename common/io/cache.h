/* cache: the second level of the rule cache: tenants' rule sets in Redis, one string each, as cache_set.h writes them.
 *
 *   usher:{0}:rules:<epoch>:<tenant>:<version>
 *
 * A set never changes under its key: every commit that changes a tenant's rules raises the version, and the epoch changes when the
 * database is restored and versions are counted a second time. Whoever knows the version asks for that key alone, so a stale set is
 * never asked for and nothing has to be invalidated. A tenant whose rules are all off has a set of no rules, kept like any other.
 *
 * It is only a cache. Whatever is wrong with Redis is a miss: the cache has a connection of its own with a short deadline, and after
 * a failure it is off for a while that grows from a second to a minute, in which a look-up costs nothing. What is kept is bounded: a
 * set lives for an hour after its last use, a newer version removes the older, above max_bytes the least recently used go, and all go
 * when Redis has no memory left, since the streams need it more.
 *
 * One thread: the leader's duties. They run one after another, so no two loads of a set are ever under way at once. */
#ifndef COMMON_IO_CACHE_H
#define COMMON_IO_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/id.h"
#include "common/io/cache_set.h"

#define CACHE_KEY_SIZE 128
#define CACHE_KEPT_SECONDS 3600
#define CACHE_MAX_BYTES ((size_t)256 * 1024 * 1024)
/* A set of 8 MiB takes a tenth of a second at 1 Gbit/s; asking PostgreSQL instead takes about as long. */
#define CACHE_COMMAND_MS 250

struct cache_config {
    const char *url;    /* NULL: no Redis, everything is a miss. Borrowed. */
    int64_t kept_s;     /* 0: CACHE_KEPT_SECONDS */
    size_t max_bytes;   /* of all sets; 0: CACHE_MAX_BYTES */
    int64_t timeout_ms; /* of connecting and of each command; 0: CACHE_COMMAND_MS */
};

/* Since the start of the process. Hit rate of a level: hits / (hits + misses); what level 2 skipped it was not asked. */
struct cache_stats {
    uint64_t l1_hits, l1_misses;
    uint64_t l2_hits, l2_misses;
    uint64_t l2_skipped; /* Redis was off */
    uint64_t l2_refused; /* of the misses: a value that did not decode */
    uint64_t l2_failed;  /* commands and connections */
    uint64_t l2_stored;
    uint64_t l2_too_large; /* not stored */
    uint64_t l3_loads, l3_failed;
};

struct cache;
struct cache *cache_new(const struct cache_config *config);
void cache_free(struct cache *c); /* NULL is fine; what is in Redis stays */

/* Connects when there is no connection and it is time to try: takes at most the time-out, besides looking a name up. Outside
 * transactions: cache_get and cache_put never connect. */
void cache_connect(struct cache *c);
/* The database's epoch; the zero id turns the cache off. */
void cache_epoch(struct cache *c, const struct id *epoch);

/* The tenant's rules at that version; false: not known here. *out is borrowed until the next call on the cache. */
bool cache_get(struct cache *c, const struct id *tenant, int64_t version, struct cache_set *out);
/* `version` and `rules` are of one snapshot of the database, of committed rules only: not of a transaction that has itself changed
 * the tenant's rules and may yet roll back. */
void cache_put(struct cache *c, const struct id *tenant, int64_t version, const struct store_rule *rules, size_t n);

/* The key; returns out. */
const char *cache_key(const struct id *epoch, const struct id *tenant, int64_t version, char out[CACHE_KEY_SIZE]);
/* The counters of level 2; the others are zero. */
const struct cache_stats *cache_stats(const struct cache *c);

#endif
