/* lane: one settling connection: batches of executed jobs, one transaction each.
 *
 * Ledger jobs:   BEGIN → settle_jobs (rows, effects, next steps, counters) → COPY of the log → COMMIT → forget
 *   done, without run and effect: the same with settle_done, which takes ids and claim numbers alone
 * Bare, done:    BEGIN → COPY of the log → COMMIT → XACK
 * Bare, other:   BEGIN → adopt_entries → COPY of the first attempts' log → COMMIT → XACK
 *
 * Two lanes overlap. While one works the other waits for half a batch, which is group commit by itself. Jobs with
 * effects go in batches of their own.
 *
 * Failures end in ROLLBACK, whatever they were, and the jobs go back to what is executed:
 *   the log refuses the COPY (a key that stands, a missing month, no BYPASSRLS)   again through staging, which takes what is new
 *   a value is refused (22, 23, 54)   halves, down to the one job, which goes without it; so no other error makes a dead letter
 *   no room, no server (53, 57P)      the same batch after a pause that grows to 5 s
 *   anything else (locks, time limit, a damaged page)   halves too; the one that fails alone waits up to a minute between its
 *                                     tries, by itself, so that the others go on
 *   the reply to COMMIT is lost       again through staging: what had committed hits no row and logs nothing twice
 * If we die at any point before COMMIT, nothing of the batch happened and the rows are claimed again; after COMMIT and
 * before XACK the entry comes back and is stale. */
#ifndef WORKERS_LANE_H
#define WORKERS_LANE_H

#include <stdbool.h>

struct worker;
struct lane;

struct lane *lane_new(struct worker *w, int number);
void lane_kick(struct lane *l);
bool lane_idle(const struct lane *l);
void lane_close(struct lane *l, void (*closed)(void *arg), void *arg); /* drops what is under way, unsettled */
void lane_free(struct lane *l);

#endif
