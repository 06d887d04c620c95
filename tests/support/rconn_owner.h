/* rconn_owner: a loop, a private Redis, and owners of connections that remember what they were told, for
 * tests of rconn. */
#ifndef TESTS_SUPPORT_RCONN_OWNER_H
#define TESTS_SUPPORT_RCONN_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/io/loop.h"
#include "common/io/rconn.h"
#include "tests/support/redis.h"

/* Made and freed by the two functions below, which are a suite's .init and .fini; the server is started by
 * whoever needs it. */
extern struct loop *rconn_owner_loop;
extern struct redis_server rconn_owner_server;
void rconn_owner_set_up(void);
void rconn_owner_tear_down(void); /* fails the test when handles are left */

/* Every callback of owners stops the loop, so the condition is looked at after each. The test aborts after
 * 20 s. */
#define WAIT_FOR(condition)                                                                                            \
    do {                                                                                                               \
        while (!(condition))                                                                                           \
            loop_run(rconn_owner_loop);                                                                                \
    } while (0)

/* What one connection has told its owner. */
struct owner {
    struct rconn *c;
    int ups;
    int downs;
    enum err last_err;
    char last_text[320];
    bool closed;
    bool close_when_told; /* rconn_close from on_state */
};

/* What became of one command. */
struct outcome {
    int calls;
    enum err err;
    enum reply_type type;
    int64_t i;
    char text[64];
    struct owner *close; /* rconn_close from the callback */
    struct owner *again; /* another command from the callback */
};

void rconn_owner_open(struct owner *o, const char *url, int64_t connect_ms);
void rconn_owner_open_up(struct owner *o, const char *url); /* and waits until it is up */
void rconn_owner_close(struct owner *o);                    /* and waits until it is closed */
void rconn_owner_closed(void *arg);                         /* for rconn_close(o->c, rconn_owner_closed, o) */
/* A command as text with blanks between the arguments; deadline_ms as for rconn_command. */
void rconn_owner_command(struct owner *o, int64_t deadline_ms, struct outcome *out, const char *text);

#endif
