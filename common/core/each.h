/* each: where a run stands in a for_each.
 *
 * At entry the list is evaluated once and frozen in the run: steps.<id> = {"items": […], "at": n}, where `at` counts the items begun.
 * While there is an item the worker adds "since", the instant (µs) it was begun at: the item's event waits look back no further, or
 * the answer to one item would be taken for the answer to the next.
 * When an item's last step is done the run comes back to the for_each, which begins the next one or goes on behind the loop; the
 * items stay, so that a dead letter of any item can be run again. The settling transaction writes the cursor together with the next
 * job, so a killed worker repeats a step and never skips or doubles an item.
 *
 * The number of the iteration is part of the id of its jobs: 1 … n for the steps of the n-th item, for the for_each itself the items
 * begun before; 0 everywhere else. */
#ifndef COMMON_CORE_EACH_H
#define COMMON_CORE_EACH_H

#include <jansson.h>

#include "common/base/err.h"
#include "common/base/id.h"
#include "common/core/program.h"

#define EACH_ITEMS_MAX 200
#define EACH_BYTES_MAX ((size_t)64 * 1024) /* of the frozen list: every later claim of the run reads it */

/* What the for_each `s` leaves in the run: begins the next item. `list` is what its expression gave, looked at on first entry only
 * (NULL: unknown). *more tells whether there is an item. New reference, or NULL with `info`: no list, too many items, too long. */
json_t *each_step(const struct step *s, const json_t *context, const json_t *list, bool *more, struct err_info *info);

/* Has the list of `s` been frozen? */
bool each_begun(const struct step *s, const json_t *context);

/* The iteration that the job of step `s` belongs to. `key` is its first job's id, which a replay keeps: it tells the iteration even
 * when the cursor has moved on. -1: none of this run. */
int each_iteration(const struct program *p, const struct step *s, const json_t *context, const struct id *run,
                   int generation, const struct id *key);

/* Of the job that follows: `s` of the iteration `now` has left `output`, `next` comes. */
int each_following(const struct step *s, int now, const json_t *output, const struct step *next);

/* Gives the context of a step within a for_each "item". */
void each_set_item(const struct program *p, const struct step *s, int iteration, json_t *context);

#endif
