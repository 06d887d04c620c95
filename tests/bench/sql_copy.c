/* sql_copy: what each set of indexes adds to a logged row (sql_load.h).
 *
 * The quantity is the backend's processor time for a COPY and its commit over that of the same rows into a bare heap, all of it in memory.
 * Left out is what is no index's: the wait for the disk (synchronous_commit is off) and autovacuum. Left out is also what an index does
 * cost, but by when the last checkpoint was: whole pages in the WAL. The tables begin empty after one, and the rounds end before the next.
 * Every table gets the same rows, and its indexes grow by them as a month's do: one that is created later is packed, and splits.
 * A ratio is taken within a round, which the machine's load hits alike; the median counts. The wall's ratio stands beside it. */
#include "tests/bench/sql_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/base/clock.h"
#include "tests/bench/report.h"

enum {
    BATCH = 1000,
    FILL = 150,   /* batches that each table has before, however large the log is */
    BATCHES = 10, /* of each table in a round */
    ROUNDS = 15
};
#define STEP_US 200.0                    /* between rows, as at SQL_INGEST_ROWS_PER_S */
#define FIRST_NUMBER (UINT64_C(1) << 40) /* far from the data's and the ingest's */

enum index { KEY = 1, RULE = 2, RULE_RUN = 4, RUN = 8, FAILED = 16, TIME = 32, N_INDEXES = 6 };
static const struct {
    const char *how, *what;
} indexes[N_INDEXES] = {
    {"unique index", "btree (tenant_id, queued_at, execution_id)"},
    {"index", "btree (tenant_id, rule_id, queued_at) where rule_id is not null"},
    {"index", "btree (tenant_id, rule_id, queued_at, run_id) where rule_id is not null"},
    {"index", "btree (tenant_id, run_id) where run_id is not null"},
    {"index", "btree (tenant_id, queued_at, execution_id) where outcome in (1, 2, 7, 8)"},
    {"index", "brin (queued_at) with (pages_per_range = 32, autosummarize = on)"},
};

/* Like a leaf, from no index to more than the log's. The last one has whatever the migrations give the log; the one before is the same
 * by other means, and what the two differ by is what the figures are worth. */
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
                   "create table bench.%s (like automation.execution_logs including storage including compression%s) "
                   "with (autovacuum_enabled = off)",
                   candidates[i].name, i == LOG ? " including indexes" : "");
    sql_run(s, sql);
    for (int k = 0; k < N_INDEXES; k++)
        if (candidates[i].indexes & 1U << k) {
            (void)snprintf(sql, sizeof(sql), "create %s on bench.%s using %s", indexes[k].how, candidates[i].name,
                           indexes[k].what);
            sql_run(s, sql);
        }
}

static clockid_t clock_of_backend(struct db_session *s)
{
    struct db_result *rows = sql_ask(s, "select pg_backend_pid()");
    clockid_t clock = 0;

    if (clock_getcpuclockid((pid_t)db_i64(rows, 0, 0), &clock) != 0)
        exit(2);
    db_result_free(rows);
    return clock;
}

static double clock_us(clockid_t clock)
{
    struct timespec t;

    if (clock_gettime(clock, &t) != 0)
        exit(2);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double wal_bytes(struct db_session *s)
{
    struct db_result *rows = sql_ask(s, "select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint");
    double bytes = (double)db_i64(rows, 0, 0);

    db_result_free(rows);
    return bytes;
}

struct cost {
    double cpu_us, wall_us, wal; /* a row */
};

struct copying {
    struct db_session *s;
    clockid_t backend;
    int64_t from_us;
    uint64_t batch;
};

static void copy_into(struct copying *c, int i, const struct buf *copy, struct cost *cost)
{
    char sql[512];

    (void)snprintf(sql, sizeof(sql), SQL_COPY_LOG("bench.%s"), candidates[i].name);
    double wal = wal_bytes(c->s), wall_us = clock_us(CLOCK_MONOTONIC), cpu_us = clock_us(c->backend);
    sql_copy(c->s, sql, copy);
    cost->cpu_us += clock_us(c->backend) - cpu_us;
    cost->wall_us += clock_us(CLOCK_MONOTONIC) - wall_us;
    cost->wal += wal_bytes(c->s) - wal;
}

/* The same rows into every table, each time another one first. */
static void copy_batches(struct copying *c, int batches, struct cost costs[N])
{
    struct buf copy = {0};

    for (int b = 0; b < batches; b++, c->batch++) {
        const uint64_t row = c->batch * BATCH;
        sql_rows(FIRST_NUMBER + row, BATCH, c->from_us + (int64_t)((double)row * STEP_US), STEP_US, &copy, NULL);
        for (int i = 0; i < N; i++) {
            int turn = (int)((c->batch + (uint64_t)i) % N);
            copy_into(c, turn, &copy, &costs[turn]);
        }
    }
    buf_free(&copy);
    for (int i = 0; i < N; i++) {
        costs[i].cpu_us /= batches * BATCH;
        costs[i].wall_us /= batches * BATCH;
        costs[i].wal /= batches * BATCH;
    }
}

enum what { CPU, CPU_RATIO, WALL, WALL_RATIO, WAL };

/* Ratios are those of a round to the heap's of the same round. */
static double median(struct cost rounds[ROUNDS][N], int i, enum what what)
{
    double v[ROUNDS];

    for (int r = 0; r < ROUNDS; r++) {
        const struct cost *c = &rounds[r][i], *heap = &rounds[r][0];
        switch (what) {
        case CPU: v[r] = c->cpu_us; break;
        case CPU_RATIO: v[r] = c->cpu_us / heap->cpu_us; break;
        case WALL: v[r] = c->wall_us; break;
        case WALL_RATIO: v[r] = c->wall_us / heap->wall_us; break;
        case WAL: v[r] = c->wal; break;
        }
    }
    return report_median(v, ROUNDS);
}

double sql_copy_ratio(const struct sql_data *data)
{
    static struct cost rounds[ROUNDS][N], fill[N];
    struct copying c = {.s = sql_plain(data), .from_us = clock_wall_us()};

    c.backend = clock_of_backend(c.s);
    sql_run(c.s, "set synchronous_commit = off; create schema bench");
    for (int i = 0; i < N; i++)
        make_table(c.s, i);
    sql_run(c.s, "checkpoint");
    copy_batches(&c, FILL, fill);
    for (int r = 0; r < ROUNDS; r++)
        copy_batches(&c, BATCHES, rounds[r]);
    (void)fprintf(stderr,
                  "-- COPY of %d rows a batch into tables of equal size, in turn: processor µs a row, over the heap's; "
                  "µs a row, over the heap's; bytes of WAL a row (medians of %d)\n",
                  BATCH, ROUNDS);
    for (int i = 0; i < N; i++)
        (void)fprintf(stderr, "   %6.2f %5.2f  %6.2f %5.2f  %5.0f  %s\n", median(rounds, i, CPU),
                      median(rounds, i, CPU_RATIO), median(rounds, i, WALL), median(rounds, i, WALL_RATIO),
                      median(rounds, i, WAL), candidates[i].what);
    double ratio = median(rounds, LOG, CPU_RATIO);
    sql_run(c.s, "set client_min_messages = warning; drop schema bench cascade");
    db_close(c.s);
    return ratio;
}
