/* store_rollup: see store_rollup.h. A batch is a few thousand rows at most and groups live for one batch, so the table is a plain one with
 * linear probing: no key is copied, and a bad hash costs one batch a few million comparisons at the worst. */
#include "common/io/store_rollup.h"

#include <string.h>

#include "common/base/str.h"
#include "common/core/hist.h"
#include "common/io/store_jobs.h"

#define HOUR_US INT64_C(3600000000)
#define NO_BUCKET 255
#define KIND_MAX_BYTES 64 /* of automation.kinds */
#define FIRST_SLOTS ((size_t)256)
#define MIX UINT64_C(0x9e3779b97f4a7c15) /* 2^64 over the golden ratio */

struct store_rollup_group {
    struct id tenant, rule;
    struct str kind;
    int32_t hour, code, n;
    uint32_t hash;
    int64_t us;
};

const struct db_stmt store_rollup_stmt = {
    "rollup_deltas", "insert into automation_priv.rollup_deltas (n, tenants, rules, hours, kinds, codes, counts, us) "
                     "values ($1, $2, $3, $4, $5, $6, $7, $8)"};

static int32_t code_of(const struct store_log *row)
{
    bool ran = row->started_at_us != DB_NULL_TIME;
    int took = ran ? hist_bucket(row->duration_us) : NO_BUCKET;
    int late = ran && row->due_at_us != DB_NULL_TIME ? hist_bucket(row->started_at_us - row->due_at_us) : NO_BUCKET;

    return (int32_t)row->outcome << 16 | took << 8 | late;
}

/* Kinds of strange entries come from outside. */
static struct str kind_of(const char *kind)
{
    struct str s = {kind, strnlen(kind, KIND_MAX_BYTES + 1)};

    return s.n > KIND_MAX_BYTES || !str_is_utf8(s) ? STR("?") : s;
}

static uint64_t mix(uint64_t h, const void *p, size_t n)
{
    uint64_t word = 0;

    memcpy(&word, p, n);
    h = (h ^ word) * MIX;
    return h ^ h >> 32;
}

static uint32_t hash_of(const struct store_rollup_group *g)
{
    uint64_t h = mix(mix(0, g->tenant.b, 8), g->tenant.b + 8, 8);
    size_t at = 0;

    h = mix(mix(h, g->rule.b, 8), g->rule.b + 8, 8);
    h = mix(mix(h, &g->hour, sizeof(g->hour)), &g->code, sizeof(g->code));
    for (; g->kind.n - at > 8; at += 8)
        h = mix(h, g->kind.p + at, 8);
    return (uint32_t)mix(h, g->kind.p + at, g->kind.n - at);
}

static bool same(const struct store_rollup_group *a, const struct store_rollup_group *b)
{
    return a->hash == b->hash && a->hour == b->hour && a->code == b->code && id_eq(&a->tenant, &b->tenant) &&
           id_eq(&a->rule, &b->rule) && str_eq(a->kind, b->kind);
}

/* Where the group is, or where it would be put. */
static uint32_t *slot_of(const struct store_rollup *r, const struct store_rollup_group *g)
{
    size_t at = g->hash & (r->n_slots - 1);

    while (r->slots[at] != 0 && !same(&r->groups[r->slots[at] - 1], g))
        at = (at + 1) & (r->n_slots - 1);
    return &r->slots[at];
}

/* At most half of the slots are taken. */
static void make_room(struct store_rollup *r)
{
    if (r->n < r->cap)
        return;
    mem_free(r->slots);
    r->n_slots = r->n_slots ? r->n_slots * 2 : FIRST_SLOTS;
    r->slots = mem_zalloc(r->n_slots * sizeof(*r->slots));
    r->cap = r->n_slots / 2;
    r->groups = mem_realloc(r->groups, r->cap * sizeof(*r->groups));
    for (size_t i = 0; i < r->n; i++)
        *slot_of(r, &r->groups[i]) = (uint32_t)i + 1;
}

void store_rollup_add(struct store_rollup *r, const struct store_log *row)
{
    struct store_rollup_group g = {.tenant = row->tenant_id, .rule = row->rule_id, .kind = kind_of(row->kind)};

    g.hour = (int32_t)(row->queued_at_us / HOUR_US);
    g.code = code_of(row);
    g.hash = hash_of(&g);
    make_room(r);
    uint32_t *slot = slot_of(r, &g);
    if (*slot == 0) {
        r->groups[r->n] = g;
        *slot = (uint32_t)++r->n;
    }
    r->groups[*slot - 1].n++;
    r->groups[*slot - 1].us += row->duration_us;
}

/* The groups column by column, as they are stored. */
void store_rollup_args(const struct store_rollup *r, struct arena *arena, struct db_args *out)
{
    const size_t n = r->n;
    struct id *tenants = arena_alloc(arena, n * sizeof(*tenants)), *rules = arena_alloc(arena, n * sizeof(*rules));
    int32_t *hours = arena_alloc(arena, n * sizeof(*hours)), *codes = arena_alloc(arena, n * sizeof(*codes));
    int32_t *counts = arena_alloc(arena, n * sizeof(*counts));
    struct str *kinds = arena_alloc(arena, n * sizeof(*kinds));
    int64_t *us = arena_alloc(arena, n * sizeof(*us));

    for (size_t i = 0; i < n; i++) {
        const struct store_rollup_group *g = &r->groups[i];
        tenants[i] = g->tenant;
        rules[i] = g->rule;
        hours[i] = g->hour;
        kinds[i] = g->kind;
        codes[i] = g->code;
        counts[i] = g->n;
        us[i] = g->us;
    }
    db_args_init(out, arena);
    db_arg_i32(out, (int32_t)n);
    db_arg_ids(out, tenants, n);
    db_arg_ids(out, rules, n);
    db_arg_i32s(out, hours, n);
    db_arg_texts(out, kinds, n);
    db_arg_i32s(out, codes, n);
    db_arg_i32s(out, counts, n);
    db_arg_i64s(out, us, n);
}

void store_rollup_write(struct db_conn *c, struct store_rollup *r, db_cb cb, void *arg)
{
    struct arena arena = {0};
    struct db_args a;

    if (r->n == 0)
        return;
    store_rollup_args(r, &arena, &a);
    db_conn_query(c, &store_rollup_stmt, &a, cb, arg);
    arena_free(&arena);
    store_rollup_clear(r);
}

void store_rollup_clear(struct store_rollup *r)
{
    if (r->n)
        memset(r->slots, 0, r->n_slots * sizeof(*r->slots));
    r->n = 0;
}

void store_rollup_free(struct store_rollup *r)
{
    mem_free(r->groups);
    mem_free(r->slots);
    *r = (struct store_rollup){0};
}
