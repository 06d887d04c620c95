/* program_step: one action read into one step (private to program*.c). */
#ifndef COMMON_CORE_PROGRAM_STEP_H
#define COMMON_CORE_PROGRAM_STEP_H

#include <jansson.h>
#include <stdbool.h>

#include "common/core/program.h"
#include "common/core/rule_check.h"

/* Fills id (NULL when none is given), type, params, condition and wait of `s`, whose pointer is set. The lists of a branch are the
 * caller's. False when it is no action or its type is not available. */
bool program_step_read(struct rule_check *c, struct step *s, const json_t *action);

#endif
