/* rulesets: see rulesets.h.
 *
 * Version and rules are loaded in one statement, and what was loaded is kept, here and in the second level, under the version that it
 * came with. That is the one asked for or, when rules were changed in between, a newer one; never is a newer set filed under an older
 * number. A set is loaded in the transaction that matches with it. One thread, so there is one load at a time (single flight).
 * When a set's table of fields is full (rules that came and went leave their paths behind) the set is compiled anew from empty. */
#include "scheduler/rulesets.h"

#include <string.h>

#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/io/store_lead.h"

/* A set whose table of fields has grown this far is compiled anew. */
#define FIELDS_FULL (LOGIC_FIELDS_MAX / 2)
#define REPORT_MS 60000

/* The key of a rule set is the tenant alone (rule and revision zero). */
struct key {
    struct id tenant;
    struct id rule;
    int64_t revision;
};

struct entry {
    struct list lru;
    struct key key;
    size_t bytes;
    int64_t version;             /* rule set */
    struct match *match;         /* rule set */
    struct map listed;           /* rule set: ids of its rules; the values mean nothing */
    struct logic_fields *fields; /* pinned revision */
    struct rulesets_pinned pinned;
};

struct rulesets {
    struct map by_key;
    struct list lru; /* the most recently used first */
    size_t bytes;
    size_t max_bytes;
    struct cache *second; /* NULL: none */
    struct id epoch;
    struct cache_stats stats;
    int64_t report_ms; /* when the counters are logged next; 0: one interval from now */
};

struct rulesets *rulesets_new(size_t max_bytes)
{
    struct rulesets *c = mem_zalloc(sizeof(*c));

    list_init(&c->lru);
    c->max_bytes = max_bytes;
    return c;
}

void rulesets_use_cache(struct rulesets *c, struct cache *second)
{
    c->second = second;
}

static void drop(struct rulesets *c, struct entry *e)
{
    (void)map_remove(&c->by_key, &e->key, sizeof(e->key));
    list_remove(&e->lru);
    c->bytes -= e->bytes;
    match_free(e->match);
    map_free(&e->listed);
    logic_facts_free(e->pinned.facts);
    rule_free(e->pinned.rule);
    logic_fields_free(e->fields);
    mem_free(e);
}

void rulesets_clear(struct rulesets *c)
{
    for (struct list *it = list_first(&c->lru); it != NULL; it = list_first(&c->lru))
        drop(c, LIST_OWNER(it, struct entry, lru));
}

void rulesets_free(struct rulesets *c)
{
    if (c == NULL)
        return;
    rulesets_clear(c);
    map_free(&c->by_key);
    mem_free(c);
}

void rulesets_epoch(struct rulesets *c, const struct id *epoch)
{
    if (!id_eq(&c->epoch, epoch))
        rulesets_clear(c);
    c->epoch = *epoch;
    if (c->second != NULL)
        cache_epoch(c->second, epoch);
}

size_t rulesets_bytes(const struct rulesets *c)
{
    return c->bytes;
}

size_t rulesets_count(const struct rulesets *c)
{
    return list_length(&c->lru);
}

static struct entry *find(struct rulesets *c, const struct key *key)
{
    struct entry *e = map_get(&c->by_key, key, sizeof(*key));

    if (e != NULL) {
        list_remove(&e->lru);
        list_prepend(&c->lru, &e->lru);
    }
    return e;
}

static struct entry *add(struct rulesets *c, const struct key *key)
{
    struct entry *e = mem_zalloc(sizeof(*e));

    e->key = *key;
    list_prepend(&c->lru, &e->lru);
    (void)map_put(&c->by_key, key, sizeof(*key), e);
    return e;
}

/* Counts the entry, the first of the list, and makes room for it. */
static void weigh(struct rulesets *c, struct entry *e, size_t bytes)
{
    c->bytes += bytes - e->bytes;
    e->bytes = bytes;
    while (c->bytes > c->max_bytes && c->lru.prev != &e->lru)
        drop(c, LIST_OWNER(c->lru.prev, struct entry, lru));
}

static void log_uncompiled(const struct id *tenant, const struct store_rule *row, const struct rule_errors *errors)
{
    log_error("rule.not_compiled", L_ID("tenant", tenant), L_ID("rule", &row->rule_id), L_INT("revision", row->revision),
              L_STR("pointer", errors->items[0].pointer), L_STR("reason", errors->items[0].message));
}

static void put_rule(struct match *m, const struct id *tenant, const struct store_rule *row)
{
    struct rule_errors errors = {0};
    struct rule *r = rule_parse_text(row->definition, match_fields(m), &errors);
    enum err err = r != NULL ? match_put(m, &row->rule_id, row->revision, r) : ERR_OK;

    if (r == NULL)
        log_uncompiled(tenant, row, &errors);
    if (err != ERR_OK) {
        log_error("rule.not_added", L_ID("tenant", tenant), L_ID("rule", &row->rule_id), L_ERR(err));
        rule_free(r);
    }
    rule_errors_free(&errors);
}

/* Puts what is new or changed, and notes in `listed` what the set consists of. */
static void put_rules(struct entry *e, const struct store_rule *rules, size_t n, struct map *listed)
{
    for (const struct store_rule *row = rules; row < rules + n; row++) {
        int64_t revision = -1;
        (void)map_put(listed, &row->rule_id, sizeof(row->rule_id), e);
        if (match_get(e->match, &row->rule_id, &revision) != NULL && revision == row->revision)
            continue;
        (void)match_remove(e->match,
                           &row->rule_id); /* also when the new revision does not compile: the old one has ended */
        put_rule(e->match, &e->key.tenant, row);
    }
}

static void remove_unlisted(struct entry *e, const struct map *listed)
{
    const void *key = NULL;
    size_t at = 0, n = 0;
    void *value = NULL;

    while (map_next(&e->listed, &at, &key, &n, &value)) {
        struct id rule;
        memcpy(&rule, key, sizeof(rule));
        if (map_get(listed, key, n) == NULL)
            (void)match_remove(e->match, &rule);
    }
}

static void bring_up_to_date(struct entry *e, int64_t version, const struct store_rule *rules, size_t n)
{
    struct map listed = {0};

    if (e->match != NULL && logic_fields_count(match_fields(e->match)) > FIELDS_FULL) {
        match_free(e->match);
        e->match = NULL;
    }
    if (e->match == NULL)
        e->match = match_new();
    put_rules(e, rules, n, &listed);
    remove_unlisted(e, &listed);
    map_free(&e->listed);
    e->listed = listed;
    e->version = version;
}

/* Version 0 is of a tenant that never had a rule: nothing that could be told from a later state, so it is not kept in Redis. */
static enum err load_from_db(struct rulesets *c, struct entry *e, struct db_session *s, struct err_info *info)
{
    struct db_result *r = NULL;
    struct store_rule *rules = NULL;
    size_t n = 0;
    int64_t version = 0;
    enum err err = store_lead_ruleset(s, &e->key.tenant, &version, &r, info);

    if (err != ERR_OK) {
        c->stats.l3_failed++;
        return err;
    }
    c->stats.l3_loads++;
    rules = mem_alloc(((size_t)db_rows(r) + 1) * sizeof(*rules));
    for (int i = 0; i < db_rows(r); i++)
        n += store_lead_ruleset_rule(r, i, &rules[n]);
    bring_up_to_date(e, version, rules, n);
    if (c->second != NULL && version > 0)
        cache_put(c->second, &e->key.tenant, version, rules, n);
    mem_free(rules);
    db_result_free(r);
    return ERR_OK;
}

static enum err load(struct rulesets *c, struct entry *e, int64_t version, struct db_session *s, struct err_info *info)
{
    struct cache_set set;

    if (c->second == NULL || version == 0 || !cache_get(c->second, &e->key.tenant, version, &set))
        return load_from_db(c, e, s, info);
    bring_up_to_date(e, version, set.rules, set.n);
    return ERR_OK;
}

enum err rulesets_get(struct rulesets *c, struct db_session *s, const struct id *tenant, int64_t version,
                      struct match **out, struct err_info *info)
{
    struct key key = {.tenant = *tenant};
    struct entry *e = find(c, &key);
    enum err err = ERR_OK;

    *out = NULL;
    if (e == NULL) {
        e = add(c, &key);
        e->version = -1;
    }
    if (e->version < version || e->match == NULL) {
        c->stats.l1_misses++;
        err = load(c, e, version, s, info);
    } else {
        c->stats.l1_hits++;
    }
    if (err != ERR_OK) {
        drop(c, e);
        return err;
    }
    weigh(c, e, sizeof(*e) + match_bytes(e->match));
    *out = e->match;
    return ERR_OK;
}

const struct rulesets_pinned *rulesets_pinned(struct rulesets *c, const struct id *tenant, const struct id *rule,
                                              int64_t revision, struct str definition)
{
    struct key key = {*tenant, *rule, revision};
    struct store_rule row = {*tenant, *rule, revision, definition};
    struct rule_errors errors = {0};
    struct entry *e = find(c, &key);

    if (e != NULL)
        return &e->pinned;
    e = add(c, &key);
    e->fields = logic_fields_new();
    e->pinned.rule = rule_parse_text(definition, e->fields, &errors);
    if (e->pinned.rule == NULL) {
        log_uncompiled(tenant, &row, &errors);
        drop(c, e);
        e = NULL;
    } else {
        e->pinned.facts = logic_facts_new(e->fields);
        weigh(c, e, sizeof(*e) + definition.n + rule_bytes(e->pinned.rule));
    }
    rule_errors_free(&errors);
    return e != NULL ? &e->pinned : NULL;
}

struct cache_stats rulesets_stats(const struct rulesets *c)
{
    struct cache_stats all = c->second != NULL ? *cache_stats(c->second) : (struct cache_stats){0};

    all.l1_hits = c->stats.l1_hits;
    all.l1_misses = c->stats.l1_misses;
    all.l3_loads = c->stats.l3_loads;
    all.l3_failed = c->stats.l3_failed;
    return all;
}

struct store_cache_counts rulesets_counts(const struct rulesets *c)
{
    const struct cache_stats s = rulesets_stats(c);

    return (struct store_cache_counts){
        .hits = {(int64_t)s.l1_hits, (int64_t)s.l2_hits, (int64_t)s.l3_loads},
        .misses = {(int64_t)s.l1_misses, (int64_t)s.l2_misses, 0},
        .skipped = {0, (int64_t)s.l2_skipped, 0},
        .failed = {0, (int64_t)s.l2_failed, (int64_t)s.l3_failed},
    };
}

void rulesets_report(struct rulesets *c, int64_t now_ms)
{
    const struct cache_stats s = rulesets_stats(c);

    if (c->report_ms > now_ms)
        return;
    if (c->report_ms != 0)
        log_info("rules.cache", L_INT("l1_hits", s.l1_hits), L_INT("l1_misses", s.l1_misses),
                 L_INT("l2_hits", s.l2_hits), L_INT("l2_misses", s.l2_misses), L_INT("l2_skipped", s.l2_skipped),
                 L_INT("l2_refused", s.l2_refused), L_INT("l2_failed", s.l2_failed), L_INT("l2_stored", s.l2_stored),
                 L_INT("l2_too_large", s.l2_too_large), L_INT("l3_loads", s.l3_loads), L_INT("l3_failed", s.l3_failed),
                 L_INT("l1_sets", rulesets_count(c)), L_INT("l1_bytes", c->bytes));
    c->report_ms = now_ms + REPORT_MS;
}
