/* hist: log-scaled histograms that can be added up. Four buckets to an octave, so a percentile is off by at most an eighth of its
 * value. The same buckets as automation_priv.hist_bucket and hist_value in SQL, where a histogram is an int[] whose subscripts are
 * the buckets. Durations and latenesses are counted in µs. Pure. */
#ifndef COMMON_CORE_HIST_H
#define COMMON_CORE_HIST_H

#include <stddef.h>
#include <stdint.h>

#define HIST_BUCKETS 164 /* the last begins at 7 × 2^39: 44 days in µs; whatever is more counts there */

struct hist {
    int64_t n;
    int32_t counts[HIST_BUCKETS];
};

/* The bucket of a value; below 0 counts as 0. */
int hist_bucket(int64_t value);
/* The middle of a bucket, rounded down: what a percentile says. */
int64_t hist_value(int bucket);

/* Zero-initialise ({0}) before use. */
void hist_add(struct hist *h, int64_t value);
/* The smallest bucket's value below or in which at least the share p (0 to 1) of all lie; 0 when there are none. */
int64_t hist_percentile(const struct hist *h, double p);

#endif
