/* bare: entries of in: streams.
 *
 * Fresh, of a free kind, without ties: executed at once, logged, acknowledged, without a ledger row. All others are adopted: a row is
 * inserted (unless the entry's log key stands or it was adopted before), then the entry is acknowledged. Adopted first: redelivered
 * entries (XAUTOCLAIM: their reader died or was slow), those with a wedding, a unique key, a deadline or a later `at`, unknown kinds
 * and tenants, ids ahead of the clock or older than the oldest month, and what has not begun when the worker drains. Failed or snoozed
 * at the first attempt: adopted with its outcome. Running for 8 s: adopted as claimed by us, so that nobody else runs it. Malformed or
 * forged (a step of rules): straight to the dead letters, with the raw bytes.
 *
 * If we die: before the log's COMMIT nothing is known and the entry comes back idle and is adopted; after it the key
 * stands and adoption
 * skips the entry; XACK only ever follows a COMMIT. */
#ifndef WORKERS_BARE_H
#define WORKERS_BARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"

struct db_result;
struct job;
struct queue_entry;
struct queue_id;
struct worker;

/* `idle`: taken over from another reader, or coming again after a rewind. now_us: wall clock. */
void bare_add(struct worker *w, size_t stream, const struct queue_entry *e, bool idle, int64_t now_us);
bool bare_ahead(const struct queue_id *id, int64_t now_us); /* so far in the future that no clock of a Redis made it */
/* Not run here: adopted for whoever comes. */
void bare_hand_back(struct job *job);
/* Adopts what has been running for long; called by the janitor. */
void bare_watch(struct worker *w);

/* For the settling lane: */
void bare_json(struct job *const *jobs, size_t n, struct buf *out);
void bare_adopted(struct job *const *jobs, size_t n, const struct db_result *rows);
void bare_acknowledge(struct worker *w, struct job *const *jobs, size_t n);
/* The database refuses a value of the entry: it becomes a dead letter `unstorable` of the same tenant, with the whole
 * entry as raw bytes. */
void bare_strip(struct job *job, const char *why);

#endif
