/* sql_data: what bench_sql measures on: a private server with the migrations applied, 200 tenants with rules, 13 months of log. Made of
 * numbers and hashes, so that it is the same in every run but for the months' dates. Failures print and end the program. */
#ifndef TESTS_BENCH_SQL_DATA_H
#define TESTS_BENCH_SQL_DATA_H

#include <stdint.h>

#include "common/base/id.h"
#include "common/io/db.h"
#include "common/io/store_jobs.h"
#include "common/io/store_rollup.h"
#include "tests/support/postgres.h"

#define SQL_TENANTS 200
#define SQL_SAMPLES 1200 /* a third each of the big tenant, the twenty, the rest */

/* A log row that there is, to ask for. */
struct sql_sample {
    struct id tenant, rule, run;
    char event[32]; /* an event type that rules of the tenant wait for */
    int64_t at_us;
};

struct sql_data {
    struct postgres server;
    int64_t rows;
    int64_t from_us, to_us; /* of the log */
    struct sql_sample samples[SQL_SAMPLES];
};

void sql_data_make(struct sql_data *d, int64_t rows);
void sql_data_drop(struct sql_data *d);

/* The row of a number at an instant. Three numbers in a row are a run, or three free jobs; a third of the rows is the big
 * tenant's, four tenths
 * are the twenty's; seven of ten are of rules, one run in fifty of the tenant's first rule; six of a hundred did not succeed. */
void sql_row(uint64_t number, int64_t at_us, struct store_log *out);
/* `n` rows of numbers from `first` on, step_us apart, sorted by key, as COPY BINARY; `counts` (may be NULL) gets them too. */
void sql_rows(uint64_t first, size_t n, int64_t at_us, double step_us, struct buf *copy, struct store_rollup *counts);
#define SQL_COPY_LOG(table)                                                                                            \
    "copy " table " (tenant_id, queued_at, execution_id, job_id, run_id, rule_id, wedding_id, worker_id, "             \
    "rule_revision, due_at, started_at, duration_us, step, attempt, outcome, kind, queue, reason, error, detail) "     \
    "from stdin (format binary)"
void sql_copy(struct db_session *s, const char *sql, const struct buf *copy);

/* A session as a role (NULL: a superuser) that prepares its statements, as programs do. */
struct db_session *sql_session(const struct sql_data *d, const char *role);
/* One of a superuser that prepares nothing: for texts made on the way. */
struct db_session *sql_plain(const struct sql_data *d);
void sql_run(struct db_session *s, const char *sql);
/* The rows of a query, one text column, printed on standard error with `title` above. Plain sessions only. */
struct db_result *sql_ask(struct db_session *s, const char *sql);
void sql_show(struct db_session *s, const char *title, const char *sql);

#endif
