/* query_play: made-up rows of the log for the tests of common/io/store_query.h. They come in by the log's own door (log_stage,
 * merge_logs), are counted by its rollups and views, and stay in an array, from which the tests compute what is to be found. */
#ifndef TESTS_INTEGRATION_QUERY_PLAY_H
#define TESTS_INTEGRATION_QUERY_PLAY_H

#include <stdint.h>

#include "common/base/id.h"
#include "common/io/db.h"
#include "tests/support/pg.h"

enum { ROWS = 1500, TENANTS = 3, RULES = 4, RUNS = 5, KINDS = 3, MONTHS = 3 };
#define FIRST_US INT64_C(1801440000000000) /* 2027-02-01 */
#define DAY_US INT64_C(86400000000)
#define HOUR_US INT64_C(3600000000)
#define SPAN_US (89 * DAY_US) /* to the end of April */

struct row {
    struct id tenant, rule, run, job, execution;
    int64_t at_us, due_us, started_us, took_us;
    int outcome, kind;
};

extern struct test_pg query_play_pg;
extern struct db_session *query_play_db;
extern struct err_info query_play_info;
extern struct row query_play_rows[ROWS]; /* 7 to 9 are the three attempts of one job */
/* Rule 3 belongs to tenant 1, the others to tenant 0; rule 2 is not validated; runs are of rule 0. */
extern struct id query_play_tenants[TENANTS], query_play_rules[RULES], query_play_runs[RUNS];
extern const char *const query_play_kinds[KINDS];
extern const char *const query_play_triggers[RULES][2]; /* type; milestone or event */

/* Skips the test when there is no server. */
void query_play_open(void);
void query_play_close(void);
struct id query_play_id(const char *domain, int i);

#define QUERY_TEST(name) Test(store_query, name, .init = query_play_open, .fini = query_play_close, .timeout = 120)

#endif
