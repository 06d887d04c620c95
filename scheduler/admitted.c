/* admitted: see admitted.h. */
#include "scheduler/admitted.h"

#include "common/base/mem.h"

void admitted_init(struct admitted *m)
{
    *m = (struct admitted){.n = 0};
    list_init(&m->order);
}

void admitted_fini(struct admitted *m)
{
    admitted_clear(m);
}

struct admitted_job *admitted_find(const struct admitted *m, const struct id *job)
{
    return map_get(&m->by_job, job->b, sizeof(job->b));
}

bool admitted_has(const struct admitted *m, const struct id *job, int32_t claim_no)
{
    const struct admitted_job *a = admitted_find(m, job);

    return a != NULL && a->claim_no == claim_no;
}

void admitted_drop(struct admitted *m, struct admitted_job *a)
{
    (void)map_remove(&m->by_job, a->job.b, sizeof(a->job.b));
    list_remove(&a->order);
    m->n--;
    mem_free(a);
}

void admitted_put(struct admitted *m, const struct id *job, int32_t claim_no, const struct queue_id *entry,
                  int64_t now_ms)
{
    struct admitted_job *a = admitted_find(m, job);

    if (a != NULL)
        admitted_drop(m, a);
    a = mem_alloc(sizeof(*a));
    *a = (struct admitted_job){.job = *job, .entry = *entry, .added_ms = now_ms, .claim_no = claim_no};
    list_append(&m->order, &a->order);
    (void)map_put(&m->by_job, a->job.b, sizeof(a->job.b), a);
    m->n++;
}

void admitted_clear(struct admitted *m)
{
    for (struct list *it = list_first(&m->order); it != NULL; it = list_first(&m->order))
        admitted_drop(m, LIST_OWNER(it, struct admitted_job, order));
    map_free(&m->by_job); /* a map keeps its size; what is forgotten should not be paid for */
}
