/* summary: see summary.h. */
#include "cli/demo/summary.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/core/outcome.h"

static long long number(const json_t *o, const char *key)
{
    return (long long)json_integer_value(json_object_get(o, key));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Keys in order; the caller frees the array. */
static const char **sorted_keys(const json_t *o, size_t *n)
{
    const char *key;
    json_t *value;
    const char **keys = mem_alloc((json_object_size(o) + 1) * sizeof(*keys));
    *n = 0;
    if (!keys)
        abort();
    json_object_foreach((json_t *)(uintptr_t)o, key, value) keys[(*n)++] = key;
    qsort(keys, *n, sizeof(*keys), by_name);
    return keys;
}

static void print_counts(const char *title, const json_t *o)
{
    size_t n;
    const char **keys = sorted_keys(o, &n);
    printf("%s\n", title);
    for (size_t i = 0; i < n; i++)
        printf("  %-32s %8lld\n", keys[i], number(o, keys[i]));
    mem_free(keys);
}

static void print_attempts(const json_t *attempts)
{
    size_t n;
    const char **keys = sorted_keys(attempts, &n);
    printf("attempts by kind and outcome\n");
    for (size_t i = 0; i < n; i++) {
        const json_t *row = json_object_get(attempts, keys[i]);
        printf("  %-18s", keys[i]);
        for (int o = 0; o < OUTCOME_COUNT; o++) {
            char code[8];
            snprintf(code, sizeof(code), "%d", o);
            if (json_object_get(row, code))
                printf(" %s %lld", outcome_word((enum outcome)o), number(row, code));
        }
        printf("\n");
    }
    mem_free(keys);
}

void summary_print(const json_t *s)
{
    const json_t *jobs = json_object_get(s, "jobs");
    printf("\n%lld weddings, %lld rules, %lld events, %.1f s\n", number(s, "weddings"), number(s, "rules"),
           number(s, "events"), json_number_value(json_object_get(s, "wall_seconds")));
    print_counts("runs by state and reason", json_object_get(s, "runs_by_reason"));
    print_attempts(json_object_get(s, "attempts"));
    print_counts("log rows per month", json_object_get(s, "partitions"));
    printf("mails accepted %lld, webhooks delivered %lld, tasks %lld, outward repeats %lld\n", number(s, "mails"),
           number(s, "webhooks"), number(s, "tasks"), number(s, "duplicates"));
    printf("accepted %lld = done %lld + dead %lld + cancelled %lld + superseded %lld + skipped %lld + in flight %lld + "
           "waiting %lld; unaccounted %lld\n",
           number(jobs, "accepted"), number(jobs, "done"), number(jobs, "dead"), number(jobs, "cancelled"),
           number(jobs, "superseded"), number(jobs, "skipped"), number(jobs, "in_flight"), number(jobs, "waiting"),
           number(s, "unaccounted"));
}
