#include "common/core/retry.h"

#include <stdio.h>

#include "common/core/key.h"

enum { FACTOR_ONE = 100 };

static int64_t at_least(int64_t v, int64_t least)
{
    return v < least ? least : v;
}

/* min(cap, base × factor^(attempt - 1)); the loop ends at the cap, so it is short for any factor that grows. */
static int64_t ceiling_ms(const struct retry_policy *p, int attempt)
{
    int64_t cap = at_least(p->cap_ms, RETRY_MIN_MS);
    int64_t v = at_least(p->base_ms, RETRY_MIN_MS);
    int64_t factor = at_least(p->factor_x100, FACTOR_ONE);
    if (factor == FACTOR_ONE)
        return v < cap ? v : cap;
    for (int i = 1; i < attempt && v < cap; i++) {
        int64_t grown;
        if (__builtin_mul_overflow(v, factor, &grown))
            return cap;
        v = grown / FACTOR_ONE;
    }
    return v < cap ? v : cap;
}

int64_t retry_delay_ms(const struct retry_policy *p, const struct id *job, int attempt)
{
    char id[ID_TEXT_SIZE];
    char number[16];
    int n = snprintf(number, sizeof(number), "%d", attempt < 1 ? 1 : attempt);
    struct str parts[] = {str_of(id_format(job, id)), {number, (size_t)n}};
    uint64_t hash = key_hash64("retry", parts, 2);
    uint64_t span = (uint64_t)(ceiling_ms(p, attempt) - RETRY_MIN_MS) + 1;
    return RETRY_MIN_MS + (int64_t)(hash % span);
}

int64_t retry_after_ms(int64_t delay_ms, int64_t lower_bound_ms)
{
    if (lower_bound_ms > RETRY_AFTER_MAX_MS)
        lower_bound_ms = RETRY_AFTER_MAX_MS;
    return at_least(delay_ms, lower_bound_ms);
}
