/* queue_reply: what Redis answers to stream commands, as C structs. Pure: from `struct reply` into an
 * arena. Texts are borrowed from the reply. Anything of another shape than Redis 7 sends is ERR_MALFORMED. */
#ifndef COMMON_IO_QUEUE_REPLY_H
#define COMMON_IO_QUEUE_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/id.h"
#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/io/queue_id.h"
#include "common/io/rconn.h"

struct queue_field {
    struct str name;
    struct str value;
};

struct queue_entry {
    size_t stream; /* index into the keys that were asked for */
    struct queue_id id;
    struct str id_text;
    bool deleted; /* still pending, but no longer in the stream: only the id is known */
    const struct queue_field *fields;
    size_t n_fields;
};

struct queue_entries {
    const struct queue_entry *v;
    size_t n;
};

/* One step of XAUTOCLAIM. */
struct queue_claimed {
    struct queue_id cursor; /* where the next step begins; 0-0: the walk is complete */
    struct queue_entries entries;
    const struct queue_id *deleted; /* were pending, no longer in the stream; Redis has dropped them from the pending list */
    size_t n_deleted;
};

struct queue_group {
    bool exists;
    struct queue_id last_delivered;
    int64_t pending;
    int64_t consumers;
    int64_t lag;          /* entries not yet delivered; -1 when Redis does not know */
    int64_t entries_read; /* -1 when Redis does not know */
};

struct queue_stream {
    int64_t length;
    int64_t entries_added;
    struct queue_id first; /* 0-0 when empty */
    struct queue_id last_generated;
};

struct queue_consumer {
    struct str name;
    int64_t pending;
    int64_t idle_ms; /* since it was last given an entry: Redis 7.0 does not count reads that found none */
};

/* XREADGROUP over `keys`; nil (nothing came) is no entries. */
enum err queue_reply_read(const struct reply *r, const struct str *keys, size_t n_keys, struct arena *arena,
                          struct queue_entries *out, struct err_info *info) MUST_USE;
enum err queue_reply_claimed(const struct reply *r, struct arena *arena, struct queue_claimed *out,
                             struct err_info *info) MUST_USE;
/* XINFO GROUPS: out->exists is false when `group` is not among them. */
enum err queue_reply_group(const struct reply *r, const char *group, struct queue_group *out,
                           struct err_info *info) MUST_USE;
enum err queue_reply_stream(const struct reply *r, struct queue_stream *out, struct err_info *info) MUST_USE;
/* XINFO CONSUMERS; names are copied into the arena. */
enum err queue_reply_consumers(const struct reply *r, struct arena *arena, struct queue_consumer **out, size_t *n,
                               struct err_info *info) MUST_USE;
/* An entry id as the whole reply (XADD) or as an element. */
enum err queue_reply_id(const struct reply *r, struct queue_id *out, struct err_info *info) MUST_USE;

/* The two fields of an entry of a q: stream. ERR_MALFORMED when one is missing, doubled or no id or number;
 * others are ignored. */
enum err queue_reply_job(const struct queue_entry *e, struct id *job, int32_t *claim_no, struct err_info *info) MUST_USE;

#endif
