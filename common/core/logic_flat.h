/* logic_flat: the conditions of many rules as one: what `match` asks of a trigger's rules.
 *
 * Rules of one tenant ask the same questions of the same fields over and over. Here each distinct question (a predicate:
 * whatever stands below the `and`s, `or`s and `!`s) is held once and answered at most once per document, and a rule is a
 * few jumps over predicates, all rules side by side. Answers are those of logic_eval, reasons included: whatever these
 * jumps can not settle is left to it, and so are rules with operators that could end an evaluation (iterators, made
 * texts, try, throw …) and rules in jsonlogic mode. */
#ifndef COMMON_CORE_LOGIC_FLAT_H
#define COMMON_CORE_LOGIC_FLAT_H

#include <stddef.h>

#include "common/core/logic.h"

struct logic_flat;

struct logic_answer {
    enum logic_truth truth;
    struct logic_reason reason; /* when unknown */
    size_t asked;               /* grows by the rules that were evaluated */
};

/* The `n` rules (not the array) are borrowed until removed or it is freed; NULL stands for "no condition", which is true. All
 * of one interner. */
struct logic_flat *logic_flat_new(const struct logic *const *rules, size_t n);
void logic_flat_free(struct logic_flat *flat); /* NULL is fine */

/* A rule more at place i <= n; those from there on move up by one. */
void logic_flat_insert(struct logic_flat *flat, size_t i, const struct logic *rule);

/* Rule i, which is *rule, leaves; those after it move down. When predicates were first met in it, it is taken over, freed with the
 * flat, and *rule is NULL afterwards. What a removed rule took up is only given back then: with many removed, make a new one. */
void logic_flat_remove(struct logic_flat *flat, size_t i, struct logic **rule);

/* Once per document, after logic_facts_set, insertions and removals. */
void logic_flat_begin(struct logic_flat *flat);

/* As logic_eval of rules[i]; `reason` is set when the result is unknown. */
enum logic_truth logic_flat_eval(struct logic_flat *flat, size_t i, struct logic_facts *facts,
                                 struct logic_reason *reason);

/* Of the rules with their bit set in `marks`, the first from place `from` on that is not false, or how many there are. */
size_t logic_flat_next(struct logic_flat *flat, const uint64_t *marks, size_t from, struct logic_facts *facts,
                       struct logic_answer *answer);

size_t logic_flat_bytes(const struct logic_flat *flat);
size_t logic_flat_predicates(const struct logic_flat *flat); /* distinct ones */

#endif
