/* Lag is what people and autoscalers see: known and exact whatever happens to entries and groups. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <criterion/criterion.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/io/queue.h"
#include "common/io/queue_admin.h"
#include "tests/support/queue_fixture.h"

TestSuite(queue_lag, .init = queue_fixture_set_up, .fini = queue_fixture_tear_down, .timeout = 60);

Test(queue_lag, repairing_the_counters_leaves_other_groups_theirs)
{
    struct queue_added added[5];
    struct queue_group other;
    const struct reply *reply;

    queue_fixture_ensure();
    queue_fixture_add_jobs(5, added);
    redis_run(fix.s, "XGROUP CREATE " Q " other 0");
    redis_run(fix.s, "XREADGROUP GROUP other me COUNT 3 STREAMS " Q " >");
    queue_fixture_delete(&added[0].id);
    redis_run(fix.s, "XGROUP DESTROY " Q " " QUEUE_GROUP);
    queue_fixture_ensure();
    cr_expect_eq(queue_fixture_look().group.lag, 4);
    reply = redis_run(fix.s, "XINFO GROUPS " Q);
    cr_assert_eq(queue_reply_group(reply, "other", &other, NULL), ERR_OK);
    cr_expect_eq(other.lag, 2);
}

struct racer {
    pthread_t thread;
    atomic_bool *stop;
    enum err err;
};

static void *race_to_ensure(void *arg)
{
    struct racer *r = arg;
    struct rsession *own = redis_session(fix.url);

    while (!atomic_load(r->stop) && r->err == ERR_OK)
        r->err = queue_admin_ensure(own, queue_fixture_keys, 1, NULL);
    rsession_close(own);
    return NULL;
}

/* Entries deleted singly, a group destroyed, three processes that make it again while others add: lag is
 * right all the same. */
Test(queue_lag, a_group_made_by_many_at_once_counts_right)
{
    enum { RACERS = 3, ROUNDS = 60 };
    struct racer racers[RACERS];
    atomic_bool stop = false;
    struct queue_added added[8];

    queue_fixture_ensure();
    for (int i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){.stop = &stop};
        cr_assert_eq(pthread_create(&racers[i].thread, NULL, race_to_ensure, &racers[i]), 0);
    }
    for (int round = 0; round < ROUNDS; round++) {
        int64_t lag;
        queue_fixture_add_jobs(8, added);
        queue_fixture_delete(&added[3].id);
        redis_run(fix.s, "XGROUP DESTROY " Q " " QUEUE_GROUP);
        queue_fixture_add_jobs(8, added);
        while (!queue_fixture_look().group.exists) {
        }
        lag = queue_fixture_look().group.lag;
        cr_assert_eq(lag, queue_fixture_look().stream.length, "round %d: lag %lld", round, (long long)lag);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < RACERS; i++) {
        pthread_join(racers[i].thread, NULL);
        cr_expect_eq(racers[i].err, ERR_OK);
    }
}

enum entry_state { ENTRY_UNDELIVERED, ENTRY_PENDING, ENTRY_DONE };
struct model {
    struct queue_id ids[4096];
    enum entry_state states[4096];
    bool present[4096];
    size_t n;
    size_t last_delivered; /* index + 1; 0: none */
    unsigned seed;
};

static int64_t model_count(const struct model *m, enum entry_state state)
{
    int64_t n = 0;

    for (size_t i = 0; i < m->n; i++)
        n += m->present[i] && m->states[i] == state;
    return n;
}

static void model_add(struct model *m)
{
    struct queue_added added[3];
    size_t n = 1 + (size_t)rand_r(&m->seed) % 3;

    queue_fixture_add_jobs(n, added);
    for (size_t i = 0; i < n; i++, m->n++) {
        m->ids[m->n] = added[i].id;
        m->states[m->n] = ENTRY_UNDELIVERED;
        m->present[m->n] = true;
    }
}

static void model_read(struct model *m)
{
    struct got g = queue_fixture_read("w1", 1 + (uint32_t)rand_r(&m->seed) % 5, 0, NULL);
    size_t at = 0;

    for (size_t i = 0; i < g.n; i++) {
        while (!m->present[at] || m->states[at] != ENTRY_UNDELIVERED)
            at++;
        cr_assert_eq(queue_id_cmp(&g.ids[i], &m->ids[at]), 0, "delivered out of order");
        m->states[at] = ENTRY_PENDING;
        m->last_delivered = at + 1;
    }
}

static void model_ack(struct model *m)
{
    const size_t start = m->n > 0 ? (size_t)rand_r(&m->seed) % m->n : 0;

    for (size_t i = 0; i < m->n; i++) {
        const size_t at = (start + i) % m->n;
        if (!m->present[at] || m->states[at] != ENTRY_PENDING)
            continue;
        cr_assert_eq(queue_fixture_ack(&m->ids[at], 1), 1);
        m->states[at] = ENTRY_DONE;
        return;
    }
}

static void model_trim(struct model *m)
{
    size_t end = m->last_delivered > 0 ? m->last_delivered - 1 : 0;
    int64_t expected = 0, removed;

    for (size_t i = m->n; i-- > 0;) {
        if (m->present[i] && m->states[i] == ENTRY_PENDING)
            end = i;
    }
    for (size_t i = 0; i < end; i++) {
        expected += m->present[i];
        m->present[i] = false;
    }
    cr_assert_eq(queue_admin_trim(fix.s, Q, &removed, NULL), ERR_OK);
    cr_assert_eq(removed, expected);
}

/* Somebody deletes single entries and destroys the group; we make it anew: all that is left is undelivered
 * again. */
static void model_recreate(struct model *m)
{
    for (int i = 0; i < 3 && m->n > 0; i++) {
        const size_t at = (size_t)rand_r(&m->seed) % m->n;
        queue_fixture_delete(&m->ids[at]);
        m->present[at] = false;
    }
    redis_run(fix.s, "XGROUP DESTROY " Q " " QUEUE_GROUP);
    queue_fixture_ensure();
    for (size_t i = 0; i < m->n; i++)
        m->states[i] = ENTRY_UNDELIVERED;
    m->last_delivered = 0;
}

static void lag_stays_exact(unsigned seed)
{
    struct model *m = mem_zalloc(sizeof(*m));

    m->seed = seed;
    redis_run(fix.s, "FLUSHDB");
    queue_fixture_ensure();
    for (int step = 0; step < 500; step++) {
        const int what = rand_r(&m->seed) % 40;
        struct queue_info now;
        if (what < 12)
            model_add(m);
        else if (what < 22)
            model_read(m);
        else if (what < 34)
            model_ack(m);
        else if (what < 39)
            model_trim(m);
        else
            model_recreate(m);
        now = queue_fixture_look();
        cr_assert_eq(now.group.lag, model_count(m, ENTRY_UNDELIVERED), "seed %u, step %d (%d): lag %lld", seed, step,
                     what, (long long)now.group.lag);
        cr_assert_eq(now.group.pending, model_count(m, ENTRY_PENDING), "seed %u, step %d", seed, step);
    }
    mem_free(m);
}

/* Fixed seeds for what was found once, one new one each time. */
Test(queue_lag, lag_is_known_and_exact_after_every_operation)
{
    const unsigned fresh = (unsigned)clock_wall_us();

    for (unsigned seed = 1; seed <= 4; seed++)
        lag_stays_exact(seed);
    lag_stays_exact(fresh);
}
