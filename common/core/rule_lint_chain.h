/* rule_lint_chain: what can only be said about several rules of a tenant: that one starts another which, perhaps by way of more, starts
 * the first again.
 *
 * A step starts a rule when it publishes the event that the rule waits for (emit_event; a change of the stage or of the number of
 * guests), or names it (start_rule). Tags publish nothing, so they start nothing. Where a rule asks its event for a value and
 * the step publishes another one, written out, there is no way from one to the other; all else is taken for possible. */
#ifndef COMMON_CORE_RULE_LINT_CHAIN_H
#define COMMON_CORE_RULE_LINT_CHAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/id.h"
#include "common/core/rule.h"

struct rule_lint_peer {
    const struct rule *rule;
    const struct id *id; /* NULL: not known, then no start_rule leads here */
};

/* Warns, in `errors`, of the shortest chain that leads from rules[self] back to it, at the step that begins it; rules that start
 * themselves by an event alone have been warned of when they were parsed. All rules were parsed with `fields`. Takes steps × rules
 * comparisons, so the caller bounds `n`. */
void rule_lint_chain(const struct rule_lint_peer *rules, size_t n, size_t self, const struct logic_fields *fields,
                     struct rule_errors *errors);
/* False when it starts nothing, or a milestone starts it: then the others need not be looked at. */
bool rule_lint_chain_possible(const struct rule *r);

#endif
