/* queue_report: the lines that bench_queue prints: {"bench":"queue","metric":…,"value":…,"unit":…,"ratio":…,"of":…,"target":…,"ok":…}. A
 * value of 0 is missing where a measurement failed (queue_env_fail): "value":null, the reason, "ok":false. */
#ifndef TESTS_BENCH_QUEUE_REPORT_H
#define TESTS_BENCH_QUEUE_REPORT_H

#include <stdbool.h>
#include <stddef.h>

struct queue_samples {
    double v[16];
    size_t n;
};
void queue_samples_add(struct queue_samples *s, double v);
double queue_samples_median(const struct queue_samples *s); /* of those above 0; 0: none */
double queue_samples_ratio(const struct queue_samples *a, const struct queue_samples *b); /* median of a[i] / b[i] */

void queue_report_value(const char *metric, double value, const char *unit);
void queue_report_at_most(const char *metric, double value, const char *unit, double most);
/* `ratio` is that of the value to `of`; exactly one bound: least > 0, or most > 0. */
void queue_report_ratio(const char *metric, double value, const char *unit, double ratio, const char *of, double least,
                        double most);
void queue_report_missing(const char *metric, const char *reason);
bool queue_report_failed(void); /* some line was not ok */

#endif
