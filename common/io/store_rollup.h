/* store_rollup: what a settling transaction adds to the rollups: its log rows counted by tenant, rule, hour, kind, outcome and buckets of
 * duration and lateness, one row of automation_priv.rollup_deltas a batch. Only rows that are really logged are added: the caller
 * writes it in the transaction of the COPY; rows that go through staging are counted by automation_priv.merge_logs. The leader folds
 * the deltas into automation.execution_rollup. */
#ifndef COMMON_IO_STORE_ROLLUP_H
#define COMMON_IO_STORE_ROLLUP_H

#include "common/base/mem.h"
#include "common/io/db.h"

struct store_log;
struct store_rollup_group;

/* Zero-initialise ({0}) before use. Memory is kept from batch to batch. */
struct store_rollup {
    struct store_rollup_group *groups;
    size_t n, cap;
    uint32_t *slots; /* by hash: number of the group from 1; 0: free */
    size_t n_slots;
};

extern const struct db_stmt store_rollup_stmt;

/* The row's kind is borrowed until the counts are written or cleared. */
void store_rollup_add(struct store_rollup *r, const struct store_log *row);
/* The counts as parameters of store_rollup_stmt, in the arena. */
void store_rollup_args(const struct store_rollup *r, struct arena *arena, struct db_args *out);
/* Appends the counts and clears them. With nothing counted: nothing is sent, and the callback never runs. */
void store_rollup_write(struct db_conn *c, struct store_rollup *r, db_cb cb, void *arg);
void store_rollup_clear(struct store_rollup *r);
void store_rollup_free(struct store_rollup *r);

#endif
