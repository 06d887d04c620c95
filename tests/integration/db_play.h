/* db_play: a connection on a loop with a database of its own, and what the callbacks of its requests saw. Every callback checks
 * that it does not run inside the call that started it; the end of a test checks that each ran once and nothing is left. */
#ifndef TESTS_INTEGRATION_DB_PLAY_H
#define TESTS_INTEGRATION_DB_PLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/io/db.h"
#include "common/io/loop.h"
#include "tests/support/pg.h"

#define DB_PLAY_MAX_CALLS 128
#define DB_PLAY_COPY "COPY t FROM STDIN (FORMAT binary)"

/* What one request's callback saw. */
struct db_play_call {
    int times;
    int order;
    enum err err;
    int rows;
    int64_t value; /* first cell, or rows affected */
    char text[320];
};

struct db_play {
    struct test_pg pg;
    struct loop *loop;
    struct db_conn *conn;
    struct timer *guard; /* ends a test whose loop waits for ever */
    struct arena arena;
    struct db_args args;
    struct db_play_call calls[DB_PLAY_MAX_CALLS];
    int n_calls;
    int n_done;
    int n_up;
    int n_down;
    bool in_start; /* inside db_conn_*: no callback may run */
    bool closed;
    bool ready;
    int stop_at; /* calls done */
    bool close_in_callback;
};
extern struct db_play play; /* each test is a process of its own */

extern const struct db_stmt db_play_one;   /* 1 + $1 */
extern const struct db_stmt db_play_nap;   /* sleeps $1 s */
extern const struct db_stmt db_play_count; /* rows of t */

/* For .init and .fini of a test; the connection is up when the test begins. */
void db_play_setup(void);
void db_play_teardown(void);
#define DB_PLAY_NEEDS_SERVER()                                                                                         \
    if (!play.ready)                                                                                                   \
    cr_skip("no server")

void db_play_open(const char *url, int64_t statement_ms, int64_t connect_ms);
void db_play_close(void); /* starts closing */
void db_play_shut(void);  /* closes and waits */
void db_play_reopen(const char *url, int64_t statement_ms, int64_t connect_ms);
void db_play_wait(int calls);               /* until so many have ended */
void db_play_wait_states(int up, int down); /* until on_state has said so as often */

/* Each starts one request and returns its index in play.calls. */
int db_play_i64(const struct db_stmt *stmt, int64_t v);
int db_play_double(const struct db_stmt *stmt, double v);
int db_play_query(const struct db_stmt *stmt);
int db_play_exec(const char *sql);
int db_play_copy(const char *sql, const struct buf *data);

/* The first n requests ended with these errors and in this order. */
void db_play_want(const enum err *want, int n);
/* COPY data for a table (int, text). */
void db_play_ints(struct buf *b, int from, int to);

#endif
