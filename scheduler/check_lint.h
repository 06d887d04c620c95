/* check_lint: what is said of a good rule beside the tenant's others: chains that lead back to it (rule_lint_chain.h), and message
 * templates that do not exist. */
#ifndef SCHEDULER_CHECK_LINT_H
#define SCHEDULER_CHECK_LINT_H

#include "common/core/rule.h"
#include "common/io/store_lead.h"
#include "scheduler/lead.h"

/* Adds warnings to `errors`. `r` was parsed from `row` with `fields`. Fails only with the database. */
enum err check_lint(struct lead *l, const struct store_rule *row, const struct rule *r, struct logic_fields *fields,
                    struct rule_errors *errors, struct err_info *info) MUST_USE;

#endif
