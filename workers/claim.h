/* claim: ids read from q: streams become jobs.
 *
 * One statement per batch, one batch at a time; XACK of the batch follows the reply, so nothing lingers in the pending list.
 * Ids whose row could not be claimed (done, someone else's, not due any more) are only acknowledged. Of jobs whose claims
 * crashed twice (suspects) one at a time is claimed, and nothing is read or claimed until it has been settled; then everything else
 * has its turn for as long as that took, before the next one.
 * Failures: no reply (the COMMIT may have happened): the same question is asked again, locking instead of skipping, until
 * answered; meanwhile nothing is acknowledged. If we die before the XACK, the entry comes back idle and is then stale or
 * claimed from the dead. */
#ifndef WORKERS_CLAIM_H
#define WORKERS_CLAIM_H

#include <stdbool.h>
#include <stddef.h>

struct worker;
struct claimer;
struct queue_entry;

struct claimer *claim_new(struct worker *w);
void claim_add(struct claimer *c, size_t stream, const struct queue_entry *e);
void claim_kick(struct claimer *c);
size_t claim_waiting(const struct claimer *c); /* read and not yet answered */
bool claim_busy(const struct claimer *c);      /* a question is to be answered: its rows may be ours */
/* Draining: what was not asked for yet is acknowledged, so that the leader adds it again at once. */
void claim_give_up(struct claimer *c);
void claim_free(struct claimer *c);

#endif
