/* queue_fixture: a loop with a connection, a session and an empty Redis database, for tests of queues. */
#ifndef TESTS_SUPPORT_QUEUE_FIXTURE_H
#define TESTS_SUPPORT_QUEUE_FIXTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/io/loop.h"
#include "common/io/queue.h"
#include "common/io/queue_admin.h"
#include "common/io/rconn.h"
#include "tests/support/redis.h"

#define Q "usher:{0}:q:test"
#define IN "usher:{0}:in:test"

struct queue_fixture {
    char url[REDIS_URL_SIZE];
    struct rsession *s;
    struct loop *loop;
    struct timer *guard;
    struct rconn *c;
    struct redis_server server; /* when the test has one of its own */
};
extern struct queue_fixture fix;
extern const char *const queue_fixture_keys[2]; /* Q, IN */

/* A suite's .init and .fini; the test is skipped where there is no Redis. */
void queue_fixture_set_up(void);
void queue_fixture_tear_down(void); /* fails the test when handles are left */
/* For tests that look at, or kill, all clients of a server. */
void queue_fixture_use_private_server(void);

/* Every callback of the fixture stops the loop, so the condition is looked at after each. The test aborts
 * after 30 s. */
#define WAIT_FOR(condition)                                                                                            \
    do {                                                                                                               \
        while (!(condition))                                                                                           \
            loop_run(fix.loop);                                                                                        \
    } while (0)

/* What a callback was given. */
#define QUEUE_FIXTURE_KEPT 64
struct got {
    int calls;
    enum err err;
    char text[320];
    size_t n;
    struct queue_id ids[QUEUE_FIXTURE_KEPT];
    size_t streams[QUEUE_FIXTURE_KEPT];
    bool deleted[QUEUE_FIXTURE_KEPT];
    char first_value[64]; /* of the first entry's first field */
    struct queue_id cursor;
    size_t n_deleted;
    int64_t count;
};
/* Callbacks; arg: struct got. */
void queue_fixture_on_read(void *arg, enum err err, const struct queue_entries *entries, const struct err_info *info);
void queue_fixture_on_done(void *arg, enum err err, const struct err_info *info);
void queue_fixture_on_count(void *arg, enum err err, int64_t count, const struct err_info *info);
void queue_fixture_on_added(void *arg, enum err err, const struct queue_id *id, const struct err_info *info);
void queue_fixture_on_claimed(void *arg, enum err err, const struct queue_claimed *claimed, const struct err_info *info);

/* These fail the test when they do not succeed. */
struct got queue_fixture_read(const char *consumer, uint32_t count, int64_t block_ms, const struct queue_id *after);
int64_t queue_fixture_ack(const struct queue_id *ids, size_t n);  /* on Q; how many were pending */
void queue_fixture_ensure(void);                                  /* both groups */
void queue_fixture_add_jobs(size_t n, struct queue_added *added); /* to Q */
void queue_fixture_delete(const struct queue_id *id);             /* XDEL on Q, if it is there */
struct queue_info queue_fixture_look(void);                       /* at Q */

#endif
