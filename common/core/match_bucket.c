/* match_bucket: see match_bucket.h.
 *
 * Lists are made anew after a change, when next needed: edits are rare and loading adds thousands of rules at once. Of several
 * necessary equalities a rule is listed under the one whose values the fewest rules of the bucket share. A posting is (field,
 * class of type, hash of value, place); postings are sorted, so a look-up is a binary search within its field's group. Two
 * values of one hash share a list, which costs an evaluation and changes no answer. */
#include "common/core/match_bucket.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

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

enum { BITS = 64 };

static size_t words(const struct match_bucket *b)
{
    return (b->n + BITS - 1) / BITS;
}

static void set_bit(uint64_t *bits, size_t i)
{
    bits[i / BITS] |= UINT64_C(1) << (i % BITS);
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

void match_bucket_add(struct match_bucket *b, struct match_entry *e)
{
    if (b->n == b->cap) {
        b->cap = b->cap == 0 ? 4 : b->cap * 2;
        b->entries = mem_realloc(b->entries, b->cap * sizeof(struct match_entry *));
    }
    b->entries[b->n++] = e;
    b->dirty = true;
}

void match_bucket_remove(struct match_bucket *b, struct match_entry *e)
{
    for (size_t i = 0; i < b->n; i++) {
        if (b->entries[i] != e)
            continue;
        b->entries[i] = b->entries[--b->n];
        b->dirty = true;
        return;
    }
}

static void free_lists(struct match_bucket *b)
{
    mem_free(b->postings);
    mem_free(b->groups);
    mem_free(b->marks);
    mem_free(b->always);
    mem_free(b->conditions);
    logic_flat_free(b->flat);
    b->flat = NULL;
    b->conditions = NULL;
    b->postings = NULL;
    b->groups = NULL;
    b->marks = NULL;
    b->always = NULL;
    b->n_postings = 0;
    b->n_groups = 0;
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
    return sizeof(*b) + b->cap * sizeof(struct match_entry *) + b->n * sizeof(*b->conditions) +
           (b->flat != NULL ? logic_flat_bytes(b->flat) : 0) + b->n_postings * sizeof(*b->postings) +
           b->n_groups * sizeof(*b->groups) + 2 * words(b) * sizeof(uint64_t);
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

/* Postings for every usable leaf of every rule, sorted. */
static void list_all(struct match_bucket *b)
{
    size_t total = count_values(b);

    b->postings = mem_alloc((total + 1) * sizeof(*b->postings));
    for (size_t i = 0; i < b->n; i++) {
        size_t n;
        const struct logic_leaf *leaves = leaves_of(b->entries[i], &n);

        for (size_t k = 0; k < n; k++) {
            enum value_class class = class_of_leaf(&leaves[k]);

            for (uint32_t v = 0; class != CLASS_NONE && v < leaves[k].n_values; v++)
                b->postings[b->n_postings++] = (struct match_posting){.slot = leaves[k].slot,
                                                                      .class = class,
                                                                      .hash = logic_scalar_hash(&leaves[k].values[v]),
                                                                      .place = (uint32_t)i,
                                                                      .leaf = (uint32_t)k};
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

/* How many rules share a value with this leaf, counted once per value. */
static size_t leaf_cost(const struct match_bucket *b, const struct logic_leaf *leaf, enum value_class class)
{
    size_t cost = 0;

    for (uint32_t v = 0; v < leaf->n_values; v++) {
        struct match_posting key = {.slot = leaf->slot, .class = class, .hash = logic_scalar_hash(&leaf->values[v])};

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
        enum value_class class = class_of_leaf(&leaves[k]);
        size_t cost = class == CLASS_NONE ? SIZE_MAX : n == 1 ? 0 : leaf_cost(b, &leaves[k], class);

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
            set_bit(b->always, i);
    }
    for (size_t i = 0; i < b->n_postings; i++) {
        if (chosen[b->postings[i].place] == b->postings[i].leaf)
            b->postings[kept++] = b->postings[i];
    }
    b->n_postings = kept;
    mem_free(chosen);
}

static void make_groups(struct match_bucket *b)
{
    b->groups = mem_alloc((b->n_postings + 1) * sizeof(*b->groups));
    for (size_t i = 0; i < b->n_postings; i++) {
        const struct match_posting *p = &b->postings[i];
        size_t n = b->n_groups;

        if (n == 0 || b->groups[n - 1].slot != p->slot || b->groups[n - 1].class != p->class)
            b->groups[b->n_groups++] = (struct match_group){.slot = p->slot, .class = p->class, .begin = i};
        b->groups[b->n_groups - 1].end = i + 1;
    }
}

void match_bucket_prepare(struct match_bucket *b)
{
    if (!b->dirty)
        return;
    free_lists(b);
    if (b->n > 0)
        qsort(b->entries, b->n, sizeof(struct match_entry *), compare_entries);
    b->marks = mem_zalloc((words(b) + 1) * sizeof(uint64_t));
    b->always = mem_zalloc((words(b) + 1) * sizeof(uint64_t));
    b->conditions = mem_alloc((b->n + 1) * sizeof(*b->conditions));
    for (size_t i = 0; i < b->n; i++)
        b->conditions[i] = b->entries[i]->rule->conditions;
    b->flat = logic_flat_new(b->conditions, b->n);
    list_all(b);
    keep_chosen(b);
    make_groups(b);
    b->postings = mem_realloc(b->postings, (b->n_postings + 1) * sizeof(*b->postings));
    b->groups = mem_realloc(b->groups, (b->n_groups + 1) * sizeof(*b->groups));
    b->dirty = false;
}

void match_bucket_mark(struct match_bucket *b, struct logic_facts *facts, bool all)
{
    if (all) {
        memset(b->marks, 0xff, words(b) * sizeof(uint64_t));
        return;
    }
    memcpy(b->marks, b->always, words(b) * sizeof(uint64_t));
    for (size_t g = 0; g < b->n_groups; g++) {
        const struct match_group *group = &b->groups[g];
        struct logic_scalar value = {.type = LOGIC_NULL};
        size_t i = group->begin, end = group->end;

        /* Missing or of another class: unknown, so all of them are evaluated and say so. */
        if (logic_facts_scalar(facts, group->slot, &value) && class_of(&value) == group->class) {
            struct match_posting key = {.slot = group->slot, .class = group->class, .hash = logic_scalar_hash(&value)};

            i = find_list(b, group->begin, group->end, &key, false);
            end = find_list(b, i, group->end, &key, true);
        }
        for (; i < end; i++)
            set_bit(b->marks, b->postings[i].place);
    }
}

size_t match_bucket_next(const struct match_bucket *b, size_t from)
{
    for (size_t w = from / BITS; w < words(b); w++) {
        uint64_t bits = b->marks[w];

        if (w == from / BITS)
            bits &= ~UINT64_C(0) << (from % BITS);
        if (bits != 0) {
            size_t i = w * BITS + (size_t)__builtin_ctzll(bits);

            return i < b->n ? i : b->n;
        }
    }
    return b->n;
}
