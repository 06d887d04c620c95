/* report: the lines that a benchmark prints, one JSON object a metric, and what they add up to. */
#ifndef TESTS_BENCH_REPORT_H
#define TESTS_BENCH_REPORT_H

#include <stdbool.h>
#include <stddef.h>

struct report {
    const char *bench;
    bool failed; /* some target was missed, or a metric could not be had */
};

/* {"bench","metric","value","unit","target","ok"}; `scale` is printed when it is above 0. */
struct metric {
    const char *name, *unit;
    double scale;
    double most; /* the target; 0: none, the figure is printed for its own sake */
};
void report_at_most(struct report *r, const struct metric *m, double value);

/* Sorts `v`. */
double report_median(double *v, size_t n);
/* By the monotonic clock. */
double report_now_ms(void);

#endif
