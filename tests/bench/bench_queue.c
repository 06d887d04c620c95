/* bench_queue: scratch */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/bench/queue_drain.h"
#include "tests/bench/queue_env.h"
#include "tests/bench/queue_limit.h"

static void limit(enum queue_limit what, int procs, size_t batch, size_t n, const char *name)
{
    pid_t p[4];
    size_t k = 0;
    queue_env_clean();
    if (what >= QUEUE_LIMIT_LEDGER)
        queue_drain_fill_ledger(n, 1000);
    else
        queue_drain_fill_direct(n);
    if (what >= QUEUE_LIMIT_LEDGER)
        p[k++] = queue_limit_admit(n);
    for (int i = 0; i < procs; i++)
        p[k++] = queue_limit_start(what, batch, n);
    struct queue_drained d = what >= QUEUE_LIMIT_LEDGER ? queue_drain_ledger(p, k, n) : queue_drain_direct(p, k, n);
    for (size_t i = 0; i < k; i++)
        waitpid(p[i], NULL, 0);
    printf("%s b=%zu: %.0f/s child %.2f us all %.2f us\n", name, batch, d.per_s, d.children_cpu_us, d.all_cpu_us);
}

static void ours(bool ledger, int workers, size_t n, const char *name)
{
    pid_t p[4];
    size_t k = 0;
    static const char *const sargs[] = {"--direct-max", "10000000", NULL};
    queue_env_clean();
    for (int i = 0; i < workers; i++)
        p[k++] = queue_env_worker(NULL);
    p[k++] = queue_env_scheduler(sargs);
    queue_env_ready(workers);
    queue_env_signal(p, k, SIGSTOP);
    if (ledger)
        queue_drain_fill_ledger(n, 1000);
    else
        queue_drain_fill_direct(n);
    struct queue_drained d = ledger ? queue_drain_ledger(p, k, n) : queue_drain_direct(p, k, n);
    printf("%s: %.0f/s child %.2f us all %.2f us rss %.1f\n", name, d.per_s, d.children_cpu_us, d.all_cpu_us,
           queue_env_use(p[0]).rss_mb);
    queue_env_stop(p, k);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    queue_env_open();
    const char *only = getenv("ONLY");
    for (int r = 0; r < 2; r++) {
        size_t n = queue_env_n(100000, 1000), m = queue_env_n(50000, 1000);
        if (!only || strstr(only, "limit")) {
            limit(QUEUE_LIMIT_OVERLAP, 1, 1000, n, "overlap_1p");
            limit(QUEUE_LIMIT_OVERLAP, 2, 1000, n, "overlap_2p");
        }
        if (!only || strstr(only, "direct")) {
            ours(false, 1, n, "direct_1w");
            ours(false, 2, n, "direct_2w");
        }
        if (!only || strstr(only, "limit")) {
            limit(QUEUE_LIMIT_LEDGER, 2, 1000, m, "ledger_2p");
            limit(QUEUE_LIMIT_LEAST, 2, 1000, m, "least_2p");
        }
        if (!only || strstr(only, "ledger"))
            ours(true, 2, m, "ledger_2w");
    }
    queue_env_close();
    return 0;
}
