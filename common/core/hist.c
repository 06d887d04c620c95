/* hist: see hist.h. */
#include "common/core/hist.h"

#include <math.h>

#define EXACT 4 /* values below have a bucket each */

int hist_bucket(int64_t value)
{
    if (value < EXACT)
        return value < 0 ? 0 : (int)value;
    int octave = 63 - __builtin_clzll((unsigned long long)value);
    int bucket = (octave - 1) * 4 + (int)((value >> (octave - 2)) & 3);
    return bucket < HIST_BUCKETS ? bucket : HIST_BUCKETS - 1;
}

int64_t hist_value(int bucket)
{
    if (bucket < EXACT)
        return bucket;
    int shift = bucket / 4 - 1;
    int64_t low = (int64_t)(4 + bucket % 4) << shift;
    return low + (((int64_t)1 << shift) - 1) / 2;
}

void hist_add(struct hist *h, int64_t value)
{
    h->n++;
    h->counts[hist_bucket(value)]++;
}

int64_t hist_percentile(const struct hist *h, double p)
{
    int64_t wanted = (int64_t)ceil(p * (double)h->n), seen = 0;
    int bucket = 0;

    if (h->n == 0)
        return 0;
    for (; bucket < HIST_BUCKETS - 1; bucket++) {
        seen += h->counts[bucket];
        if (seen > 0 && seen >= wanted)
            break;
    }
    return hist_value(bucket);
}
