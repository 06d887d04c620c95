/* late: whether an instant that has passed is later than a rule tolerates. */
#ifndef COMMON_CORE_LATE_H
#define COMMON_CORE_LATE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/core/rule.h"

/* True when `now_us` is beyond the grace after `due_us`: the rule's late policy decides then. A month of the grace counts
 * 30.436875 days: a grace is no appointment. */
bool late_is_beyond(const struct rule_settings *settings, int64_t due_us, int64_t now_us);

#endif
