/* reader: takes entries from the streams.
 *
 * Idle: one XREADGROUP blocks on all streams with COUNT 1, so that at most one entry per stream exceeds the room. A
 * stream that gave
 * something is hot: hot streams are read by themselves, without blocking, with the free room as COUNT, in turn, until
 * one gives
 * less than was asked. No room: nothing is read until reader_kick. Every 10 s idle entries of others are taken over
 * (XAUTOCLAIM).
 * Failures: connection lost: the connection reconnects; what a lost reply delivered is pending: of q: streams it is asked for again at
 * once, of in: streams it comes back idle; NOGROUP: the groups are made again, and what then comes again from in: is adopted. */
#ifndef WORKERS_READER_H
#define WORKERS_READER_H

#include <stdbool.h>

struct worker;
struct reader;

struct reader *reader_new(struct worker *w);
void reader_kick(struct reader *r);
/* Is a reply on its way that may hold entries? A read that blocks ends within two seconds. */
bool reader_awaits(const struct reader *r);
/* Did a stream give something lately, and not run dry since? */
bool reader_expects(const struct reader *r);
void reader_free(struct reader *r);

#endif
