/* hiredis's reader calls one function per element; each makes a `struct reply` in the arena and hangs it
 * into its parent. The objects of a reply are released all at once, so the function that frees one does
 * nothing.
 *
 * A NULL from one of these functions is how a bound is enforced: hiredis then reports "out of memory",
 * which becomes ERR_MALFORMED and ends the connection. */
#include "common/io/rconn_reply.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/read.h>

#include "common/base/str.h"

/* With room for `extra` bytes behind it. */
static struct reply *make(const redisReadTask *task, enum reply_type type, size_t extra)
{
    struct reply *r = arena_alloc(task->privdata, sizeof(*r) + extra);

    *r = (struct reply){.type = type};
    if (task->parent != NULL) {
        struct reply *parent = task->parent->obj;
        parent->items[task->idx] = r;
    }
    return r;
}

static enum reply_type string_type(int hiredis_type)
{
    if (hiredis_type == REDIS_REPLY_ERROR)
        return REPLY_ERROR;
    return hiredis_type == REDIS_REPLY_STATUS ? REPLY_STATUS : REPLY_STRING;
}

static void *make_string(const redisReadTask *task, char *p, size_t n)
{
    struct reply *r = make(task, string_type(task->type), n + 1);
    char *text = (char *)(r + 1);

    if (n > 0)
        memcpy(text, p, n);
    text[n] = '\0';
    r->s = (struct str){text, n};
    return r;
}

static void *make_array(const redisReadTask *task, int n)
{
    struct reply *r;

    if (n < 0 || n > RCONN_MAX_ELEMENTS)
        return NULL;
    r = make(task, REPLY_ARRAY, (size_t)n * sizeof(*r->items));
    r->n = (size_t)n;
    if (n > 0)
        r->items = memset(r + 1, 0, (size_t)n * sizeof(*r->items));
    return r;
}

static void *make_integer(const redisReadTask *task, long long i)
{
    struct reply *r = make(task, REPLY_INTEGER, 0);

    r->i = i;
    return r;
}

static void *make_nil(const redisReadTask *task)
{
    return make(task, REPLY_NIL, 0);
}

static void free_nothing(void *reply)
{
    (void)reply;
}

static redisReplyObjectFunctions functions = {make_string, make_array, make_integer, make_nil, free_nothing};

void rconn_reader_init(struct rconn_reader *r)
{
    r->arena = (struct arena){0};
    r->hi = redisReaderCreateWithFunctions(&functions);
    if (r->hi == NULL)
        abort();
    r->hi->privdata = &r->arena;
}

void rconn_reader_fini(struct rconn_reader *r)
{
    redisReaderFree(r->hi);
    r->hi = NULL;
    arena_free(&r->arena);
}

enum err rconn_reader_feed(struct rconn_reader *r, const void *p, size_t n, struct err_info *info)
{
    if (r->hi->len - r->hi->pos > RCONN_MAX_UNREAD_BYTES)
        return err_set(info, ERR_MALFORMED, "Redis sent a value of more than %u bytes", RCONN_MAX_UNREAD_BYTES);
    if (redisReaderFeed(r->hi, p, n) != REDIS_OK)
        return err_set(info, ERR_MALFORMED, "Redis reply: %s", r->hi->errstr);
    return ERR_OK;
}

enum err rconn_reader_next(struct rconn_reader *r, const struct reply **reply, struct err_info *info)
{
    void *out = NULL;

    *reply = NULL;
    if (redisReaderGetReply(r->hi, &out) != REDIS_OK)
        return err_set(info, ERR_MALFORMED, "Redis reply: %s", r->hi->errstr);
    *reply = out;
    return ERR_OK;
}

void rconn_reader_release(struct rconn_reader *r)
{
    assert(r->hi->ridx == -1);
    arena_reset(&r->arena);
}

/* First match wins. Texts of Redis 7.0 (src/server.c "shared" objects, blocked.c, acl.c, t_stream.c) and of
 * 7.2 where they differ: an XREADGROUP whose key was deleted under it ends with UNBLOCKED in 7.0 and with
 * NOGROUP in 7.2. */
static const struct {
    const char *prefix;
    enum err err;
    bool drop;
} error_map[] = {
    {"NOGROUP", ERR_REDIS_NOGROUP, false},
    {"UNBLOCKED the stream key", ERR_REDIS_NOGROUP, false},
    {"UNBLOCKED", ERR_REDIS_LOADING, true},
    {"ERR no such key", ERR_REDIS_NOGROUP, false},
    {"OOM", ERR_REDIS_FULL, false},
    {"MISCONF", ERR_REDIS_FULL, false},
    {"NOREPLICAS", ERR_REDIS_FULL, false},
    {"LOADING", ERR_REDIS_LOADING, false},
    {"READONLY", ERR_REDIS_LOADING, true},
    {"MASTERDOWN", ERR_REDIS_LOADING, false},
    {"BUSY ", ERR_REDIS_LOADING, false},
    {"TRYAGAIN", ERR_REDIS_LOADING, false},
    {"CLUSTERDOWN", ERR_REDIS_LOADING, false}, /* a cluster of one shard that is not whole yet */
    {"MOVED ", ERR_REDIS_LOADING, true},
    {"ASK ", ERR_REDIS_LOADING, true}, /* the slot is another node's: look again */
    {"NOSCRIPT", ERR_REDIS_NOSCRIPT, false},
    {"ERR max number of clients", ERR_BUSY, false},
    {"NOAUTH", ERR_DENIED, false},
    {"WRONGPASS", ERR_DENIED, false},
    {"NOPERM", ERR_DENIED, false},
};

enum err rconn_reply_error(const struct reply *reply, bool *drop)
{
    *drop = false;
    if (reply->type != REPLY_ERROR)
        return ERR_OK;
    for (size_t i = 0; i < sizeof(error_map) / sizeof(error_map[0]); i++) {
        if (!str_starts(reply->s, error_map[i].prefix))
            continue;
        *drop = error_map[i].drop;
        return error_map[i].err;
    }
    return ERR_REDIS;
}
