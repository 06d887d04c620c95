/* admitted: the leader's memory of the jobs it has added to one stream, in the order of adding. */
#ifndef SCHEDULER_ADMITTED_H
#define SCHEDULER_ADMITTED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/id.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/io/queue_id.h"

struct admitted_job {
    struct list order;
    struct id job;
    struct queue_id entry;
    int64_t added_ms; /* monotonic */
    int32_t claim_no;
};

struct admitted {
    struct map by_job;
    struct list order; /* the oldest first */
    size_t n;
};

void admitted_init(struct admitted *m);
void admitted_fini(struct admitted *m);
/* Is the job remembered at that claim number? */
bool admitted_has(const struct admitted *m, const struct id *job, int32_t claim_no);
/* Remembers it, in place of what was known of the job. */
void admitted_put(struct admitted *m, const struct id *job, int32_t claim_no, const struct queue_id *entry,
                  int64_t now_ms);
void admitted_drop(struct admitted *m, struct admitted_job *a);
struct admitted_job *admitted_find(const struct admitted *m, const struct id *job);
void admitted_clear(struct admitted *m);

#endif
