/* context: the JSON that conditions and templates see: a wedding's facts as PostgreSQL gives them
 * (automation_priv.facts), plus the event, the
 * results of earlier steps and the rule. Scheduler and workers build it here, so that a condition means the same to
 * both. */
#ifndef COMMON_CORE_CONTEXT_H
#define COMMON_CORE_CONTEXT_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"
#include "common/core/logic.h"

#define CONTEXT_CHANGES_MAX 64 /* changed paths of one event that conditions can see */

/* Parses facts (an empty object when s.p is NULL or it is no object). New reference. */
json_t *context_new(struct str facts);

/* Sets context.event = payload + {"type", "id"}; payload may be NULL; texts with p == NULL are left out. */
void context_set_event(json_t *context, const json_t *payload, struct str type, struct str id);

/* The surroundings of evaluation: now, today (facts.today), the peak season (tenant.season_months, else May
 * to October), and
 * changes from event.changed / event.old. `changes` is the caller's memory; both are borrowed while `env` is in use. */
void context_env(const json_t *context, int64_t now_us, struct logic_change changes[CONTEXT_CHANGES_MAX],
                 struct logic_env *env);

/* The parts of a wedding's facts, and those that a condition (or none: NULL) reads: what else is asked for is of `attributes`. */
enum context_part {
    CONTEXT_WEDDING,
    CONTEXT_VENUE,
    CONTEXT_PROJECT,
    CONTEXT_CLIENT,
    CONTEXT_TENANT,
    CONTEXT_VENDORS,
    CONTEXT_TIMELINE,
    CONTEXT_TODAY, /* and now */
    CONTEXT_ATTRIBUTES,
    CONTEXT_PARTS
};
#define CONTEXT_ALL_PARTS ((1U << CONTEXT_PARTS) - 1)
unsigned context_parts_read(const struct logic *condition,
                            const struct logic_fields *fields); /* 1 << enum context_part, or-ed */
const char *context_part_name(enum context_part part);

#endif
