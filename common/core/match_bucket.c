/* match_bucket: see match_bucket.h.
 *
 * Few changes are made in the lists as they stand: what is moved or renumbered is some bytes per rule of the bucket, no rule but
 * the changed one is looked at. After many (loading adds thousands of rules at once) lists are made anew when next needed, which
 * also gives back what removed rules left behind. Of several necessary equalities a rule is listed under the one whose values the
 * fewest rules of the bucket share. A posting is (field, class of type, hash of value, place); postings are sorted, so a look-up
 * is a binary search within its field's group. Two values of one hash share a list, which costs an evaluation and changes no
 * answer. */
#include "common/core/match_bucket.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/core/match_bits.h"

enum value_class { CLASS_BOOL, CLASS_NUMBER, CLASS_STRING, CLASS_NONE };

struct match_posting {
    uint32_t slot;
    uint32_t class; /* enum value_class */
    uint64_t hash;
    uint32_t place; /* in entries */
    uint32_t leaf;  /* of the rule; only while the lists are made */
};

/* Postings [begin, end) of one field and class. */
struct match_group {
    uint32_t slot;
    uint32_t class;
    size_t begin;
    size_t end;
};

/* Changes made in the lists before they are made anew: a quarter of the rules, and never so many that together they cost more. */
enum { CHANGES_SHARE = 4, CHANGES_MAX = 1024 };

static size_t words(const struct match_bucket *b)
{
    return match_bits_words(b->listed);
}

static enum value_class class_of(const struct logic_scalar *s)
{
    switch (s->type) {
    case LOGIC_BOOL: return CLASS_BOOL;
    case LOGIC_INT:
    case LOGIC_REAL: return CLASS_NUMBER;
    case LOGIC_STRING: return CLASS_STRING;
    case LOGIC_NULL: break;
    }
    return CLASS_NONE;
}

/* A list of several types is filed under its first one's: a value of another class is looked at by evaluation anyway. */
static enum value_class class_of_leaf(const struct logic_leaf *leaf)
{
    return class_of(&leaf->values[0]);
}

static void free_lists(struct match_bucket *b)
{
    mem_free(b->postings);
    mem_free(b->groups);
    mem_free(b->marks);
    mem_free(b->always);
    logic_flat_free(b->flat);
    b->flat = NULL;
    b->postings = NULL;
    b->groups = NULL;
    b->marks = NULL;
    b->always = NULL;
    b->n_postings = 0;
    b->cap_postings = 0;
    b->n_groups = 0;
    b->listed = 0;
    b->changes = 0;
}

void match_bucket_free(struct match_bucket *b)
{
    if (b == NULL)
        return;
    free_lists(b);
    mem_free(b->entries);
    mem_free(b);
}

size_t match_bucket_bytes(const struct match_bucket *b)
{
    return sizeof(*b) + b->cap * sizeof(struct match_entry *) + (b->flat != NULL ? logic_flat_bytes(b->flat) : 0) +
           b->cap_postings * sizeof(*b->postings) + b->n_groups * sizeof(*b->groups) + 2 * words(b) * sizeof(uint64_t);
}

static int compare_entries(const void *x, const void *y)
{
    const struct match_entry *a = *(struct match_entry *const *)x, *b = *(struct match_entry *const *)y;
    int32_t p = a->rule->settings.priority, q = b->rule->settings.priority;

    return p != q ? (p > q) - (p < q) : id_cmp(&a->rule_id, &b->rule_id);
}

/* By field, class and value: equal for postings that share a list. */
static int compare_lists(const struct match_posting *a, const struct match_posting *b)
{
    if (a->slot != b->slot)
        return a->slot < b->slot ? -1 : 1;
    if (a->class != b->class)
        return a->class < b->class ? -1 : 1;
    return (a->hash > b->hash) - (a->hash < b->hash);
}

static int compare_postings(const void *x, const void *y)
{
    const struct match_posting *a = x, *b = y;
    int c = compare_lists(a, b);

    return c != 0 ? c : (a->place > b->place) - (a->place < b->place);
}

static const struct logic_leaf *leaves_of(const struct match_entry *e, size_t *n)
{
    *n = 0;
    return e->rule->conditions == NULL ? NULL : logic_leaves(e->rule->conditions, n);
}

static size_t count_values(const struct match_bucket *b)
{
    size_t total = 0;

    for (size_t i = 0; i < b->n; i++) {
        size_t n;
        const struct logic_leaf *leaves = leaves_of(b->entries[i], &n);

        for (size_t k = 0; k < n; k++)
            total += leaves[k].n_values;
    }
    return total;
}

static void hold_postings(struct match_bucket *b, size_t cap)
{
    b->cap_postings = cap;
    b->postings = mem_realloc(b->postings, cap * sizeof(*b->postings));
}

static struct match_posting posting_of(const struct logic_leaf *leaf, uint32_t value, size_t place, size_t n_leaf)
{
    return (struct match_posting){.slot = leaf->slot,
                                  .class = class_of_leaf(leaf),
                                  .hash = logic_scalar_hash(&leaf->values[value]),
                                  .place = (uint32_t)place,
                                  .leaf = (uint32_t)n_leaf};
}

/* Postings for every usable leaf of every rule, sorted. */
static void list_leaves(struct match_bucket *b)
{
    hold_postings(b, count_values(b) + 1);
    for (size_t i = 0; i < b->n; i++) {
        size_t n;
        const struct logic_leaf *leaves = leaves_of(b->entries[i], &n);

        for (size_t k = 0; k < n; k++) {
            bool usable = class_of_leaf(&leaves[k]) != CLASS_NONE;

            for (uint32_t v = 0; usable && v < leaves[k].n_values; v++)
                b->postings[b->n_postings++] = posting_of(&leaves[k], v, i, k);
        }
    }
    qsort(b->postings, b->n_postings, sizeof(*b->postings), compare_postings);
}

/* The first posting of [from, to) whose list is not before that of `key`, or with `past` is after it. */
static size_t find_list(const struct match_bucket *b, size_t from, size_t to, const struct match_posting *key, bool past)
{
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int c = compare_lists(&b->postings[middle], key);

        if (c < 0 || (past && c == 0))
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static size_t list_length(const struct match_bucket *b, const struct match_posting *key)
{
    size_t begin = find_list(b, 0, b->n_postings, key, false);

    return find_list(b, begin, b->n_postings, key, true) - begin;
}

/* How many postings share a value with this leaf, counted once per value. */
static size_t leaf_cost(const struct match_bucket *b, const struct logic_leaf *leaf)
{
    size_t cost = 0;

    for (uint32_t v = 0; v < leaf->n_values; v++) {
        struct match_posting key = posting_of(leaf, v, 0, 0);

        cost += list_length(b, &key);
    }
    return cost;
}

/* The leaf to list a rule under, or UINT32_MAX. */
static uint32_t choose_leaf(const struct match_bucket *b, const struct match_entry *e)
{
    size_t n, best = SIZE_MAX;
    const struct logic_leaf *leaves = leaves_of(e, &n);
    uint32_t chosen = UINT32_MAX;

    for (size_t k = 0; k < n; k++) {
        bool usable = class_of_leaf(&leaves[k]) != CLASS_NONE;
        size_t cost = !usable ? SIZE_MAX : n == 1 ? 0 : leaf_cost(b, &leaves[k]);

        if (cost < best) {
            best = cost;
            chosen = (uint32_t)k;
        }
    }
    return chosen;
}

static void keep_chosen(struct match_bucket *b)
{
    uint32_t *chosen = mem_alloc((b->n + 1) * sizeof(*chosen));
    size_t kept = 0;

    for (size_t i = 0; i < b->n; i++) {
        chosen[i] = choose_leaf(b, b->entries[i]);
        if (chosen[i] == UINT32_MAX)
            match_bits_set(b->always, i);
    }
    for (size_t i = 0; i < b->n_postings; i++) {
        if (chosen[b->postings[i].place] == b->postings[i].leaf)
            b->postings[kept++] = b->postings[i];
    }
    b->n_postings = kept;
    mem_free(chosen);
}

static bool begins_group(const struct match_bucket *b, size_t i)
{
    const struct match_posting *p = &b->postings[i];

    return i == 0 || p[-1].slot != p->slot || p[-1].class != p->class;
}

static void make_groups(struct match_bucket *b)
{
    size_t total = 0;

    for (size_t i = 0; i < b->n_postings; i++)
        total += begins_group(b, i);
    b->groups = mem_realloc(b->groups, (total + 1) * sizeof(*b->groups));
    b->n_groups = 0;
    for (size_t i = 0; i < b->n_postings; i++) {
        const struct match_posting *p = &b->postings[i];

        if (begins_group(b, i))
            b->groups[b->n_groups++] = (struct match_group){.slot = p->slot, .class = p->class, .begin = i};
        b->groups[b->n_groups - 1].end = i + 1;
    }
}

static void hold_bits(struct match_bucket *b, size_t n)
{
    size_t from = words(b), to = match_bits_words(n);

    b->marks = mem_realloc(b->marks, (to + 1) * sizeof(uint64_t));
    b->always = mem_realloc(b->always, (to + 1) * sizeof(uint64_t));
    memset(b->always + from, 0, (to + 1 - from) * sizeof(uint64_t));
}

static void flatten(struct match_bucket *b)
{
    const struct logic **conditions = mem_alloc((b->n + 1) * sizeof(*conditions));

    for (size_t i = 0; i < b->n; i++)
        conditions[i] = b->entries[i]->rule->conditions;
    b->flat = logic_flat_new(conditions, b->n);
    mem_free(conditions);
}

static void list_all(struct match_bucket *b)
{
    free_lists(b);
    if (b->n > 0)
        qsort(b->entries, b->n, sizeof(struct match_entry *), compare_entries);
    hold_bits(b, b->n);
    b->listed = b->n;
    flatten(b);
    list_leaves(b);
    keep_chosen(b);
    hold_postings(b, b->n_postings + 1);
}

/* ---- one entry ---- */

/* Of the listed entries the first that is not before `e`. */
static size_t find_place(const struct match_bucket *b, const struct match_entry *e)
{
    size_t from = 0, to = b->listed;

    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (compare_entries(&b->entries[middle], &e) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static void put_posting(struct match_bucket *b, struct match_posting p)
{
    size_t at = find_list(b, 0, b->n_postings, &p, false);

    if (b->n_postings == b->cap_postings)
        hold_postings(b, b->cap_postings + b->cap_postings / 8 + 1);
    memmove(&b->postings[at + 1], &b->postings[at], (b->n_postings - at) * sizeof(p));
    b->postings[at] = p;
    b->n_postings++;
}

static void put_leaf(struct match_bucket *b, const struct match_entry *e, size_t place)
{
    size_t n;
    const struct logic_leaf *leaves = leaves_of(e, &n);
    uint32_t chosen = choose_leaf(b, e);

    for (size_t i = 0; i < b->n_postings; i++)
        b->postings[i].place += b->postings[i].place >= place;
    match_bits_insert(b->always, match_bits_words(b->listed + 1), place, chosen == UINT32_MAX);
    for (uint32_t v = 0; chosen != UINT32_MAX && v < leaves[chosen].n_values; v++)
        put_posting(b, posting_of(&leaves[chosen], v, place, chosen));
}

/* The first entry that is not listed goes to its place. */
static void list_next(struct match_bucket *b)
{
    struct match_entry *e = b->entries[b->listed];
    size_t place = find_place(b, e);

    memmove(&b->entries[place + 1], &b->entries[place], (b->listed - place) * sizeof(struct match_entry *));
    b->entries[place] = e;
    logic_flat_insert(b->flat, place, e->rule->conditions);
    hold_bits(b, b->listed + 1);
    put_leaf(b, e, place);
    b->listed++;
}

static void unlist(struct match_bucket *b, size_t place)
{
    size_t kept = 0;

    logic_flat_remove(b->flat, place, &b->entries[place]->rule->conditions);
    match_bits_remove(b->always, words(b), place);
    for (size_t i = 0; i < b->n_postings; i++) {
        struct match_posting p = b->postings[i];

        if (p.place == place)
            continue;
        p.place -= p.place > place;
        b->postings[kept++] = p;
    }
    b->n_postings = kept;
    b->listed--;
    b->n--;
    memmove(&b->entries[place], &b->entries[place + 1], (b->n - place) * sizeof(struct match_entry *));
}

/* ---- what match.c calls ---- */

static bool many_changes(const struct match_bucket *b)
{
    size_t share = b->n / CHANGES_SHARE;

    return b->changes > (share < CHANGES_MAX ? share : CHANGES_MAX);
}

void match_bucket_add(struct match_bucket *b, struct match_entry *e)
{
    if (b->n == b->cap) {
        b->cap = b->cap == 0 ? 4 : b->cap * 2;
        b->entries = mem_realloc(b->entries, b->cap * sizeof(struct match_entry *));
    }
    b->entries[b->n++] = e;
    b->changes++;
    b->dirty = true;
}

void match_bucket_remove(struct match_bucket *b, struct match_entry *e)
{
    size_t place;

    b->changes++;
    b->dirty = true;
    if (many_changes(b))
        free_lists(b);
    place = find_place(b, e);
    if (place < b->listed && b->entries[place] == e) {
        unlist(b, place);
        return;
    }
    for (place = b->listed; place < b->n; place++) {
        if (b->entries[place] != e)
            continue;
        b->entries[place] = b->entries[--b->n];
        return;
    }
}

void match_bucket_prepare(struct match_bucket *b)
{
    if (!b->dirty)
        return;
    if (b->flat == NULL || many_changes(b))
        list_all(b);
    while (b->listed < b->n)
        list_next(b);
    make_groups(b);
    b->dirty = false;
}

static void mark_list(struct match_bucket *b, const struct match_group *group, uint64_t hash)
{
    const struct match_posting *p = b->postings;
    size_t from = group->begin, to = group->end;

    while (from < to) {
        size_t middle = from + (to - from) / 2;

        if (p[middle].hash < hash)
            from = middle + 1;
        else
            to = middle;
    }
    for (; from < group->end && p[from].hash == hash; from++)
        match_bits_set(b->marks, p[from].place);
}

void match_bucket_mark(struct match_bucket *b, struct logic_facts *facts)
{
    memcpy(b->marks, b->always, words(b) * sizeof(uint64_t));
    for (size_t g = 0; g < b->n_groups; g++) {
        const struct match_group *group = &b->groups[g];
        struct logic_scalar value = {.type = LOGIC_NULL};
        size_t i = group->begin, end = group->end;

        /* Missing or of another class: unknown, so all of them are evaluated and say so. */
        if (logic_facts_scalar(facts, group->slot, &value) && class_of(&value) == group->class) {
            mark_list(b, group, logic_scalar_hash(&value));
            continue;
        }
        for (; i < end; i++)
            match_bits_set(b->marks, b->postings[i].place);
    }
}
