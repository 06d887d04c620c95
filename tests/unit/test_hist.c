/* hist: buckets that grow with the value, and percentiles from them. */
#include <criterion/criterion.h>

#include "common/core/hist.h"

Test(hist, a_bucket_begins_where_the_one_before_ends)
{
    int last = -1;

    for (int64_t v = 0; v < 100000; v++) {
        int bucket = hist_bucket(v);
        cr_assert(bucket == last || bucket == last + 1, "%lld is in bucket %d after %d", (long long)v, bucket, last);
        last = bucket;
    }
    cr_expect_eq(hist_bucket(-5), 0);
    cr_expect_eq(hist_bucket(INT64_MAX), HIST_BUCKETS - 1);
    cr_expect_eq(hist_bucket(INT64_C(7) << 39), HIST_BUCKETS - 1);
    cr_expect_eq(hist_bucket((INT64_C(7) << 39) - 1), HIST_BUCKETS - 2);
}

Test(hist, a_buckets_value_lies_in_it_and_is_off_by_at_most_an_eighth)
{
    for (int bucket = 0; bucket < HIST_BUCKETS; bucket++)
        cr_expect_eq(hist_bucket(hist_value(bucket)), bucket);
    for (int64_t v = 1; v < INT64_C(1) << 41; v += v / 7 + 1) {
        int64_t told = hist_value(hist_bucket(v)), off = told > v ? told - v : v - told;
        cr_expect_leq(off * 8, v, "%lld is told as %lld", (long long)v, (long long)told);
    }
}

Test(hist, percentiles_are_the_bucket_that_reaches_the_share)
{
    struct hist h = {0};

    cr_expect_eq(hist_percentile(&h, 0.5), 0);
    for (int i = 0; i < 90; i++)
        hist_add(&h, 1000);
    for (int i = 0; i < 10; i++)
        hist_add(&h, 50000);
    static const struct {
        double p;
        int64_t of;
    } cases[] = {{0, 1000}, {0.5, 1000}, {0.9, 1000}, {0.91, 50000}, {1, 50000}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(hist_percentile(&h, cases[i].p), hist_value(hist_bucket(cases[i].of)), "p %g", cases[i].p);
}
