/* rule_lint_template: what a rule says of message templates, which stand outside it. */
#ifndef COMMON_CORE_RULE_LINT_TEMPLATE_H
#define COMMON_CORE_RULE_LINT_TEMPLATE_H

#include "common/base/str.h"
#include "common/core/rule.h"

/* Warns, in `errors`, at each step whose `template` is `name`, of which the caller knows that there is none. */
void rule_lint_template_missing(const struct rule *r, struct str name, struct rule_errors *errors);

#endif
