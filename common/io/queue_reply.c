/* Every function checks the shape it reads, since the other side is a network: a reply that does not fit is
 * refused as a whole. */
#include "common/io/queue_reply.h"

#include <string.h>

static enum err malformed(struct err_info *info, const char *what)
{
    return err_set(info, ERR_MALFORMED, "Redis: unexpected reply: %s", what);
}

static bool is_text(const struct reply *r)
{
    return r->type == REPLY_STRING || r->type == REPLY_STATUS;
}

static bool is_array(const struct reply *r, size_t least)
{
    return r->type == REPLY_ARRAY && r->n >= least;
}

enum err queue_reply_id(const struct reply *r, struct queue_id *out, struct err_info *info)
{
    if (!is_text(r) || queue_id_parse(r->s, out) != ERR_OK)
        return malformed(info, "not an entry id");
    return ERR_OK;
}

/* ---- entries ----------------------------------------------------------------------------------------- */

static enum err parse_fields(const struct reply *r, struct arena *arena, struct queue_entry *e, struct err_info *info)
{
    struct queue_field *fields;

    if (r->type == REPLY_NIL) {
        e->deleted = true;
        return ERR_OK;
    }
    if (r->type != REPLY_ARRAY || r->n % 2 != 0)
        return malformed(info, "an entry's fields are not pairs");
    fields = arena_zalloc(arena, (r->n / 2 + 1) * sizeof(*fields));
    for (size_t i = 0; i < r->n; i++) {
        if (r->items[i]->type != REPLY_STRING)
            return malformed(info, "an entry's field is not a string");
        if (i % 2 == 0)
            fields[i / 2].name = r->items[i]->s;
        else
            fields[i / 2].value = r->items[i]->s;
    }
    e->fields = fields;
    e->n_fields = r->n / 2;
    return ERR_OK;
}

/* Appends the entries of `r`, an array of [id, fields], at out[*n]. */
static enum err parse_entries(const struct reply *r, size_t stream, struct arena *arena, struct queue_entry *out,
                              size_t *n, struct err_info *info)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct reply *item = r->items[i];
        struct queue_entry *e = &out[*n];
        enum err err;

        if (!is_array(item, 2))
            return malformed(info, "an entry is not [id, fields]");
        *e = (struct queue_entry){.stream = stream, .id_text = item->items[0]->s};
        err = queue_reply_id(item->items[0], &e->id, info);
        if (err == ERR_OK)
            err = parse_fields(item->items[1], arena, e, info);
        if (err != ERR_OK)
            return err;
        (*n)++;
    }
    return ERR_OK;
}

static bool find_key(struct str key, const struct str *keys, size_t n, size_t *at)
{
    for (*at = 0; *at < n; (*at)++) {
        if (str_eq(key, keys[*at]))
            return true;
    }
    return false;
}

enum err queue_reply_read(const struct reply *r, const struct str *keys, size_t n_keys, struct arena *arena,
                          struct queue_entries *out, struct err_info *info)
{
    struct queue_entry *entries;
    size_t total = 0, n = 0, stream;
    enum err err = ERR_OK;

    *out = (struct queue_entries){NULL, 0};
    if (r->type == REPLY_NIL)
        return ERR_OK;
    if (r->type != REPLY_ARRAY)
        return malformed(info, "XREADGROUP: not an array");
    for (size_t i = 0; i < r->n; i++) {
        const struct reply *item = r->items[i];
        if (!is_array(item, 2) || item->items[1]->type != REPLY_ARRAY)
            return malformed(info, "XREADGROUP: a stream is not [key, entries]");
        total += item->items[1]->n;
    }
    entries = arena_zalloc(arena, (total + 1) * sizeof(*entries));
    for (size_t i = 0; i < r->n && err == ERR_OK; i++) {
        const struct reply *item = r->items[i];
        if (!find_key(item->items[0]->s, keys, n_keys, &stream))
            return malformed(info, "XREADGROUP: a stream that was not asked for");
        err = parse_entries(item->items[1], stream, arena, entries, &n, info);
    }
    if (err == ERR_OK)
        *out = (struct queue_entries){entries, n};
    return err;
}

enum err queue_reply_claimed(const struct reply *r, struct arena *arena, struct queue_claimed *out, struct err_info *info)
{
    struct queue_entry *entries;
    struct queue_id *deleted;
    size_t n = 0;
    enum err err;

    *out = (struct queue_claimed){.n_deleted = 0};
    if (!is_array(r, 3) || r->items[1]->type != REPLY_ARRAY || r->items[2]->type != REPLY_ARRAY)
        return malformed(info, "XAUTOCLAIM: not [cursor, entries, deleted]");
    err = queue_reply_id(r->items[0], &out->cursor, info);
    if (err != ERR_OK)
        return err;
    entries = arena_zalloc(arena, (r->items[1]->n + 1) * sizeof(*entries));
    err = parse_entries(r->items[1], 0, arena, entries, &n, info);
    if (err != ERR_OK)
        return err;
    out->entries = (struct queue_entries){entries, n};
    deleted = arena_zalloc(arena, (r->items[2]->n + 1) * sizeof(*deleted));
    for (size_t i = 0; i < r->items[2]->n && err == ERR_OK; i++)
        err = queue_reply_id(r->items[2]->items[i], &deleted[i], info);
    out->deleted = deleted;
    out->n_deleted = r->items[2]->n;
    return err;
}

/* ---- XINFO ------------------------------------------------------------------------------------------- */

/* The value of `name` in a flat array of names and values, or NULL. */
static const struct reply *look_up(const struct reply *map, const char *name)
{
    for (size_t i = 0; map->type == REPLY_ARRAY && i + 1 < map->n; i += 2) {
        if (is_text(map->items[i]) && str_is(map->items[i]->s, name))
            return map->items[i + 1];
    }
    return NULL;
}

/* nil is -1: that is how Redis says that it does not know a counter. */
static enum err get_number(const struct reply *map, const char *name, int64_t *out, struct err_info *info)
{
    const struct reply *v = look_up(map, name);

    if (v == NULL || (v->type != REPLY_INTEGER && v->type != REPLY_NIL))
        return malformed(info, name);
    *out = v->type == REPLY_NIL ? -1 : v->i;
    return ERR_OK;
}

static enum err get_id(const struct reply *map, const char *name, struct queue_id *out, struct err_info *info)
{
    const struct reply *v = look_up(map, name);

    return v == NULL ? malformed(info, name) : queue_reply_id(v, out, info);
}

enum err queue_reply_group(const struct reply *r, const char *group, struct queue_group *out, struct err_info *info)
{
    const struct reply *map = NULL;
    enum err err;

    *out = (struct queue_group){.lag = -1, .entries_read = -1};
    if (r->type != REPLY_ARRAY)
        return malformed(info, "XINFO GROUPS: not an array");
    for (size_t i = 0; i < r->n && map == NULL; i++) {
        const struct reply *name = look_up(r->items[i], "name");
        if (name != NULL && is_text(name) && str_is(name->s, group))
            map = r->items[i];
    }
    if (map == NULL)
        return ERR_OK;
    out->exists = true;
    err = get_id(map, "last-delivered-id", &out->last_delivered, info);
    if (err == ERR_OK)
        err = get_number(map, "pending", &out->pending, info);
    if (err == ERR_OK)
        err = get_number(map, "consumers", &out->consumers, info);
    if (err == ERR_OK)
        err = get_number(map, "lag", &out->lag, info);
    if (err == ERR_OK)
        err = get_number(map, "entries-read", &out->entries_read, info);
    return err;
}

enum err queue_reply_stream(const struct reply *r, struct queue_stream *out, struct err_info *info)
{
    const struct reply *first = look_up(r, "first-entry");
    enum err err;

    *out = (struct queue_stream){.length = 0};
    err = get_number(r, "length", &out->length, info);
    if (err == ERR_OK)
        err = get_number(r, "entries-added", &out->entries_added, info);
    if (err == ERR_OK)
        err = get_id(r, "last-generated-id", &out->last_generated, info);
    if (err == ERR_OK && first != NULL && is_array(first, 1))
        err = queue_reply_id(first->items[0], &out->first, info);
    return err;
}

enum err queue_reply_consumers(const struct reply *r, struct arena *arena, struct queue_consumer **out, size_t *n,
                               struct err_info *info)
{
    enum err err = ERR_OK;

    *out = NULL;
    *n = 0;
    if (r->type != REPLY_ARRAY)
        return malformed(info, "XINFO CONSUMERS: not an array");
    *out = arena_zalloc(arena, (r->n + 1) * sizeof(**out));
    for (; *n < r->n && err == ERR_OK; (*n)++) {
        struct queue_consumer *c = &(*out)[*n];
        const struct reply *name = look_up(r->items[*n], "name");
        if (name == NULL || !is_text(name))
            return malformed(info, "XINFO CONSUMERS: no name");
        c->name = (struct str){arena_strndup(arena, name->s.p, name->s.n), name->s.n};
        err = get_number(r->items[*n], "pending", &c->pending, info);
        if (err == ERR_OK)
            err = get_number(r->items[*n], "idle", &c->idle_ms, info);
    }
    return err;
}

/* ---- jobs -------------------------------------------------------------------------------------------- */

enum err queue_reply_job(const struct queue_entry *e, struct id *job, int32_t *claim_no, struct err_info *info)
{
    unsigned jobs = 0, numbers = 0;
    int64_t n = 0;

    for (size_t i = 0; i < e->n_fields; i++) {
        const struct queue_field *f = &e->fields[i];
        if (str_is(f->name, "job")) {
            jobs++;
            if (id_parse(f->value, job) != ERR_OK)
                return err_set(info, ERR_MALFORMED, "entry %.*s: field \"job\" is not a UUID", (int)e->id_text.n,
                               e->id_text.p);
        } else if (str_is(f->name, "n")) {
            numbers++;
            if (str_to_i64(f->value, &n) != ERR_OK || n < 0 || n > INT32_MAX)
                return err_set(info, ERR_MALFORMED, "entry %.*s: field \"n\" is not a claim number", (int)e->id_text.n,
                               e->id_text.p);
        }
    }
    if (jobs != 1 || numbers != 1)
        return err_set(info, ERR_MALFORMED, "entry %.*s: needs the fields \"job\" and \"n\" once each",
                       (int)e->id_text.n, e->id_text.p);
    *claim_no = (int32_t)n;
    return ERR_OK;
}
