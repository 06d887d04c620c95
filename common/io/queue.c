/* Each call builds one command and keeps a `struct call` for its callback. */
#include "common/io/queue.h"

#include <assert.h>

#include "common/base/mem.h"
#include "common/io/lua.h"
#include "common/io/queue_args.h"
#include "common/io/rconn.h"

#define GROUP_ARG STR(QUEUE_GROUP)
/* A blocked read is answered when its time is up; later than this the connection is taken for dead. */
#define BLOCK_SLACK_MS 5000

struct call {
    struct arena arena;
    union {
        queue_read_cb read;
        queue_count_cb count;
        queue_claim_cb claim;
        queue_add_cb add;
    } cb;
    void *arg;
    struct str *keys;
    size_t n_keys;
};

static struct call *call_new(void *arg)
{
    struct call *call = mem_zalloc(sizeof(*call));

    call->arg = arg;
    return call;
}

static void call_free(struct call *call)
{
    arena_free(&call->arena);
    mem_free(call);
}

/* NULL for ERR_OK, as callers are promised. */
static const struct err_info *explain(struct err_info *info, enum err err, const struct reply *reply)
{
    if (err == ERR_OK)
        return NULL;
    if (info->code != err && reply != NULL && reply->type == REPLY_ERROR)
        err_set(info, err, "Redis: %.*s", (int)reply->s.n, reply->s.p);
    else if (info->code != err)
        err_set(info, err, "Redis: %s", err_text(err));
    return info;
}

enum err queue_key(enum queue_kind kind, struct str name, char out[QUEUE_KEY_SIZE], struct err_info *info)
{
    static const char *const prefixes[] = {"usher:{0}:q:", "usher:{0}:in:"};
    char copy[QUEUE_NAME_MAX + 1];
    bool ok = name.n >= 1 && name.n <= QUEUE_NAME_MAX;

    out[0] = '\0';
    for (size_t i = 0; ok && i < name.n; i++) {
        const char c = name.p[i];
        ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    }
    if (!ok)
        return err_set(info, ERR_INVALID, "queue \"%.*s\": a name has 1 to %d characters of a-z 0-9 _ -",
                       (int)(name.n < 64 ? name.n : 64), name.p, QUEUE_NAME_MAX);
    str_copy_n(copy, sizeof(copy), name.p, name.n);
    str_copy(out, QUEUE_KEY_SIZE, prefixes[kind]);
    str_copy(out + str_of(out).n, QUEUE_NAME_MAX + 1, copy);
    return ERR_OK;
}

/* ---- reading ----------------------------------------------------------------------------------------- */

static void on_read(void *arg, enum err err, const struct reply *reply)
{
    struct call *call = arg;
    struct queue_entries entries = {NULL, 0};
    struct err_info info = {0};

    if (err == ERR_OK)
        err = queue_reply_read(reply, call->keys, call->n_keys, &call->arena, &entries, &info);
    call->cb.read(call->arg, err, &entries, explain(&info, err, reply));
    call_free(call);
}

void queue_read(struct rconn *c, const struct queue_read *read, queue_read_cb cb, void *arg)
{
    struct call *call = call_new(arg);
    struct queue_args a;

    assert(read->n_keys >= 1 && read->n_keys <= QUEUE_MAX_STREAMS && read->count >= 1);
    call->cb.read = cb;
    call->n_keys = read->n_keys;
    call->keys = arena_alloc(&call->arena, read->n_keys * sizeof(*call->keys));
    queue_args_init(&a, &call->arena, QUEUE_ARGS_MAX + 2 * read->n_keys);
    queue_args_put(&a, "XREADGROUP");
    queue_args_put(&a, "GROUP");
    queue_args_put_str(&a, GROUP_ARG);
    queue_args_put(&a, read->consumer);
    queue_args_put(&a, "COUNT");
    queue_args_put_i64(&a, read->count);
    if (read->block_ms > 0) { /* BLOCK 0 would be for ever */
        queue_args_put(&a, "BLOCK");
        queue_args_put_i64(&a, read->block_ms);
    }
    queue_args_put(&a, "STREAMS");
    for (size_t i = 0; i < read->n_keys; i++) {
        call->keys[i] = str_of(arena_strdup(&call->arena, read->keys[i]));
        queue_args_put_str(&a, call->keys[i]);
    }
    for (size_t i = 0; i < read->n_keys; i++) {
        if (read->after != NULL)
            queue_args_put_id(&a, read->after);
        else
            queue_args_put(&a, ">");
    }
    rconn_command(c, read->block_ms > 0 ? read->block_ms + BLOCK_SLACK_MS : 0, on_read, call, a.n, a.v);
}

static void on_claimed(void *arg, enum err err, const struct reply *reply)
{
    struct call *call = arg;
    struct queue_claimed claimed = {.n_deleted = 0};
    struct err_info info = {0};

    if (err == ERR_OK)
        err = queue_reply_claimed(reply, &call->arena, &claimed, &info);
    call->cb.claim(call->arg, err, &claimed, explain(&info, err, reply));
    call_free(call);
}

void queue_claim_idle(struct rconn *c, const struct queue_claim *claim, queue_claim_cb cb, void *arg)
{
    struct call *call = call_new(arg);
    struct queue_args a;

    assert(claim->count >= 1);
    call->cb.claim = cb;
    queue_args_init(&a, &call->arena, QUEUE_ARGS_MAX);
    queue_args_put(&a, "XAUTOCLAIM");
    queue_args_put(&a, claim->key);
    queue_args_put_str(&a, GROUP_ARG);
    queue_args_put(&a, claim->consumer);
    queue_args_put_i64(&a, claim->min_idle_ms);
    queue_args_put_id(&a, &claim->cursor);
    queue_args_put(&a, "COUNT");
    queue_args_put_i64(&a, claim->count);
    rconn_command(c, 0, on_claimed, call, a.n, a.v);
}

/* ---- acknowledging and adding ------------------------------------------------------------------------ */

static void on_acked(void *arg, enum err err, const struct reply *reply)
{
    struct call *call = arg;
    struct err_info info = {0};

    if (err == ERR_OK && reply->type != REPLY_INTEGER)
        err = err_set(&info, ERR_MALFORMED, "Redis: unexpected reply to XACK");
    call->cb.count(call->arg, err, err == ERR_OK ? reply->i : 0, explain(&info, err, reply));
    call_free(call);
}

void queue_ack(struct rconn *c, const char *key, const struct queue_id *ids, size_t n, queue_count_cb cb, void *arg)
{
    struct call *call = call_new(arg);
    struct queue_args a;

    assert(n >= 1);
    call->cb.count = cb;
    queue_args_init(&a, &call->arena, QUEUE_ARGS_MAX + n);
    queue_args_put(&a, "XACK");
    queue_args_put(&a, key);
    queue_args_put_str(&a, GROUP_ARG);
    for (size_t i = 0; i < n; i++)
        queue_args_put_id(&a, &ids[i]);
    rconn_command(c, 0, on_acked, call, a.n, a.v);
}

static void on_added(void *arg, enum err err, const struct reply *reply)
{
    struct call *call = arg;
    struct queue_id id = {0, 0};
    struct err_info info = {0};

    if (err == ERR_OK)
        err = queue_reply_id(reply, &id, &info);
    call->cb.add(call->arg, err, &id, explain(&info, err, reply));
    call_free(call);
}

void queue_add(struct rconn *c, const char *key, const struct queue_field *fields, size_t n_fields, queue_add_cb cb,
               void *arg)
{
    struct call *call = call_new(arg);
    struct queue_args a;

    assert(n_fields >= 1);
    call->cb.add = cb;
    queue_args_init(&a, &call->arena, QUEUE_ARGS_MAX + 2 * n_fields);
    queue_args_put(&a, "XADD");
    queue_args_put(&a, key);
    queue_args_put(&a, "*");
    for (size_t i = 0; i < n_fields; i++) {
        queue_args_put_str(&a, fields[i].name);
        queue_args_put_str(&a, fields[i].value);
    }
    rconn_command(c, 0, on_added, call, a.n, a.v);
}

static void on_published(void *arg, enum err err, const struct reply *reply)
{
    (void)arg;
    (void)err;
    (void)reply;
}

void queue_wake(struct rconn *c, struct str what)
{
    rconn_command(c, 0, on_published, NULL, 3, (struct str[]){STR("PUBLISH"), STR(QUEUE_CHANNEL_WAKE), what});
}

/* ---- groups ------------------------------------------------------------------------------------------ */

struct ensure {
    struct rconn *c;
    struct arena arena; /* of the keys */
    char **keys;
    size_t n;
    size_t at;
    queue_done_cb cb;
    void *arg;
};

static void ensure_next(struct ensure *e);

static void on_ensured(void *arg, enum err err, const struct reply *reply)
{
    struct ensure *e = arg;
    struct err_info info = {0};

    if (err == ERR_OK && ++e->at < e->n) {
        ensure_next(e);
        return;
    }
    e->cb(e->arg, err, explain(&info, err, reply));
    arena_free(&e->arena);
    mem_free(e);
}

static void ensure_next(struct ensure *e)
{
    const struct str key = str_of(e->keys[e->at]);

    rconn_command(e->c, 0, on_ensured, e, 5,
                  (struct str[]){STR("EVAL"), STR(lua_ensure_group), STR("1"), key, GROUP_ARG});
}

void queue_ensure(struct rconn *c, const char *const *keys, size_t n, queue_done_cb cb, void *arg)
{
    struct ensure *e = mem_zalloc(sizeof(*e));

    assert(n >= 1);
    e->c = c;
    e->n = n;
    e->cb = cb;
    e->arg = arg;
    e->keys = arena_alloc(&e->arena, n * sizeof(*e->keys));
    for (size_t i = 0; i < n; i++)
        e->keys[i] = arena_strdup(&e->arena, keys[i]);
    ensure_next(e);
}
