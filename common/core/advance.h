/* advance: what follows a step, in the form in which the ledger takes it. Scheduler (first step of a run) and worker
 * (next step)
 * both plan through here. */
#ifndef COMMON_CORE_ADVANCE_H
#define COMMON_CORE_ADVANCE_H

#include <jansson.h>

#include "common/base/id.h"
#include "common/core/program.h"
#include "common/core/rule.h"

/* The specification from which SQL derives when a step is due (automation_priv.resolve_due):
 * {"months","days","seconds"} from now,
 * {"time":"HH:MM"}, or {"milestone","months","days","seconds","at"};
 * for a wait for an event its timeout. Steps that reach people under a send window have {"window": {"days" (bits, Monday first),
 * "from", "to" (minutes), "zone", "outside"} and its limit (advance_limit)}: the next open instant, but not past the limit. NULL when the
 * step is due at once. New reference. */
json_t *advance_due(const struct rule *rule, const struct step *step);

/* {"days", "from", "to"}, a new reference. */
json_t *advance_window(const struct rule_window *w);

/* The key of a milestone trigger's timing: {"id", "milestone", "months", "days", "seconds", "zone"} and, where the trigger has them, "at",
 * "window", "yearly". New reference. */
json_t *advance_timing(const struct rule_trigger *t);

/* The milestone before which the runs begin, or NULL: what they do is not moved past it while it lies ahead. */
const char *advance_limit(const struct rule_trigger *t);

/* Puts it into a specification: "limit", and with a yearly trigger "yearly", since each run has a limit of its own year; nothing
 * where there is no limit. */
void advance_put_limit(const struct rule_trigger *t, json_t *spec);

/* The job's id: derived from run, step, iteration (of a for_each: each.h; else 0) and the run's generation, so that planning a step
 * twice is planning it once. */
void advance_job_id(const struct id *run, int step, int iteration, int generation, struct id *out);

#endif
