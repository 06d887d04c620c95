/* spread: how far a run's first step may be moved on from its planned moment, so that not all weddings are served in one second. */
#ifndef COMMON_CORE_SPREAD_H
#define COMMON_CORE_SPREAD_H

#include <jansson.h>
#include <stdint.h>

#include "common/base/id.h"
#include "common/core/rule.h"

#define SPREAD_PARTS 1000000

/* Where in the span a wedding's runs of one moment lie: 0 … SPREAD_PARTS - 1. A hash of the fire key without its rule, so that plays
 * repeat and the runs of a wedding, which follow one another by priority, are not reordered. */
uint32_t spread_share(const struct id *tenant, const struct id *wedding, int64_t due_us);

/* What SQL needs to move the first step (automation_priv.spread_due): {"share", "seconds", "herd", "until" (minute of the local
 * day), "zone"} and "limit" where there is one (advance_limit). `herd_s`: over how many seconds everything due in that minute is
 * spread; 0: it is not. Urgent rules and those with "smear": false take no part in that. NULL: nothing moves, as with every rule
 * without a milestone and with those that begin with a wait. New reference. */
json_t *spread_spec(const struct rule *rule, const struct id *tenant, const struct id *wedding, int64_t due_us,
                    int64_t herd_s);

#endif
