/* sql_load: writing into the log: the ingest beside which queries are measured, and what a logged row costs for each set of indexes. */
#ifndef TESTS_BENCH_SQL_LOAD_H
#define TESTS_BENCH_SQL_LOAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "tests/bench/sql_data.h"

#define SQL_INGEST_ROWS_PER_S 5000

/* Rows into the present month, as the worker writes them, until it is stopped. */
struct sql_ingest {
    const struct sql_data *data;
    pthread_t thread;
    atomic_bool stop;
    atomic_llong rows;
};
void sql_ingest_start(struct sql_ingest *in, const struct sql_data *data);
void sql_ingest_stop(struct sql_ingest *in);

/* COPY of the same rows into the log and into a table without an index, in turn: how many times as long the log takes. What each
 * index adds is
 * printed on standard error. */
double sql_copy_ratio(const struct sql_data *data);

#endif
