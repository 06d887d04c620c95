/* queue_limit: what the stores give to a bare C program on this machine: blocking libpq and hiredis, no retries, no parsing of payloads, no
 * failure handled. The loops write the rows that the worker writes, issue the statements that it issues, and run in children of
 * bench_queue that start stopped, so that all begin at once. */
#ifndef TESTS_BENCH_QUEUE_LIMIT_H
#define TESTS_BENCH_QUEUE_LIMIT_H

#include <stddef.h>
#include <sys/types.h>

enum queue_limit {
    QUEUE_LIMIT_READ_ACK, /* XREADGROUP, XACK */
    QUEUE_LIMIT_COPY,     /* COPY of the log rows alone; no counts, no Redis */
    QUEUE_LIMIT_OVERLAP, /* XREADGROUP, COPY of the log rows with their counts, XACK; two connections a process, so that they overlap */
    QUEUE_LIMIT_LEDGER, /* select due rows and XADD (one more process); XREADGROUP, claim, XACK, settle, COPY with counts */
    QUEUE_LIMIT_LEAST /* the same rows with the least SQL that changes them: no fence, no other outcome than success */
};

/* A stopped child that drains what is there in batches, and ends when it finds no more. */
pid_t queue_limit_start(enum queue_limit what, size_t batch, size_t n);
/* The stand-in for the leader, likewise: adds `n` due rows' ids. */
pid_t queue_limit_admit(size_t n);

#endif
