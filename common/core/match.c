/* match: see match.h.
 *
 * Rules are held by id; each also stands in the bucket of its trigger (match_bucket.c). A question prepares the bucket, points the
 * facts at the document, marks the entries that could match and evaluates those in order. Nothing fails but adding too much or
 * something old. */
#include "common/core/match.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/core/context.h"
#include "common/core/key.h"
#include "common/core/match_bucket.h"

struct match {
    struct logic_fields *fields;
    struct logic_facts *facts;
    struct map rules;   /* rule id → struct match_entry, owned */
    struct map events;  /* event type → struct match_bucket, owned */
    struct map timings; /* timing id → struct match_bucket, owned */
    size_t rule_bytes;
    size_t field_bytes;
    uint32_t fields_counted;
    bool busy; /* a callback runs */
};

/* Estimates for accounting: a slot of a hash map at its worst filling with the copied key, and the entry of a field. */
enum { MAP_SLOT_BYTES = 64, FIELD_BYTES = 192 };

const char *match_timing_text(const struct rule_trigger *t, char out[MATCH_TIMING_TEXT_SIZE])
{
    char offset[OFFSET_TEXT_SIZE], at[8] = "--:--";
    int n;

    if (t->at_minute >= 0)
        snprintf(at, sizeof(at), "%02u:%02u", (unsigned)t->at_minute / 60 % 24, (unsigned)t->at_minute % 60);
    n = snprintf(out, MATCH_TIMING_TEXT_SIZE, "%s|%s|%s|%s", vocab_text(VOCAB_MILESTONE, (int)t->milestone),
                 offset_format_key(&t->offset, offset), at, t->zone);
    if (t->window.set)
        n += snprintf(out + n, (size_t)(MATCH_TIMING_TEXT_SIZE - n), "|window %d %d-%d", (int)t->window.days,
                      (int)t->window.from_minute, (int)t->window.to_minute);
    if (t->yearly > 0)
        (void)snprintf(out + n, (size_t)(MATCH_TIMING_TEXT_SIZE - n), "|yearly %d", (int)t->yearly);
    return out;
}

void match_timing_id(const struct rule_trigger *t, struct id *out)
{
    char text[MATCH_TIMING_TEXT_SIZE];
    struct str part = str_of(match_timing_text(t, text));

    key_derive(out, "timing", &part, 1);
}

struct match *match_new(void)
{
    struct match *m = mem_zalloc(sizeof(*m));

    m->fields = logic_fields_new();
    m->facts = logic_facts_new(m->fields);
    return m;
}

static void free_entry(struct match_entry *e)
{
    rule_free(e->rule);
    mem_free(e);
}

static void free_buckets(struct map *map)
{
    const void *key;
    size_t at = 0, n;
    void *value;

    while (map_next(map, &at, &key, &n, &value))
        match_bucket_free(value);
    map_free(map);
}

void match_free(struct match *m)
{
    const void *key;
    size_t at = 0, n;
    void *value;

    if (m == NULL)
        return;
    free_buckets(&m->events);
    free_buckets(&m->timings);
    while (map_next(&m->rules, &at, &key, &n, &value))
        free_entry(value);
    map_free(&m->rules);
    logic_facts_free(m->facts);
    logic_fields_free(m->fields);
    mem_free(m);
}

struct logic_fields *match_fields(struct match *m)
{
    return m->fields;
}

/* The map and key a rule's bucket stands under: false for rules that nothing triggers but a person. */
static bool bucket_key(struct match *m, const struct rule *r, struct map **map, struct id *id, struct str *key)
{
    switch (r->trigger.type) {
    case TRIGGER_EVENT:
        *map = &m->events;
        *key = str_of(r->trigger.event_type);
        return true;
    case TRIGGER_MILESTONE:
        *map = &m->timings;
        match_timing_id(&r->trigger, id);
        *key = (struct str){(const char *)id->b, sizeof(id->b)};
        return true;
    case TRIGGER_SCHEDULE:
    case TRIGGER_WEBHOOK:
    case TRIGGER_MANUAL:
    case TRIGGER_COUNT: break;
    }
    return false;
}

static void enter_bucket(struct match *m, struct match_entry *e)
{
    struct map *map;
    struct id id;
    struct str key;

    e->bucket = NULL;
    if (!bucket_key(m, e->rule, &map, &id, &key))
        return;
    e->bucket = map_get(map, key.p, key.n);
    if (e->bucket == NULL) {
        e->bucket = mem_zalloc(sizeof(*e->bucket));
        map_put(map, key.p, key.n, e->bucket);
    }
    match_bucket_add(e->bucket, e);
}

static void leave_bucket(struct match *m, struct match_entry *e)
{
    struct map *map;
    struct id id;
    struct str key;

    if (e->bucket == NULL)
        return;
    match_bucket_remove(e->bucket, e);
    if (e->bucket->n > 0 || !bucket_key(m, e->rule, &map, &id, &key))
        return;
    map_remove(map, key.p, key.n);
    match_bucket_free(e->bucket);
}

static void count_fields(struct match *m)
{
    for (; m->fields_counted < logic_fields_count(m->fields); m->fields_counted++)
        m->field_bytes += FIELD_BYTES + strlen(logic_fields_path(m->fields, m->fields_counted));
}

enum err match_put(struct match *m, const struct id *rule_id, int64_t revision, struct rule *r)
{
    struct match_entry *e = map_get(&m->rules, rule_id->b, sizeof(rule_id->b));

    assert(!m->busy);
    if (e != NULL && e->revision >= revision)
        return ERR_EXISTS;
    if (e == NULL && m->rules.n >= MATCH_RULES_MAX)
        return ERR_LIMIT;
    if (e == NULL) {
        e = mem_zalloc(sizeof(*e));
        e->rule_id = *rule_id;
        map_put(&m->rules, rule_id->b, sizeof(rule_id->b), e);
    } else {
        leave_bucket(m, e);
        m->rule_bytes -= e->bytes;
        rule_free(e->rule);
    }
    e->rule = r;
    e->revision = revision;
    e->bytes = rule_bytes(r) + sizeof(*e);
    m->rule_bytes += e->bytes;
    e->parts = context_parts_read(r->conditions, m->fields);
    enter_bucket(m, e);
    count_fields(m);
    return ERR_OK;
}

bool match_remove(struct match *m, const struct id *rule_id)
{
    struct match_entry *e = map_remove(&m->rules, rule_id->b, sizeof(rule_id->b));

    assert(!m->busy);
    if (e == NULL)
        return false;
    leave_bucket(m, e);
    m->rule_bytes -= e->bytes;
    free_entry(e);
    return true;
}

const struct rule *match_get(const struct match *m, const struct id *rule_id, int64_t *revision)
{
    const struct match_entry *e = map_get(&m->rules, rule_id->b, sizeof(rule_id->b));

    if (e == NULL)
        return NULL;
    if (revision != NULL)
        *revision = e->revision;
    return e->rule;
}

size_t match_count(const struct match *m)
{
    return m->rules.n;
}

static size_t buckets_bytes(const struct map *map)
{
    const void *key;
    size_t at = 0, n, total = map->cap * MAP_SLOT_BYTES;
    void *value;

    while (map_next(map, &at, &key, &n, &value))
        total += match_bucket_bytes(value) + n;
    return total;
}

size_t match_bytes(const struct match *m)
{
    return sizeof(*m) + m->rule_bytes + m->field_bytes + m->rules.cap * MAP_SLOT_BYTES + buckets_bytes(&m->events) +
           buckets_bytes(&m->timings);
}

/* Reports one entry; false when the callback has enough. */
static bool report(const struct match_bucket *b, size_t i, const struct logic_answer *a, match_cb *cb, void *ctx,
                   struct match_stats *stats)
{
    char text[LOGIC_REASON_SIZE];
    const struct match_entry *e = b->entries[i];
    const struct match_hit hit = {
        .rule_id = e->rule_id,
        .revision = e->revision,
        .rule = e->rule,
        .truth = a->truth,
        .why = a->reason,
        .reason = a->truth == LOGIC_UNKNOWN ? logic_reason_text(&a->reason, text) : "",
    };

    stats->matched += a->truth == LOGIC_TRUE ? 1 : 0;
    stats->unknown += a->truth == LOGIC_UNKNOWN ? 1 : 0;
    return cb(&hit, ctx);
}

/* The first entry from `i` on that is to be reported, or their number. */
static size_t next_answer(struct match *m, struct match_bucket *b, size_t i, bool all, struct logic_answer *a)
{
    a->reason = (struct logic_reason){.why = LOGIC_WHY_NONE};
    if (!all)
        return logic_flat_next(b->flat, b->marks, i, m->facts, a);
    if (i < b->n) {
        a->asked++;
        a->truth = logic_flat_eval(b->flat, i, m->facts, &a->reason);
    }
    return i;
}

static enum err ask(struct match *m, struct match_bucket *b, const struct match_question *q, match_cb *cb, void *ctx,
                    struct match_stats *stats)
{
    struct match_stats own;
    struct logic_answer a = {.asked = 0};

    if (m->busy)
        return ERR_STATE;
    stats = stats == NULL ? &own : stats;
    *stats = (struct match_stats){0};
    if (b == NULL)
        return ERR_OK;
    m->busy = true;
    match_bucket_prepare(b);
    logic_facts_set(m->facts, q->context, q->env);
    logic_flat_begin(b->flat);
    if (!q->all)
        match_bucket_mark(b, m->facts);
    stats->candidates = b->n;
    for (size_t i = next_answer(m, b, 0, q->all, &a); i < b->n; i = next_answer(m, b, i + 1, q->all, &a)) {
        if (!report(b, i, &a, cb, ctx, stats))
            break;
    }
    stats->evaluated = a.asked;
    /* The document is only borrowed. */
    logic_facts_set(m->facts, NULL, NULL);
    m->busy = false;
    return ERR_OK;
}

enum err match_event(struct match *m, struct str event_type, const struct match_question *q, match_cb *cb, void *ctx,
                     struct match_stats *stats)
{
    return ask(m, map_get(&m->events, event_type.p, event_type.n), q, cb, ctx, stats);
}

enum err match_timing(struct match *m, const struct id *timing, const struct match_question *q, match_cb *cb, void *ctx,
                      struct match_stats *stats)
{
    return ask(m, map_get(&m->timings, timing->b, sizeof(timing->b)), q, cb, ctx, stats);
}

bool match_has_event(const struct match *m, struct str event_type)
{
    return map_get(&m->events, event_type.p, event_type.n) != NULL;
}

bool match_has_timing(const struct match *m, const struct id *timing)
{
    return map_get(&m->timings, timing->b, sizeof(timing->b)) != NULL;
}

unsigned match_timing_parts(const struct match *m, const struct id *timing)
{
    const struct match_bucket *b = map_get(&m->timings, timing->b, sizeof(timing->b));
    unsigned parts = 0;

    for (size_t i = 0; b != NULL && i < b->n; i++)
        parts |= b->entries[i]->parts;
    return parts;
}

bool match_next_timing(const struct match *m, size_t *at, struct id *timing, const struct rule_trigger **t)
{
    const struct match_bucket *b;
    const void *key;
    size_t n;
    void *value;

    if (!map_next(&m->timings, at, &key, &n, &value))
        return false;
    b = value;
    memcpy(timing->b, key, sizeof(timing->b));
    *t = &b->entries[0]->rule->trigger;
    return true;
}
