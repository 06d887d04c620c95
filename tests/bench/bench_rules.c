/* bench_rules: what matching costs, ours and that of rule engines from npm, in one run on one machine.
 *
 * Rules and events are generated once, written to build/bench and read by every side. All sides evaluate the rules of the event's
 * type and nothing else; rounds of the sides alternate, CPU time is taken, medians are reported, matches must be the same. One JSON
 * line per metric; ratio = the peer's time over ours. The tables `metrics` and `peers` are where further figures go.
 * The cache runs on real servers (rules_cache.h).
 * Failure: a metric that can not be had is printed with "ok":false and a reason; exit status 1 when any is not ok. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/base/mem.h"
#include "common/core/match.h"
#include "tests/bench/peer.h"
#include "tests/bench/rules_cache.h"
#include "tests/bench/rules_gen.h"

#define DIR "build/bench"
#define SEED UINT64_C(88172645463325252)

enum {
    RULES = 10000,
    TYPES = 50, /* 200 rules on each */
    EVENTS = 100,
    ROUNDS = 5,
    ROUND_MIN_US = 20000, /* a round repeats its events until so much CPU time has gone */
    UPDATES = 2000,
    UPDATE_MOST_US = 1000,
    LOAD_MOST_MS = 1000 /* what an event may wait for its poll anyway */
};

struct bench {
    json_t *rules, *events; /* over TYPES types */
    char **texts;           /* the rules as JSON */
    struct match *many;     /* TYPES types */
    struct match *one;      /* all rules on one type */
    struct match *unlisted; /* TYPES types; no rule has a necessary equality */
    struct match *one_unlisted;
    bool failed;
};

struct tally {
    unsigned event;
    unsigned long matches;
    uint32_t hash;
};

static double cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
    qsort(v, n, sizeof(*v), compare_doubles);
    return v[n / 2];
}

/* ---- report ---- */

static void report(struct bench *b, const char *metric, double value, const char *unit, const char *target, bool ok)
{
    printf("{\"bench\":\"rules\",\"metric\":\"%s\",\"value\":%.4g,\"unit\":\"%s\",\"target\":\"%s\",\"ok\":%s}\n",
           metric, value, unit, target, ok ? "true" : "false");
    b->failed = b->failed || !ok;
}

static void at_most(struct bench *b, const char *metric, double value, const char *unit, double most)
{
    char target[32];

    (void)snprintf(target, sizeof(target), "<= %g", most);
    report(b, metric, value, unit, target, value <= most);
}

static void above(struct bench *b, const char *metric, double value, const char *unit, double least)
{
    char target[32];

    (void)snprintf(target, sizeof(target), "> %g", least);
    report(b, metric, value, unit, target, value > least);
}

static void not_measured(struct bench *b, const char *metric, const char *reason)
{
    json_t *line =
        json_pack("{s:s, s:s, s:n, s:b, s:s}", "bench", "rules", "metric", metric, "value", "ok", 0, "reason", reason);

    json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(line);
    b->failed = true;
}

/* ---- rule sets ---- */

static struct id rule_id(unsigned n)
{
    struct id id = ID_ZERO;

    for (int i = 0; i < 4; i++)
        id.b[15 - i] = (uint8_t)(n >> (8 * i));
    return id;
}

static unsigned number_of(const struct id *id)
{
    return (unsigned)id->b[12] << 24 | (unsigned)id->b[13] << 16 | (unsigned)id->b[14] << 8 | id->b[15];
}

static void put(struct match *m, unsigned n, int64_t revision, const char *text)
{
    struct rule_errors errors = {0};
    struct rule *r = rule_parse_text(str_of(text), match_fields(m), &errors);
    struct id id = rule_id(n);

    for (size_t i = 0; i < errors.n; i++)
        (void)fprintf(stderr, "bench_rules: %s: %s: %s\n", text, errors.items[i].pointer, errors.items[i].message);
    if (r == NULL || match_put(m, &id, revision, r) != ERR_OK)
        exit(2);
    rule_errors_free(&errors);
}

/* The same rule with its conditions under an `or`, where no equality is necessary, or on the one type. */
static char *varied(const json_t *rule, bool one_type, bool unlisted)
{
    json_t *copy = json_deep_copy(rule);
    json_t *trigger = json_object_get(copy, "trigger");
    char *text;

    if (one_type)
        json_object_set_new(trigger, "event", json_string("bench.event_0"));
    if (unlisted)
        json_object_set_new(copy, "conditions", json_pack("{s:[O]}", "or", json_object_get(copy, "conditions")));
    text = json_dumps(copy, JSON_COMPACT);
    json_decref(copy);
    return text;
}

static struct match *load(const struct bench *b, bool one_type, bool unlisted)
{
    struct match *m = match_new();

    for (unsigned i = 0; i < RULES; i++) {
        char *text = varied(json_array_get(b->rules, i), one_type, unlisted);

        put(m, i, 1, text);
        free(text);
    }
    return m;
}

/* ---- matching ---- */

static bool count_hit(const struct match_hit *hit, void *ctx)
{
    struct tally *t = ctx;

    if (hit->truth == LOGIC_TRUE) {
        t->matches++;
        t->hash += (t->event * RULES + number_of(&hit->rule_id) + 1) * UINT32_C(2654435761);
    }
    return true;
}

static void ask(struct match *m, const json_t *event, bool one_type, struct tally *t)
{
    const char *type = one_type ? "bench.event_0" : json_string_value(json_object_get(event, "type"));
    struct match_question q = {.context = json_object_get(event, "context")};

    if (match_event(m, str_of(type), &q, count_hit, t, NULL) != ERR_OK)
        exit(2);
}

static struct tally ask_all(const struct bench *b, struct match *m, bool one_type)
{
    struct tally t = {0};

    for (t.event = 0; t.event < EVENTS; t.event++)
        ask(m, json_array_get(b->events, t.event), one_type, &t);
    return t;
}

/* One round: µs of CPU per event. */
static double round_us(const struct bench *b, struct match *m, bool one_type)
{
    double start = cpu_us(), used;
    unsigned repeats = 0;

    do {
        (void)ask_all(b, m, one_type);
        repeats++;
        used = cpu_us() - start;
    } while (used < ROUND_MIN_US);
    return used / repeats / EVENTS;
}

static double median_us(const struct bench *b, struct match *m, bool one_type)
{
    double v[ROUNDS];

    (void)ask_all(b, m, one_type);
    for (int i = 0; i < ROUNDS; i++)
        v[i] = round_us(b, m, one_type);
    return median(v, ROUNDS);
}

/* ---- metrics ---- */

static void measure_compile(struct bench *b)
{
    double v[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        struct tally t = {0};
        struct match *m = match_new();
        double start = cpu_us();

        for (unsigned n = 0; n < RULES; n++)
            put(m, n, 1, b->texts[n]);
        for (unsigned n = 0; n < TYPES; n++)
            ask(m, json_array_get(b->events, n), false, &t);
        v[i] = (cpu_us() - start) / 1e3;
        match_free(m);
    }
    report(b, "compile_10000_ms", median(v, ROUNDS), "ms", "", true);
}

/* What one question may cost does not depend on what the lists let it pass over. */
static void measure_match(struct bench *b)
{
    double matched = (double)ask_all(b, b->many, false).matches / EVENTS;

    at_most(b, "match_200_us", median_us(b, b->many, false), "us", 20);
    at_most(b, "match_200_unlisted_us", median_us(b, b->unlisted, false), "us", 20);
    at_most(b, "match_10000_us", median_us(b, b->one, true), "us", 800);
    at_most(b, "match_10000_unlisted_us", median_us(b, b->one_unlisted, true), "us", 800);
    report(b, "matched_of_200", matched, "rules", "", true);
}

/* The evaluator alone: every rule against one event, nothing passed over, nothing remembered but fields. */
static void measure_predicates(struct bench *b)
{
    struct logic_facts *facts = logic_facts_new(match_fields(b->many));
    size_t predicates = 0;
    double v[ROUNDS];

    for (int i = 0; i < ROUNDS; i++) {
        double start = cpu_us();

        logic_facts_set(facts, json_object_get(json_array_get(b->events, (size_t)i), "context"), NULL);
        predicates = 0;
        for (unsigned n = 0; n < RULES; n++) {
            struct id id = rule_id(n);
            const struct logic *l = match_get(b->many, &id, NULL)->conditions;

            predicates += logic_predicates(l);
            (void)logic_eval(l, facts, NULL);
        }
        v[i] = (cpu_us() - start) * 1e3 / (double)predicates;
    }
    report(b, "ns_per_predicate", median(v, ROUNDS), "ns", "", true);
    logic_facts_free(facts);
}

static void measure_bytes(struct bench *b)
{
    report(b, "ruleset_bytes_10000", (double)match_bytes(b->many), "bytes", "", true);
}

struct update {
    double mean_us, worst_us;
};

/* A new revision of a rule until the first answer with it, less what that answer costs anyway. The mean over enough revisions
 * that lists are made anew among them. Each rule gets the conditions of another, so that what it asks changes. */
static struct update update_us(const struct bench *b, struct match *m, bool one_type, unsigned step)
{
    const json_t *event = json_array_get(b->events, 0);
    struct update u = {0};
    struct tally t = {0};

    for (unsigned i = 0; i < UPDATES; i++) {
        unsigned n = i * step % RULES;
        char *text = varied(json_array_get(b->rules, (n + (i + 1) * step) % RULES), one_type, false);
        int64_t revision;
        struct id id = rule_id(n);
        double start, changed, us;

        (void)match_get(m, &id, &revision);
        start = cpu_us();
        put(m, n, revision + 1, text);
        ask(m, event, one_type, &t);
        changed = cpu_us();
        ask(m, event, one_type, &t);
        us = changed - start - (cpu_us() - changed);
        u.mean_us += us / UPDATES;
        u.worst_us = us > u.worst_us ? us : u.worst_us;
        free(text);
    }
    return u;
}

/* The question after an edit pays for it. It may cost what the dearest question costs, not what loading does: UPDATE_MOST_US is
 * the target of match_10000_us, rounded up. */
static void measure_update(struct bench *b)
{
    struct match *many = load(b, false, false), *one = load(b, true, false);
    struct update of_200, of_10000;

    (void)ask_all(b, many, false);
    (void)ask_all(b, one, true);
    of_200 = update_us(b, many, false, TYPES);
    of_10000 = update_us(b, one, true, 7);
    at_most(b, "update_one_rule_us", of_200.mean_us, "us", UPDATE_MOST_US);
    at_most(b, "update_one_of_10000_us", of_10000.mean_us, "us", UPDATE_MOST_US);
    report(b, "update_one_of_10000_worst_us", of_10000.worst_us, "us", "", true);
    match_free(many);
    match_free(one);
}

static void measure_cache(struct bench *b)
{
    struct rules_cache_figures f = {0};

    rules_cache_measure(b->rules, &f);
    at_most(b, "load_cold_ms", f.cold_ms, "ms", LOAD_MOST_MS);
    at_most(b, "load_warm_ms", f.warm_ms, "ms", LOAD_MOST_MS);
    at_most(b, "cache_memory_p99_us", f.held_p99_us, "us", 100);
    above(b, "cache_served_without_pg", f.without_pg, "%", 99.5);
    above(b, "cache_redis_only_hit", f.redis_only, "%", 99);
}

/* ---- peers ---- */

static const struct peer_row {
    const char *name;
    const char *metric;
    double least; /* 25 times the interpreter, 3 times whatever compiles */
} peers[] = {
    {"json_logic_js", "ratio_json_logic_js", 25},
    {"json_logic_engine", "ratio_json_logic_engine", 3},
    {"json_rules_engine", "ratio_json_rules_engine", 3},
    {"zen", "ratio_zen", 3},
};

static void compare(struct bench *b, const struct peer_row *row)
{
    struct tally ours = ask_all(b, b->many, false);
    double ratios[ROUNDS];
    struct peer_round theirs;
    struct peer p;
    char target[32];
    bool ok = peer_open(&p, row->name, DIR);

    for (int i = 0; ok && i < ROUNDS; i++) {
        double us = round_us(b, b->many, false);

        ok = peer_run(&p, &theirs);
        ratios[i] = ok ? theirs.us / us : 0;
    }
    peer_close(&p);
    if (!ok) {
        not_measured(b, row->metric, "the peer ended early");
        return;
    }
    if (theirs.matches != ours.matches || theirs.hash != ours.hash) {
        not_measured(b, row->metric, "its matches differ from ours");
        return;
    }
    (void)snprintf(target, sizeof(target), ">= %g", row->least);
    double ratio = median(ratios, ROUNDS);
    report(b, row->metric, ratio, "x", target, ratio >= row->least);
}

static void measure_peers(struct bench *b)
{
    char why[256] = "";
    bool installed = peer_install(DIR, "tests/bench", why, sizeof(why));

    for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++) {
        if (installed)
            compare(b, &peers[i]);
        else
            not_measured(b, peers[i].metric, why);
    }
}

/* ---- all ---- */

static void prepare(struct bench *b)
{
    b->rules = rules_gen_rules(SEED, RULES, TYPES);
    b->events = rules_gen_events(SEED / 3, EVENTS, TYPES);
    if ((mkdir("build", 0777) != 0 && errno != EEXIST) || (mkdir(DIR, 0777) != 0 && errno != EEXIST) ||
        json_dump_file(b->rules, DIR "/rules.json", JSON_COMPACT) != 0 ||
        json_dump_file(b->events, DIR "/events.json", JSON_COMPACT) != 0) {
        (void)fprintf(stderr, "bench_rules: can not write to " DIR ": %s\n", strerror(errno));
        exit(2);
    }
    b->texts = mem_alloc(RULES * sizeof(char *));
    for (unsigned i = 0; i < RULES; i++)
        b->texts[i] = varied(json_array_get(b->rules, i), false, false);
    b->many = load(b, false, false);
    b->one = load(b, true, false);
    b->unlisted = load(b, false, true);
    b->one_unlisted = load(b, true, true);
}

static void finish(struct bench *b)
{
    for (unsigned i = 0; i < RULES; i++)
        free(b->texts[i]);
    mem_free(b->texts);
    match_free(b->many);
    match_free(b->one);
    match_free(b->unlisted);
    match_free(b->one_unlisted);
    json_decref(b->rules);
    json_decref(b->events);
}

int main(void)
{
    static void (*const metrics[])(struct bench *) = {measure_match,  measure_predicates, measure_compile,
                                                      measure_update, measure_bytes,      measure_cache,
                                                      measure_peers};
    struct bench b = {0};

    (void)signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    prepare(&b);
    for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
        metrics[i](&b);
    finish(&b);
    return b.failed ? 1 : 0;
}
