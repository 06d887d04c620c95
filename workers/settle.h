/* settle: what a settling transaction says and hears of a job: its element of the batch
 * (automation_priv.settle_jobs), the answer, its row
 * of the execution log. */
#ifndef WORKERS_SETTLE_H
#define WORKERS_SETTLE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/buf.h"
#include "common/io/db.h"
#include "workers/job.h"

struct store_log;

/* Done, without run and effect: settled by id and claim number alone (automation_priv.settle_done). */
bool settle_is_done(const struct job *job);
/* Sorts the jobs by id and starts that statement. */
void settle_done(struct db_conn *c, struct job **jobs, size_t n, db_cb cb, void *arg);
void settle_done_results(struct job *const *jobs, size_t n, const struct db_result *rows);
void settle_json(struct job *const *jobs, size_t n, struct buf *out);
void settle_results(struct job *const *jobs, size_t n, const struct db_result *rows);
/* False when there is nothing to log: handed back, snoozed, or lost without having acted. Texts are borrowed from the
 * job. */
bool settle_log(const struct job *job, struct store_log *out);
/* The effect was refused or failed: a new result, tried again or dead. */
void settle_refused(struct job *job);
/* Takes out of the result whatever the database may refuse (outputs, texts); the job becomes a dead letter `unstorable`, and `why` is
 * what the database said. */
void settle_strip(struct job *job, const char *why);

#endif
