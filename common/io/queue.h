/* queue: names and keys of Usher's streams, and what workers do with them on the loop: read, acknowledge,
 * take over idle entries, add. What the leader and the command line do is in queue_admin.h.
 *
 * A queue has two streams, both with the group `workers`:
 *   usher:{0}:q:<queue>   ids of ledger jobs: fields `job` (UUID text) and `n` (claim number at admission)
 *   usher:{0}:in:<queue>  bare entries, added by anyone
 *
 * Common to the calls below: inputs are copied; the callback runs exactly once, never before the call
 * returned; what it is given is borrowed; `info` is NULL with ERR_OK; errors are those of rconn.h.
 * ERR_REDIS_NOGROUP says that a stream or its group is gone (FLUSHALL, XGROUP DESTROY): queue_ensure makes
 * them again. At ERR_REDIS_FULL reading and acknowledging still work. */
#ifndef COMMON_IO_QUEUE_H
#define COMMON_IO_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"
#include "common/io/queue_id.h"
#include "common/io/queue_reply.h"

struct rconn;

#define QUEUE_GROUP "workers"
#define QUEUE_KEY_DLQ "usher:{0}:dlq"
#define QUEUE_KEY_BEACON "usher:{0}:beacon"
#define QUEUE_CHANNEL_WAKE "usher:{0}:wake" /* PUBLISH: something is due now, do not wait for the next poll */

#define QUEUE_NAME_MAX 32
#define QUEUE_KEY_SIZE 64
#define QUEUE_MAX_STREAMS 64 /* of one read */

enum queue_kind { QUEUE_LEDGER, QUEUE_BARE };

/* 1 to 32 characters of a-z 0-9 _ - ; ERR_INVALID otherwise, and `out` is then "". */
enum err queue_key(enum queue_kind kind, struct str name, char out[QUEUE_KEY_SIZE], struct err_info *info) MUST_USE;

/* Makes the group on each stream where it is missing, at 0, so that everything still in the stream is
 * delivered. Where a group is made anew on a stream from which entries had been deleted singly, the
 * stream's counters are repaired in the same step, so that lag is exact at once. Any number of processes
 * may do this at the same time. */
typedef void (*queue_done_cb)(void *arg, enum err err, const struct err_info *info);
void queue_ensure(struct rconn *c, const char *const *keys, size_t n, queue_done_cb cb, void *arg);

/* Waits for entries on a connection that is used for nothing else (Redis answers other commands only
 * afterwards), one per process: XADD costs O(number of clients blocked on the stream). */
struct queue_read {
    const char *const *keys;
    size_t n_keys;                /* 1 to QUEUE_MAX_STREAMS */
    const char *consumer;         /* unique per process start */
    uint32_t count;               /* per stream, at least 1: up to n_keys × count entries may come */
    int64_t block_ms;             /* 0: do not wait */
    const struct queue_id *after; /* NULL: new entries. Else this consumer's own pending ones after this id, in every stream */
};
/* Nothing came: ERR_OK with no entries. */
typedef void (*queue_read_cb)(void *arg, enum err err, const struct queue_entries *entries, const struct err_info *info);
void queue_read(struct rconn *c, const struct queue_read *read, queue_read_cb cb, void *arg);

/* `acked` is how many of them were pending: fewer than n is no error. n >= 1. */
typedef void (*queue_count_cb)(void *arg, enum err err, int64_t count, const struct err_info *info);
void queue_ack(struct rconn *c, const char *key, const struct queue_id *ids, size_t n, queue_count_cb cb, void *arg);

/* One step of XAUTOCLAIM: takes over up to `count` entries that nobody has touched for min_idle_ms. An
 * empty step whose cursor is not 0-0 is normal: Redis looks at ten times `count` entries at most. */
struct queue_claim {
    const char *key;
    const char *consumer;
    int64_t min_idle_ms;
    struct queue_id cursor; /* 0-0 to begin with, then what the step before returned */
    uint32_t count;
};
typedef void (*queue_claim_cb)(void *arg, enum err err, const struct queue_claimed *claimed, const struct err_info *info);
void queue_claim_idle(struct rconn *c, const struct queue_claim *claim, queue_claim_cb cb, void *arg);

/* Adds one entry; n_fields >= 1. ERR_REDIS_FULL: not added, try later. After ERR_CONN_LOST or ERR_TIMEOUT
 * it may have been. */
typedef void (*queue_add_cb)(void *arg, enum err err, const struct queue_id *id, const struct err_info *info);
void queue_add(struct rconn *c, const char *key, const struct queue_field *fields, size_t n_fields, queue_add_cb cb,
               void *arg);

/* PUBLISH on QUEUE_CHANNEL_WAKE. Nobody is told how it went: whoever listens polls as well. */
void queue_wake(struct rconn *c, struct str what);

#endif
