/* kinds: see kinds.h. */
#include "workers/kinds.h"

#include "common/base/mem.h"
#include "common/io/db.h"
#include "common/io/store_jobs.h"
#include "workers/action.h"

#define RETRY_FACTOR_X100 300 /* 1 min, 3 min, 9 min …: an outage of hours costs few attempts */

static struct kind *kind_at(struct kinds *k, struct str name)
{
    struct kind *kind = map_get(&k->by_name, name.p, name.n);
    if (!kind) {
        kind = mem_zalloc(sizeof(*kind));
        str_copy_n(kind->name, sizeof(kind->name), name.p, name.n);
        map_put(&k->by_name, name.p, name.n, kind);
    }
    return kind;
}

void kinds_load(struct kinds *k, const struct db_result *rows)
{
    for (int i = 0; i < db_rows(rows); i++) {
        struct store_kind row;
        store_kind(rows, i, &row);
        struct kind *kind = kind_at(k, row.kind);
        str_copy_n(kind->queue, sizeof(kind->queue), row.queue.p, row.queue.n);
        str_copy_n(kind->handler, sizeof(kind->handler), row.handler.p, row.handler.n);
        if (!row.url.p || !kind->url || !str_is(row.url, kind->url)) {
            mem_free(kind->url);
            kind->url = row.url.p ? mem_strndup(row.url.p, row.url.n) : NULL;
        }
        kind->timeout_ms = row.timeout_ms;
        kind->max_attempts = row.max_attempts;
        kind->retry = (struct retry_policy){row.retry_base_ms, RETRY_FACTOR_X100, row.retry_cap_ms};
        kind->rule = row.rule;
        kind->ask_unknown = row.ask_unknown;
        kind->action = action_find(kind->rule ? kind->name : kind->handler);
    }
}

const struct kind *kinds_find(const struct kinds *k, struct str name)
{
    return map_get(&k->by_name, name.p, name.n);
}

void kinds_free(struct kinds *k)
{
    const void *key;
    void *value;
    size_t at = 0, n;
    while (map_next(&k->by_name, &at, &key, &n, &value)) {
        struct kind *kind = value;
        mem_free(kind->url);
        mem_free(kind);
    }
    map_free(&k->by_name);
}
