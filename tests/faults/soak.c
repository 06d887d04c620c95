/* soak: mixed load for MINUTES (10): rules through events with tasks, notes, mails and webhooks, ledger jobs, bare entries. Every ten
 * seconds a line of JSON says what processes, working tables and streams hold; at the end each measure is flat or not.
 *
 * The first third is warming up: caches fill, pools open, tables reach the size that autovacuum holds. Over the rest a line is fitted
 * (least squares); flat means that it rises by no more than the measure's tolerance from its beginning to its end. */
#include <dirent.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "tests/faults/cell.h"

#define SAMPLE_MS 10000
#define ROUND_MS 1000
#define SAMPLES_MAX 4096
#define LEDGER_A_ROUND 30
#define EVENTS_A_ROUND 3
#define PROCESSES 3 /* scheduler, two workers */

struct measure {
    const char *name;
    double tolerance_share; /* of the mean */
    double tolerance;       /* or this much, whichever is larger */
    double v[SAMPLES_MAX];
};

enum {
    RSS,
    FDS = RSS + PROCESSES,
    TABLES = FDS + PROCESSES,
    ROWS_DEAD,
    LEDGER_ROWS,
    Q_LENGTH,
    IN_LENGTH,
    REDIS_KIB,
    MEASURES
};

/* A page of jemalloc or glibc more or less is no leak; a table's free space map neither. */
static struct measure measures[MEASURES] = {
    [RSS] = {.name = "scheduler_rss_kib", .tolerance_share = 0.03, .tolerance = 512},
    [RSS + 1] = {.name = "worker_1_rss_kib", .tolerance_share = 0.03, .tolerance = 512},
    [RSS + 2] = {.name = "worker_2_rss_kib", .tolerance_share = 0.03, .tolerance = 512},
    [FDS] = {.name = "scheduler_fds", .tolerance_share = 0, .tolerance = 1},
    [FDS + 1] = {.name = "worker_1_fds", .tolerance_share = 0, .tolerance = 4},
    [FDS + 2] = {.name = "worker_2_fds", .tolerance_share = 0, .tolerance = 4},
    [TABLES] = {.name = "working_tables_kib", .tolerance_share = 0.10, .tolerance = 512},
    [ROWS_DEAD] = {.name = "dead_rows", .tolerance_share = 0.50, .tolerance = 20000},
    [LEDGER_ROWS] = {.name = "ledger_rows", .tolerance_share = 0, .tolerance = 200},
    [Q_LENGTH] = {.name = "q_entries", .tolerance_share = 0, .tolerance = 200},
    [IN_LENGTH] = {.name = "in_entries", .tolerance_share = 0, .tolerance = 200},
    [REDIS_KIB] = {.name = "redis_kib", .tolerance_share = 0.05, .tolerance = 512},
};
static size_t n_samples;
static struct sink mail;

/* ---- what is held ---- */

static double rss_kib(int process)
{
    char path[64], line[256];
    long kib = 0;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/status", (int)sys.processes[process].pid);
    f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, "VmRSS:", 6) == 0)
            kib = strtol(line + 6, NULL, 10);
    }
    if (f != NULL)
        (void)fclose(f);
    return (double)kib;
}

static double open_files(int process)
{
    char path[64];
    double n = 0;
    DIR *d;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)sys.processes[process].pid);
    d = opendir(path);
    while (d != NULL && readdir(d) != NULL)
        n++;
    if (d != NULL)
        (void)closedir(d);
    return n - 2;
}

static double redis_kib(void)
{
    struct rsession *s = redis_session(sys.redis.url);
    const struct reply *r = redis_run(s, "INFO memory");
    const char *at = strstr(r->s.p, "used_memory:");
    const double kib = at == NULL ? 0 : strtod(at + strlen("used_memory:"), NULL) / 1024;

    rsession_close(s);
    return kib;
}

/* Tables that hold what is under way; those of results grow as results do. */
#define WORKING                                                                                                        \
    "('ledger', 'outbox', 'job_deltas', 'workers', 'leader', 'leader_beat', 'beacon', 'wait_checks', "                 \
    "'wedding_changes',"                                                                                               \
    " 'log_stage', 'rollup_deltas')"

static void sample(int64_t started_ms)
{
    const size_t i = n_samples++;

    for (int p = 0; p < PROCESSES; p++) {
        measures[RSS + p].v[i] = rss_kib(p);
        measures[FDS + p].v[i] = open_files(p);
    }
    measures[TABLES].v[i] = (double)system_i64(
        "select coalesce(sum(pg_total_relation_size(relid)), 0)::bigint / 1024 from pg_stat_user_tables"
        " where schemaname = 'automation_priv' and relname in " WORKING);
    measures[ROWS_DEAD].v[i] = (double)system_i64("select coalesce(sum(n_dead_tup), 0)::bigint from pg_stat_user_tables"
                                                  " where schemaname = 'automation_priv' and relname in " WORKING);
    measures[LEDGER_ROWS].v[i] = (double)system_i64("select count(*) from automation_priv.ledger");
    measures[Q_LENGTH].v[i] = (double)system_redis("XLEN " SYSTEM_Q);
    measures[IN_LENGTH].v[i] = (double)system_redis("XLEN " SYSTEM_IN);
    measures[REDIS_KIB].v[i] = redis_kib();
    printf("{\"soak_s\":%.0f,\"logged\":%lld", (double)(clock_mono_ms() - started_ms) / 1000, (long long)cell_logged());
    for (int m = 0; m < MEASURES; m++)
        printf(",\"%s\":%.0f", measures[m].name, measures[m].v[i]);
    printf("}\n");
    (void)fflush(stdout);
}

/* ---- flat? ---- */

/* The fitted line's rise from the first of these values to the last. */
static double rise(const double *v, size_t n, double *mean)
{
    double sx = 0, sy = 0, sxx = 0, sxy = 0;

    for (size_t i = 0; i < n; i++) {
        sx += (double)i;
        sy += v[i];
        sxx += (double)i * (double)i;
        sxy += (double)i * v[i];
    }
    const double count = (double)n, spread = count * sxx - sx * sx;
    *mean = n == 0 ? 0 : sy / count;
    return spread <= 0 ? 0 : (count * sxy - sx * sy) / spread * (count - 1);
}

static bool is_flat(const struct measure *m)
{
    const size_t from = n_samples / 3;
    double mean;
    const double rises = rise(m->v + from, n_samples - from, &mean);
    const double most = fmax(m->tolerance, m->tolerance_share * mean);

    printf("{\"measure\":\"%s\",\"mean\":%.0f,\"rise\":%.1f,\"tolerance\":%.1f,\"flat\":%s}\n", m->name, mean, rises,
           most, rises <= most ? "true" : "false");
    return rises <= most;
}

/* ---- load ---- */

static void start(void)
{
    char smtp[64];

    sink_start(&mail, "smtp_sink.py", NULL);
    snprintf(smtp, sizeof(smtp), "USHER_SMTP_URL=smtp://127.0.0.1:%d", mail.port);
    const char *const env[] = {smtp, "USHER_EGRESS_ALLOW=127.0.0.0/8", "USHER_EGRESS_HTTP=true", NULL};
    system_sql("alter table automation.weddings alter column client_email set default 'a@example.com';"
               "update automation.rules set definition = jsonb_set(definition, '{actions}', definition -> 'actions' ||"
               " '[{\"type\":\"send_email\",\"params\":{\"to\":\"client\",\"subject\":\"s\",\"text\":\"t\"}},"
               "{\"type\":\"call_webhook\",\"params\":{\"url\":\"http://127.0.0.1:%d/ok\",\"payload\":{}}}]') where "
               "name = 'r'",
               cell.web.port);
    system_scheduler(NULL);
    system_worker(env);
    system_worker(env);
    system_until("select count(*) = 2 from automation_priv.workers");
    system_until("select count(*) = 1 from automation.rules where validated_revision = revision");
}

static void load(int64_t until_ms)
{
    cell_ledger(LEDGER_A_ROUND);
    cell_direct(LEDGER_A_ROUND);
    system_events(EVENTS_A_ROUND);
    cell.events += EVENTS_A_ROUND;
    const int64_t left_ms = until_ms - clock_mono_ms();
    if (left_ms > 0)
        (void)poll(NULL, 0, (int)left_ms); /* the load's rhythm */
}

static void stop_soak(void)
{
    sink_stop(&mail);
    cell_close();
}

Test(soak, mixed_load_is_flat, .fini = stop_soak, .timeout = 24 * 3600)
{
    const char *text = getenv("MINUTES");
    const int64_t minutes = text == NULL || text[0] == '\0' ? 10 : strtoll(text, NULL, 10);
    bool flat = true;

    cell.random = 1;
    if (!cell_open("soak", CELL_OWN_POSTGRES))
        return;
    start();
    const int64_t started_ms = clock_mono_ms();
    int64_t sample_ms = started_ms;
    for (int64_t round = 1; round <= minutes * 60; round++) {
        load(started_ms + round * ROUND_MS);
        if (clock_mono_ms() >= sample_ms && n_samples < SAMPLES_MAX) {
            sample(started_ms);
            sample_ms += SAMPLE_MS;
        }
    }
    cell_mended();
    cell_recovers();
    for (int m = 0; m < MEASURES; m++)
        flat = is_flat(&measures[m]) && flat;
    printf("{\"soak\":\"%s\",\"minutes\":%lld,\"samples\":%zu}\n", flat ? "flat" : "not flat", (long long)minutes,
           n_samples);
    cell_demand(flat, "not flat");
    cell_judge();
}
