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

/* The `n` rules are borrowed until it is freed; NULL stands for "no condition", which is true. All of one interner. */
struct logic_flat *logic_flat_new(const struct logic *const *rules, size_t n);
void logic_flat_free(struct logic_flat *flat); /* NULL is fine */

/* Once per document, after logic_facts_set. */
void logic_flat_begin(struct logic_flat *flat);

/* As logic_eval of rules[i]; `reason` is set when the result is unknown. */
enum logic_truth logic_flat_eval(struct logic_flat *flat, size_t i, struct logic_facts *facts,
                                 struct logic_reason *reason);

size_t logic_flat_bytes(const struct logic_flat *flat);
size_t logic_flat_predicates(const struct logic_flat *flat); /* distinct ones */

#endif
