/* late: whether an instant that has passed is later than a rule tolerates. */
#ifndef COMMON_CORE_LATE_H
#define COMMON_CORE_LATE_H

#include <stdint.h>

#include "common/core/rule.h"

enum lateness {
    LATENESS_NONE,         /* fires: in time, within the grace, or the policy is fire_all */
    LATENESS_UNLESS_LATER, /* fires unless a later instant of such a rule is due for the wedding already: fire_latest_only */
    LATENESS_PASSED        /* is skipped */
};

/* The late policy's answer for an instant `due_us` that is first seen at `now_us`. A month of the grace counts 30.436875 days: a
 * grace is no appointment. */
enum lateness late_judge(const struct rule_settings *settings, int64_t due_us, int64_t now_us);

#endif
