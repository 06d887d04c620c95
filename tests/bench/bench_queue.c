/* bench_queue: what the queue does in a second, in one run on one machine with what the stores would give (bare C loops that write the same
 * rows) and with job queues from npm and Debian.
 *
 * Rounds of all sides alternate; medians of rounds and of their ratios are reported, one JSON line per metric. SCALE=0.1 is a quick look;
 * ONLY=direct,ledger,delay,growth,fair,peers runs parts. Failure: a metric that can not be had is printed with "ok":false and the reason;
 * exit status 1 when any is not ok. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/base/clock.h"
#include "common/base/str.h"
#include "common/io/rconn.h"
#include "tests/bench/peer.h"
#include "tests/bench/queue_delay.h"
#include "tests/bench/queue_drain.h"
#include "tests/bench/queue_env.h"
#include "tests/bench/queue_limit.h"
#include "tests/bench/queue_peer.h"
#include "tests/bench/queue_report.h"

enum side {
    XADD,
    READ_ACK,
    COPY,
    OVERLAP_1P,
    OVERLAP_2P,
    LEDGER_2P,
    LEAST_2P,
    SQL_SINGLE,
    SQL_BULK,
    DIRECT_1W,
    DIRECT_2W,
    LEDGER_2W,
    CPU,
    RSS,
    SIDES
};
static struct queue_samples samples[SIDES];

static const size_t batches[] = {500, 1000, 2000, 5000};
static size_t best_batch[SIDES];

/* ---- one measurement each ---- */

static double limit(enum queue_limit what, int processes, size_t batch)
{
    const bool ledger = what >= QUEUE_LIMIT_LEDGER;
    const size_t n = ledger ? queue_env_n(50000, 5000) : queue_env_n(100000, 10000);
    struct queue_drained d;
    pid_t pids[4];
    size_t k = 0;

    queue_env_clean();
    if (ledger)
        queue_samples_add(&samples[SQL_BULK], queue_drain_fill_ledger(n, 1000));
    else if (what != QUEUE_LIMIT_COPY)
        queue_samples_add(&samples[XADD], queue_drain_fill_direct(n));
    if (ledger)
        pids[k++] = queue_limit_admit(n);
    for (int i = 0; i < processes; i++)
        pids[k++] = queue_limit_start(what, batch, n / (size_t)processes);
    if (what == QUEUE_LIMIT_COPY)
        d = queue_drain_ended(pids, k, n);
    else
        d = ledger ? queue_drain_ledger(pids, k, n) : queue_drain_direct(pids, k, n);
    if (d.per_s <= 0)
        queue_env_kill(pids, k);
    for (size_t i = 0; i < k && what != QUEUE_LIMIT_COPY && d.per_s > 0; i++)
        waitpid(pids[i], NULL, 0);
    return d.per_s;
}

static double ours(bool ledger, int workers)
{
    static const char *const scheduler_args[] = {"--direct-max", "10000000", NULL}; /* nothing is moved to the ledger */
    const size_t n = ledger ? queue_env_n(50000, 5000) : queue_env_n(100000, 10000);
    struct queue_drained d;
    pid_t pids[4];
    size_t k = 0;

    queue_env_clean();
    for (int i = 0; i < workers; i++)
        pids[k++] = queue_env_worker(NULL);
    pids[k++] = queue_env_scheduler(scheduler_args);
    queue_env_ready(workers);
    (void)poll(NULL, 0, 1500); /* until there is a leader */
    queue_env_signal(pids, k, SIGSTOP);
    if (ledger)
        queue_samples_add(&samples[SQL_BULK], queue_drain_fill_ledger(n, 1000));
    else
        queue_samples_add(&samples[XADD], queue_drain_fill_direct(n));
    d = ledger ? queue_drain_ledger(pids, k, n) : queue_drain_direct(pids, k, n);
    if (!ledger && workers == 1 && d.per_s > 0) {
        queue_samples_add(&samples[CPU], d.first_cpu_us);
        queue_samples_add(&samples[RSS], queue_env_use(pids[0]).rss_mb);
    }
    d.per_s > 0 ? queue_env_stop(pids, k) : queue_env_kill(pids, k);
    return d.per_s;
}

static double sql_single(void)
{
    const size_t n = queue_env_n(5000, 500);
    double per_s;

    queue_env_clean();
    per_s = queue_drain_fill_single(n);
    return per_s;
}

/* ---- drains, in turn ---- */

struct pair {
    enum side limit;
    enum queue_limit what;
    int processes;
    enum side side; /* what is ours beside it; SIDES: nothing */
};
static const struct pair direct_pairs[] = {{READ_ACK, QUEUE_LIMIT_READ_ACK, 1, SIDES},
                                           {COPY, QUEUE_LIMIT_COPY, 1, SIDES},
                                           {OVERLAP_1P, QUEUE_LIMIT_OVERLAP, 1, DIRECT_1W},
                                           {OVERLAP_2P, QUEUE_LIMIT_OVERLAP, 2, DIRECT_2W}};
static const struct pair ledger_pairs[] = {{LEDGER_2P, QUEUE_LIMIT_LEDGER, 2, LEDGER_2W},
                                           {LEAST_2P, QUEUE_LIMIT_LEAST, 2, SIDES}};

/* A quick look takes the usual one. */
static void find_best_batch(const struct pair *p)
{
    double best = 0;

    best_batch[p->limit] = 1000;
    for (size_t b = 0; b < sizeof(batches) / sizeof(batches[0]) && queue_env.scale >= 1; b++) {
        double per_s = limit(p->what, p->processes, batches[b]);
        if (per_s > best)
            best_batch[p->limit] = batches[b];
        best = per_s > best ? per_s : best;
    }
}

static void drain_rounds(const struct pair *pairs, size_t n)
{
    const size_t rounds = queue_env.scale < 1 ? 3 : 5;

    for (size_t i = 0; i < n; i++)
        find_best_batch(&pairs[i]);
    for (size_t i = 0; i < n * rounds; i++) {
        const struct pair *p = &pairs[i % n];
        queue_samples_add(&samples[p->limit], limit(p->what, p->processes, best_batch[p->limit]));
        if (p->side != SIDES)
            queue_samples_add(&samples[p->side], ours(p->what == QUEUE_LIMIT_LEDGER, p->processes));
    }
}

static double middle(enum side side)
{
    return queue_samples_median(&samples[side]);
}

static void measure_direct(void)
{
    drain_rounds(direct_pairs, sizeof(direct_pairs) / sizeof(direct_pairs[0]));
    queue_report_value("limit_xadd", middle(XADD), "jobs/s");
    queue_report_value("limit_read_ack", middle(READ_ACK), "jobs/s");
    queue_report_value("limit_copy", middle(COPY), "jobs/s");
    queue_report_value("limit_overlap_1p", middle(OVERLAP_1P), "jobs/s");
    queue_report_value("limit_overlap_2p", middle(OVERLAP_2P), "jobs/s");
    queue_report_value("enqueue_direct", middle(XADD), "jobs/s");
    queue_report_ratio("drain_direct_1w", middle(DIRECT_1W), "jobs/s",
                       queue_samples_ratio(&samples[DIRECT_1W], &samples[OVERLAP_1P]), "limit_overlap_1p", 0.9, 0);
    queue_report_ratio("drain_direct_2w", middle(DIRECT_2W), "jobs/s",
                       queue_samples_ratio(&samples[DIRECT_2W], &samples[OVERLAP_2P]), "limit_overlap_2p", 0.9, 0);
    queue_report_at_most("worker_cpu_us_per_job", middle(CPU), "us", 5);
    queue_report_at_most("worker_rss_mb", middle(RSS), "MB", 25);
}

static void measure_ledger(void)
{
    drain_rounds(ledger_pairs, sizeof(ledger_pairs) / sizeof(ledger_pairs[0]));
    for (int i = 0; i < 3; i++)
        queue_samples_add(&samples[SQL_SINGLE], sql_single());
    queue_report_value("limit_ledger_2p", middle(LEDGER_2P), "jobs/s");
    queue_report_value("limit_ledger_least_2p", middle(LEAST_2P), "jobs/s");
    queue_report_value("enqueue_sql_single", middle(SQL_SINGLE), "jobs/s");
    queue_report_value("enqueue_sql_bulk", middle(SQL_BULK), "jobs/s");
    queue_report_ratio("drain_ledger_2w", middle(LEDGER_2W), "jobs/s",
                       queue_samples_ratio(&samples[LEDGER_2W], &samples[LEDGER_2P]), "limit_ledger_2p", 0.8, 0);
}

/* ---- delays ---- */

static void measure_delays(void)
{
    struct queue_delay bare = queue_delay_bare_direct(), direct = queue_delay_idle_direct();

    queue_report_value("limit_idle_direct_p50_us", bare.p50_us, "us");
    queue_report_value("limit_idle_direct_p99_us", bare.p99_us, "us");
    queue_report_ratio("idle_direct_p50_us", direct.p50_us, "us", direct.p50_us / bare.p50_us,
                       "limit_idle_direct_p50_us", 0, 1.5);
    queue_report_ratio("idle_direct_p99_us", direct.p99_us, "us", direct.p99_us / bare.p99_us,
                       "limit_idle_direct_p99_us", 0, 2);
    struct queue_delay bare_ledger = queue_delay_bare_ledger(), ledger = queue_delay_idle_ledger();
    queue_report_value("limit_idle_ledger_p99_ms", bare_ledger.p99_us / 1000, "ms");
    queue_report_ratio("idle_ledger_p99_ms", ledger.p99_us / 1000, "ms", ledger.p99_us / bare_ledger.p99_us,
                       "limit_idle_ledger_p99_ms", 0, 3);
    double rate = middle(DIRECT_2W) > 0 ? middle(DIRECT_2W) : ours(false, 2);
    queue_report_value("open_loop_50_p99_ms", queue_delay_open_loop(rate * 0.5).p99_us / 1000, "ms");
    queue_report_value("open_loop_80_p99_ms", queue_delay_open_loop(rate * 0.8).p99_us / 1000, "ms");
}

static void measure_fairness(void)
{
    static const int takes_ms[] = {1, 1000};
    double worst = 0, at = 0;

    for (int i = 0; i < 2; i++) {
        double solo = queue_delay_fair_p95_s(takes_ms[i], 0, 0);
        for (int killed = 0; killed < 2; killed++) {
            double flooded = queue_delay_fair_p95_s(takes_ms[i], 1, killed);
            (void)fprintf(stderr, "   jobs of %d ms%s: p95 alone %.2f s, beside the flood %.2f s\n", takes_ms[i],
                          killed ? ", a worker killed" : "", solo, flooded);
            if (flooded - solo >= worst) {
                worst = flooded - solo;
                at = flooded;
            }
        }
    }
    queue_report_value("fairness_worst_p95_s", at, "s");
    queue_report_at_most("fairness_p95_s", worst, "s beyond solo", 2);
}

/* ---- growth: CPU time of all processes per job, with few and with many jobs due ---- */

/* What `n` jobs of a backlog cost, each; a short one is filled again and again. */
static struct queue_drained growth_drain(const pid_t *pids, size_t backlog, size_t n)
{
    struct queue_drained d = {.all_cpu_us = 0};
    double sum = 0;

    for (size_t done = 0, piece; done < n; done += piece) {
        piece = backlog > n ? n : backlog;
        if (backlog <= n) {
            queue_env_signal(pids, 2, SIGSTOP);
            queue_drain_fill_backlog(piece);
        }
        d = queue_drain_some(pids, 2, piece);
        if (d.per_s == 0)
            return d;
        sum += d.all_cpu_us * (double)piece;
    }
    d.all_cpu_us = sum / (double)n;
    return d;
}

/* The first jobs are not measured: what a leader does when it takes over, and every ten minutes, is no part of a job. */
static double growth_cost(size_t backlog, size_t n)
{
    struct queue_drained d;
    pid_t pids[2];

    queue_env_clean();
    if (backlog > n)
        queue_drain_fill_backlog(backlog);
    pids[0] = queue_env_worker(NULL);
    pids[1] = queue_env_scheduler(NULL);
    d = growth_drain(pids, backlog, backlog > n ? n : backlog);
    if (d.per_s > 0)
        d = growth_drain(pids, backlog, n);
    d.per_s > 0 ? queue_env_stop(pids, 2) : queue_env_kill(pids, 2);
    return d.all_cpu_us;
}

static void measure_growth(void)
{
    const size_t n = queue_env_n(20000, 5000);
    double few = growth_cost(1000, n), many = growth_cost(queue_env_n(1000000, 50000), n);

    queue_report_ratio("growth_1e6_vs_1e3", many, "us CPU/job", many / few, "the same with 1000 due", 0, 1.25);
}

/* ---- peers ---- */

static void measure_peers(void)
{
    static struct queue_samples of[QUEUE_PEERS];
    char why[256];
    const double direct = middle(DIRECT_2W) > 0 ? middle(DIRECT_2W) : ours(false, 2);
    const double ledger = middle(LEDGER_2W) > 0 ? middle(LEDGER_2W) : ours(true, 2);

    for (int round = 0; round < 3; round++)
        for (size_t i = 0; i < QUEUE_PEERS; i++)
            if (queue_peer_installed(i, why, sizeof(why)))
                queue_samples_add(&of[i], queue_peer_drain(i));
    for (size_t i = 0; i < QUEUE_PEERS; i++) {
        const struct queue_peer *p = &queue_peers[i];
        double per_s = queue_samples_median(&of[i]);
        double our = p->least_direct > 0 ? direct : ledger;
        if (!queue_peer_installed(i, why, sizeof(why)) || per_s <= 0)
            queue_report_missing(p->metric, per_s <= 0 && of[i].n ? "it ended early" : why);
        else
            queue_report_ratio(p->metric, per_s, "jobs/s", our / per_s, "our drain over this one", p->least_direct, 0);
        if (per_s > 0 && p->least_ledger > 0) {
            char metric[64];
            (void)snprintf(metric, sizeof(metric), "%s_ledger", p->metric);
            queue_report_ratio(metric, per_s, "jobs/s", ledger / per_s, "our ledger drain over this one",
                               p->least_ledger, 0);
        }
    }
}

int main(void)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } parts[] = {{"direct", measure_direct}, {"ledger", measure_ledger}, {"delay", measure_delays},
                 {"growth", measure_growth}, {"fair", measure_fairness}, {"peers", measure_peers}};
    const char *only = getenv("ONLY");

    (void)signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    queue_env_open();
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (only == NULL || strstr(only, parts[i].name) != NULL)
            parts[i].run();
    queue_env_close();
    return queue_report_failed() ? 1 : 0;
}
