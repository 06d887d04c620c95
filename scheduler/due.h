/* due: a batch of due timings, and of the facts of their weddings what the conditions of their rules read: asked for once, and parsed
 * once for a wedding's timings that follow each other. */
#ifndef SCHEDULER_DUE_H
#define SCHEDULER_DUE_H

#include <stdbool.h>

#include "common/io/store_lead.h"
#include "scheduler/facts.h"
#include "scheduler/lead.h"

#define DUE_BATCH 1000

/* Zero-initialise ({0}). */
struct due {
    struct db_result *timings, *documents;
    int n;
    int document[DUE_BATCH]; /* of each timing: its row */
    int parsed;              /* that row plus one, which `facts` are of; 0: none */
    struct facts facts;
};

/* Marks the next timings as fired and takes them. */
enum err due_take(struct due *d, struct lead *l, struct err_info *info) MUST_USE;
void due_timing(const struct due *d, int i, struct store_timing *out);
/* The facts of timing i's wedding, borrowed until the next call. */
enum err due_facts(struct due *d, int i, struct facts **out, struct err_info *info) MUST_USE;
void due_free(struct due *d);

#endif
