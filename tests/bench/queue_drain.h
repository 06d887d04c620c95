/* queue_drain: fills the queues and measures how long stopped processes take to empty them once they are let go. */
#ifndef TESTS_BENCH_QUEUE_DRAIN_H
#define TESTS_BENCH_QUEUE_DRAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Adds `n` bare entries, pipelined, and returns entries per second. */
double queue_drain_fill_direct(size_t n);
/* Inserts `n` due rows with automation.enqueue_jobs, `batch` in a statement and transaction; rows per second. */
double queue_drain_fill_ledger(size_t n, size_t batch);
/* Calls automation.enqueue_job `n` times, each in its own transaction on one connection; jobs per second. */
double queue_drain_fill_single(size_t n);
/* The same rows, inserted at once and without the door: for long backlogs. */
void queue_drain_fill_backlog(size_t n);

struct queue_drained {
    double per_s;        /* 0: not done in time; all are 0 then */
    double first_cpu_us; /* per job: of the first of `pids` */
    double all_cpu_us;   /* per job: of all of `pids` and of both stores */
};
/* Lets the stopped processes go (SIGCONT) and waits until `n` jobs are settled. They are not stopped again. */
struct queue_drained queue_drain_direct(const pid_t *pids, size_t n_pids, size_t n);
struct queue_drained queue_drain_ledger(const pid_t *pids, size_t n_pids, size_t n);
/* Until `n` more jobs of the ledger are acknowledged, of however many there are; stops the processes then. */
struct queue_drained queue_drain_some(const pid_t *pids, size_t n_pids, size_t n);
/* Until the processes have ended; waits for them. */
struct queue_drained queue_drain_ended(const pid_t *pids, size_t n_pids, size_t n);

#endif
