/* store_jobs: the workers' statements: beats, claim, second look, settling, adoption, and rows of the execution log.
 * Each runs one SQL
 * function of migrations/031 on a connection of the loop; callbacks as in db.h. */
#ifndef COMMON_IO_STORE_JOBS_H
#define COMMON_IO_STORE_JOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/id.h"
#include "common/base/mem.h"
#include "common/core/outcome.h"
#include "common/io/db.h"

void store_worker_register(struct db_conn *c, const struct id *worker, const char *name, const char *queues, db_cb cb,
                           void *arg);
/* One row, one bool: false when the worker's row is gone. */
void store_worker_beat(struct db_conn *c, const struct id *worker, db_cb cb, void *arg);
/* Removes the worker's row if it owns nothing. */
void store_worker_leave(struct db_conn *c, const struct id *worker, db_cb cb, void *arg);

/* One row (digest, ids), the ids of all tenants, 16 bytes each, ascending; no row where `digest` is that of these. */
void store_tenants(struct db_conn *c, const struct id *digest, db_cb cb, void *arg);
/* The registered kinds: read with store_kind. */
void store_kinds(struct db_conn *c, db_cb cb, void *arg);
struct store_kind {
    struct str kind;
    struct str url; /* p == NULL: none */
    struct str queue;
    struct str handler;
    int64_t timeout_ms;
    int64_t retry_base_ms;
    int64_t retry_cap_ms;
    int max_attempts;
    bool rule;        /* a step of rules: not allowed in bare entries */
    bool ask_unknown; /* policy after an unknown outcome */
};
void store_kind(const struct db_result *r, int row, struct store_kind *out);

/* Claims what may be claimed of `ids`, which are in any order. */
struct store_claim {
    const struct id *owner;
    const struct id *ids;
    const struct id *held; /* those of them that the caller has in memory */
    size_t n, n_held;
    bool wait;     /* the repeated question after a claim whose COMMIT was not answered */
    bool suspects; /* one whose claims crashed twice may be among them; otherwise none is */
};
void store_claim(struct db_conn *c, const struct store_claim *ask, db_cb cb, void *arg);
struct store_claimed {
    struct id job_id, tenant_id, run_id, wedding_id, rule_id, effect_key, bare_id; /* zero: none */
    int64_t claimed_at_us, due_at_us, deadline_us, bare_at_us;                     /* DB_NULL_TIME: none; domain time */
    int64_t rule_revision;
    int64_t timeout_ms;
    int claim_no, step, attempt, max_attempts, crashes, snoozes, generation;
    struct str kind, queue, payload, verdict;
    struct str wake, definition, context, facts; /* JSON; p == NULL: none */
    struct str traceparent;                      /* p == NULL: none */
};
/* texts are borrowed from the result */
void store_claimed(const struct db_result *r, int row, struct store_claimed *out);

/* The second look before acting: rows of (job id, verdict). With `acting` the rows are also marked. */
void store_recheck(struct db_conn *c, const struct id *owner, const struct id *ids, const int32_t *claims, size_t n,
                   bool acting, db_cb cb, void *arg);

/* Inside a transaction. `batch` is the JSON array of automation_priv.settle_jobs / adopt_entries. */
void store_settle(struct db_conn *c, const struct id *owner, struct str batch, db_cb cb,
                  void *arg); /* rows of (job id, result) */
/* The same for jobs that are done and have neither run nor effect; rows of (job id, result) of those that were not hit. */
void store_settle_done(struct db_conn *c, const struct id *owner, const struct id *ids, const int32_t *claims, size_t n,
                       db_cb cb, void *arg);
void store_adopt(struct db_conn *c, struct str entries, db_cb cb,
                 void *arg); /* rows of (id, adopted, claimed_at, refused, busy) */

/* ---- the execution log ---- */
struct store_log {
    struct id tenant_id, execution_id, job_id, run_id, rule_id, wedding_id,
        worker_id;                                  /* zero: NULL, but for tenant, execution and job */
    int64_t queued_at_us, due_at_us, started_at_us; /* DB_NULL_TIME: NULL, but for queued_at */
    int64_t rule_revision;                          /* 0: NULL */
    int64_t duration_us;
    int step; /* -1: NULL */
    int attempt;
    enum outcome outcome;
    const char *kind, *queue, *reason, *error; /* reason, error: NULL allowed */
    struct str detail;                         /* JSON; p == NULL: NULL */
};
#define STORE_LOG_ERROR_MAX_BYTES 1024
/* db_copy_begin, then this for each row, then db_copy_end. Texts that PostgreSQL would refuse (no UTF-8, NUL) are
 * made storable. With `batch` the row is for
 * the staging table. */
void store_log_row(struct buf *copy, const struct store_log *row, const struct id *batch);
/* COPY into the log; fails whole on a repeated key (ERR_DB_UNIQUE), a missing partition (ERR_DB_DATA), or without
 * BYPASSRLS (ERR_DB_FEATURE). */
void store_log_copy(struct db_conn *c, const struct buf *copy, db_cb cb, void *arg);
/* The way that takes any of these: staging table, then merge. */
void store_log_stage(struct db_conn *c, const struct buf *copy, db_cb cb, void *arg);
void store_log_merge(struct db_conn *c, const struct id *batch, db_cb cb, void *arg);
/* A row that neither way takes. */
void store_log_quarantine(struct db_conn *c, const struct store_log *row, const char *reason, db_cb cb, void *arg);
/* Sort order of the primary key: fewer page splits, and no deadlocks between batches. */
int store_log_cmp(const struct store_log *a, const struct store_log *b);

#endif
