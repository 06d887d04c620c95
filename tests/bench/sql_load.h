/* sql_load: writing into the log: the ingest beside which queries are measured, what a logged row costs for each set of indexes, and its
 * months' way out and back. */
#ifndef TESTS_BENCH_SQL_LOAD_H
#define TESTS_BENCH_SQL_LOAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "tests/bench/sql_data.h"

#define SQL_INGEST_ROWS_PER_S 5000

/* Rows into the present month until it is stopped, as the worker writes them: with what is counted of them, which is folded every
 * second. */
struct sql_ingest {
    const struct sql_data *data;
    pthread_t thread;
    atomic_bool stop;
    atomic_llong rows;
};
void sql_ingest_start(struct sql_ingest *in, const struct sql_data *data);
void sql_ingest_stop(struct sql_ingest *in);

/* COPY of the same rows into tables with different indexes, in turn: how many times the processor time of none the log's take. What each
 * set costs is printed on standard error (sql_copy.c). */
double sql_copy_ratio(const struct sql_data *data);

/* The log's oldest month is detached, exported, read back and compared, dropped, and restored (sql_archive.c). */
void sql_archive(const struct sql_data *data, double *archive_rows_per_s, double *restore_rows_per_s);

#endif
