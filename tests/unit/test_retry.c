#include <criterion/criterion.h>

#include <limits.h>

#include "common/core/retry.h"

static const struct retry_policy doubling = {.base_ms = 5000, .factor_x100 = 200, .cap_ms = 3600000};

static struct id job_number(unsigned n)
{
    struct id id = ID_ZERO;
    id.b[0] = (uint8_t)(n >> 8);
    id.b[1] = (uint8_t)n;
    return id;
}

/* Least and greatest delay over many jobs. */
static void spread(const struct retry_policy *p, int attempt, int64_t *least, int64_t *most)
{
    *least = INT64_MAX;
    *most = 0;
    for (unsigned i = 0; i < 2000; i++) {
        struct id job = job_number(i);
        int64_t d = retry_delay_ms(p, &job, attempt);
        *least = d < *least ? d : *least;
        *most = d > *most ? d : *most;
    }
}

Test(retry, spreads_over_the_whole_range_of_each_attempt)
{
    static const struct {
        int attempt;
        int64_t ceiling;
    } rows[] = {{1, 5000}, {2, 10000}, {3, 20000}, {9, 1280000}, {10, 2560000}, {11, 3600000}, {1000, 3600000}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t least;
        int64_t most;
        spread(&doubling, rows[i].attempt, &least, &most);
        int64_t range = rows[i].ceiling - RETRY_MIN_MS;
        cr_expect_leq(most, rows[i].ceiling, "attempt %d: %lld", rows[i].attempt, (long long)most);
        cr_expect_geq(most, rows[i].ceiling - range / 50, "attempt %d: %lld", rows[i].attempt, (long long)most);
        cr_expect_geq(least, RETRY_MIN_MS);
        cr_expect_leq(least, RETRY_MIN_MS + range / 50, "attempt %d: %lld", rows[i].attempt, (long long)least);
    }
}

Test(retry, is_the_same_in_every_play)
{
    struct id job = job_number(7);
    struct id other = job_number(8);
    int64_t d = retry_delay_ms(&doubling, &job, 10);
    cr_expect_eq(d, retry_delay_ms(&doubling, &job, 10));
    cr_expect_neq(d, retry_delay_ms(&doubling, &job, 11));
    cr_expect_neq(d, retry_delay_ms(&doubling, &other, 10));
}

Test(retry, takes_any_policy_and_attempt)
{
    static const struct retry_policy policies[] = {
        {0, 0, 0},
        {-1, -1, -1},
        {INT64_MIN, INT32_MIN, INT64_MIN},
        {INT64_MAX, INT32_MAX, INT64_MAX},
        {1000, INT32_MAX, INT64_MAX},
        {1000, 100, INT64_MAX},
        {1000, 101, INT64_MAX},
        {1, 200, 500},
    };
    static const int attempts[] = {INT_MIN, -1, 0, 1, 2, 63, 64, 65, INT_MAX};
    struct id job = job_number(1);
    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        for (size_t k = 0; k < sizeof(attempts) / sizeof(attempts[0]); k++) {
            int64_t d = retry_delay_ms(&policies[i], &job, attempts[k]);
            int64_t cap = policies[i].cap_ms < RETRY_MIN_MS ? RETRY_MIN_MS : policies[i].cap_ms;
            cr_expect(d >= RETRY_MIN_MS && d <= cap, "policy %zu attempt %d: %lld", i, attempts[k], (long long)d);
        }
    }
}

Test(retry, stays_at_the_cap_where_the_growth_overflows)
{
    static const struct retry_policy p = {.base_ms = 1000, .factor_x100 = INT32_MAX, .cap_ms = INT64_MAX};
    for (int attempt = 4; attempt < 70; attempt++) {
        int64_t least;
        int64_t most;
        spread(&p, attempt, &least, &most);
        cr_expect_gt(most, INT64_MAX / 10 * 9, "attempt %d: %lld", attempt, (long long)most);
        cr_expect_lt(least, INT64_MAX / 10);
    }
}

Test(retry, counts_attempts_below_one_as_the_first)
{
    struct id job = job_number(3);
    cr_expect_eq(retry_delay_ms(&doubling, &job, 0), retry_delay_ms(&doubling, &job, 1));
    cr_expect_eq(retry_delay_ms(&doubling, &job, -5), retry_delay_ms(&doubling, &job, 1));
}

Test(retry, takes_retry_after_as_lower_bound_up_to_a_day)
{
    cr_expect_eq(retry_after_ms(5000, 0), 5000);
    cr_expect_eq(retry_after_ms(5000, -1), 5000);
    cr_expect_eq(retry_after_ms(5000, 4999), 5000);
    cr_expect_eq(retry_after_ms(5000, 60000), 60000);
    cr_expect_eq(retry_after_ms(5000, INT64_MAX), RETRY_AFTER_MAX_MS);
    cr_expect_eq(retry_after_ms(RETRY_AFTER_MAX_MS + 5, INT64_MAX), RETRY_AFTER_MAX_MS + 5);
}
