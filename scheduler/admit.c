/* admit: see admit.h. A pass over a queue: ask the ledger for its first due rows, add those that are not remembered, remember them.
 * Once a second (admit_review.c) the memory is compared with the stream.
 *
 * Failures: XADD refused (out of memory, read-only): that queue waits with growing delays, the rows stay due. Stream or group gone: its
 * memory is forgotten, the group is made again from the stream's beginning. Connection lost: what was not answered is not remembered. */
#include "scheduler/admit.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/io/die.h"
#include "common/io/queue_admin.h"
#include "common/io/store_lead.h"
#include "scheduler/admit_review.h"
#include "scheduler/lead.h"

#define BATCH 4000 /* new rows of one pass */
#define LIST_EVERY_MS 10000
#define DELAY_FIRST_MS 100
#define DELAY_MAX_MS 5000

void admit_init(struct admit *a)
{
    *a = (struct admit){.n = 0};
    a->queues = mem_zalloc(ADMIT_QUEUES_MAX * sizeof(*a->queues));
}

void admit_fini(struct admit *a)
{
    for (size_t i = 0; i < a->n; i++)
        admitted_fini(&a->queues[i].memory);
    mem_free(a->queues);
    *a = (struct admit){.n = 0};
}

void admit_forget_queue(struct admit_queue *q)
{
    admitted_clear(&q->memory);
    q->ensured = false;
    q->read_at_ms = 0;
}

void admit_forget(struct admit *a, const char *why)
{
    size_t n = 0;

    for (size_t i = 0; i < a->n; i++) {
        n += a->queues[i].memory.n;
        admit_forget_queue(&a->queues[i]);
    }
    log_warn("admit.forgot", L_INT("jobs", n), L_STR("reason", why));
}

/* ---- which queues there are ------------------------------------------------------------------------------------------------ */

static bool knows_queue(struct admit *a, struct str name, bool served)
{
    for (size_t i = 0; i < a->n; i++) {
        if (str_is(name, a->queues[i].name)) {
            a->queues[i].served = a->queues[i].served || served;
            return true;
        }
    }
    return false;
}

/* Where another queue can go: at the end; when all places are taken, for one that has workers, that of one that has none. */
static struct admit_queue *place_queue(struct admit *a, bool served)
{
    if (a->n < ADMIT_QUEUES_MAX)
        return &a->queues[a->n++];
    for (size_t i = a->n; served && i-- > 0;) {
        if (!a->queues[i].served) {
            admitted_fini(&a->queues[i].memory);
            return &a->queues[i];
        }
    }
    return NULL;
}

/* `served`: workers read it, or the settings name it. */
static void add_queue(struct admit *a, struct str name, bool served)
{
    struct admit_queue *q;
    struct err_info info = {0};
    struct admit_queue found = {.served = served};

    if (knows_queue(a, name, served))
        return;
    if (queue_key(QUEUE_LEDGER, name, found.key, &info) != ERR_OK ||
        queue_key(QUEUE_BARE, name, found.bare_key, &info) != ERR_OK) {
        log_error("admit.bad_queue", L_BYTES("queue", name.p, name.n), L_STR("reason", info.text));
        return;
    }
    q = place_queue(a, served);
    if (q == NULL) {
        log_error("admit.too_many_queues", L_BYTES("queue", name.p, name.n), L_INT("most", ADMIT_QUEUES_MAX));
        return;
    }
    *q = found;
    (void)str_copy_n(q->name, sizeof(q->name), name.p, name.n);
    admitted_init(&q->memory);
    q->window = ADMIT_WINDOW_FIRST;
}

enum err admit_list_queues(struct lead *l, struct err_info *info)
{
    char names[SETTINGS_QUEUES_MAX][SETTINGS_QUEUE_NAME_MAX + 1];
    size_t n = 0;
    struct db_result *r = NULL;
    enum err err = settings_queues(l->settings->queues, names, &n, info);

    for (size_t i = 0; err == ERR_OK && i < n; i++)
        add_queue(&l->admit, str_of(names[i]), true);
    if (err == ERR_OK)
        err = store_lead_queues(l->db, &r, info);
    for (int i = 0; err == ERR_OK && i < db_rows(r); i++)
        add_queue(&l->admit, db_text(r, i, 0), db_bool(r, i, 1));
    db_result_free(r);
    return err;
}

enum err admit_ensure(struct lead *l, struct admit_queue *q, struct err_info *info)
{
    const char *const keys[] = {q->key, q->bare_key};
    enum err err;

    if (q->ensured)
        return ERR_OK;
    err = queue_admin_ensure(l->redis, keys, 2, info);
    q->ensured = err == ERR_OK;
    return err;
}

/* ---- adding ---------------------------------------------------------------------------------------------------------------------- */

static void put_off(struct admit_queue *q, const struct err_info *info)
{
    if (!q->failed)
        log_error("admit.refused", L_STR("queue", q->name), L_ERR(info->code), L_STR("reason", info->text));
    q->failed = true;
    q->delay_ms = q->delay_ms == 0 ? DELAY_FIRST_MS : q->delay_ms * 2 > DELAY_MAX_MS ? DELAY_MAX_MS : q->delay_ms * 2;
    q->retry_ms = clock_mono_ms() + q->delay_ms;
}

static void accepted_again(struct admit_queue *q)
{
    if (q->failed)
        log_info("admit.resumed", L_STR("queue", q->name));
    q->failed = false;
    q->delay_ms = 0;
}

static enum err add_jobs(struct lead *l, struct admit_queue *q, const struct queue_job *jobs, size_t n,
                         struct err_info *info)
{
    struct queue_added *added = mem_alloc(n * sizeof(*added));
    const int64_t now_ms = clock_mono_ms();
    size_t ok = 0;
    enum err err;

    die_at("before_xadd");
    err = queue_admin_add_jobs(l->redis, q->key, jobs, n, added, info);
    die_at("after_xadd");
    for (size_t i = 0; i < n; i++) {
        if (added[i].err != ERR_OK)
            continue;
        admitted_put(&q->memory, &jobs[i].id, jobs[i].claim_no, &added[i].id, now_ms);
        ok++;
    }
    if (ok > 0)
        log_debug("jobs.admitted", L_STR("queue", q->name), L_INT("jobs", ok), L_INT("remembered", q->memory.n));
    mem_free(added);
    return err;
}

/* Of the due rows those that are not remembered, at most `room`. */
static size_t pick_new(const struct admit_queue *q, const struct db_result *r, size_t room, struct queue_job *jobs)
{
    size_t n = 0;

    for (int i = 0; i < db_rows(r) && n < room; i++) {
        struct store_due due;
        store_lead_due_job(r, i, &due);
        if (!admitted_has(&q->memory, &due.job_id, due.claim_no))
            jobs[n++] = (struct queue_job){due.job_id, due.claim_no};
    }
    return n;
}

static enum err fill(struct lead *l, struct admit_queue *q, size_t room, bool *more, struct err_info *info)
{
    const size_t size = q->window;
    const size_t batch = room < BATCH ? room : BATCH;
    /* What is remembered may stand before what is new. */
    const size_t limit = q->memory.n + batch < size ? q->memory.n + batch : size;
    struct db_result *r = NULL;
    struct queue_job *jobs = NULL;
    size_t n = 0;
    enum err err = store_lead_due_jobs(l->db, q->name, (int)limit, (int)(size / 2), &r, info);

    if (err != ERR_OK)
        return err;
    jobs = mem_alloc(batch * sizeof(*jobs));
    n = pick_new(q, r, batch, jobs);
    if (n > 0)
        err = admit_ensure(l, q, info);
    if (err == ERR_OK && n > 0)
        err = add_jobs(l, q, jobs, n, info);
    if (err == ERR_OK && n > 0)
        accepted_again(q);
    q->backlog = n == batch;
    *more = *more || (err == ERR_OK && n == BATCH);
    mem_free(jobs);
    db_result_free(r);
    return err;
}

/* Errors that only this queue waits for; others are of the sessions or of the duty. */
static bool concerns_queue(enum err err)
{
    return err == ERR_REDIS_FULL || err == ERR_REDIS || err == ERR_REDIS_NOGROUP || err == ERR_REDIS_LOADING;
}

static enum err admit_queue_run(struct lead *l, struct admit_queue *q, bool *more, struct err_info *info)
{
    const int64_t now_ms = clock_mono_ms();
    enum err err = ERR_OK;

    if (now_ms < q->retry_ms)
        return ERR_OK;
    admit_review_rested(q, now_ms);
    const size_t size = q->window;
    if (admit_review_due(q, size, now_ms))
        err = admit_review(l, q, info);
    if (err == ERR_OK && !admit_review_crowded(q, size))
        err = fill(l, q, size - q->memory.n, more, info);
    if (err == ERR_REDIS_NOGROUP) {
        admit_forget_queue(q);
        *more = true;
        return ERR_OK;
    }
    if (concerns_queue(err) && rsession_alive(l->redis)) {
        put_off(q, info);
        return ERR_OK;
    }
    return err;
}

enum err admit_run(struct lead *l, bool *more, struct err_info *info)
{
    const int64_t now_ms = clock_mono_ms();
    enum err err = ERR_OK;

    *more = false;
    if (l->admit.n == 0 || now_ms >= l->admit.list_ms) {
        err = admit_list_queues(l, info);
        l->admit.list_ms = now_ms + LIST_EVERY_MS;
    }
    l->admit.hurry = false;
    for (size_t i = 0; i < l->admit.n && err == ERR_OK; i++) {
        err = admit_queue_run(l, &l->admit.queues[i], more, info);
        l->admit.hurry = l->admit.hurry || l->admit.queues[i].backlog;
    }
    return err;
}
