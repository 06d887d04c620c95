/* The stream of dead letters for onlookers gets each letter, once and in order. */
#include <criterion/criterion.h>

#include "common/io/queue.h"
#include "tests/support/leader.h"

#define DLQ QUEUE_KEY_DLQ

static void dead_job(struct leader *t, const char *nn)
{
    leader_sql(t,
               "insert into automation.dead_letters (tenant_id, job_id, kind, queue, reason, error, attempt, crashes, "
               "effect_key, accepted_at, died_at) select '" LEADER_TENANT "', id, 'noop', 'default', 'permanent', "
               "'550 no such user', 1, 0, id, automation.now(), automation.now() from (select "
               "'00000000-0000-0000-0000-0000000000%s'::uuid as id) x",
               nn);
}

static int64_t stream_length(struct leader *t)
{
    return redis_run(t->redis, "XLEN " DLQ)->i;
}

static int64_t unfed(struct leader *t)
{
    return leader_i64(t, "select count(*) from automation.dead_letters where not fed");
}

Test(dead_feed, new_letters_are_fed_once_and_in_order)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    dead_job(&t, "f2");
    leader_sql(&t, "select automation_priv.clock_set('2026-05-02T12:00:01Z')");
    dead_job(&t, "f1");
    leader_work(&t);
    leader_work(&t);
    cr_expect_eq(stream_length(&t), 2);
    cr_expect_eq(unfed(&t), 0);
    const struct reply *e = redis_run(t.redis, "XRANGE " DLQ " - + COUNT 1")->items[0]->items[1];
    static const char *const fields[] = {"job",     "00000000-0000-0000-0000-0000000000f2",
                                         "tenant",  LEADER_TENANT,
                                         "kind",    "noop",
                                         "queue",   "default",
                                         "reason",  "permanent",
                                         "error",   "550 no such user",
                                         "attempt", "1",
                                         "died_at", "2026-05-02T12:00:00.000Z"};
    cr_assert_eq(e->n, sizeof(fields) / sizeof(fields[0]));
    for (size_t i = 0; i < e->n; i++)
        cr_expect(str_is(e->items[i]->s, fields[i]), "%s", fields[i]);
    leader_takeover(&t);
    leader_work(&t);
    cr_expect_eq(stream_length(&t), 2);
    leader_close(&t);
}

Test(dead_feed, letters_wait_while_redis_refuses)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    dead_job(&t, "f1");
    redis_run(t.redis, "SET " DLQ " rubbish");
    leader_work(&t);
    cr_expect_eq(unfed(&t), 1);
    redis_run(t.redis, "DEL " DLQ);
    leader_work(&t);
    cr_expect_eq(unfed(&t), 0);
    cr_expect_eq(stream_length(&t), 1);
    leader_close(&t);
}
