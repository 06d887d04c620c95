/* queue_report: see queue_report.h. */
#include "tests/bench/queue_report.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/queue_env.h"

static bool failed;

void queue_samples_add(struct queue_samples *s, double v)
{
    if (s->n < sizeof(s->v) / sizeof(s->v[0]))
        s->v[s->n++] = v;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

double queue_samples_median(const struct queue_samples *s)
{
    struct queue_samples sorted = *s;

    sorted.n = 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->v[i] > 0)
            queue_samples_add(&sorted, s->v[i]);
    qsort(sorted.v, sorted.n, sizeof(sorted.v[0]), by_value);
    return sorted.n ? sorted.v[sorted.n / 2] : 0;
}

double queue_samples_ratio(const struct queue_samples *a, const struct queue_samples *b)
{
    struct queue_samples ratios = {.n = 0};

    for (size_t i = 0; i < a->n && i < b->n; i++)
        if (a->v[i] > 0 && b->v[i] > 0)
            queue_samples_add(&ratios, a->v[i] / b->v[i]);
    return queue_samples_median(&ratios);
}

static json_t *number(double v)
{
    char text[32];

    (void)snprintf(text, sizeof(text), "%.4g", v);
    return json_real(strtod(text, NULL));
}

static void print(json_t *line, bool ok)
{
    json_object_set_new(line, "ok", json_boolean(ok));
    json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    (void)putchar('\n');
    json_decref(line);
    failed = failed || !ok;
}

static json_t *begin(const char *metric, double value, const char *unit)
{
    return json_pack("{s:s, s:s, s:o, s:s}", "bench", "queue", "metric", metric, "value", number(value), "unit", unit);
}

/* A value that a failed measurement left at 0. */
static bool missing(const char *metric, double value)
{
    if ((value > 0 && isfinite(value)) || queue_env.why[0] == '\0')
        return false;
    queue_report_missing(metric, queue_env.why);
    return true;
}

void queue_report_value(const char *metric, double value, const char *unit)
{
    if (!missing(metric, value))
        print(begin(metric, value, unit), true);
}

static bool within(json_t *line, double v, double least, double most)
{
    char target[32];

    (void)snprintf(target, sizeof(target), least > 0 ? ">= %g" : "<= %g", least > 0 ? least : most);
    json_object_set_new(line, "target", json_string(target));
    return least > 0 ? v >= least : v <= most;
}

void queue_report_at_most(const char *metric, double value, const char *unit, double most)
{
    json_t *line;

    if (missing(metric, value))
        return;
    line = begin(metric, value, unit);
    bool ok = within(line, value, 0, most);
    print(line, ok);
}

void queue_report_ratio(const char *metric, double value, const char *unit, double ratio, const char *of, double least,
                        double most)
{
    json_t *line;

    if (missing(metric, value) || missing(metric, ratio))
        return;
    line = begin(metric, value, unit);
    json_object_set_new(line, "ratio", number(ratio));
    json_object_set_new(line, "of", json_string(of));
    bool ok = within(line, ratio, least, most);
    print(line, ok);
}

void queue_report_missing(const char *metric, const char *reason)
{
    print(json_pack("{s:s, s:s, s:n, s:s}", "bench", "queue", "metric", metric, "value", "reason", reason), false);
}

bool queue_report_failed(void)
{
    return failed;
}
