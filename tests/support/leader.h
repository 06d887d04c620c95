/* leader: a leader without its thread, for tests of single duties: a migrated database with one tenant and one wedding, an empty Redis
 * database, a term, both sessions. Domain time is stepped and stands at LEADER_NOON until a test moves it. */
#ifndef TESTS_SUPPORT_LEADER_H
#define TESTS_SUPPORT_LEADER_H

#include <stdbool.h>
#include <stdint.h>

#include "scheduler/lead.h"
#include "tests/support/pg.h"
#include "tests/support/redis.h"

#define LEADER_TENANT "00000000-0000-0000-0000-0000000000a1"
#define LEADER_OTHER "00000000-0000-0000-0000-0000000000a2"   /* another tenant, without weddings */
#define LEADER_WEDDING "00000000-0000-0000-0000-0000000000b1" /* booked, 2026-08-01 15:00 Europe/Lisbon, 120 guests */
#define LEADER_NOON "2026-05-02T12:00:00Z"

struct leader {
    struct test_pg pg;
    char redis_url[REDIS_URL_SIZE];
    struct scheduler_settings settings;
    struct wake wake;
    struct lead lead;
    struct rsession *redis;
};

/* False when there are no servers: the test returns. */
bool leader_open(struct leader *t);
void leader_close(struct leader *t);

/* Ends the leader and begins another term with an empty memory, as a takeover does. */
void leader_takeover(struct leader *t);

/* An active rule of LEADER_TENANT whose id ends in `nn` (two hex digits). `rest` is the document after its name:
 * "\"trigger\":…,\"actions\":[…]". */
void leader_rule(struct leader *t, const char *nn, const char *rest);
#define LEADER_TASK "\"actions\":[{\"type\":\"create_task\",\"params\":{\"title\":\"t\"}}]"

/* Publishes an event of the wedding; `event_id` ends in `nn`. */
void leader_event(struct leader *t, const char *nn, const char *type, const char *payload);

/* One free job of a tenant, due now; its id ends in `nn`. */
void leader_job(struct leader *t, const char *tenant, const char *nn);

/* Runs rounds until no duty has more to do; fails the test when that takes too many, or the term has ended. */
void leader_work(struct leader *t);

/* printf-like SQL of one number. */
int64_t leader_i64(struct leader *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* printf-like statements. */
void leader_sql(struct leader *t, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Length of the ledger stream of queue `default`. */
int64_t leader_stream(struct leader *t);

#endif
