/* rules_gen: seeded rules and events for bench_rules, the same for every engine. */
#ifndef TESTS_BENCH_RULES_GEN_H
#define TESTS_BENCH_RULES_GEN_H

#include <jansson.h>
#include <stdint.h>

/* `n` rule documents over `n_types` event types in turn. Conditions: 3 to 6 comparisons under nested `and`, `or` and `!` over
 * wedding facts. New reference. */
json_t *rules_gen_rules(uint64_t seed, unsigned n, unsigned n_types);

/* `n` events [{"type", "context"}], of the types in turn. All facts are there and of the right type, so that engines with other
 * ideas of what is missing give the same answers. New reference. */
json_t *rules_gen_events(uint64_t seed, unsigned n, unsigned n_types);

#endif
