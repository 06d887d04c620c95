/* queue_admin: what the leader and the command line do with streams over a blocking session: admit, look,
 * trim, clean up.
 *
 * Errors are those of rconn.h. ERR_REDIS_NOGROUP: the stream or its group is gone, so every entry that had
 * been added is gone too (call queue_admin_ensure and admit again). When a connection fails in the middle
 * the session is dead (rsession_alive). */
#ifndef COMMON_IO_QUEUE_ADMIN_H
#define COMMON_IO_QUEUE_ADMIN_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/id.h"
#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/io/queue.h"

struct rsession;

/* Like queue_ensure. */
enum err queue_admin_ensure(struct rsession *s, const char *const *keys, size_t n, struct err_info *info) MUST_USE;

/* Admission: one entry per job, pipelined. Every added[i] is set, also after an error: ERR_OK with the
 * entry's id, or why not; ERR_CONN_LOST and ERR_TIMEOUT mean that it may have been added all the same.
 * Returns the first of these errors, or ERR_OK. */
struct queue_job {
    struct id id;
    int32_t claim_no;
};
struct queue_added {
    enum err err;
    struct queue_id id;
};
enum err queue_admin_add_jobs(struct rsession *s, const char *key, const struct queue_job *jobs, size_t n,
                              struct queue_added *added, struct err_info *info) MUST_USE;

/* One entry with any fields: a bare job from the command line. */
enum err queue_admin_add(struct rsession *s, const char *key, const struct queue_field *fields, size_t n_fields,
                         struct queue_id *id, struct err_info *info) MUST_USE;

/* Where entries are that were added earlier. An entry found GONE was delivered and acknowledged, or lost:
 * it will not be delivered. */
enum queue_where { QUEUE_UNDELIVERED, QUEUE_PENDING, QUEUE_GONE };
enum err queue_admin_locate(struct rsession *s, const char *key, const struct queue_id *ids, size_t n,
                            enum queue_where *out, struct err_info *info) MUST_USE;

struct queue_info {
    struct queue_stream stream;
    struct queue_group group; /* exists == false: no group */
};
enum err queue_admin_info(struct rsession *s, const char *key, struct queue_info *out, struct err_info *info) MUST_USE;

/* Removes the finished prefix; *removed may be NULL. Never the last delivered entry (see trim.lua). Once a
 * second per stream is enough. */
enum err queue_admin_trim(struct rsession *s, const char *key, int64_t *removed, struct err_info *info) MUST_USE;

/* Names are copied into the arena. */
enum err queue_admin_consumers(struct rsession *s, const char *key, struct arena *arena, struct queue_consumer **out,
                               size_t *n, struct err_info *info) MUST_USE;

/* Takes the next undelivered entries as a consumer of the group, without waiting; `out` is borrowed from the session's next command on,
 * its array from the arena. What is not acknowledged is taken over by the workers. */
enum err queue_admin_take(struct rsession *s, const char *key, const char *consumer, int64_t count, struct arena *arena,
                          struct queue_entries *out, struct err_info *info) MUST_USE;
enum err queue_admin_ack(struct rsession *s, const char *key, const struct queue_id *ids, size_t n,
                         struct err_info *info) MUST_USE;

/* Acknowledges up to `most` of what a dead consumer has pending; *acked < most: that was all. For q:
 * streams only: the entries of an in: stream are the jobs themselves. */
enum err queue_admin_ack_consumer(struct rsession *s, const char *key, const char *consumer, size_t most, size_t *acked,
                                  struct err_info *info) MUST_USE;

/* ERR_OK: removed, or there was none of that name. ERR_STATE: it has entries pending and was left alone. */
enum err queue_admin_remove_consumer(struct rsession *s, const char *key, const char *consumer,
                                     struct err_info *info) MUST_USE;

/* Redis's clock in µs since 1970. */
enum err queue_admin_time(struct rsession *s, int64_t *us, struct err_info *info) MUST_USE;

/* The leader's sequence; ERR_NOTFOUND when there is none (an empty Redis). */
enum err queue_admin_beacon_get(struct rsession *s, int64_t *sequence, struct err_info *info) MUST_USE;
enum err queue_admin_beacon_set(struct rsession *s, int64_t sequence, struct err_info *info) MUST_USE;

/* Appends to the dead letters' feed and keeps about `cap` entries of it: the dead letters themselves are in
 * PostgreSQL. */
enum err queue_admin_add_dead(struct rsession *s, const struct queue_field *fields, size_t n_fields, int64_t cap,
                              struct err_info *info) MUST_USE;

#endif
