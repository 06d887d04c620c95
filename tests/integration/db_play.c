#include "tests/integration/db_play.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct db_play play;

const struct db_stmt db_play_one = {"one", "SELECT 1::int8 + $1"};
const struct db_stmt db_play_nap = {"nap", "SELECT 1::int8 FROM pg_sleep($1)"};
const struct db_stmt db_play_count = {"count", "SELECT count(*) FROM t"};

static void on_closed(void *arg)
{
    cr_assert(!play.in_start);
    cr_assert_eq(arg, &play.closed);
    play.closed = true;
    loop_stop(play.loop);
}

void db_play_close(void)
{
    struct db_conn *c = play.conn;
    play.conn = NULL;
    play.in_start = true;
    db_conn_close(c, on_closed, &play.closed);
    play.in_start = false;
}

static void on_result(void *arg, enum err err, const struct db_result *res, const struct err_info *info)
{
    struct db_play_call *call = arg;
    cr_assert(!play.in_start, "a callback ran before the starting call returned");
    cr_assert(err == ERR_OK ? res != NULL : !res && info->code == err);
    call->times++;
    call->order = play.n_done++;
    call->err = err;
    snprintf(call->text, sizeof(call->text), "%s", info->text);
    if (res) {
        call->rows = db_rows(res);
        call->value = call->rows > 0 ? db_i64(res, 0, 0) : db_affected(res);
    }
    if (play.close_in_callback && play.conn)
        db_play_close();
    if (play.n_done == play.stop_at)
        loop_stop(play.loop);
}

static void on_state(void *arg, bool up, const struct err_info *info)
{
    cr_assert(!play.in_start && arg == &play.n_up);
    cr_assert(up || info->code == ERR_CONN_LOST);
    play.n_up += up;
    play.n_down += !up;
    loop_stop(play.loop);
}

static void on_guard(void *arg)
{
    (void)arg;
    fprintf(stderr, "the loop waited too long: %d of %d calls, up %d, down %d\n", play.n_done, play.stop_at, play.n_up,
            play.n_down);
    abort();
}

void db_play_wait(int n)
{
    play.stop_at = n;
    while (play.n_done < n)
        loop_run(play.loop);
}

void db_play_wait_states(int up, int down)
{
    while (play.n_up < up || play.n_down < down)
        loop_run(play.loop);
}

void db_play_open(const char *url, int64_t statement_ms, int64_t connect_ms)
{
    const struct db_conn_config config = {.url = url,
                                          .name = "usher-test",
                                          .statement_ms = statement_ms,
                                          .connect_ms = connect_ms,
                                          .on_state = on_state,
                                          .arg = &play.n_up};
    play.in_start = true;
    play.conn = db_conn_open(play.loop, &config);
    play.in_start = false;
}

void db_play_shut(void)
{
    db_play_close();
    while (!play.closed)
        loop_run(play.loop);
    play.closed = false;
}

void db_play_reopen(const char *url, int64_t statement_ms, int64_t connect_ms)
{
    db_play_shut();
    db_play_open(url, statement_ms, connect_ms);
}

void db_play_setup(void)
{
    play.ready = test_pg_available();
    if (!play.ready)
        return;
    test_pg_create(&play.pg, NULL);
    play.loop = loop_new();
    play.guard = timer_new(play.loop, on_guard, NULL);
    timer_start(play.guard, 30000, 0);
    db_play_open(play.pg.url, 0, 0);
    db_play_wait_states(1, 0);
}

void db_play_teardown(void)
{
    if (!play.ready)
        return;
    if (play.conn)
        db_play_close();
    while (!play.closed)
        loop_run(play.loop);
    timer_free(play.guard);
    loop_run(play.loop);
    for (int i = 0; i < play.n_calls; i++)
        cr_expect_eq(play.calls[i].times, 1, "call %d ran %d times", i, play.calls[i].times);
    cr_expect_eq(loop_free(play.loop), 0, "handles were left");
    arena_free(&play.arena);
    test_pg_drop(&play.pg);
}

int db_play_i64(const struct db_stmt *stmt, int64_t v)
{
    db_args_init(&play.args, &play.arena);
    db_arg_i64(&play.args, v);
    play.in_start = true;
    db_conn_query(play.conn, stmt, &play.args, on_result, &play.calls[play.n_calls]);
    play.in_start = false;
    memset((char *)(uintptr_t)play.args.values[0], 0xee, 8); /* arguments were copied */
    return play.n_calls++;
}

int db_play_double(const struct db_stmt *stmt, double v)
{
    db_args_init(&play.args, &play.arena);
    db_arg_double(&play.args, v);
    play.in_start = true;
    db_conn_query(play.conn, stmt, &play.args, on_result, &play.calls[play.n_calls]);
    play.in_start = false;
    return play.n_calls++;
}

int db_play_query(const struct db_stmt *stmt)
{
    play.in_start = true;
    db_conn_query(play.conn, stmt, NULL, on_result, &play.calls[play.n_calls]);
    play.in_start = false;
    return play.n_calls++;
}

int db_play_exec(const char *sql)
{
    play.in_start = true;
    db_conn_exec(play.conn, sql, on_result, &play.calls[play.n_calls]);
    play.in_start = false;
    return play.n_calls++;
}

int db_play_copy(const char *sql, const struct buf *data)
{
    play.in_start = true;
    db_conn_copy_in(play.conn, sql, data, on_result, &play.calls[play.n_calls]);
    play.in_start = false;
    return play.n_calls++;
}

void db_play_want(const enum err *want, int n)
{
    for (int i = 0; i < n; i++) {
        cr_assert_eq(play.calls[i].err, want[i], "call %d: %s: %s", i, err_name(play.calls[i].err), play.calls[i].text);
        cr_assert_eq(play.calls[i].order, i, "call %d ended as number %d", i, play.calls[i].order);
    }
}

void db_play_ints(struct buf *b, int from, int to)
{
    db_copy_begin(b);
    for (int i = from; i <= to; i++) {
        db_copy_row(b, 2);
        db_copy_i32(b, i);
        db_copy_text(b, STR("a text that gives the row some width, so that the socket's buffer fills"));
    }
    db_copy_end(b);
}
