/* rules_cache: what bench_rules measures of the rule cache, on a private PostgreSQL (fsync on) and a private Redis that it starts and
 * removes. A failure prints and ends the benchmark.
 *
 * The load of the hit rates is 200 tenants of 50 rules, asked by Zipf's law (exponent 1), one edit of a tenant drawn likewise to 1,000
 * questions: 500 questions a second and an edit every 2 s, 200 s of it without the pauses. It begins with nothing cached. */
#ifndef TESTS_BENCH_RULES_CACHE_H
#define TESTS_BENCH_RULES_CACHE_H

#include <jansson.h>

struct rules_cache_figures {
    double cold_ms;     /* `rules` of one tenant from PostgreSQL until they can be asked; median */
    double warm_ms;     /* the same from Redis */
    double held_p99_us; /* the same rules from memory */
    double without_pg;  /* share of questions answered by memory or Redis, % */
    double redis_only;  /* share answered by Redis when memory is not asked, % */
};

void rules_cache_measure(const json_t *rules, struct rules_cache_figures *out);

#endif
