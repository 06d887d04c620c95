/* rulesets: see rulesets.h.
 *
 * A rule set is loaded in the transaction that matches with it, so its version is at least the one that came with the event.
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
};

struct rulesets *rulesets_new(size_t max_bytes)
{
    struct rulesets *c = mem_zalloc(sizeof(*c));

    list_init(&c->lru);
    c->max_bytes = max_bytes;
    return c;
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

void rulesets_free(struct rulesets *c)
{
    if (c == NULL)
        return;
    for (struct list *it = list_first(&c->lru); it != NULL; it = list_first(&c->lru))
        drop(c, LIST_OWNER(it, struct entry, lru));
    map_free(&c->by_key);
    mem_free(c);
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
static void put_rules(struct entry *e, const struct db_result *r, struct map *listed)
{
    for (int i = 0; i < db_rows(r); i++) {
        struct store_rule row;
        int64_t revision = -1;
        if (!store_lead_ruleset_rule(r, i, &row))
            continue;
        (void)map_put(listed, &row.rule_id, sizeof(row.rule_id), e);
        if (match_get(e->match, &row.rule_id, &revision) != NULL && revision == row.revision)
            continue;
        (void)match_remove(e->match,
                           &row.rule_id); /* also when the new revision does not compile: the old one has ended */
        put_rule(e->match, &e->key.tenant, &row);
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

static enum err bring_up_to_date(struct entry *e, struct db_session *s, struct err_info *info)
{
    struct db_result *r = NULL;
    struct map listed = {0};
    int64_t version = 0;
    enum err err = store_lead_ruleset(s, &e->key.tenant, &version, &r, info);

    if (err != ERR_OK)
        return err;
    if (e->match != NULL && logic_fields_count(match_fields(e->match)) > FIELDS_FULL) {
        match_free(e->match);
        e->match = NULL;
    }
    if (e->match == NULL)
        e->match = match_new();
    put_rules(e, r, &listed);
    remove_unlisted(e, &listed);
    map_free(&e->listed);
    e->listed = listed;
    e->version = version;
    db_result_free(r);
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
    if (e->version < version || e->match == NULL)
        err = bring_up_to_date(e, s, info);
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
