/* queue_delay: how long jobs wait for their start: on an idle system, under an open load, beside a tenant that floods the queue; and the
 * same of bare loops on the same stores. */
#ifndef TESTS_BENCH_QUEUE_DELAY_H
#define TESTS_BENCH_QUEUE_DELAY_H

#include <stddef.h>

struct queue_delay {
    double p50_us, p95_us, p99_us;
};

/* One entry every 20 ms, from before XADD to its start. */
struct queue_delay queue_delay_idle_direct(void);
struct queue_delay queue_delay_bare_direct(void); /* XADD → a blocked XREADGROUP returns */
/* One job every 50 ms, from before enqueue_job in its own transaction to the start of its claim. */
struct queue_delay queue_delay_idle_ledger(void);
/* The same commit and XADD by a process that is notified, and a blocked XREADGROUP. */
struct queue_delay queue_delay_bare_ledger(void);
/* Bare entries at a constant rate for some seconds, two workers. */
struct queue_delay queue_delay_open_loop(double per_s);

/* Seconds until 95 % of the jobs of 19 tenants have started, which are a tenth of a saturating load of jobs that take take_ms; `flooded`:
 * with one more tenant that has enqueued the other nine tenths a second before; `killed`: and a worker is killed. */
double queue_delay_fair_p95_s(int take_ms, int flooded, int killed);

#endif
