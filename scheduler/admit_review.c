/* admit_review: see admit_review.h.
 *
 * Entries up to the group's last delivered one: what the ledger no longer shows as waiting at that claim number has been claimed or
 * ended, and is forgotten. Where the row still waits, the entry is pending (somebody is about to claim it), or gone (acknowledged as
 * stale, lost): then it is forgotten as well, which adds the job again. Entries beyond: they are there as long as the stream's lag
 * covers them; when it does not (trimmed or deleted by hand, a rewound Redis) each is looked up.
 *
 * Between the two questions a job may be claimed and its entry acknowledged. Forgetting it then does no harm: the ledger does not show
 * it as due any more; and a second entry, should one be added, finds nothing to claim. */
#include "scheduler/admit_review.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/io/queue_admin.h"
#include "common/io/store_lead.h"
#include "scheduler/lead.h"

#define EVERY_MS 1000
#define EVERY_FULL_MS ADMIT_HURRY_MS
#define CROWDED_PART 2      /* of the window */
#define MOST 20000          /* entries of one review */
#define YOUNG_MS 1000       /* an entry acknowledged as stale because its row was locked is not added again at once */
#define DRAIN_WINDOW_PART 2 /* the window is no more than what is drained in this part of a second */
#define PACE_KEPT_MS 10000  /* of a queue in which nothing was admitted: what comes then may be slower */
#define DRAIN_DECAY_SHIFT 3 /* the measured drain falls by an eighth a second */

/* The jobs under review, oldest first. */
struct review {
    struct arena arena;
    struct admitted_job **jobs;
    struct id *ids;
    struct queue_id *entries;
    int32_t *claims;
    size_t n;
};

bool admit_review_crowded(const struct admit_queue *q, size_t window)
{
    return q->memory.n > 0 && q->memory.n + window / CROWDED_PART >= window;
}

bool admit_review_due(const struct admit_queue *q, size_t window, int64_t now_ms)
{
    if (q->memory.n == 0)
        return false;
    return now_ms >= q->review_ms ||
           (admit_review_crowded(q, window) && now_ms >= q->review_ms - EVERY_MS + EVERY_FULL_MS);
}

/* True once a second. */
static bool measure_drain(struct admit_queue *q, int64_t entries_read, int64_t now_ms)
{
    const int64_t passed_ms = now_ms - q->read_at_ms;

    if (q->read_at_ms > 0 && passed_ms < EVERY_MS)
        return false;
    const bool measured = q->read_at_ms > 0;
    q->drain_per_s -= q->drain_per_s >> DRAIN_DECAY_SHIFT;
    if (q->read_at_ms > 0 && entries_read > q->read_before) {
        int64_t per_s = (entries_read - q->read_before) * 1000 / passed_ms;
        q->drain_per_s = per_s > q->drain_per_s ? per_s : q->drain_per_s;
    }
    q->read_before = entries_read;
    q->read_at_ms = now_ms;
    return measured;
}

/* Never more than a part of what was read within a second: reading all of the window may have filled free slots only. */
static void size_window(const struct lead *l, struct admit_queue *q, const struct queue_group *group)
{
    const int64_t read = group->entries_read - q->read_before;
    int64_t most = (read > q->drain_per_s ? read : q->drain_per_s) / DRAIN_WINDOW_PART;
    int64_t size = (int64_t)q->window;

    if (group->lag == 0 && q->backlog)
        size *= 2;
    if (most < ADMIT_WINDOW_FIRST)
        most = ADMIT_WINDOW_FIRST;
    if (most > l->settings->window)
        most = l->settings->window;
    q->window = (size_t)(size < most ? size : most);
}

void admit_review_rested(struct admit_queue *q, int64_t now_ms)
{
    if (q->memory.n > 0 || now_ms - q->read_at_ms < PACE_KEPT_MS)
        return;
    q->window = ADMIT_WINDOW_FIRST;
    q->drain_per_s = 0;
    q->read_at_ms = 0;
}

static void review_init(struct review *v, size_t most)
{
    *v = (struct review){.n = 0};
    v->jobs = arena_alloc(&v->arena, most * sizeof(*v->jobs));
    v->ids = arena_alloc(&v->arena, most * sizeof(*v->ids));
    v->entries = arena_alloc(&v->arena, most * sizeof(*v->entries));
    v->claims = arena_alloc(&v->arena, most * sizeof(*v->claims));
}

static void review_add(struct review *v, struct admitted_job *a)
{
    v->jobs[v->n] = a;
    v->ids[v->n] = a->job;
    v->entries[v->n] = a->entry;
    v->claims[v->n] = a->claim_no;
    v->n++;
}

/* Forgets those of the review whose entry is gone. */
static enum err drop_gone(struct lead *l, struct admit_queue *q, struct review *v, struct err_info *info)
{
    enum queue_where *where = NULL;
    enum err err;

    if (v->n == 0)
        return ERR_OK;
    where = arena_alloc(&v->arena, v->n * sizeof(*where));
    err = queue_admin_locate(l->redis, q->key, v->entries, v->n, where, info);
    for (size_t i = 0; err == ERR_OK && i < v->n; i++) {
        if (where[i] == QUEUE_GONE)
            admitted_drop(&q->memory, v->jobs[i]);
    }
    return err;
}

/* Forgets those of the review whose row has moved on; what is left of the review are the old enough others. */
static enum err drop_moved(struct lead *l, struct admit_queue *q, struct review *v, int64_t now_ms, struct err_info *info)
{
    struct map waiting = {0};
    struct db_result *r = NULL;
    size_t left = 0;
    enum err err = store_lead_still_waiting(l->db, v->ids, v->claims, v->n, &r, info);

    if (err != ERR_OK)
        return err;
    for (int i = 0; i < db_rows(r); i++) {
        struct id job = db_id(r, i, 0);
        (void)map_put(&waiting, job.b, sizeof(job.b), v);
    }
    for (size_t i = 0; i < v->n; i++) {
        struct admitted_job *a = v->jobs[i];
        if (map_get(&waiting, a->job.b, sizeof(a->job.b)) == NULL)
            admitted_drop(&q->memory, a);
        else if (now_ms - a->added_ms >= YOUNG_MS) {
            v->jobs[left] = a;
            v->entries[left++] = a->entry;
        }
    }
    v->n = left;
    map_free(&waiting);
    db_result_free(r);
    return ERR_OK;
}

static enum err review_delivered(struct lead *l, struct admit_queue *q, const struct queue_group *group, int64_t now_ms,
                                 struct err_info *info)
{
    struct review v;
    enum err err = ERR_OK;

    review_init(&v, q->memory.n < MOST ? q->memory.n : MOST);
    LIST_FOR (it, &q->memory.order) {
        struct admitted_job *a = LIST_OWNER(it, struct admitted_job, order);
        if (v.n == MOST || queue_id_cmp(&a->entry, &group->last_delivered) > 0)
            break;
        review_add(&v, a);
    }
    if (v.n > 0)
        err = drop_moved(l, q, &v, now_ms, info);
    if (err == ERR_OK)
        err = drop_gone(l, q, &v, info);
    arena_free(&v.arena);
    return err;
}

static enum err review_undelivered(struct lead *l, struct admit_queue *q, const struct queue_group *group,
                                   struct err_info *info)
{
    struct review v;
    size_t beyond = 0;
    enum err err = ERR_OK;

    review_init(&v, q->memory.n < MOST ? q->memory.n : MOST);
    LIST_FOR (it, &q->memory.order) {
        struct admitted_job *a = LIST_OWNER(it, struct admitted_job, order);
        if (queue_id_cmp(&a->entry, &group->last_delivered) <= 0)
            continue;
        beyond++;
        if (v.n < MOST)
            review_add(&v, a);
    }
    if (group->lag < 0 || (size_t)group->lag < beyond)
        err = drop_gone(l, q, &v, info);
    arena_free(&v.arena);
    return err;
}

enum err admit_review(struct lead *l, struct admit_queue *q, struct err_info *info)
{
    const int64_t now_ms = clock_mono_ms();
    struct queue_info now;
    enum err err = queue_admin_info(l->redis, q->key, &now, info);

    if (err == ERR_OK && !now.group.exists)
        err = err_set(info, ERR_REDIS_NOGROUP, "stream %s has no group", q->key);
    if (err != ERR_OK)
        return err;
    if (measure_drain(q, now.group.entries_read, now_ms) || now.group.lag == 0)
        size_window(l, q, &now.group);
    q->review_ms = now_ms + EVERY_MS;
    err = review_delivered(l, q, &now.group, now_ms, info);
    if (err == ERR_OK)
        err = review_undelivered(l, q, &now.group, info);
    return err;
}
