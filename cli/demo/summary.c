/* summary: see summary.h. */
#include "cli/demo/summary.h"

#include <stdbool.h>
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
            char code[12];
            snprintf(code, sizeof(code), "%d", o);
            if (json_object_get(row, code))
                printf(" %s %lld", outcome_word((enum outcome)o), number(row, code));
        }
        printf("\n");
    }
    mem_free(keys);
}

static bool is_cancelled(const json_t *change)
{
    const char *what = json_string_value(json_object_get(change, "what"));
    return what && strcmp(what, "cancelled") == 0;
}

void summary_add_changes(json_t *s, json_t *changes)
{
    long long stale = 0;
    for (size_t i = 0; i < json_array_size(changes); i++) {
        const json_t *change = json_array_get(changes, i);
        stale += is_cancelled(change) ? number(change, "sent_after") : 0;
    }
    json_object_set_new(s, "changes", changes);
    json_object_set_new(s, "sent_after_cancellation", json_integer(stale));
}

static const char *text(const json_t *o, const char *key)
{
    const json_t *value = json_object_get(o, key);
    return json_is_string(value) ? json_string_value(value) : "no date";
}

static void print_change(const json_t *c)
{
    bool cancelled = is_cancelled(c);
    printf("  %.10s %-9s %s, %s", text(c, "at"), text(c, "what"), text(c, "title"), text(c, "from"));
    if (!cancelled)
        printf(" to %s", text(c, "to"));
    printf(": %lld already sent", number(c, "sent"));
    if (number(c, "moved") > 0 || number(c, "now_past") > 0)
        printf(", %lld moved, %lld now past", number(c, "moved"), number(c, "now_past"));
    if (number(c, "unscheduled") > 0)
        printf(", %lld no longer planned", number(c, "unscheduled"));
    if (number(c, "planned") > 0)
        printf(", %lld planned again", number(c, "planned"));
    printf("; jobs superseded %lld, cancelled %lld; ", number(c, "superseded"), number(c, "cancelled"));
    if (cancelled && number(c, "sent_after") == 0)
        printf("nothing sent after it but %lld that tell of it\n", number(c, "told"));
    else
        printf("sent after it %lld\n", number(c, "sent_after"));
}

static void print_changes(const json_t *changes)
{
    printf("weddings moved, postponed and cancelled\n");
    for (size_t i = 0; i < json_array_size(changes); i++)
        print_change(json_array_get(changes, i));
}

void summary_print(const json_t *s)
{
    const json_t *jobs = json_object_get(s, "jobs");
    printf("\n%lld weddings, %lld rules, %lld events, %.1f s\n", number(s, "weddings"), number(s, "rules"),
           number(s, "events"), json_number_value(json_object_get(s, "wall_seconds")));
    print_changes(json_object_get(s, "changes"));
    print_counts("runs by state and reason", json_object_get(s, "runs_by_reason"));
    print_attempts(json_object_get(s, "attempts"));
    print_counts("log rows per month", json_object_get(s, "partitions"));
    printf("mails accepted %lld, webhooks delivered %lld, tasks %lld, outward repeats %lld\n", number(s, "mails"),
           number(s, "webhooks"), number(s, "tasks"), number(s, "duplicates"));
    printf("sent after a cancellation %lld\n", number(s, "sent_after_cancellation"));
    printf("accepted %lld = done %lld + dead %lld + cancelled %lld + superseded %lld + skipped %lld + in flight %lld + "
           "waiting %lld; unaccounted %lld\n",
           number(jobs, "accepted"), number(jobs, "done"), number(jobs, "dead"), number(jobs, "cancelled"),
           number(jobs, "superseded"), number(jobs, "skipped"), number(jobs, "in_flight"), number(jobs, "waiting"),
           number(s, "unaccounted"));
}
