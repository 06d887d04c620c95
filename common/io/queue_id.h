/* queue_id: ids of stream entries, "milliseconds-sequence" (Redis Streams manual, "Entry IDs"). */
#ifndef COMMON_IO_QUEUE_ID_H
#define COMMON_IO_QUEUE_ID_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"

struct queue_id {
    uint64_t ms; /* Unix time by Redis's clock, for ids that Redis made */
    uint64_t seq;
};

#define QUEUE_ID_SIZE 42 /* two numbers of 20 digits, '-', NUL */

/* Whole text, both parts: "1526919030474-0"; ERR_INVALID for anything else. */
enum err queue_id_parse(struct str s, struct queue_id *out) MUST_USE;
const char *queue_id_format(const struct queue_id *id, char out[QUEUE_ID_SIZE]); /* returns out */
int queue_id_cmp(const struct queue_id *a, const struct queue_id *b);            /* order of the stream */
bool queue_id_is_zero(const struct queue_id *id);                                /* 0-0: before every entry */

#endif
