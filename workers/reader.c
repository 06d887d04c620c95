/* reader: see reader.h. */
#include "workers/reader.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/io/loop.h"
#include "common/io/rconn.h"
#include "workers/bare.h"
#include "workers/claim.h"
#include "workers/worker.h"

#define BLOCK_MS 2000
#define IDLE_MIN_MS 30000   /* design: an entry untouched for so long has lost its reader */
#define IDLE_EVERY_MS 10000 /* also two beats: not sooner after our own start */
#define IDLE_COUNT 100
#define AGAIN_MS 200

struct reader {
    struct worker *w;
    bool busy;
    bool hot[WORKER_STREAMS_MAX];
    size_t turn;                  /* the stream after the one read last */
    bool own[WORKER_STREAMS_MAX]; /* q: streams: a reply was lost, what it delivered is pending and ours */
    struct queue_id own_after[WORKER_STREAMS_MAX];
    size_t asked;
    bool reading_own;
    size_t reading; /* hot read: its stream; n_keys: all */
    struct queue_id newest[WORKER_STREAMS_MAX];
    struct timer *again;
    struct timer *idle;
    bool idle_busy;
    size_t idle_stream; /* whose idle entries are being taken over; n_keys and more: none */
    struct queue_id idle_cursor;
};

static void on_read(void *arg, enum err err, const struct queue_entries *entries, const struct err_info *info);

/* A group gives its entries in the order of their ids. What comes below the newest one that came here comes again, and so may
 * everything that was added until now. */
static void suspect_all(struct reader *r, size_t stream)
{
    const struct queue_id now = {.ms = (uint64_t)(clock_wall_us() / 1000)};
    if (queue_id_cmp(&now, &r->newest[stream]) > 0)
        r->newest[stream] = now;
}

static bool comes_again(struct reader *r, size_t stream, const struct queue_id *id, int64_t now_us)
{
    if (bare_ahead(id, now_us))
        return false;
    if (queue_id_cmp(id, &r->newest[stream]) > 0) {
        r->newest[stream] = *id;
        return false;
    }
    suspect_all(r, stream);
    return true;
}

static void take(struct reader *r, size_t stream, const struct queue_entry *e, bool idle, int64_t now_us)
{
    struct worker *w = r->w;
    if (stream % 2 == 0)
        claim_add(w->claimer, stream, e);
    else
        bare_add(w, stream, e, idle || comes_again(r, stream, &e->id, now_us), now_us);
}

/* Made again they begin at the streams' beginnings. */
static void groups_gone(struct reader *r)
{
    r->w->groups_ready = false;
    for (size_t i = 0; i < r->w->n_keys; i++)
        suspect_all(r, i);
}

static void ensured(void *arg, enum err err, const struct err_info *info)
{
    struct reader *r = arg;
    r->busy = false;
    r->w->groups_ready = err == ERR_OK;
    if (err != ERR_OK) {
        log_warn("reader.groups", L_ERR(err), L_STR("detail", info ? info->text : NULL));
        timer_start(r->again, AGAIN_MS, 0);
        return;
    }
    worker_kick(r->w);
}

static bool next_hot(const struct reader *r, size_t *stream)
{
    for (size_t i = 0; i < r->w->n_keys; i++) {
        *stream = (r->turn + i) % r->w->n_keys;
        if (r->hot[*stream])
            return true;
    }
    return false;
}

bool reader_awaits(const struct reader *r)
{
    return r->busy;
}

bool reader_expects(const struct reader *r)
{
    size_t stream;
    return next_hot(r, &stream);
}

/* The entries of in: may be those that are being executed here: they come back idle. */
static void reply_lost(struct reader *r)
{
    for (size_t i = 0; i < r->w->n_keys; i += 2) {
        r->own[i] = true;
        r->own_after[i] = (struct queue_id){0};
    }
}

static bool next_own(const struct reader *r, size_t *stream)
{
    for (*stream = 0; *stream < r->w->n_keys; *stream += 2) {
        if (r->own[*stream])
            return true;
    }
    return false;
}

static void read_streams(struct reader *r, size_t room)
{
    struct worker *w = r->w;
    struct queue_read q = {
        .keys = w->key_list, .n_keys = w->n_keys, .consumer = w->id_text, .count = 1, .block_ms = BLOCK_MS};
    size_t stream;
    r->reading = w->n_keys;
    r->asked = 1;
    r->reading_own = next_own(r, &stream);
    if (r->reading_own)
        q.after = &r->own_after[stream];
    if (r->reading_own || next_hot(r, &stream)) {
        q.keys = &w->key_list[stream];
        q.n_keys = 1;
        q.count = (uint32_t)room;
        q.block_ms = 0;
        r->reading = stream;
        r->asked = room;
        r->turn = stream + 1;
    }
    queue_read(w->read_conn, &q, on_read, r);
}

static void idle_next(struct reader *r);

void reader_kick(struct reader *r)
{
    struct worker *w = r->w;
    size_t room = worker_room(w);
    idle_next(r);
    if (r->busy || !worker_reads(w) || room == 0 || timer_active(r->again))
        return;
    if (!rconn_up(w->read_conn)) {
        timer_start(r->again, AGAIN_MS, 0);
        return;
    }
    r->busy = true;
    if (!w->groups_ready) {
        queue_ensure(w->redis, w->key_list, w->n_keys, ensured, r);
        return;
    }
    read_streams(r, room);
}

static void took_own(struct reader *r, const struct queue_entries *entries)
{
    r->own[r->reading] = entries->n == r->asked;
    if (entries->n > 0)
        r->own_after[r->reading] = entries->v[entries->n - 1].id;
}

static void on_read(void *arg, enum err err, const struct queue_entries *entries, const struct err_info *info)
{
    struct reader *r = arg;
    struct worker *w = r->w;
    r->busy = false;
    if (err != ERR_OK) {
        if (err == ERR_REDIS_NOGROUP)
            groups_gone(r);
        if (err == ERR_CONN_LOST || err == ERR_TIMEOUT)
            reply_lost(r);
        if (err != ERR_CANCELED) {
            log_warn("reader.failed", L_ERR(err), L_STR("detail", info ? info->text : NULL));
            timer_start(r->again, AGAIN_MS, 0);
        }
        return;
    }
    const int64_t now_us = clock_wall_us();
    for (size_t i = 0; i < entries->n; i++) {
        size_t stream = r->reading == w->n_keys ? entries->v[i].stream : r->reading;
        r->hot[stream] = true;
        take(r, stream, &entries->v[i], false, now_us);
    }
    if (r->reading_own)
        took_own(r, entries);
    else if (r->reading < w->n_keys && entries->n < r->asked)
        r->hot[r->reading] = false;
    worker_kick(w);
}

/* ---- what has been idle
 * --------------------------------------------------------------------------------------------------------- */

/* Bare entries of a stream that are in hand here: they come as idle ones too where their settling takes long. */
static void put_own(const struct worker *w, size_t stream, struct map *own)
{
    for (int state = 0; state < JOB_STATES; state++) {
        LIST_FOR (node, &w->jobs[state]) {
            struct job *job = LIST_OWNER(node, struct job, node);
            if (job->bare && job->stream == stream)
                map_put(own, &job->entry, sizeof(job->entry), job);
        }
    }
}

static void take_idle(struct reader *r, const struct queue_entries *entries)
{
    const int64_t now_us = clock_wall_us();
    struct map own = {0};
    if (entries->n > 0)
        put_own(r->w, r->idle_stream, &own);
    for (size_t i = 0; i < entries->n; i++) {
        const struct queue_entry *e = &entries->v[i];
        if (!map_get(&own, &e->id, sizeof(e->id)))
            take(r, r->idle_stream, e, true, now_us);
    }
    map_free(&own);
}

static void on_idle(void *arg, enum err err, const struct queue_claimed *claimed, const struct err_info *info)
{
    struct reader *r = arg;
    r->idle_busy = false;
    if (err != ERR_OK) {
        r->idle_stream = r->w->n_keys;
        if (err == ERR_REDIS_NOGROUP)
            groups_gone(r);
        else if (err != ERR_CANCELED)
            log_warn("reader.idle", L_ERR(err), L_STR("detail", info ? info->text : NULL));
        return;
    }
    take_idle(r, &claimed->entries);
    r->idle_cursor = claimed->cursor;
    if (queue_id_is_zero(&claimed->cursor))
        r->idle_stream++;
    worker_kick(r->w);
}

/* Bare entries that are taken over are adopted, not run: a batch of them may wait for that. */
static size_t idle_room(const struct reader *r)
{
    struct worker *w = r->w;
    const size_t room = worker_room(w);
    if (r->idle_stream % 2 == 1)
        return w->n_jobs[JOB_EXECUTED] + w->n_jobs[JOB_SETTLING] < (size_t)w->settings->batch && !w->full ? IDLE_COUNT
                                                                                                          : 0;
    return room < IDLE_COUNT ? room : IDLE_COUNT;
}

static void idle_next(struct reader *r)
{
    struct worker *w = r->w;
    const size_t room = idle_room(r);
    if (r->idle_busy || r->idle_stream >= w->n_keys || !worker_reads(w) || !rconn_up(w->redis) || room == 0)
        return;
    struct queue_claim claim = {.key = w->key_list[r->idle_stream],
                                .consumer = w->id_text,
                                .min_idle_ms = IDLE_MIN_MS,
                                .cursor = r->idle_cursor,
                                .count = (uint32_t)room};
    r->idle_busy = true;
    queue_claim_idle(w->redis, &claim, on_idle, r);
}

static void on_idle_timer(void *arg)
{
    struct reader *r = arg;
    if (r->idle_busy || r->idle_stream < r->w->n_keys || !r->w->groups_ready)
        return;
    r->idle_stream = 0;
    r->idle_cursor = (struct queue_id){0};
    idle_next(r);
}

static void on_again(void *arg)
{
    struct reader *r = arg;
    reader_kick(r);
}

struct reader *reader_new(struct worker *w)
{
    struct reader *r = mem_zalloc(sizeof(*r));
    r->w = w;
    r->idle_stream = WORKER_STREAMS_MAX;
    r->again = timer_new(w->loop, on_again, r);
    r->idle = timer_new(w->loop, on_idle_timer, r);
    timer_start(r->idle, IDLE_EVERY_MS, IDLE_EVERY_MS);
    return r;
}

void reader_free(struct reader *r)
{
    if (!r)
        return;
    timer_free(r->again);
    timer_free(r->idle);
    mem_free(r);
}
