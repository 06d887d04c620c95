/* Pipelines are cut into pieces of PIPELINE commands, so that neither side has to hold more than a few
 * hundred KiB of them. Whatever happens in the middle of a pipeline, every reply that was asked for is
 * read: a session with unread replies is of no use. */
#include "common/io/queue_admin.h"

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "common/io/lua.h"
#include "common/io/queue_args.h"
#include "common/io/rconn.h"

#define PIPELINE 512
#define ACK_BATCH 1000

static enum err run(struct rsession *s, const struct queue_args *a, const struct reply **reply, struct err_info *info)
{
    return rsession_command(s, a->n, a->v, reply, info);
}

/* EVAL and not EVALSHA: the scripts are short and run about once a second, and so they survive SCRIPT FLUSH
 * and failover. */
static enum err run_script(struct rsession *s, struct str script, const char *key, const char *argument, int64_t *out,
                           struct err_info *info)
{
    const struct reply *reply = NULL;
    const struct str argv[] = {STR("EVAL"), script, STR("1"), str_of(key), STR(QUEUE_GROUP), str_of(argument)};
    enum err err = rsession_command(s, argument != NULL ? 6 : 5, argv, &reply, info);

    if (err == ERR_OK && reply->type != REPLY_INTEGER)
        err = err_set(info, ERR_MALFORMED, "Redis: unexpected reply to a script");
    if (err == ERR_OK)
        *out = reply->i;
    return err;
}

/* ---- groups ------------------------------------------------------------------------------------------ */

static enum err read_info(struct rsession *s, const char *key, struct queue_info *out, bool *missing,
                          struct err_info *info)
{
    const struct reply *reply = NULL;
    struct err_info second = {0};
    enum err err, stream_err;

    *out = (struct queue_info){.group = {.exists = false}};
    rsession_append(s, 3, (struct str[]){STR("XINFO"), STR("GROUPS"), str_of(key)});
    rsession_append(s, 3, (struct str[]){STR("XINFO"), STR("STREAM"), str_of(key)});
    err = rsession_read(s, &reply, info);
    if (err == ERR_OK)
        err = queue_reply_group(reply, QUEUE_GROUP, &out->group, info);
    stream_err = rsession_read(s, &reply, &second);
    if (stream_err == ERR_OK)
        stream_err = queue_reply_stream(reply, &out->stream, &second);
    *missing = stream_err == ERR_REDIS_NOGROUP;
    /* Made between the two commands: then its group is found missing, and that is right. */
    if (err == ERR_REDIS_NOGROUP && stream_err == ERR_OK)
        err = ERR_OK;
    if (err == ERR_OK && stream_err != ERR_OK) {
        err = stream_err;
        err_set(info, err, "%s", second.text);
    }
    return err;
}

enum err queue_admin_ensure(struct rsession *s, const char *const *keys, size_t n, struct err_info *info)
{
    enum err err = ERR_OK;
    int64_t made;

    for (size_t i = 0; i < n && err == ERR_OK; i++)
        err = run_script(s, STR(lua_ensure_group), keys[i], NULL, &made, info);
    return err;
}

enum err queue_admin_info(struct rsession *s, const char *key, struct queue_info *out, struct err_info *info)
{
    bool missing;

    return read_info(s, key, out, &missing, info);
}

/* ---- adding ------------------------------------------------------------------------------------------ */

static void append_job(struct rsession *s, const char *key, const struct queue_job *job)
{
    char id[ID_TEXT_SIZE], n[16];

    snprintf(n, sizeof(n), "%" PRId32, job->claim_no);
    rsession_append(s, 7,
                    (struct str[]){STR("XADD"), str_of(key), STR("*"), STR("job"), str_of(id_format(&job->id, id)),
                                   STR("n"), str_of(n)});
}

enum err queue_admin_add_jobs(struct rsession *s, const char *key, const struct queue_job *jobs, size_t n,
                              struct queue_added *added, struct err_info *info)
{
    enum err first = ERR_OK;

    for (size_t from = 0; from < n; from += PIPELINE) {
        const size_t to = n - from < PIPELINE ? n : from + PIPELINE;
        for (size_t i = from; i < to; i++)
            append_job(s, key, &jobs[i]);
        for (size_t i = from; i < to; i++) {
            const struct reply *reply = NULL;
            struct err_info why = {0};
            added[i] = (struct queue_added){.err = rsession_read(s, &reply, &why)};
            if (added[i].err == ERR_OK)
                added[i].err = queue_reply_id(reply, &added[i].id, &why);
            if (added[i].err != ERR_OK && first == ERR_OK)
                first = err_set(info, added[i].err, "%s", why.text);
        }
    }
    return first;
}

static enum err add_entry(struct rsession *s, const char *key, int64_t cap, const struct queue_field *fields,
                          size_t n_fields, struct queue_id *id, struct err_info *info)
{
    const struct reply *reply = NULL;
    struct arena arena = {0};
    struct queue_args a;
    enum err err;

    assert(n_fields >= 1);
    queue_args_init(&a, &arena, QUEUE_ARGS_MAX + 2 * n_fields);
    queue_args_put(&a, "XADD");
    queue_args_put(&a, key);
    if (cap > 0) {
        queue_args_put(&a, "MAXLEN");
        queue_args_put(&a, "~");
        queue_args_put_i64(&a, cap);
    }
    queue_args_put(&a, "*");
    for (size_t i = 0; i < n_fields; i++) {
        queue_args_put_str(&a, fields[i].name);
        queue_args_put_str(&a, fields[i].value);
    }
    err = run(s, &a, &reply, info);
    if (err == ERR_OK)
        err = queue_reply_id(reply, id, info);
    arena_free(&arena);
    return err;
}

enum err queue_admin_add(struct rsession *s, const char *key, const struct queue_field *fields, size_t n_fields,
                         struct queue_id *id, struct err_info *info)
{
    return add_entry(s, key, 0, fields, n_fields, id, info);
}

enum err queue_admin_add_dead(struct rsession *s, const struct queue_field *fields, size_t n_fields, int64_t cap,
                              struct err_info *info)
{
    struct queue_id id;

    assert(cap > 0);
    return add_entry(s, QUEUE_KEY_DLQ, cap, fields, n_fields, &id, info);
}

/* ---- looking ----------------------------------------------------------------------------------------- */

/* Beyond last-delivered-id an entry is undelivered if it is there at all; up to it, it is pending or
 * finished. An entry delivered between the two questions is still in the stream, so it counts as
 * undelivered: never as gone. */
static void append_question(struct rsession *s, const char *key, const struct queue_id *id,
                            const struct queue_id *delivered)
{
    char text[QUEUE_ID_SIZE];
    const struct str at = str_of(queue_id_format(id, text));

    if (queue_id_cmp(id, delivered) > 0)
        rsession_append(s, 4, (struct str[]){STR("XRANGE"), str_of(key), at, at});
    else
        rsession_append(s, 6, (struct str[]){STR("XPENDING"), str_of(key), STR(QUEUE_GROUP), at, at, STR("1")});
}

enum err queue_admin_locate(struct rsession *s, const char *key, const struct queue_id *ids, size_t n,
                            enum queue_where *out, struct err_info *info)
{
    struct queue_info now;
    enum err err = queue_admin_info(s, key, &now, info);

    if (err == ERR_OK && !now.group.exists)
        err = err_set(info, ERR_REDIS_NOGROUP, "Redis: stream %s has no group " QUEUE_GROUP, key);
    for (size_t from = 0; from < n && err == ERR_OK; from += PIPELINE) {
        const size_t to = n - from < PIPELINE ? n : from + PIPELINE;
        for (size_t i = from; i < to; i++)
            append_question(s, key, &ids[i], &now.group.last_delivered);
        for (size_t i = from; i < to; i++) {
            const struct reply *reply = NULL;
            struct err_info why = {0};
            const bool beyond = queue_id_cmp(&ids[i], &now.group.last_delivered) > 0;
            enum err e = rsession_read(s, &reply, &why);

            if (e == ERR_OK && reply->type != REPLY_ARRAY)
                e = err_set(&why, ERR_MALFORMED, "Redis: unexpected reply to XRANGE or XPENDING");
            if (e != ERR_OK && err == ERR_OK)
                err = err_set(info, e, "%s", why.text);
            if (e == ERR_OK)
                out[i] = reply->n == 0 ? QUEUE_GONE : beyond ? QUEUE_UNDELIVERED : QUEUE_PENDING;
        }
    }
    return err;
}

enum err queue_admin_consumers(struct rsession *s, const char *key, struct arena *arena, struct queue_consumer **out,
                               size_t *n, struct err_info *info)
{
    const struct reply *reply = NULL;
    enum err err = rsession_command(s, 4, (struct str[]){STR("XINFO"), STR("CONSUMERS"), str_of(key), STR(QUEUE_GROUP)},
                                    &reply, info);

    *out = NULL;
    *n = 0;
    return err != ERR_OK ? err : queue_reply_consumers(reply, arena, out, n, info);
}

enum err queue_admin_time(struct rsession *s, int64_t *us, struct err_info *info)
{
    const struct reply *reply = NULL;
    int64_t seconds, micro;
    enum err err = rsession_command(s, 1, (struct str[]){STR("TIME")}, &reply, info);

    if (err != ERR_OK)
        return err;
    if (reply->type != REPLY_ARRAY || reply->n != 2 || str_to_i64(reply->items[0]->s, &seconds) != ERR_OK ||
        str_to_i64(reply->items[1]->s, &micro) != ERR_OK)
        return err_set(info, ERR_MALFORMED, "Redis: unexpected reply to TIME");
    *us = seconds * 1000000 + micro;
    return ERR_OK;
}

/* ---- taking ------------------------------------------------------------------------------------------ */

enum err queue_admin_take(struct rsession *s, const char *key, const char *consumer, int64_t count, struct arena *arena,
                          struct queue_entries *out, struct err_info *info)
{
    const struct reply *reply = NULL;
    const struct str stream = str_of(key);
    struct queue_args a;
    enum err err;

    *out = (struct queue_entries){.n = 0};
    queue_args_init(&a, arena, QUEUE_ARGS_MAX);
    queue_args_put(&a, "XREADGROUP");
    queue_args_put(&a, "GROUP");
    queue_args_put(&a, QUEUE_GROUP);
    queue_args_put(&a, consumer);
    queue_args_put(&a, "COUNT");
    queue_args_put_i64(&a, count);
    queue_args_put(&a, "STREAMS");
    queue_args_put(&a, key);
    queue_args_put(&a, ">");
    err = run(s, &a, &reply, info);
    return err != ERR_OK ? err : queue_reply_read(reply, &stream, 1, arena, out, info);
}

enum err queue_admin_ack(struct rsession *s, const char *key, const struct queue_id *ids, size_t n, struct err_info *info)
{
    const struct reply *reply = NULL;
    struct arena arena = {0};
    struct queue_args a;
    enum err err;

    queue_args_init(&a, &arena, n + 3);
    queue_args_put(&a, "XACK");
    queue_args_put(&a, key);
    queue_args_put(&a, QUEUE_GROUP);
    for (size_t i = 0; i < n; i++)
        queue_args_put_id(&a, &ids[i]);
    err = run(s, &a, &reply, info);
    arena_free(&arena);
    return err;
}

/* ---- cleaning up ------------------------------------------------------------------------------------- */

enum err queue_admin_trim(struct rsession *s, const char *key, int64_t *removed, struct err_info *info)
{
    int64_t n = 0;
    enum err err = run_script(s, STR(lua_trim), key, NULL, &n, info);

    if (removed != NULL)
        *removed = n;
    return err;
}

/* The ids of XPENDING's extended form become the arguments of one XACK. */
static enum err ack_pending(struct rsession *s, const char *key, const struct reply *pending, struct arena *arena,
                            int64_t *acked, struct err_info *info)
{
    const struct reply *reply = NULL;
    struct queue_args a;
    enum err err;

    queue_args_init(&a, arena, QUEUE_ARGS_MAX + pending->n);
    queue_args_put(&a, "XACK");
    queue_args_put(&a, key);
    queue_args_put(&a, QUEUE_GROUP);
    for (size_t i = 0; i < pending->n; i++) {
        const struct reply *row = pending->items[i];
        struct queue_id id;
        if (row->type != REPLY_ARRAY || row->n < 1 || queue_reply_id(row->items[0], &id, info) != ERR_OK)
            return err_set(info, ERR_MALFORMED, "Redis: unexpected reply to XPENDING");
        queue_args_put_id(&a, &id);
    }
    err = run(s, &a, &reply, info);
    if (err == ERR_OK && reply->type != REPLY_INTEGER)
        err = err_set(info, ERR_MALFORMED, "Redis: unexpected reply to XACK");
    *acked = err == ERR_OK ? reply->i : 0;
    return err;
}

enum err queue_admin_ack_consumer(struct rsession *s, const char *key, const char *consumer, size_t most, size_t *acked,
                                  struct err_info *info)
{
    enum err err = ERR_OK;
    bool more = true;

    *acked = 0;
    while (err == ERR_OK && more && *acked < most) {
        const size_t want = most - *acked < ACK_BATCH ? most - *acked : ACK_BATCH;
        const struct reply *reply = NULL;
        struct arena arena = {0};
        char count[24];
        int64_t n = 0;

        snprintf(count, sizeof(count), "%zu", want);
        err = rsession_command(s, 7,
                               (struct str[]){STR("XPENDING"), str_of(key), STR(QUEUE_GROUP), STR("-"), STR("+"),
                                              str_of(count), str_of(consumer)},
                               &reply, info);
        if (err == ERR_OK && reply->type != REPLY_ARRAY)
            err = err_set(info, ERR_MALFORMED, "Redis: unexpected reply to XPENDING");
        more = err == ERR_OK && reply->n == want;
        if (err == ERR_OK && reply->n > 0)
            err = ack_pending(s, key, reply, &arena, &n, info);
        *acked += (size_t)n;
        arena_free(&arena);
    }
    return err;
}

enum err queue_admin_remove_consumer(struct rsession *s, const char *key, const char *consumer, struct err_info *info)
{
    int64_t pending = 0;
    enum err err = run_script(s, STR(lua_remove_consumer), key, consumer, &pending, info);

    if (err == ERR_OK && pending > 0)
        err = err_set(info, ERR_STATE, "consumer %s of %s has %" PRId64 " entries pending", consumer, key, pending);
    return err;
}

/* ---- beacon ------------------------------------------------------------------------------------------ */

enum err queue_admin_beacon_get(struct rsession *s, int64_t *sequence, struct err_info *info)
{
    const struct reply *reply = NULL;
    enum err err = rsession_command(s, 2, (struct str[]){STR("GET"), STR(QUEUE_KEY_BEACON)}, &reply, info);

    if (err != ERR_OK)
        return err;
    if (reply->type == REPLY_NIL)
        return err_set(info, ERR_NOTFOUND, "Redis: no " QUEUE_KEY_BEACON);
    if (reply->type != REPLY_STRING || str_to_i64(reply->s, sequence) != ERR_OK)
        return err_set(info, ERR_MALFORMED, "Redis: " QUEUE_KEY_BEACON " is not a number");
    return ERR_OK;
}

enum err queue_admin_beacon_set(struct rsession *s, int64_t sequence, struct err_info *info)
{
    const struct reply *reply = NULL;
    char text[24];

    snprintf(text, sizeof(text), "%" PRId64, sequence);
    return rsession_command(s, 3, (struct str[]){STR("SET"), STR(QUEUE_KEY_BEACON), str_of(text)}, &reply, info);
}
