/* Streams as the leader uses them: admission, where entries are, trimming, dead consumers, a Redis that
 * fails. */
#include <string.h>

#include <criterion/criterion.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/io/queue.h"
#include "common/io/queue_admin.h"
#include "tests/support/queue_fixture.h"

TestSuite(queue_admin, .init = queue_fixture_set_up, .fini = queue_fixture_tear_down, .timeout = 60);

Test(queue_admin, admission_returns_the_id_of_every_entry_in_order)
{
    enum { N = 1500 }; /* three pipelines */
    struct queue_added *added = mem_zalloc(N * sizeof(*added));

    queue_fixture_ensure();
    queue_fixture_add_jobs(N, added);
    for (size_t i = 0; i < N; i++)
        cr_assert(added[i].err == ERR_OK && (i == 0 || queue_id_cmp(&added[i - 1].id, &added[i].id) < 0));
    cr_expect_eq(queue_fixture_look().group.lag, N);
    mem_free(added);
}

Test(queue_admin, entries_are_undelivered_pending_or_gone)
{
    struct queue_added added[6];
    struct queue_id ids[7], never = {UINT64_MAX, 0};
    enum queue_where where[7];
    struct err_info info = {0};

    cr_expect_eq(queue_admin_locate(fix.s, Q, &never, 1, where, &info), ERR_REDIS_NOGROUP);
    redis_run(fix.s, "XADD " Q " 1-0 a b");
    cr_expect_eq(queue_admin_locate(fix.s, Q, &never, 1, where, &info), ERR_REDIS_NOGROUP);
    redis_run(fix.s, "DEL " Q);
    queue_fixture_ensure();
    queue_fixture_add_jobs(6, added);
    for (size_t i = 0; i < 6; i++)
        ids[i] = added[i].id;
    ids[6] = never;
    cr_assert_eq(queue_fixture_read("w1", 4, 0, NULL).n, 4);
    queue_fixture_ack((struct queue_id[]){ids[1], ids[3]}, 2);
    queue_fixture_delete(&ids[5]);
    cr_assert_eq(queue_admin_locate(fix.s, Q, ids, 7, where, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(where[0], QUEUE_PENDING);
    cr_expect_eq(where[1], QUEUE_GONE, "acknowledged");
    cr_expect_eq(where[2], QUEUE_PENDING);
    cr_expect_eq(where[3], QUEUE_GONE, "acknowledged, and the last one delivered");
    cr_expect_eq(where[4], QUEUE_UNDELIVERED);
    cr_expect_eq(where[5], QUEUE_GONE, "deleted before delivery");
    cr_expect_eq(where[6], QUEUE_GONE, "never added here");

    redis_run(fix.s, "FLUSHDB");
    queue_fixture_ensure();
    cr_assert_eq(queue_admin_locate(fix.s, Q, ids, 7, where, &info), ERR_OK);
    for (int i = 0; i < 7; i++)
        cr_expect_eq(where[i], QUEUE_GONE, "after FLUSHALL");
}

Test(queue_admin, trimming_removes_the_finished_prefix_and_keeps_the_last_delivered)
{
    struct queue_added added[6];
    struct queue_id ids[6];
    int64_t removed = -1;
    struct queue_info now;

    cr_expect_eq(queue_admin_trim(fix.s, Q, &removed, NULL), ERR_REDIS_NOGROUP);
    queue_fixture_ensure();
    cr_expect_eq(queue_admin_trim(fix.s, Q, &removed, NULL), ERR_OK);
    cr_expect_eq(removed, 0);
    queue_fixture_add_jobs(6, added);
    for (size_t i = 0; i < 6; i++)
        ids[i] = added[i].id;
    cr_expect_eq(queue_admin_trim(fix.s, Q, &removed, NULL), ERR_OK);
    cr_expect_eq(removed, 0, "nothing was delivered");
    cr_assert_eq(queue_fixture_read("w1", 4, 0, NULL).n, 4);
    queue_fixture_ack((struct queue_id[]){ids[0], ids[1], ids[3]}, 3);
    cr_expect_eq(queue_admin_trim(fix.s, Q, &removed, NULL), ERR_OK);
    cr_expect_eq(removed, 2, "up to the oldest pending one");
    queue_fixture_ack(&ids[2], 1);
    cr_expect_eq(queue_admin_trim(fix.s, Q, NULL, NULL), ERR_OK);
    now = queue_fixture_look();
    cr_expect_eq(now.stream.length, 3, "the last delivered one and two undelivered");
    cr_expect_eq(queue_id_cmp(&now.stream.first, &ids[3]), 0);
    cr_expect_eq(queue_id_cmp(&now.group.last_delivered, &ids[3]), 0);
    cr_expect_eq(queue_id_cmp(&now.stream.last_generated, &ids[5]), 0);
    cr_expect(now.group.lag == 2 && now.group.pending == 0 && now.group.entries_read == 4 &&
              now.stream.entries_added == 6);
}

Test(queue_admin, dead_consumers_are_acknowledged_and_removed_only_when_empty)
{
    enum { N = 2300 };
    struct queue_added *added = mem_zalloc(N * sizeof(*added));
    struct queue_consumer *list;
    struct arena arena = {0};
    struct err_info info = {0};
    size_t n, acked;

    queue_fixture_ensure();
    queue_fixture_add_jobs(N, added);
    cr_assert_eq(queue_fixture_read("dead", N, 0, NULL).n, N);
    redis_run(fix.s, "XADD " Q " * a b");
    cr_assert_eq(queue_fixture_read("alive", 1, 0, NULL).n, 1);
    cr_assert_eq(queue_admin_consumers(fix.s, Q, &arena, &list, &n, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(n, 2);
    cr_expect(str_is(list[0].name, "alive") && list[0].pending == 1 && list[0].idle_ms >= 0);
    cr_expect(str_is(list[1].name, "dead") && list[1].pending == N);

    cr_expect_eq(queue_admin_remove_consumer(fix.s, Q, "dead", &info), ERR_STATE);
    cr_expect_not_null(strstr(info.text, "2300"), "%s", info.text);
    cr_expect_eq(queue_fixture_look().group.pending, N + 1, "nothing was lost by trying");
    cr_expect_eq(queue_admin_ack_consumer(fix.s, Q, "dead", 1500, &acked, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(acked, 1500);
    cr_expect_eq(queue_admin_ack_consumer(fix.s, Q, "dead", 1500, &acked, &info), ERR_OK);
    cr_expect_eq(acked, N - 1500);
    cr_expect_eq(queue_admin_remove_consumer(fix.s, Q, "dead", &info), ERR_OK, "%s", info.text);
    cr_expect_eq(queue_admin_remove_consumer(fix.s, Q, "dead", &info), ERR_OK, "there is none");
    cr_expect_eq(queue_fixture_look().group.consumers, 1);
    cr_expect_eq(queue_fixture_look().group.pending, 1, "the other's entry is untouched");
    cr_expect_eq(queue_admin_ack_consumer(fix.s, Q, "nobody", 10, &acked, &info), ERR_OK);
    cr_expect_eq(acked, 0);
    arena_free(&arena);
    mem_free(added);
}

Test(queue_admin, beacon_clock_and_dead_letter_feed)
{
    const struct queue_field field = {STR("job"), STR("x")};
    struct err_info info = {0};
    int64_t sequence = -1, us = 0, before = clock_wall_us();

    cr_expect_eq(queue_admin_beacon_get(fix.s, &sequence, &info), ERR_NOTFOUND);
    cr_expect_eq(queue_admin_beacon_set(fix.s, 41, &info), ERR_OK);
    cr_expect_eq(queue_admin_beacon_set(fix.s, INT64_MAX, &info), ERR_OK);
    cr_expect_eq(queue_admin_beacon_get(fix.s, &sequence, &info), ERR_OK);
    cr_expect_eq(sequence, INT64_MAX);
    redis_run(fix.s, "SET " QUEUE_KEY_BEACON " rubbish");
    cr_expect_eq(queue_admin_beacon_get(fix.s, &sequence, &info), ERR_MALFORMED);
    cr_expect_eq(queue_admin_time(fix.s, &us, &info), ERR_OK);
    cr_expect(us >= before - 1000000 && us <= clock_wall_us() + 1000000);
    for (int i = 0; i < 500; i++)
        cr_assert_eq(queue_admin_add_dead(fix.s, &field, 1, 10, &info), ERR_OK, "%s", info.text);
    cr_expect_lt(redis_run(fix.s, "XLEN " QUEUE_KEY_DLQ)->i, 211, "about 10: Redis removes whole nodes of 100");
}

Test(queue_admin, a_full_or_frozen_redis_leaves_an_error_for_every_job)
{
    enum { N = 700 };
    struct queue_job *jobs = mem_zalloc(N * sizeof(*jobs));
    struct queue_added *added = mem_zalloc(N * sizeof(*added));
    struct rsession *own = NULL;
    struct err_info info = {0};

    redis_server_start(&fix.server, NULL);
    cr_assert_eq(rsession_open(&(struct rconn_config){.url = fix.server.url, .command_ms = 200}, &own, &info), ERR_OK);
    redis_run(own, "CONFIG SET maxmemory 1");
    cr_expect_eq(queue_admin_add_jobs(own, Q, jobs, N, added, &info), ERR_REDIS_FULL);
    cr_expect_not_null(strstr(info.text, "OOM"), "%s", info.text);
    for (int i = 0; i < N; i++)
        cr_assert_eq(added[i].err, ERR_REDIS_FULL);
    redis_run(own, "CONFIG SET maxmemory 0");
    cr_expect_eq(queue_admin_add_jobs(own, Q, jobs, N, added, &info), ERR_OK, "the session is as good as new");
    redis_server_freeze(&fix.server);
    cr_expect_eq(queue_admin_add_jobs(own, Q, jobs, N, added, &info), ERR_TIMEOUT);
    cr_expect_eq(added[0].err, ERR_TIMEOUT);
    for (int i = 1; i < N; i++)
        cr_assert_eq(added[i].err, ERR_CONN_LOST);
    rsession_close(own);
    redis_server_thaw(&fix.server);
    mem_free(jobs);
    mem_free(added);
}
