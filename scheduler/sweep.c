/* sweep: after workers died or left.
 *
 * Their claimed rows are freed and charged with one crash a claim (automation_priv.sweep_workers, one transaction). Then, in Redis, each
 * consumer whose worker has no row any more is removed from the groups: in q: its pending entries are acknowledged first, since the
 * ledger decides and the row is admitted anew; in in: pending entries are the jobs themselves, so the consumer stays until other
 * workers have taken them over.
 *
 * Failures: dying between the two leaves consumers behind, and a claim that commits just after its worker's row went leaves an owner
 * whom no row names; both are looked for, through all consumers and the whole ledger, at a takeover and every half minute. */
#include "scheduler/lead.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/io/queue_admin.h"
#include "common/io/store_lead.h"

#define BATCH 1000
#define ALL_EVERY_MS 30000
#define ACK_BATCH 1000

static enum err sweep_ledger(struct lead *l, bool all, bool *more, bool *any, struct err_info *info)
{
    struct db_result *r = NULL;
    enum err err = store_lead_sweep(l->db, l->term, BATCH, all, &r, info);

    for (int i = 0; err == ERR_OK && i < db_rows(r); i++) {
        struct store_swept w;
        store_lead_swept(r, i, &w);
        log_warn("worker.swept", L_ID("worker", &w.worker_id), L_BYTES("name", w.name.p, w.name.n),
                 L_INT("freed", w.freed), L_INT("poisoned", w.poisoned), L_INT("left_over", w.left_over));
        *any = true;
        *more = *more || w.freed > 0; /* to be admitted, or more of them */
    }
    db_result_free(r);
    return err;
}

static enum err acknowledge(struct lead *l, const char *key, const char *consumer, struct err_info *info)
{
    size_t acked = 0, all = 0;
    enum err err;

    do {
        err = queue_admin_ack_consumer(l->redis, key, consumer, ACK_BATCH, &acked, info);
        all += err == ERR_OK ? acked : 0;
    } while (err == ERR_OK && acked == ACK_BATCH);
    if (all > 0)
        log_debug("worker.acknowledged", L_STR("stream", key), L_STR("worker", consumer), L_INT("entries", all));
    return err;
}

static enum err remove_consumer(struct lead *l, const char *key, bool ledger, const struct id *worker,
                                struct err_info *info)
{
    char name[ID_TEXT_SIZE];
    enum err err = ERR_OK;

    id_format(worker, name);
    if (ledger)
        err = acknowledge(l, key, name, info);
    if (err == ERR_OK)
        err = queue_admin_remove_consumer(l->redis, key, name, info);
    return err == ERR_STATE ? ERR_OK : err; /* something is pending: later */
}

/* Consumers whose name is a worker's id; others belong to somebody else (an operator with redis-cli) and are left alone. */
static enum err worker_consumers(struct lead *l, const char *key, struct arena *arena, struct id **ids, size_t *n,
                                 struct err_info *info)
{
    struct queue_consumer *list = NULL;
    size_t consumers = 0;
    enum err err = queue_admin_consumers(l->redis, key, arena, &list, &consumers, info);

    *n = 0;
    if (err != ERR_OK || consumers == 0)
        return err;
    *ids = arena_alloc(arena, consumers * sizeof(**ids));
    for (size_t i = 0; i < consumers; i++) {
        if (id_parse(list[i].name, &(*ids)[*n]) == ERR_OK)
            (*n)++;
    }
    return ERR_OK;
}

static enum err sweep_stream(struct lead *l, const char *key, bool ledger, struct err_info *info)
{
    struct arena arena = {0};
    struct db_result *r = NULL;
    struct id *ids = NULL;
    size_t n = 0;
    enum err err = worker_consumers(l, key, &arena, &ids, &n, info);

    if (err == ERR_OK && n > 0)
        err = store_lead_unknown_workers(l->db, ids, n, &r, info);
    for (int i = 0; err == ERR_OK && r != NULL && i < db_rows(r); i++) {
        struct id worker = db_id(r, i, 0);
        err = remove_consumer(l, key, ledger, &worker, info);
    }
    db_result_free(r);
    arena_free(&arena);
    return err;
}

static enum err sweep_streams(struct lead *l, struct err_info *info)
{
    enum err err = ERR_OK;

    for (size_t i = 0; i < l->admit.n && err == ERR_OK; i++) {
        struct admit_queue *q = &l->admit.queues[i];
        err = sweep_stream(l, q->key, true, info);
        if (err == ERR_OK)
            err = sweep_stream(l, q->bare_key, false, info);
        if (err == ERR_REDIS_NOGROUP) {
            q->ensured = false; /* made again by trim */
            err = ERR_OK;
        }
    }
    return err;
}

enum err sweep_run(struct lead *l, bool *more, struct err_info *info)
{
    const bool all = clock_mono_ms() >= l->sweep_all_ms;
    bool any = false;
    enum err err = sweep_ledger(l, all, more, &any, info);

    if (any)
        l->sweep_all_ms = 0;
    if (err != ERR_OK || l->redis == NULL || clock_mono_ms() < l->sweep_all_ms)
        return err;
    err = sweep_streams(l, info);
    if (err == ERR_OK)
        l->sweep_all_ms = clock_mono_ms() + ALL_EVERY_MS;
    return err;
}
