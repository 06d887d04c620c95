/* admit_review: compares the memory of admitted jobs with the stream, so that what was lost is added again and what is finished is
 * forgotten (see admit.h); and sizes the window. What is admitted can not be overtaken, so a tenant that comes later waits for all of
 * it: the window begins small, doubles whenever the workers have read all of it and more was due, and is never more than half a second
 * of what they read. */
#ifndef SCHEDULER_ADMIT_REVIEW_H
#define SCHEDULER_ADMIT_REVIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"

struct lead;
struct admit_queue;

/* Nearly all of the window is remembered: asking the ledger would cost the whole window again for a few new rows. */
bool admit_review_crowded(const struct admit_queue *q, size_t window);
/* Once a second; more often while a crowded memory holds admission up. */
bool admit_review_due(const struct admit_queue *q, size_t window, int64_t now_ms);
/* A queue at rest forgets its pace after a while and begins small again. */
void admit_review_rested(struct admit_queue *q, int64_t now_ms);
/* ERR_REDIS_NOGROUP: the stream or its group is gone, and all that was remembered with it. */
enum err admit_review(struct lead *l, struct admit_queue *q, struct err_info *info) MUST_USE;

#endif
