/* sql_copy: what each set of indexes adds to a logged row (sql_load.h). */
#include "tests/bench/sql_load.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "tests/bench/report.h"

enum {
    BATCH = 1000,
    BATCHES = 10, /* of each table in a round */
    ROUNDS = 15
};
#define FILLED "300000" /* rows of the present month that each table has before; fewer where there are fewer */

enum index { KEY = 1, RULE = 2, RULE_RUN = 4, RUN = 8, FAILED = 16, TIME = 32, RULE_DOWN = 64, N_INDEXES = 7 };
static const struct {
    const char *how, *what;
} indexes[N_INDEXES] = {
    {"unique index", "btree (tenant_id, queued_at, execution_id)"},
    {"index", "btree (tenant_id, rule_id, queued_at) where rule_id is not null"},
    {"index", "btree (tenant_id, rule_id, queued_at, run_id) where rule_id is not null"},
    {"index", "btree (tenant_id, run_id) where run_id is not null"},
    {"index", "btree (tenant_id, queued_at, execution_id) where outcome in (1, 2, 7, 8)"},
    {"index", "brin (queued_at) with (pages_per_range = 32, autosummarize = on)"},
    {"index", "btree (tenant_id, rule_id, queued_at desc, run_id) where rule_id is not null"},
};

/* Like a leaf, from no index to more than the log's. The last one has whatever the migrations give the log. */
static const struct candidate {
    const char *name;
    unsigned indexes;
    const char *what;
} candidates[] = {
    {"heap", 0, "no index"},
    {"keyed", KEY, "key"},
    {"keyed_failed", KEY | FAILED, "key, failures"},
    {"keyed_time", KEY | TIME, "key, BRIN"},
    {"keyed_rule", KEY | RULE, "key, rule"},
    {"keyed_rule_run", KEY | RULE_RUN, "key, rule with run"},
    {"keyed_rule_down", KEY | RULE_DOWN, "key, rule with run, newest first"},
    {"lookups", KEY | RULE_RUN | FAILED, "key, rule with run, failures"},
    {"apart", KEY | RULE | RUN | FAILED, "key, rule, run apart, failures"},
    {"all", KEY | RULE_RUN | FAILED | TIME, "key, rule with run, failures, BRIN"},
    {"log", 0, "the log as the migrations have it"},
};
enum { N = sizeof(candidates) / sizeof(candidates[0]), LOG = N - 1 };

static void make_table(struct db_session *s, int i)
{
    char sql[512];

    (void)snprintf(sql, sizeof(sql),
                   "create table bench.%s (like automation.execution_logs including storage including compression%s); "
                   "insert into bench.%s select * from automation.execution_logs "
                   "where queued_at >= date_trunc('month', now()) limit " FILLED,
                   candidates[i].name, i == LOG ? " including indexes" : "", candidates[i].name);
    sql_run(s, sql);
    for (int k = 0; k < N_INDEXES; k++)
        if (candidates[i].indexes & 1U << k) {
            (void)snprintf(sql, sizeof(sql), "create %s on bench.%s using %s", indexes[k].how, candidates[i].name,
                           indexes[k].what);
            sql_run(s, sql);
        }
}

static int backend_of(struct db_session *s)
{
    struct db_result *rows = sql_ask(s, "select pg_backend_pid()");
    int pid = (int)db_i64(rows, 0, 0);

    db_result_free(rows);
    return pid;
}

/* The backend's time on a processor, which others on the machine do not change; 0 where the system does not tell. */
static int64_t cpu_us(int backend)
{
    char path[64];
    char line[128] = "";

    (void)snprintf(path, sizeof(path), "/proc/%d/schedstat", backend);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return 0;
    if (fgets(line, sizeof(line), f) == NULL)
        line[0] = '\0';
    (void)fclose(f);
    return (int64_t)(strtoull(line, NULL, 10) / 1000); /* its first number: ns */
}

struct cost {
    double wall_us[ROUNDS], cpu_us[ROUNDS];
};

static void copy_batches(struct db_session *s, int i, int round, uint64_t *number, struct cost *cost)
{
    struct buf copy = {0};
    char sql[512];
    const int backend = backend_of(s);
    int64_t wall = 0, cpu = 0;

    (void)snprintf(sql, sizeof(sql), SQL_COPY_LOG("bench.%s"), candidates[i].name);
    for (int b = 0; b < BATCHES; b++) {
        sql_rows(*number, BATCH, clock_wall_us(), 1, &copy, NULL);
        *number += BATCH;
        int64_t began_us = clock_mono_us(), cpu_before = cpu_us(backend);
        sql_copy(s, sql, &copy);
        cpu += cpu_us(backend) - cpu_before;
        wall += clock_mono_us() - began_us;
    }
    buf_free(&copy);
    if (round < 0)
        return; /* the first is not counted */
    cost->wall_us[round] = (double)wall / (BATCHES * BATCH);
    cost->cpu_us[round] = (double)cpu / (BATCHES * BATCH);
}

double sql_copy_ratio(const struct sql_data *data)
{
    static struct cost costs[N];
    struct db_session *s = sql_plain(data);
    uint64_t number = UINT64_C(1) << 40; /* far from the data's and the ingest's */

    sql_run(s, "create schema bench");
    for (int i = 0; i < N; i++)
        make_table(s, i);
    sql_run(s, "checkpoint");
    for (int round = -1; round < ROUNDS; round++)
        for (int i = 0; i < N; i++) {
            int turn = (i + round + 1) % N;
            copy_batches(s, turn, round, &number, &costs[turn]);
        }
    (void)fprintf(
        stderr,
        "-- COPY of %d rows a batch into tables of equal size, in turn: µs a row, processor µs a row (medians "
        "of %d)\n",
        BATCH, ROUNDS);
    for (int i = 0; i < N; i++)
        (void)fprintf(stderr, "   %6.2f %6.2f  %s\n", report_median(costs[i].wall_us, ROUNDS),
                      report_median(costs[i].cpu_us, ROUNDS), candidates[i].what);
    sql_run(s, "set client_min_messages = warning; drop schema bench cascade");
    db_close(s);
    return costs[LOG].wall_us[ROUNDS / 2] / costs[0].wall_us[ROUNDS / 2];
}
