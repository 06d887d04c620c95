/* admission on real servers: every due job is added once, again when its entry is lost, and a second entry harms nobody. */
#include <criterion/criterion.h>

#include "common/base/buf.h"
#include "common/base/log.h"
#include "tests/support/leader.h"

#define KEY "usher:{0}:q:default"
#define WORKER "'00000000-0000-0000-0000-0000000000d1'"
/* Claims like a worker. */
#define CLAIM(nn)                                                                                                      \
    "select count(*) from automation_priv.claim_jobs(" WORKER ", array['00000000-0000-0000-0000-0000000000" nn         \
    "'::uuid], '{}', false)"

/* What was added becomes old enough to be looked at, and the look is due. */
static void age(struct leader *t)
{
    for (size_t i = 0; i < t->lead.admit.n; i++) {
        struct admit_queue *q = &t->lead.admit.queues[i];
        q->review_ms = 0;
        LIST_FOR (it, &q->memory.order)
            LIST_OWNER(it, struct admitted_job, order)->added_ms = 0;
    }
}

static size_t remembered(const struct leader *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->lead.admit.n; i++)
        n += t->lead.admit.queues[i].memory.n;
    return n;
}

static void read_all(struct leader *t)
{
    redis_run(t->redis, "XREADGROUP GROUP workers w COUNT 1000 STREAMS " KEY " >");
}

static int64_t group_number(struct leader *t, const char *name)
{
    const struct reply *groups = redis_run(t->redis, "XINFO GROUPS " KEY);
    const struct reply *g = groups->items[0];
    for (size_t i = 0; i + 1 < g->n; i += 2)
        if (str_is(g->items[i]->s, name))
            return g->items[i + 1]->i;
    return -1;
}

Test(scheduler_admit, a_due_job_is_added_once)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_job(&t, LEADER_TENANT, "f1");
    leader_sql(&t, "select automation.enqueue_job('noop', p_run_at => automation.now() + interval '1 hour')");
    leader_work(&t);
    leader_work(&t);
    age(&t);
    leader_work(&t);
    cr_expect_eq(leader_stream(&t), 1);
    cr_expect_eq(group_number(&t, "lag"), 1);
    const struct reply *e = redis_run(t.redis, "XRANGE " KEY " - +")->items[0]->items[1];
    cr_expect(str_is(e->items[1]->s, "00000000-0000-0000-0000-0000000000f1"));
    cr_expect(str_is(e->items[3]->s, "0"), "the claim number");
    leader_close(&t);
}

Test(scheduler_admit, a_lost_entry_is_added_again)
{
    static const char *const losses[] = {"XTRIM " KEY " MAXLEN 0", "DEL " KEY, "XGROUP DESTROY " KEY " workers",
                                         "FLUSHDB"};
    for (size_t i = 0; i < sizeof(losses) / sizeof(losses[0]); i++) {
        struct leader t;
        if (!leader_open(&t))
            return;
        log_init("test", LOG_ERROR, LOG_LOGFMT);
        leader_job(&t, LEADER_TENANT, "f1");
        leader_work(&t);
        cr_assert_eq(leader_stream(&t), 1);
        redis_run(t.redis, losses[i]);
        age(&t);
        leader_work(&t);
        leader_work(&t);
        cr_expect_eq(group_number(&t, "lag"), leader_stream(&t), "%s", losses[i]);
        read_all(&t);
        cr_expect_geq(group_number(&t, "pending"), 1, "%s", losses[i]);
        leader_close(&t);
    }
}

Test(scheduler_admit, an_entry_acknowledged_without_a_claim_is_added_again)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_job(&t, LEADER_TENANT, "f1");
    leader_work(&t);
    read_all(&t);
    age(&t);
    leader_work(&t);
    cr_expect_eq(group_number(&t, "entries-read"), 1, "pending: somebody is about to claim it");
    cr_expect_eq(group_number(&t, "lag"), 0);
    const struct reply *pending = redis_run(t.redis, "XPENDING " KEY " workers - + 1");
    char ack[128];
    snprintf(ack, sizeof(ack), "XACK " KEY " workers %.*s", (int)pending->items[0]->items[0]->s.n,
             pending->items[0]->items[0]->s.p);
    redis_run(t.redis, ack);
    age(&t);
    leader_work(&t);
    cr_expect_eq(group_number(&t, "lag"), 1);
    leader_close(&t);
}

Test(scheduler_admit, a_claimed_job_is_forgotten_and_added_when_it_is_due_again)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_job(&t, LEADER_TENANT, "f1");
    leader_work(&t);
    leader_sql(&t, "select automation_priv.worker_register(" WORKER ", 'w', 'default')");
    read_all(&t);
    cr_assert_eq(leader_i64(&t, CLAIM("f1")), 1);
    age(&t);
    leader_work(&t);
    cr_expect_eq(remembered(&t), 0);
    cr_expect_eq(group_number(&t, "lag"), 0);
    leader_sql(&t, "select automation_priv.settle_jobs(" WORKER
                   ", '[{\"j\":\"00000000-0000-0000-0000-0000000000f1\",\"c\":1,\"a\":\"release\"}]')");
    leader_work(&t);
    cr_expect_eq(group_number(&t, "lag"), 1);
    leader_close(&t);
}

Test(scheduler_admit, a_new_leader_adds_again_and_the_second_entry_finds_nothing_to_claim)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_job(&t, LEADER_TENANT, "f1");
    leader_work(&t);
    leader_takeover(&t);
    leader_work(&t);
    cr_expect_eq(leader_stream(&t), 2);
    leader_sql(&t, "select automation_priv.worker_register(" WORKER ", 'w', 'default')");
    cr_expect_eq(leader_i64(&t, CLAIM("f1")), 1);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.claim_jobs(" WORKER
                                ", array['00000000-0000-0000-0000-0000000000f1'::uuid],"
                                " array['00000000-0000-0000-0000-0000000000f1'::uuid], false)"),
                 0);
    cr_expect_eq(leader_i64(&t, "select claim_no from automation_priv.ledger"), 1);
    leader_close(&t);
}

Test(scheduler_admit, one_tenant_does_not_fill_the_window)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_sql(
        &t,
        "select automation.enqueue_jobs((select jsonb_agg(jsonb_build_object('kind', 'noop', 'tenant', '" LEADER_TENANT
        "',"
        " 'run_at', automation.now() - interval '1 hour')) from generate_series(1, 500)));"
        "select automation.enqueue_jobs((select jsonb_agg(jsonb_build_object('kind', 'noop', 'tenant', '" LEADER_OTHER
        "'))"
        " from generate_series(1, 20)))");
    leader_work(&t);
    cr_expect_eq(leader_stream(&t), 52,
                 "32 of the one, half of the window, since another waits, and all 20 of the other");
    const struct reply *entries = redis_run(t.redis, "XRANGE " KEY " - +");
    char text[ID_TEXT_SIZE];
    int64_t of_other = 0;
    for (size_t i = 0; i < 40; i++) {
        (void)str_copy_n(text, sizeof(text), entries->items[i]->items[1]->items[1]->s.p, 36);
        of_other += leader_i64(
            &t, "select count(*) from automation_priv.ledger where job_id = '%s' and tenant_id = '" LEADER_OTHER "'",
            text);
    }
    cr_expect_eq(of_other, 20, "in turn");
    leader_close(&t);
}

/* As workers with free slots do. */
static void claim_all_admitted(struct leader *t)
{
    struct buf sql = {0};
    char text[ID_TEXT_SIZE];

    read_all(t);
    buf_printf(&sql, "select count(*) from automation_priv.claim_jobs(" WORKER
                     ", array['00000000-0000-0000-0000-0000000000ff'");
    for (size_t i = 0; i < t->lead.admit.n; i++)
        LIST_FOR (it, &t->lead.admit.queues[i].memory.order)
            buf_printf(&sql, ", '%s'", id_format(&LIST_OWNER(it, struct admitted_job, order)->job, text));
    buf_printf(&sql, "]::uuid[], '{}', false)");
    leader_sql(t, "%s", buf_text(&sql));
    buf_free(&sql);
}

static void enqueue_many(struct leader *t)
{
    leader_sql(
        t,
        "select automation.enqueue_jobs((select jsonb_agg(jsonb_build_object('kind', 'noop', 'tenant', '" LEADER_TENANT
        "')) from generate_series(1, 500)))");
}

/* What they hold now may be long jobs: the others' would wait for all that is ahead of them. */
Test(scheduler_admit, free_slots_that_are_filled_do_not_widen_the_window)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_sql(&t, "select automation_priv.worker_register(" WORKER ", 'w', 'default')");
    enqueue_many(&t);
    leader_work(&t);
    for (int wave = 1; wave <= 3; wave++) {
        cr_expect_eq(leader_stream(&t), 64 * wave);
        claim_all_admitted(&t);
        age(&t);
        leader_work(&t);
    }
    leader_close(&t);
}

Test(scheduler_admit, a_queue_at_rest_forgets_how_fast_it_was)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_sql(&t, "select automation_priv.worker_register(" WORKER ", 'w', 'default')");
    leader_job(&t, LEADER_TENANT, "f1");
    leader_work(&t);
    claim_all_admitted(&t);
    age(&t);
    leader_work(&t);
    cr_assert_eq(remembered(&t), 0);
    for (size_t i = 0; i < t.lead.admit.n; i++) {
        t.lead.admit.queues[i].window = 5000;
        t.lead.admit.queues[i].drain_per_s = 10000;
        t.lead.admit.queues[i].read_at_ms -= 10000;
    }
    enqueue_many(&t);
    leader_work(&t);
    cr_expect_eq(leader_stream(&t), 1 + 64);
    leader_close(&t);
}

static bool admits(const struct leader *t, const char *queue)
{
    for (size_t i = 0; i < t->lead.admit.n; i++)
        if (strcmp(t->lead.admit.queues[i].name, queue) == 0)
            return true;
    return false;
}

/* A queue that workers read is looked after from when they are there, however many mistyped names have jobs. */
Test(scheduler_admit, mistyped_queues_do_not_displace_those_with_workers)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    log_init("test", LOG_ERROR + 1, LOG_LOGFMT);
    leader_sql(
        &t,
        "select automation.enqueue_jobs((select jsonb_agg(jsonb_build_object('kind', 'noop', 'tenant', '" LEADER_TENANT
        "', 'queue', 'a' || i)) from generate_series(1, 80) i))");
    leader_work(&t);
    cr_expect(!admits(&t, "photos"));
    leader_sql(
        &t, "select automation_priv.worker_register('00000000-0000-0000-0000-0000000000d1', 'w', 'default, photos')");
    t.lead.admit.list_ms = 0;
    leader_work(&t);
    cr_expect(admits(&t, "photos"), "though nothing waits there yet: bare entries may come");
    leader_sql(&t, "select automation.enqueue_job('noop', '{}', p_queue => 'photos')");
    leader_work(&t);
    cr_expect_eq(redis_run(t.redis, "XLEN usher:{0}:q:photos")->i, 1);
    leader_close(&t);
}

Test(scheduler_admit, the_head_of_a_wedding_goes_first)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_sql(&t, "select automation.enqueue_job('noop', '{}', '" LEADER_TENANT "', p_wedding => '" LEADER_WEDDING
                   "', p_priority => n,"
                   " p_job_id => ('00000000-0000-0000-0000-0000000000f' || n)::uuid) from generate_series(1, 3) n");
    leader_work(&t);
    cr_expect_eq(leader_stream(&t), 1);
    leader_sql(&t, "select automation_priv.worker_register(" WORKER ", 'w', 'default')");
    cr_assert_eq(leader_i64(&t, CLAIM("f1")), 1);
    leader_work(&t);
    cr_expect_eq(leader_stream(&t), 1, "its head is in flight");
    leader_sql(&t, "select automation_priv.settle_jobs(" WORKER
                   ", '[{\"j\":\"00000000-0000-0000-0000-0000000000f1\",\"c\":1,\"a\":\"final\",\"o\":\"done\"}]')");
    leader_work(&t);
    cr_expect_eq(leader_stream(&t), 2);
    leader_close(&t);
}

Test(scheduler_admit, a_full_redis_holds_admission_and_nothing_else)
{
    static const char *const options[] = {"--maxmemory", "100mb", NULL};
    struct redis_server server;
    struct leader t;
    if (!leader_open(&t))
        return;
    log_init("test", LOG_ERROR + 1, LOG_LOGFMT);
    redis_server_start(&server, options);
    rsession_close(t.redis);
    t.redis = redis_session(server.url);
    t.settings.common.redis_url = server.url;
    leader_takeover(&t);
    leader_work(&t);
    redis_run(t.redis, "CONFIG SET maxmemory 1");
    leader_rule(&t, "c1", "\"trigger\":{\"type\":\"event\",\"event\":\"contract.signed\"}," LEADER_TASK);
    leader_event(&t, "e1", "contract.signed", "{}");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation_priv.ledger"), 1, "planned all the same");
    cr_expect_eq(leader_stream(&t), 0);
    redis_run(t.redis, "CONFIG SET maxmemory 0");
    for (size_t i = 0; i < t.lead.admit.n; i++)
        t.lead.admit.queues[i].retry_ms = 0;
    leader_work(&t);
    cr_expect_eq(leader_stream(&t), 1);
    redis_server_kill(&server);
    leader_event(&t, "e2", "contract.signed", "{}");
    struct err_info info = {0};
    for (int i = 0; i < 5 && leader_i64(&t, "select count(*) from automation.runs") < 2; i++) {
        cr_assert_eq(lead_connect(&t.lead, &info), ERR_OK);
        leader_work(&t);
    }
    cr_expect_eq(leader_i64(&t, "select count(*) from automation.runs"), 2, "without Redis too");
    rsession_close(t.redis);
    t.redis = NULL;
    leader_close(&t);
    redis_server_stop(&server);
}
