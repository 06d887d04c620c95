/* queue_bare: children that wait as the programs do and do nothing else: a reader in a blocked XREADGROUP, and, for the ledger, a stand-in
 * for the leader that is notified, selects what is due and adds it. */
#ifndef TESTS_BENCH_QUEUE_BARE_H
#define TESTS_BENCH_QUEUE_BARE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct queue_bare {
    pid_t pids[2];
    int n;
    int from;
};

void queue_bare_start(struct queue_bare *b, bool ledger);
/* When the reader got the next entry, µs of the wall clock; waits for it. */
int64_t queue_bare_next(struct queue_bare *b);
void queue_bare_stop(struct queue_bare *b);

#endif
