#include "tests/support/queue_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "common/base/id.h"
#include "common/base/mem.h"

#define GUARD_MS 30000

struct queue_fixture fix;
const char *const queue_fixture_keys[2] = {Q, IN};

static void on_guard(void *arg)
{
    (void)arg;
    fprintf(stderr, "the test waits for something that does not happen\n");
    abort();
}

static void on_state(void *arg, bool up, const struct err_info *info)
{
    (void)arg;
    (void)up;
    (void)info;
    loop_stop(fix.loop);
}

static void open_all(void)
{
    fix.s = redis_session(fix.url);
    fix.loop = loop_new();
    fix.guard = timer_new(fix.loop, on_guard, NULL);
    timer_start(fix.guard, GUARD_MS, 0);
    fix.c = rconn_open(fix.loop, &(struct rconn_config){.url = fix.url, .on_state = on_state});
    WAIT_FOR(rconn_up(fix.c));
}

static void on_closed(void *arg)
{
    *(bool *)arg = true;
    loop_stop(fix.loop);
}

static void close_all(void)
{
    bool closed = false;

    if (fix.loop == NULL)
        return;
    rconn_close(fix.c, on_closed, &closed);
    WAIT_FOR(closed);
    timer_free(fix.guard);
    cr_expect_eq(loop_free(fix.loop), 0, "handles were forgotten");
    rsession_close(fix.s);
}

void queue_fixture_set_up(void)
{
    if (!redis_test_db(fix.url))
        cr_skip_test("no Redis");
    open_all();
}

void queue_fixture_tear_down(void)
{
    close_all();
    redis_server_stop(&fix.server);
}

void queue_fixture_use_private_server(void)
{
    close_all();
    redis_server_start(&fix.server, NULL);
    snprintf(fix.url, sizeof(fix.url), "%s", fix.server.url);
    open_all();
}

static void keep(struct got *g, enum err err, const struct err_info *info)
{
    g->calls++;
    g->err = err;
    cr_assert_eq(info == NULL, err == ERR_OK);
    snprintf(g->text, sizeof(g->text), "%s", info != NULL ? info->text : "");
    loop_stop(fix.loop);
}

static void keep_entries(struct got *g, const struct queue_entries *e)
{
    g->n = e->n;
    for (size_t i = 0; i < e->n && i < QUEUE_FIXTURE_KEPT; i++) {
        g->ids[i] = e->v[i].id;
        g->streams[i] = e->v[i].stream;
        g->deleted[i] = e->v[i].deleted;
    }
    if (e->n > 0 && e->v[0].n_fields > 0)
        str_copy_n(g->first_value, sizeof(g->first_value), e->v[0].fields[0].value.p, e->v[0].fields[0].value.n);
}

void queue_fixture_on_read(void *arg, enum err err, const struct queue_entries *entries, const struct err_info *info)
{
    keep(arg, err, info);
    keep_entries(arg, entries);
}

void queue_fixture_on_done(void *arg, enum err err, const struct err_info *info)
{
    keep(arg, err, info);
}

void queue_fixture_on_count(void *arg, enum err err, int64_t count, const struct err_info *info)
{
    struct got *g = arg;

    keep(g, err, info);
    g->count = count;
}

void queue_fixture_on_added(void *arg, enum err err, const struct queue_id *id, const struct err_info *info)
{
    struct got *g = arg;

    keep(g, err, info);
    g->ids[0] = *id;
}

void queue_fixture_on_claimed(void *arg, enum err err, const struct queue_claimed *claimed, const struct err_info *info)
{
    struct got *g = arg;

    keep(g, err, info);
    keep_entries(g, &claimed->entries);
    g->cursor = claimed->cursor;
    g->n_deleted = claimed->n_deleted;
}

struct got queue_fixture_read(const char *consumer, uint32_t count, int64_t block_ms, const struct queue_id *after)
{
    struct got g = {0};
    const struct queue_read read = {.keys = queue_fixture_keys,
                                    .n_keys = 2,
                                    .consumer = consumer,
                                    .count = count,
                                    .block_ms = block_ms,
                                    .after = after};

    queue_read(fix.c, &read, queue_fixture_on_read, &g);
    cr_assert_eq(g.calls, 0, "never before queue_read returned");
    WAIT_FOR(g.calls == 1);
    return g;
}

int64_t queue_fixture_ack(const struct queue_id *ids, size_t n)
{
    struct got g = {0};

    queue_ack(fix.c, Q, ids, n, queue_fixture_on_count, &g);
    WAIT_FOR(g.calls == 1);
    cr_assert_eq(g.err, ERR_OK, "%s", g.text);
    return g.count;
}

void queue_fixture_ensure(void)
{
    struct err_info info = {0};

    cr_assert_eq(queue_admin_ensure(fix.s, queue_fixture_keys, 2, &info), ERR_OK, "%s", info.text);
}

void queue_fixture_add_jobs(size_t n, struct queue_added *added)
{
    struct queue_job *jobs = mem_zalloc(n * sizeof(*jobs));
    struct err_info info = {0};

    for (size_t i = 0; i < n; i++) {
        id_new(&jobs[i].id);
        jobs[i].claim_no = (int32_t)i;
    }
    cr_assert_eq(queue_admin_add_jobs(fix.s, Q, jobs, n, added, &info), ERR_OK, "%s", info.text);
    mem_free(jobs);
}

void queue_fixture_delete(const struct queue_id *id)
{
    char command[128], text[QUEUE_ID_SIZE];

    snprintf(command, sizeof(command), "XDEL " Q " %s", queue_id_format(id, text));
    redis_run(fix.s, command);
}

struct queue_info queue_fixture_look(void)
{
    struct queue_info now;
    struct err_info info = {0};

    cr_assert_eq(queue_admin_info(fix.s, Q, &now, &info), ERR_OK, "%s", info.text);
    return now;
}
