/* sql_load: see sql_load.h. */
#include "tests/bench/sql_load.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/io/store_rollup.h"

enum { EVERY_MS = 100, FOLD_EVERY_MS = 1000 };

/* As the worker's settling transaction: the rows, and what is counted of them. */
static void put_batch(struct sql_ingest *in, struct db_session *s, size_t n, struct buf *copy)
{
    struct store_rollup counts = {0};
    struct err_info info = {0};
    struct arena arena = {0};
    struct db_args a;

    sql_rows((uint64_t)in->data->rows + (uint64_t)atomic_load(&in->rows), n, clock_wall_us(), 1, copy, &counts);
    sql_run(s, "begin");
    sql_copy(s, SQL_COPY_LOG("automation.execution_logs"), copy);
    store_rollup_args(&counts, &arena, &a);
    if (db_query(s, &store_rollup_stmt, &a, NULL, &info) != ERR_OK) {
        (void)fprintf(stderr, "bench_sql: %s\n", info.text);
        exit(2);
    }
    sql_run(s, "commit");
    store_rollup_free(&counts);
    arena_free(&arena);
    atomic_fetch_add(&in->rows, (long long)n);
}

static void *ingest(void *arg)
{
    struct sql_ingest *in = arg;
    struct db_session *s = sql_session(in->data, "bench_worker"), *leader = sql_plain(in->data);
    struct buf copy = {0};
    int64_t next_ms = clock_mono_ms(), fold_ms = next_ms;

    while (!atomic_load(&in->stop)) {
        put_batch(in, s, (size_t)SQL_INGEST_ROWS_PER_S * EVERY_MS / 1000, &copy);
        if (clock_mono_ms() >= fold_ms) {
            sql_run(leader, "select automation_priv.fold_rollups(20000)");
            fold_ms = clock_mono_ms() + FOLD_EVERY_MS;
        }
        next_ms += EVERY_MS;
        int64_t left_ms = next_ms - clock_mono_ms();
        if (left_ms > 0)
            (void)poll(NULL, 0, (int)left_ms);
    }
    buf_free(&copy);
    db_close(leader);
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
