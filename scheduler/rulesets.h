/* rulesets: compiled rules in memory, the first level of the rule cache; below it are Redis (common/io/cache.h) and PostgreSQL. A
 * tenant's active rules are one rule set, kept under the tenant's rule set version: a set that is older than the version asked for is
 * brought up to date, recompiling only what changed. Revisions that runs are pinned to are kept one by one, for the `where` of event
 * waits. Both are dropped, least recently used first, above a number of bytes. One thread.
 *
 * Staleness: none. The statement that takes an event or a timing reads its tenant's version, and the match uses no set that is older; so
 * a match that begins after a commit has returned sees that commit. There is neither a channel nor a poll that could be late or lost.
 * What bounds a match under way is its own transaction: it goes on with the rules of the statement that took its events. */
#ifndef SCHEDULER_RULESETS_H
#define SCHEDULER_RULESETS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/id.h"
#include "common/base/str.h"
#include "common/core/match.h"
#include "common/io/cache.h"
#include "common/io/db.h"

#define RULESETS_BYTES ((size_t)256 * 1024 * 1024)

struct rulesets;
struct rulesets *rulesets_new(size_t max_bytes);
void rulesets_free(struct rulesets *c); /* NULL is fine */
/* The second level, borrowed; NULL: none. */
void rulesets_use_cache(struct rulesets *c, struct cache *second);
/* The database's epoch, for both levels: another one than before (a restored database counts versions and revisions again) drops all. */
void rulesets_epoch(struct rulesets *c, const struct id *epoch);
/* Drops all: with a new session, since its server may be one that lost the last commits of the one before. */
void rulesets_clear(struct rulesets *c);

/* The rules at `version` or, when they have changed since, at a newer one. Borrowed until the next call on the cache. A revision that
 * this program can not compile is logged and left out. Not in a transaction that has itself changed the tenant's rules: what is loaded
 * is kept, also when that transaction rolls back. */
enum err rulesets_get(struct rulesets *c, struct db_session *s, const struct id *tenant, int64_t version,
                      struct match **out, struct err_info *info) MUST_USE;

/* One pinned revision: a step's condition is evaluated with `facts`, which are made with the rule's own fields. */
struct rulesets_pinned {
    struct rule *rule;
    struct logic_facts *facts;
};
/* Borrowed likewise. NULL when the definition does not compile. */
const struct rulesets_pinned *rulesets_pinned(struct rulesets *c, const struct id *tenant, const struct id *rule,
                                              int64_t revision, struct str definition);

size_t rulesets_bytes(const struct rulesets *c);
size_t rulesets_count(const struct rulesets *c); /* sets and pinned revisions */
struct cache_stats rulesets_stats(const struct rulesets *c);
/* The same by level, as they are stored: what level 3 answers is a hit. */
struct store_cache_counts rulesets_counts(const struct rulesets *c);
/* Logs the counters as `rules.cache`, once a minute. */
void rulesets_report(struct rulesets *c, int64_t now_ms);

#endif
