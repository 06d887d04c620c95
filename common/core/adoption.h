/* adoption: what automation_priv.adopt_entries is told of a bare entry that becomes a ledger job or a dead letter. Workers adopt what
 * did not go straight through, the leader what waits in too long a stream; both say it with these. Pure. */
#ifndef COMMON_CORE_ADOPTION_H
#define COMMON_CORE_ADOPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/id.h"
#include "common/base/str.h"
#include "common/core/envelope.h"

struct adoption {
    struct id id;  /* the entry's log key */
    int64_t at_us; /* and its time */
    const char *stream;
    const char *entry_id;
    struct id tenant;
    const char *kind;
    const char *queue;
    struct str payload;     /* p == NULL: none */
    int attempt;            /* 2: the first one failed and is logged by the same transaction */
    int64_t in_ms;          /* due so much later; -1: at once */
    const struct id *owner; /* inserted as claimed by this worker; NULL: free */
    const char *dead;       /* a dead letter with this reason; NULL: a job */
    const char *error;      /* of a dead letter; NULL: none */
    struct str raw;         /* of a dead letter: adoption_raw; p == NULL: none */
    const struct envelope *envelope;
};

/* Appends one JSON object; the caller puts brackets and commas around them. */
void adoption_put(struct buf *out, const struct adoption *a);

/* Unreadable entries as they stood: MessagePack, array32 of bin32, so that any bytes survive; cut at ADOPTION_RAW_MAX_BYTES. `fields`
 * alternates names and values, n of them. */
#define ADOPTION_RAW_MAX_BYTES ((size_t)512 * 1024)
void adoption_raw(struct buf *out, const struct str *fields, size_t n);

/* The log key's time from an entry id's: PostgreSQL holds instants up to a point, and an absurd id is kept as far away as that goes. */
int64_t adoption_time_us(uint64_t id_ms);

#endif
