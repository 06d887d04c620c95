/* sql_load: see sql_load.h. */
#include "tests/bench/sql_load.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/io/store_jobs.h"

enum {
    INGEST_EVERY_MS = 100,
    BATCH = 1000,
    BATCHES = 40, /* of each table in a round */
    ROUNDS = 5,
    TABLES = 6
};

/* ---- ingest ---------------------------------------------------------------------------------------------------------------------- */

static void *ingest(void *arg)
{
    struct sql_ingest *in = arg;
    struct db_session *s = sql_session(in->data, "bench_worker");
    struct buf copy = {0};
    int64_t next_ms = clock_mono_ms();
    const size_t n = (size_t)SQL_INGEST_ROWS_PER_S * INGEST_EVERY_MS / 1000;

    while (!atomic_load(&in->stop)) {
        sql_rows((uint64_t)in->data->rows + (uint64_t)atomic_load(&in->rows), n, clock_wall_us(), 1, &copy);
        sql_copy(s, SQL_COPY_LOG("automation.execution_logs"), &copy);
        atomic_fetch_add(&in->rows, (long long)n);
        next_ms += INGEST_EVERY_MS;
        int64_t left_ms = next_ms - clock_mono_ms();
        if (left_ms > 0)
            (void)poll(NULL, 0, (int)left_ms);
    }
    buf_free(&copy);
    db_close(s);
    return NULL;
}

void sql_ingest_start(struct sql_ingest *in, const struct sql_data *data)
{
    *in = (struct sql_ingest){.data = data};
    if (pthread_create(&in->thread, NULL, ingest, in) != 0)
        exit(2);
}

void sql_ingest_stop(struct sql_ingest *in)
{
    atomic_store(&in->stop, true);
    pthread_join(in->thread, NULL);
}

/* ---- COPY ------------------------------------------------------------------------------------------------------------------------ */

#define KEY "alter table bench.%1$s add primary key (tenant_id, queued_at, execution_id);"
#define BY_RULE "create index on bench.%1$s (tenant_id, rule_id, queued_at desc"

/* Tables like a leaf, from no index to more than the log's; `log` has the log's. */
static const struct {
    const char *name, *indexes, *what;
} tables[TABLES] = {
    {"heap", "", "no index"},
    {"keyed", KEY, "the primary key"},
    {"failed", KEY "create index on bench.%1$s (tenant_id, queued_at desc, execution_id) where outcome in (1, 2, 7, 8);",
     "and the failures"},
    {"ruled", KEY BY_RULE ") where rule_id is not null;", "the key and the rule"},
    {"ruled_runs",
     KEY BY_RULE
     ") where rule_id is not null; create index on bench.%1$s (tenant_id, run_id) where run_id is not null;",
     "the key, the rule, and the run by itself"},
    {"log", NULL, "the log: key, rule with run, failures, BRIN"},
};

static void make_tables(struct db_session *s)
{
    for (int i = 0; i < TABLES - 1; i++) {
        struct buf sql = {0};
        buf_printf(&sql,
                   "create table bench.%s (like automation.execution_logs including storage including compression);",
                   tables[i].name);
        for (const char *p = tables[i].indexes; *p != '\0'; p++)
            if (strncmp(p, "%1$s", 4) == 0) {
                buf_put_str(&sql, tables[i].name);
                p += 3;
            } else {
                buf_put_char(&sql, *p);
            }
        sql_run(s, buf_text(&sql));
        buf_free(&sql);
    }
}

static double copy_batches(struct db_session *s, int table, uint64_t *number)
{
    struct buf copy = {0};
    char sql[512];
    int64_t took_us = 0;

    (void)snprintf(sql, sizeof(sql), SQL_COPY_LOG("%s.%s"), tables[table].indexes ? "bench" : "automation",
                   tables[table].indexes ? tables[table].name : "execution_logs");
    for (int i = 0; i < BATCHES; i++) {
        sql_rows(*number, BATCH, clock_wall_us(), 1, &copy);
        *number += BATCH;
        int64_t began_us = clock_mono_us();
        sql_copy(s, sql, &copy);
        took_us += clock_mono_us() - began_us;
    }
    buf_free(&copy);
    return (double)took_us / (BATCHES * BATCH);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double sql_copy_ratio(const struct sql_data *data)
{
    struct db_session *s = sql_plain(data);
    double us[TABLES][ROUNDS];
    uint64_t number = UINT64_C(1) << 40; /* far from the data's and the ingest's */

    sql_run(s, "create schema bench");
    make_tables(s);
    for (int round = -1; round < ROUNDS; round++)
        for (int i = 0; i < TABLES; i++) {
            double row_us = copy_batches(s, i, &number);
            if (round >= 0)
                us[i][round] = row_us;
        }
    db_close(s);
    (void)fprintf(stderr, "-- COPY of %d rows a batch, µs a row (median of %d)\n", BATCH, ROUNDS);
    for (int i = 0; i < TABLES; i++) {
        qsort(us[i], ROUNDS, sizeof(us[i][0]), compare_doubles);
        (void)fprintf(stderr, "   %6.2f  %s\n", us[i][ROUNDS / 2], tables[i].what);
    }
    return us[TABLES - 1][ROUNDS / 2] / us[0][ROUNDS / 2];
}
