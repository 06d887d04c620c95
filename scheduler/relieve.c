/* relieve: moves bare entries into the ledger while more than `direct-max` of them wait in a stream, so that Redis's memory is not what
 * bounds a backlog. The leader reads as a consumer of the group, adopts (one transaction), then acknowledges.
 *
 * Failures: dying before the XACK leaves the entries pending; the workers take them over when they have been idle, and adoption
 * skips what was adopted. A batch that the database refuses is left to them too: they find the entry at fault and bury it. Entries
 * adopted by a leader of the past are the same rows: that needs no term. */
#include "scheduler/lead.h"

#include "common/base/log.h"
#include "common/core/adoption.h"
#include "common/io/die.h"
#include "common/io/queue_admin.h"
#include "common/io/store_lead.h"

#define CONSUMER "leader"
/* A payload has up to 256 KiB, and twice that in the statement. */
#define BATCH 100
#define BATCHES 50 /* of one stream and round: the other duties are to have their turn */

/* The entry's fields, alternating. */
static struct str *fields_of(struct arena *arena, const struct queue_entry *e)
{
    struct str *fields = arena_alloc(arena, (2 * e->n_fields + 1) * sizeof(*fields));

    for (size_t i = 0; i < e->n_fields; i++) {
        fields[2 * i] = e->fields[i].name;
        fields[2 * i + 1] = e->fields[i].value;
    }
    return fields;
}

static bool is_rule_kind(const struct db_result *kinds, struct str kind)
{
    for (int i = 0; i < db_rows(kinds); i++) {
        if (str_eq(db_text(kinds, i, 0), kind))
            return true;
    }
    return false;
}

/* *key: the entry's log key. */
static void put(struct buf *out, const struct admit_queue *q, const struct queue_entry *e,
                const struct db_result *rule_kinds, struct arena *arena, struct id *key)
{
    const struct str *fields = fields_of(arena, e);
    const char *entry_id = arena_strndup(arena, e->id_text.p, e->id_text.n);
    struct envelope env = {0};
    struct err_info why = {0};
    struct buf raw = {0};
    struct adoption a = {.at_us = adoption_time_us(e->id.ms),
                         .stream = q->bare_key,
                         .entry_id = entry_id,
                         .queue = q->name,
                         .attempt = 1,
                         .in_ms = -1,
                         .envelope = &env};
    enum err err = envelope_parse(fields, 2 * e->n_fields, &env, &why);

    envelope_log_id(str_of(q->bare_key), str_of(entry_id), fields, 2 * e->n_fields, &a.id);
    *key = a.id;
    a.tenant = env.tenant;
    a.payload = env.payload;
    a.kind = env.kind.p ? arena_strndup(arena, env.kind.p, env.kind.n) : "?";
    if (err != ERR_OK) {
        adoption_raw(&raw, fields, 2 * e->n_fields);
        a.raw = (struct str){raw.data, raw.len};
        a.dead = "malformed";
        a.error = why.text;
    } else if (is_rule_kind(rule_kinds, env.kind)) {
        a.dead = "forged";
        a.error = "this kind is a step of rules and may not stand in a bare entry";
    }
    adoption_put(out, &a);
    buf_free(&raw);
}

static bool names(const struct db_result *ids, const struct id *id)
{
    for (int i = 0; i < db_rows(ids); i++) {
        struct id other = db_id(ids, i, 0);
        if (id_eq(&other, id))
            return true;
    }
    return false;
}

/* The busy ones stay pending: a worker takes them over like those of a leader that died. */
static enum err acknowledge(struct lead *l, const struct admit_queue *q, const struct queue_entries *entries,
                            const struct id *keys, const struct db_result *busy, struct err_info *info)
{
    struct queue_id ids[BATCH];
    size_t n = 0;

    for (size_t i = 0; i < entries->n; i++) {
        if (!names(busy, &keys[i]))
            ids[n++] = entries->v[i].id;
    }
    die_at("before_relieve_ack");
    return n > 0 ? queue_admin_ack(l->redis, q->bare_key, ids, n, info) : ERR_OK;
}

/* *taken: entries of the batch; adopted or left pending. */
static enum err move_batch(struct lead *l, const struct admit_queue *q, const struct db_result *rule_kinds,
                           size_t *taken, struct err_info *info)
{
    struct arena arena = {0};
    struct queue_entries entries;
    struct id keys[BATCH];
    struct buf json = {0};
    struct db_result *busy = NULL;
    enum err err = queue_admin_take(l->redis, q->bare_key, CONSUMER, BATCH, &arena, &entries, info);

    *taken = err == ERR_OK ? entries.n : 0;
    for (size_t i = 0; i < *taken; i++) {
        buf_put_char(&json, i ? ',' : '[');
        put(&json, q, &entries.v[i], rule_kinds, &arena, &keys[i]);
    }
    buf_put_char(&json, ']');
    if (*taken > 0) {
        die_at("before_relieve_commit");
        err = store_lead_relieve(l->db, (struct str){json.data, json.len}, &busy, info);
    }
    if (err == ERR_OK && *taken > 0)
        err = acknowledge(l, q, &entries, keys, busy, info);
    db_result_free(busy);
    buf_free(&json);
    arena_free(&arena);
    return err;
}

static enum err relieve(struct lead *l, struct admit_queue *q, bool *more, struct err_info *info)
{
    struct queue_info now;
    struct db_result *rule_kinds = NULL;
    size_t moved = 0, taken = 0;
    enum err err = queue_admin_info(l->redis, q->bare_key, &now, info);

    if (err != ERR_OK || !now.group.exists || now.group.lag <= l->settings->direct_max)
        return err == ERR_REDIS_NOGROUP ? ERR_OK : err; /* made by trim */
    const size_t excess = (size_t)(now.group.lag - l->settings->direct_max);
    err = store_lead_rule_kinds(l->db, &rule_kinds, info);
    for (int i = 0; err == ERR_OK && i < BATCHES && moved < excess && (i == 0 || taken > 0); i++) {
        err = move_batch(l, q, rule_kinds, &taken, info);
        moved += taken;
    }
    if (moved > 0)
        log_info("entries.moved", L_STR("stream", q->bare_key), L_INT("entries", moved), L_INT("waiting", now.group.lag));
    *more = *more || (err == ERR_OK && moved > 0 && moved < excess);
    db_result_free(rule_kinds);
    return err;
}

enum err relieve_run(struct lead *l, bool *more, struct err_info *info)
{
    enum err err = ERR_OK;

    *more = false;
    for (size_t i = 0; i < l->admit.n && err == ERR_OK; i++)
        err = relieve(l, &l->admit.queues[i], more, info);
    return err;
}
