/* peer: a rule engine from npm as a co-process of bench_rules (tests/bench/peers.js): one round on request. */
#ifndef TESTS_BENCH_PEER_H
#define TESTS_BENCH_PEER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

struct peer {
    pid_t pid;
    FILE *to, *from;
};

struct peer_round {
    double us; /* CPU time per event */
    unsigned long matches;
    uint32_t hash;
};

/* Runs tests/bench/install-peers.sh for the folder `packages` of a package.json; false with the reason in `why`. */
bool peer_install(const char *dir, const char *packages, char *why, size_t size);

bool peer_open(struct peer *p, const char *name, const char *dir);
bool peer_run(struct peer *p, struct peer_round *out); /* false: it has died or answers nonsense */
void peer_close(struct peer *p);                       /* waits for its end; closed is fine */

#endif
