/* Streams as workers use them on the loop: groups, reading, acknowledging, taking over, adding. */
#include <string.h>

#include <criterion/criterion.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/io/queue.h"
#include "common/io/queue_admin.h"
#include "tests/support/queue_fixture.h"

TestSuite(queue, .init = queue_fixture_set_up, .fini = queue_fixture_tear_down, .timeout = 60);

Test(queue, groups_are_made_where_missing_and_kept_where_there)
{
    struct got g = {0};

    redis_run(fix.s, "XADD " Q " 5-0 a b");
    queue_ensure(fix.c, queue_fixture_keys, 2, queue_fixture_on_done, &g);
    WAIT_FOR(g.calls == 1);
    cr_assert_eq(g.err, ERR_OK, "%s", g.text);
    cr_expect_eq(queue_fixture_look().group.lag, 1, "what was there before is delivered");
    cr_expect_eq(queue_fixture_read("w1", 10, 0, NULL).n, 1);
    for (int i = 0; i < 2; i++) {
        queue_ensure(fix.c, queue_fixture_keys, 2, queue_fixture_on_done, &g);
        WAIT_FOR(g.calls == i + 2);
        cr_expect_eq(g.err, ERR_OK);
        queue_fixture_ensure();
    }
    cr_expect_eq(queue_fixture_look().group.lag, 0);
    cr_expect_eq(queue_fixture_look().group.pending, 1);
}

Test(queue, a_blocked_read_returns_entries_of_all_streams_with_count_per_stream)
{
    struct got g = {0};
    struct queue_added added[3];

    queue_fixture_use_private_server();
    queue_fixture_ensure();
    queue_read(
        fix.c,
        &(struct queue_read){.keys = queue_fixture_keys, .n_keys = 2, .consumer = "w1", .count = 2, .block_ms = 20000},
        queue_fixture_on_read, &g);
    while (strstr(redis_run(fix.s, "CLIENT LIST")->s.p, "cmd=xreadgroup") == NULL)
        loop_turn(fix.loop);
    queue_fixture_add_jobs(1, added);
    WAIT_FOR(g.calls == 1);
    cr_expect(g.err == ERR_OK && g.n == 1 && g.streams[0] == 0);
    cr_expect_eq(queue_id_cmp(&g.ids[0], &added[0].id), 0);
    queue_fixture_add_jobs(3, added);
    for (int i = 0; i < 3; i++)
        redis_run(fix.s, "XADD " IN " * kind noop");
    g = queue_fixture_read("w1", 2, 20000, NULL);
    cr_expect_eq(g.n, 4, "two of each");
    cr_expect(g.streams[0] == 0 && g.streams[3] == 1);
    g = queue_fixture_read("w1", 2, 0, NULL);
    cr_expect_eq(g.n, 2);
    g = queue_fixture_read("w1", 2, 5, NULL);
    cr_expect(g.err == ERR_OK && g.n == 0, "time up is no error");
}

Test(queue, own_history_reports_entries_that_are_gone_as_deleted)
{
    static const struct queue_id start = {0, 0};
    struct got g;

    queue_fixture_ensure();
    redis_run(fix.s, "XADD " IN " 1-0 kind a");
    redis_run(fix.s, "XADD " IN " 2-0 kind b");
    cr_assert_eq(queue_fixture_read("w1", 10, 0, NULL).n, 2);
    redis_run(fix.s, "XDEL " IN " 1-0");
    g = queue_fixture_read("w1", 10, 0, &start);
    cr_assert_eq(g.n, 2);
    cr_expect(g.deleted[0] && g.ids[0].ms == 1);
    cr_expect(!g.deleted[1] && g.ids[1].ms == 2);
    cr_expect_eq(queue_fixture_read("w2", 10, 0, &start).n, 0, "another's history");
    cr_expect_eq(queue_fixture_read("w1", 10, 0, &g.ids[0]).n, 1);
}

Test(queue, a_missing_group_is_told_and_can_be_made_again)
{
    struct got g;

    queue_fixture_ensure();
    redis_run(fix.s, "FLUSHDB");
    g = queue_fixture_read("w1", 1, 0, NULL);
    cr_expect_eq(g.err, ERR_REDIS_NOGROUP);
    cr_expect_not_null(strstr(g.text, "NOGROUP"), "%s", g.text);
    cr_expect_eq(g.n, 0);
    g.calls = 0;
    queue_ensure(fix.c, queue_fixture_keys, 2, queue_fixture_on_done, &g);
    WAIT_FOR(g.calls == 1);
    cr_expect_eq(queue_fixture_read("w1", 1, 0, NULL).err, ERR_OK);
}

Test(queue, adds_and_acknowledges)
{
    struct got added = {0}, acked = {0};
    struct queue_id ids[3] = {{0, 0}, {9, 9}, {0, 0}};
    const struct queue_field fields[] = {{STR("kind"), STR("noop")}, {STR("payload"), {"\0\xff\r\n", 4}}};
    struct got g;

    queue_fixture_ensure();
    queue_add(fix.c, IN, fields, 2, queue_fixture_on_added, &added);
    WAIT_FOR(added.calls == 1);
    cr_assert_eq(added.err, ERR_OK, "%s", added.text);
    g = queue_fixture_read("w1", 10, 0, NULL);
    cr_expect_eq(queue_id_cmp(&g.ids[0], &added.ids[0]), 0);
    cr_expect_str_eq(g.first_value, "noop");
    ids[0] = ids[2] = added.ids[0];
    queue_ack(fix.c, IN, ids, 3, queue_fixture_on_count, &acked);
    WAIT_FOR(acked.calls == 1);
    cr_expect(acked.err == ERR_OK && acked.count == 1, "one was pending; one is unknown, one is doubled");
    redis_run(fix.s, "SET wrong type");
    queue_add(fix.c, "wrong", fields, 2, queue_fixture_on_added, &added);
    queue_ack(fix.c, "wrong", ids, 1, queue_fixture_on_count, &acked);
    WAIT_FOR(added.calls == 2 && acked.calls == 2);
    cr_expect(added.err == ERR_REDIS && acked.err == ERR_REDIS);
    cr_expect_not_null(strstr(added.text, "WRONGTYPE"), "%s", added.text);
}

Test(queue, idle_entries_are_taken_over_step_by_step)
{
    struct queue_claim claim = {.key = Q, .consumer = "w2", .min_idle_ms = 0, .count = 2};
    struct queue_added added[5];
    struct got g = {0};

    queue_fixture_ensure();
    queue_fixture_add_jobs(5, added);
    cr_assert_eq(queue_fixture_read("w1", 10, 0, NULL).n, 5);
    queue_fixture_delete(&added[0].id);
    queue_claim_idle(fix.c, &claim, queue_fixture_on_claimed, &g);
    WAIT_FOR(g.calls == 1);
    cr_assert_eq(g.err, ERR_OK, "%s", g.text);
    cr_expect(g.n_deleted == 1 && g.n == 1 && !queue_id_is_zero(&g.cursor), "%zu %zu", g.n_deleted, g.n);
    cr_expect_eq(queue_id_cmp(&g.ids[0], &added[1].id), 0);
    claim.cursor = g.cursor;
    claim.count = 10;
    queue_claim_idle(fix.c, &claim, queue_fixture_on_claimed, &g);
    WAIT_FOR(g.calls == 2);
    cr_expect(g.n == 3 && queue_id_is_zero(&g.cursor));
    claim = (struct queue_claim){.key = Q, .consumer = "w3", .min_idle_ms = 60000, .count = 10};
    queue_claim_idle(fix.c, &claim, queue_fixture_on_claimed, &g);
    WAIT_FOR(g.calls == 3);
    cr_expect(g.err == ERR_OK && g.n == 0, "nothing idle for a minute");
}

Test(queue, a_wake_reaches_listeners)
{
    struct rsession *listener = redis_session(fix.url);
    const struct reply *reply;

    redis_run(listener, "SUBSCRIBE " QUEUE_CHANNEL_WAKE);
    queue_wake(fix.c, STR("default"));
    while (rconn_pending(fix.c) > 0)
        loop_turn(fix.loop);
    cr_assert_eq(rsession_receive(listener, &reply, NULL), ERR_OK);
    cr_assert(reply->type == REPLY_ARRAY && reply->n == 3);
    cr_expect(str_is(reply->items[0]->s, "message") && str_is(reply->items[2]->s, "default"));
    rsession_close(listener);
}

Test(queue, calls_on_a_lost_connection_end_with_an_error_each)
{
    struct got g[6] = {{0}};
    const struct queue_field field = {STR("a"), STR("b")};
    const struct queue_id id = {1, 1};

    queue_fixture_use_private_server();
    redis_run(fix.s, "CLIENT KILL TYPE normal SKIPME yes");
    WAIT_FOR(!rconn_up(fix.c));
    queue_read(fix.c, &(struct queue_read){.keys = queue_fixture_keys, .n_keys = 2, .consumer = "w", .count = 1},
               queue_fixture_on_read, &g[0]);
    queue_claim_idle(fix.c, &(struct queue_claim){.key = Q, .consumer = "w", .count = 1}, queue_fixture_on_claimed,
                     &g[1]);
    queue_ack(fix.c, Q, &id, 1, queue_fixture_on_count, &g[2]);
    queue_add(fix.c, Q, &field, 1, queue_fixture_on_added, &g[3]);
    queue_ensure(fix.c, queue_fixture_keys, 2, queue_fixture_on_done, &g[4]);
    queue_wake(fix.c, STR("x"));
    for (int i = 0; i < 5; i++) {
        WAIT_FOR(g[i].calls == 1);
        cr_expect_eq(g[i].err, ERR_CONN_LOST, "call %d", i);
    }
    WAIT_FOR(rconn_up(fix.c));
}
