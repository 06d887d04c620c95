/* explain: a compiled rule on one document, told in JSON for people: every node of its conditions, every step with its
 * rendered parameters and whether the run would come by it. Nothing is decided here: conditions are judged by logic_explain
 * (which returns what logic_eval returns), texts are rendered by template_render and template_tree_render, mails addressed by
 * recipient_find, as in a worker.
 *
 * `facts` must use the interner the rule was compiled with and be set to `context`. All results are new references. */
#ifndef COMMON_CORE_EXPLAIN_H
#define COMMON_CORE_EXPLAIN_H

#include <jansson.h>
#include <stdbool.h>

#include "common/core/logic.h"
#include "common/core/rule.h"

const char *explain_truth_text(enum logic_truth truth); /* "true", "false", "unknown": static */

/* {"truth", "reason", "nodes": [{"pointer", "op", "depth", "condition", "truth", "reason", "field", "value", "operands"}]};
 * pointers begin with `at`; an operand that is missing is null. `logic` NULL: {"truth": "true", "reason": "", "nodes": []}. */
json_t *explain_conditions(const struct logic *logic, struct logic_facts *facts, const char *at);

/* The parameters as the step would use them: {"params": {…}, "errors": [{"param", "reason", "message"}]}. For mails params.to is
 * the address; for webhooks params.data is what the body's `data` would be. The reason is the dead letter's word, or
 * "known_when_run" where the missing variable is the result of an earlier step. */
json_t *explain_params(const struct step *step, const json_t *context);

/* All steps in order: {"id", "index", "type", "pointer", "path", "params", "errors"}; path is "taken", "not_taken" or "undecided".
 * A branch has "condition" (explain_conditions) and "ways": {"then", "else"} of the same words; it is undecided when its
 * condition asks for results of earlier steps, which nobody knows yet. A for_each has "items", their number (null: not known yet, or
 * "refused" says why); its steps are told for the first item. `context` gets and loses "item" on the way. */
json_t *explain_steps(const struct rule *rule, struct logic_facts *facts, const struct logic_fields *fields,
                      json_t *context);

/* Does the rule, by one of its own steps, publish the event that triggers it? Returns that step, or NULL. */
const struct step *explain_self_trigger(const struct rule *rule);

#endif
