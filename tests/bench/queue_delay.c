/* queue_delay: see queue_delay.h. Starts are read from the execution log (machine time of the same host). */
#include "tests/bench/queue_delay.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/io/rconn.h"
#include "tests/bench/queue_bare.h"
#include "tests/bench/queue_drain.h"
#include "tests/bench/queue_env.h"

#define DIRECT_EVERY_MS 20
#define LEDGER_EVERY_MS 50
#define PATIENCE_MS 120000
#define TICK_MS 2

/* ---- quantiles ---- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static struct queue_delay quantiles(double *v, size_t n)
{
    if (n == 0)
        queue_env_die("delay", "no job has started");
    qsort(v, n, sizeof(*v), by_value);
    return (struct queue_delay){v[n / 2], v[n * 95 / 100], v[n * 99 / 100]};
}

/* ---- one job now and then ---- */

static const char direct_starts[] =
    "select (extract(epoch from started_at) * 1000000)::int8 from automation.execution_logs order by queued_at";
static const char ledger_starts[] =
    "select (extract(epoch from started_at) * 1000000)::int8 from automation.execution_logs order by started_at";

/* False: they were not logged in time. */
static bool wait_logged(size_t n)
{
    const int64_t deadline = clock_mono_ms() + PATIENCE_MS;

    while (test_pg_i64(&queue_env.pg, "select count(*) from automation.execution_logs") < (int64_t)n) {
        if (clock_mono_ms() > deadline) {
            queue_env_fail("delay", "jobs were not logged in time; see " QUEUE_ENV_DIR);
            return false;
        }
        (void)poll(NULL, 0, 50);
    }
    return true;
}

static struct queue_delay delays_of(const int64_t *begun_us, size_t n, const char *starts)
{
    const struct db_stmt stmt = {"bench_starts", starts};
    struct db_session *s;
    struct db_result *r = NULL;
    struct queue_delay out;
    double *v;

    if (!wait_logged(n))
        return (struct queue_delay){0};
    s = test_pg_session(&queue_env.pg);
    v = mem_alloc(n * sizeof(*v));
    if (db_query(s, &stmt, NULL, &r, NULL) != ERR_OK || db_rows(r) != (int)n)
        queue_env_die("delay", "the log has not one row for each job");
    for (size_t i = 0; i < n; i++)
        v[i] = (double)(db_i64(r, (int)i, 0) - begun_us[i]);
    out = quantiles(v, n);
    db_result_free(r);
    db_close(s);
    mem_free(v);
    return out;
}

static int64_t enqueue_one(struct db_session *s)
{
    static const struct db_stmt stmt = {
        "bench_enqueue_job",
        "select automation.enqueue_job('bench.k0001', '{\"text\":\"x\"}', 'be000000-0000-4000-8000-000000000001')"};
    const int64_t now_us = clock_wall_us();
    struct err_info info = {0};

    if (db_query(s, &stmt, NULL, NULL, &info) != ERR_OK)
        queue_env_die("enqueue_job", info.text);
    return now_us;
}

static int64_t add_one(void)
{
    const int64_t now_us = clock_wall_us();

    queue_drain_fill_direct(1);
    return now_us;
}

struct queue_delay queue_delay_idle_direct(void)
{
    const size_t n = queue_env_n(500, 50);
    int64_t *begun_us = mem_alloc(n * sizeof(*begun_us));
    struct queue_delay out;
    pid_t pids[2];

    queue_env_clean();
    pids[0] = queue_env_worker(NULL);
    pids[1] = queue_env_scheduler(NULL);
    queue_env_ready(1);
    for (size_t i = 0; i < n; i++) {
        begun_us[i] = add_one();
        (void)poll(NULL, 0, DIRECT_EVERY_MS);
    }
    out = delays_of(begun_us, n, direct_starts);
    queue_env_stop(pids, 2);
    mem_free(begun_us);
    return out;
}

struct queue_delay queue_delay_idle_ledger(void)
{
    const size_t n = queue_env_n(300, 40);
    int64_t *begun_us = mem_alloc(n * sizeof(*begun_us));
    struct db_session *s = test_pg_session(&queue_env.pg);
    struct queue_delay out;
    pid_t pids[2];

    queue_env_clean();
    pids[0] = queue_env_worker(NULL);
    pids[1] = queue_env_scheduler(NULL);
    queue_env_ready(1);
    (void)poll(NULL, 0, 1500); /* until there is a leader */
    for (size_t i = 0; i < n; i++) {
        begun_us[i] = enqueue_one(s);
        (void)poll(NULL, 0, LEDGER_EVERY_MS);
    }
    out = delays_of(begun_us, n, ledger_starts);
    queue_env_stop(pids, 2);
    db_close(s);
    mem_free(begun_us);
    return out;
}

/* ---- the same by bare loops ---- */

static struct queue_delay bare(size_t n, int every_ms, bool ledger)
{
    struct db_session *s = ledger ? test_pg_session(&queue_env.pg) : NULL;
    double *v = mem_alloc(n * sizeof(*v));
    struct queue_delay out;
    struct queue_bare b;

    queue_env_clean();
    queue_bare_start(&b, ledger);
    for (size_t i = 0; i < n; i++) {
        int64_t begun_us = ledger ? enqueue_one(s) : add_one();
        int64_t start_us = queue_bare_next(&b);
        v[i] = (double)(start_us - begun_us);
        (void)poll(NULL, 0, every_ms);
    }
    queue_bare_stop(&b);
    out = quantiles(v, n);
    db_close(s);
    mem_free(v);
    return out;
}

struct queue_delay queue_delay_bare_direct(void)
{
    return bare(queue_env_n(500, 50), DIRECT_EVERY_MS, false);
}

struct queue_delay queue_delay_bare_ledger(void)
{
    return bare(queue_env_n(300, 40), LEDGER_EVERY_MS, true);
}

/* ---- an open load ---- */

static struct queue_delay logged_delays(void)
{
    static const char each[] =
        "select (extract(epoch from started_at - queued_at) * 1000000)::int8 from automation.execution_logs";
    struct db_session *s = test_pg_session(&queue_env.pg);
    const struct db_stmt all = {"bench_delay_each", each};
    struct db_result *r = NULL;
    struct queue_delay out;
    double *v;

    if (db_query(s, &all, NULL, &r, NULL) != ERR_OK)
        queue_env_die("delay", "the log can not be read");
    v = mem_alloc(((size_t)db_rows(r) + 1) * sizeof(*v));
    for (int i = 0; i < db_rows(r); i++)
        v[i] = (double)db_i64(r, i, 0);
    out = quantiles(v, (size_t)db_rows(r));
    db_result_free(r);
    db_close(s);
    mem_free(v);
    return out;
}

struct queue_delay queue_delay_open_loop(double per_s)
{
    const double seconds = queue_env.scale < 1 ? 2 : 5;
    const size_t n = (size_t)(per_s * seconds);
    struct queue_delay out;
    size_t added = 0;
    int64_t start_us;
    pid_t pids[3];

    queue_env_clean();
    for (int i = 0; i < 2; i++)
        pids[i] = queue_env_worker(NULL);
    pids[2] = queue_env_scheduler(NULL);
    queue_env_ready(2);
    start_us = clock_mono_us();
    while (added < n) {
        size_t due = (size_t)((double)(clock_mono_us() - start_us) * per_s / 1e6);
        if (due > n)
            due = n;
        if (due > added)
            queue_drain_fill_direct(due - added);
        added = due;
        (void)poll(NULL, 0, TICK_MS);
    }
    out = wait_logged(n) ? logged_delays() : (struct queue_delay){0};
    queue_env_stop(pids, 3);
    return out;
}

/* ---- beside a flood ---- */

static void enqueue_share(int first, int last, int each, int take_ms)
{
    struct buf sql = {0};

    buf_printf(&sql,
               "select automation.enqueue_jobs((select jsonb_agg(jsonb_build_object('kind', 'bench.drill', 'tenant',"
               " 'be000000-0000-4000-8000-' || lpad(to_hex(t), 12, '0'), 'payload', '{\"take_ms\":%d}'::jsonb))"
               " from generate_series(%d, %d) t, generate_series(1, %d)))",
               take_ms, first, last, each);
    test_pg_run(&queue_env.pg, buf_text(&sql));
    buf_free(&sql);
}

double queue_delay_fair_p95_s(int take_ms, int flooded, int killed)
{
    static const char p95[] =
        "select (percentile_disc(0.95) within group (order by extract(epoch from started_at - due_at)) * 1000)::int8"
        " from automation.execution_logs where tenant_id <> 'be000000-0000-4000-8000-000000000000'";
    static const char *const args[] = {"--environment", "development", NULL};
    const int total = take_ms >= 1000 ? (int)queue_env_n(2000, 400) : (int)queue_env_n(40000, 8000);
    const int each = total / 10 / 19 + 1;
    const int64_t deadline = clock_mono_ms() + PATIENCE_MS;
    double seconds;
    pid_t pids[4];

    queue_env_clean();
    for (int i = 0; i < 2; i++)
        pids[i] = queue_env_worker(args);
    pids[2] = queue_env_scheduler(args);
    queue_env_ready(2);
    if (flooded)
        enqueue_share(0, 0, total * 9 / 10, take_ms);
    if (flooded)
        (void)poll(NULL, 0, 1000);
    if (killed) {
        kill(pids[0], SIGKILL);
        waitpid(pids[0], NULL, 0);
        pids[0] = queue_env_worker(args);
    }
    enqueue_share(1, 19, each, take_ms);
    while (test_pg_i64(&queue_env.pg, "select count(distinct job_id) from automation.execution_logs where tenant_id <>"
                                      " 'be000000-0000-4000-8000-000000000000'") < 19 * each) {
        if (clock_mono_ms() > deadline)
            return 999;
        (void)poll(NULL, 0, 100);
    }
    seconds = (double)test_pg_i64(&queue_env.pg, p95) / 1000;
    for (int i = 0; i < 3; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
    return seconds;
}
