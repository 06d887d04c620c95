/* queue_peer: other job queues, drained on the same stores (tests/bench/queue_peers). */
#ifndef TESTS_BENCH_QUEUE_PEER_H
#define TESTS_BENCH_QUEUE_PEER_H

#include <stdbool.h>
#include <stddef.h>

struct queue_peer {
    const char *metric;
    const char *name; /* of the script's first argument; "sidekiq": the Ruby one */
    const char *mode;
    size_t n;            /* jobs of a whole run */
    double least_direct; /* design: our bare entries are to be so many times faster; 0: no target */
    double least_ledger; /* our ledger jobs likewise */
};
#define QUEUE_PEERS 9
extern const struct queue_peer queue_peers[QUEUE_PEERS];

bool queue_peer_installed(size_t i, char *why, size_t size);
double queue_peer_drain(size_t i); /* jobs/s; 0: it failed, and said so in QUEUE_ENV_DIR/peer.log */

#endif
