/* store_rollup: see store_rollup.h. */
#include "common/io/store_rollup.h"

#include <string.h>

#include "common/base/str.h"
#include "common/core/hist.h"
#include "common/io/store_jobs.h"

#define HOUR_US INT64_C(3600000000)
#define NO_BUCKET 255
#define KIND_MAX_BYTES 64 /* of automation.kinds */

/* The bytes of a group's key: no padding, and of `kind` only what is used. */
struct key {
    struct id tenant, rule;
    int32_t hour, code;
    char kind[KIND_MAX_BYTES];
};
#define KEY_FIXED offsetof(struct key, kind)

struct group {
    int32_t n;
    int64_t us;
};

static int32_t code_of(const struct store_log *row)
{
    bool ran = row->started_at_us != DB_NULL_TIME;
    int took = ran ? hist_bucket(row->duration_us) : NO_BUCKET;
    int late = ran && row->due_at_us != DB_NULL_TIME ? hist_bucket(row->started_at_us - row->due_at_us) : NO_BUCKET;

    return (int32_t)row->outcome << 16 | took << 8 | late;
}

/* Kinds of strange entries come from outside. */
static size_t put_kind(struct key *key, const char *kind)
{
    size_t n = strnlen(kind, KIND_MAX_BYTES + 1);

    if (n > KIND_MAX_BYTES || !str_is_utf8((struct str){kind, n})) {
        kind = "?";
        n = 1;
    }
    memcpy(key->kind, kind, n);
    return KEY_FIXED + n;
}

void store_rollup_add(struct store_rollup *r, const struct store_log *row)
{
    struct key key = {.tenant = row->tenant_id, .rule = row->rule_id, .code = code_of(row)};
    key.hour = (int32_t)(row->queued_at_us / HOUR_US);
    size_t n = put_kind(&key, row->kind);
    struct group *g = map_get(&r->groups, &key, n);

    if (g == NULL) {
        g = arena_zalloc(&r->arena, sizeof(*g));
        map_put(&r->groups, &key, n, g);
    }
    g->n++;
    g->us += row->duration_us;
}

/* The groups column by column, as they are stored. */
struct columns {
    struct id *tenants, *rules;
    int32_t *hours, *codes, *counts;
    struct str *kinds;
    int64_t *us;
};

static void columns_of(struct store_rollup *r, struct columns *c)
{
    size_t n = r->groups.n, at = 0, key_n = 0, i = 0;
    const void *bytes = NULL;
    void *value = NULL;

    *c = (struct columns){
        .tenants = arena_alloc(&r->arena, n * sizeof(*c->tenants)),
        .rules = arena_alloc(&r->arena, n * sizeof(*c->rules)),
        .hours = arena_alloc(&r->arena, n * sizeof(*c->hours)),
        .codes = arena_alloc(&r->arena, n * sizeof(*c->codes)),
        .counts = arena_alloc(&r->arena, n * sizeof(*c->counts)),
        .kinds = arena_alloc(&r->arena, n * sizeof(*c->kinds)),
        .us = arena_alloc(&r->arena, n * sizeof(*c->us)),
    };
    for (; map_next(&r->groups, &at, &bytes, &key_n, &value); i++) {
        const struct group *g = value;
        struct key key;
        memcpy(&key, bytes, key_n);
        c->tenants[i] = key.tenant;
        c->rules[i] = key.rule;
        c->hours[i] = key.hour;
        c->codes[i] = key.code;
        c->counts[i] = g->n;
        c->us[i] = g->us;
        c->kinds[i] = (struct str){(const char *)bytes + KEY_FIXED, key_n - KEY_FIXED};
    }
}

void store_rollup_write(struct db_conn *c, struct store_rollup *r, db_cb cb, void *arg)
{
    static const struct db_stmt stmt = {
        "rollup_deltas",
        "insert into automation_priv.rollup_deltas (n, tenants, rules, hours, kinds, codes, counts, us) "
        "values ($1, $2, $3, $4, $5, $6, $7, $8)"};
    struct columns columns;
    struct db_args a;
    size_t n = r->groups.n;

    if (n == 0)
        return;
    columns_of(r, &columns);
    db_args_init(&a, &r->arena);
    db_arg_i32(&a, (int32_t)n);
    db_arg_ids(&a, columns.tenants, n);
    db_arg_ids(&a, columns.rules, n);
    db_arg_i32s(&a, columns.hours, n);
    db_arg_texts(&a, columns.kinds, n);
    db_arg_i32s(&a, columns.codes, n);
    db_arg_i32s(&a, columns.counts, n);
    db_arg_i64s(&a, columns.us, n);
    db_conn_query(c, &stmt, &a, cb, arg);
    store_rollup_reset(r);
}

void store_rollup_reset(struct store_rollup *r)
{
    map_free(&r->groups);
    arena_free(&r->arena);
}
