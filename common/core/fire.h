/* fire: one firing of a rule: what names it, and why it starts no run. Planning and previews decide through here; what only the database
 * knows of earlier runs (automation_priv.plan_runs) comes after it. */
#ifndef COMMON_CORE_FIRE_H
#define COMMON_CORE_FIRE_H

#include <stdbool.h>

#include "common/base/id.h"
#include "common/base/str.h"
#include "common/core/logic.h"
#include "common/core/rule.h"

/* The fire key. */
struct fire {
    struct id tenant_id, rule_id, wedding_id; /* wedding: zero for none */
    struct id ref;                            /* timing or event */
    int occurrence;                           /* of a yearly timing, or of one that fires again; 0: the first */
};

/* The occurrence that counts for this rule: a timing may have fired more often than this rule of its wants. */
int fire_occurrence(const struct rule *rule, int occurrence);

/* The run's id: derived from its fire key, so that planning it twice plans it once. */
void fire_run_id(const struct fire *f, const struct rule *rule, struct id *out);

/* Postponed, cancelled or archived: such a wedding's timings do not fire. */
bool fire_is_off(struct str wedding_status);

/* Why no run starts, in the order in which it is asked; NULL: nothing speaks against it. `outrun`: its instant has passed by more than
 * the rule tolerates (late_judge); `unknown` is the reason when the conditions can not be decided. */
const char *fire_skip(bool outrun, enum logic_truth truth, const char *unknown);

#endif
