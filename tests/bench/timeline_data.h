/* timeline_data: what bench_timeline runs on: a private PostgreSQL (fsync on) and a private Redis, a leader without its thread, and
 * tenants with weddings and rules. A failure prints and ends the benchmark.
 *
 * Each tenant has 40 weddings over two years of Saturdays and 60 active rules, each with a timing of its own. One more tenant, `big`,
 * has 40 weddings and 10,000 rules over the same 60 timings. */
#ifndef TESTS_BENCH_TIMELINE_DATA_H
#define TESTS_BENCH_TIMELINE_DATA_H

#include <stdint.h>

#include "common/io/db.h"
#include "tests/support/leader.h"

#define TIMELINE_WEDDINGS 40
#define TIMELINE_TIMINGS 60
#define TIMELINE_BIG "00000000-0000-0000-0000-00000000b160"
#define TIMELINE_BIG_RULES 10000
#define TIMELINE_NOW "2026-05-02T12:00:00Z" /* LEADER_NOON, where the stepped clock stands */

struct timeline {
    struct leader leader;
    struct db_session *db; /* the host application's, as a superuser */
    int tenants;
};

void timeline_servers_start(void);
void timeline_servers_stop(void);

/* A fresh database with so many tenants beside `big`; every rule is stamped by the engine, nothing is left to dispatch. */
void timeline_open(struct timeline *t, int tenants);
void timeline_close(struct timeline *t);

/* Statements on the host's session, printf-like. */
void timeline_sql(struct timeline *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
int64_t timeline_i64(struct timeline *t, const char *sql);
/* Forgets events and changed weddings of what was done, and settles the tables' statistics. */
void timeline_settle(struct timeline *t);

#endif
