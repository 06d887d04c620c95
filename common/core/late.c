/* late: see late.h. */
#include "common/core/late.h"

#include "common/core/civil.h"

#define US_PER_S INT64_C(1000000)
#define US_PER_DAY (CIVIL_SECONDS_PER_DAY * US_PER_S)
#define US_PER_MONTH (INT64_C(2629746) * US_PER_S)

enum lateness late_judge(const struct rule_settings *settings, int64_t due_us, int64_t now_us)
{
    const struct offset *o = &settings->late_grace;

    if (now_us - due_us <= o->months * US_PER_MONTH + o->days * US_PER_DAY + o->seconds * US_PER_S)
        return LATENESS_NONE;
    switch (settings->late) {
    case LATE_SKIP:
    case LATE_ASK: /* refused by the validator */ return LATENESS_PASSED;
    case LATE_FIRE_LATEST_ONLY: return LATENESS_UNLESS_LATER;
    case LATE_FIRE_ALL:
    case LATE_COUNT: return LATENESS_NONE;
    }
    return LATENESS_NONE;
}
