/* retry: when the next attempt of a job is due. Exponential backoff with full jitter (M. Brooker, "Exponential Backoff And
 * Jitter", AWS Architecture Blog, 2015); the jitter is a hash of job and attempt, so that plays repeat. Pure. */
#ifndef COMMON_CORE_RETRY_H
#define COMMON_CORE_RETRY_H

#include <stdint.h>

#include "common/base/id.h"

#define RETRY_MIN_MS 1000                   /* never sooner: leaves room for what failed to recover */
#define RETRY_AFTER_MAX_MS (24 * 3600000LL) /* a longer Retry-After is cut: nobody may park a job for a year */

struct retry_policy {
    int64_t base_ms;     /* upper bound of the first delay; below RETRY_MIN_MS counts as RETRY_MIN_MS */
    int32_t factor_x100; /* growth per attempt: 200 doubles; below 100 counts as 100 */
    int64_t cap_ms;      /* upper bound of every delay; below RETRY_MIN_MS counts as RETRY_MIN_MS */
};

/* Delay before the next try after attempt number `attempt` (1 = the first) has failed: evenly spread over
 * RETRY_MIN_MS … min(cap, base × factor^(attempt - 1)). Any input is safe; an attempt below 1 counts as 1. */
int64_t retry_delay_ms(const struct retry_policy *p, const struct id *job, int attempt);

/* The delay with the other side's Retry-After as lower bound (cut at RETRY_AFTER_MAX_MS; 0 or less: none). */
int64_t retry_after_ms(int64_t delay_ms, int64_t lower_bound_ms);

#endif
