/* store_rollup: what a settling transaction adds to the rollups: its log rows counted by tenant, rule, hour, kind, outcome and buckets of
 * duration and lateness, one row of automation_priv.rollup_deltas a batch. Only rows that are really logged are added: the caller
 * writes it in the transaction of the COPY; rows that go through staging are counted by automation_priv.merge_logs. The leader folds
 * the deltas into automation.execution_rollup. */
#ifndef COMMON_IO_STORE_ROLLUP_H
#define COMMON_IO_STORE_ROLLUP_H

#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/io/db.h"

struct store_log;

/* Zero-initialise ({0}) before use. */
struct store_rollup {
    struct map groups;
    struct arena arena;
};

void store_rollup_add(struct store_rollup *r, const struct store_log *row);
/* Appends the counts and forgets them. With nothing counted: nothing is sent, and the callback never runs. */
void store_rollup_write(struct db_conn *c, struct store_rollup *r, db_cb cb, void *arg);
void store_rollup_reset(struct store_rollup *r);

#endif
