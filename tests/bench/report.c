/* report: see report.h. */
#include "tests/bench/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double report_median(double *v, size_t n)
{
    qsort(v, n, sizeof(*v), compare);
    return v[n / 2];
}

double report_now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

void report_at_most(struct report *r, const struct metric *m, double value)
{
    const bool ok = m->most <= 0 || value <= m->most;

    printf("{\"bench\":\"%s\",\"metric\":\"%s\"", r->bench, m->name);
    if (m->scale > 0)
        printf(",\"scale\":%.3g", m->scale);
    printf(",\"value\":%.4g,\"unit\":\"%s\"", value, m->unit);
    if (m->most > 0)
        printf(",\"target\":\"<= %g\"", m->most);
    printf(",\"ok\":%s}\n", ok ? "true" : "false");
    (void)fflush(stdout);
    r->failed = r->failed || !ok;
}
