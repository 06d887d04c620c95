/* claim: see claim.h. */
#include "workers/claim.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/io/db.h"
#include "common/io/die.h"
#include "common/io/loop.h"
#include "common/io/store_jobs.h"
#include "workers/exec.h"
#include "workers/reader.h"
#include "workers/worker.h"

#define AGAIN_MS 250

struct entry {
    struct id job;
    size_t stream;
    struct queue_id id;
    bool unreadable; /* only acknowledged */
    bool put_off;    /* not claimed beside a suspect */
    bool over;       /* answered, or left to others: to be acknowledged */
};

struct claimer {
    struct worker *w;
    struct entry *entries; /* the first n_batch are being asked for */
    size_t n, cap, n_batch;
    bool busy;
    bool again;                  /* the last question was not answered */
    struct id owner;             /* under which it was asked */
    bool suspects;               /* it was asked for a suspect too */
    int64_t suspect_ms, rest_ms; /* a suspect is here since then (0: none); others have their turn until then */
    struct timer *timer;
};

void claim_add(struct claimer *c, size_t stream, const struct queue_entry *e)
{
    struct err_info info;
    int32_t claim_no;
    struct entry entry = {.stream = stream, .id = e->id};
    if (e->deleted)
        entry.unreadable = true;
    else if (queue_reply_job(e, &entry.job, &claim_no, &info) != ERR_OK) {
        /* Only the leader writes here; what is no job id refers to no row: the ledger has every accepted job. */
        log_warn("claim.malformed", L_STR("stream", c->w->key_list[stream]),
                 L_BYTES("entry", e->id_text.p, e->id_text.n), L_STR("detail", info.text));
        entry.unreadable = true;
    }
    if (c->n == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 256;
        c->entries = mem_realloc(c->entries, c->cap * sizeof(*c->entries));
    }
    c->entries[c->n++] = entry;
}

size_t claim_waiting(const struct claimer *c)
{
    return c->n;
}

bool claim_busy(const struct claimer *c)
{
    return c->n_batch > 0;
}

static const char *keep(struct job *job, struct str s)
{
    return s.p ? arena_strndup(&job->arena, s.p, s.n) : NULL;
}

static void load_rule(struct job *job, const struct store_claimed *row)
{
    struct err_info info;
    job->rule = rules_get(&job->worker->rules, &row->rule_id, row->rule_revision, row->definition, &info);
    if (!job->rule) {
        log_error("claim.rule", L_ID("job", &job->job_id), L_STR("detail", info.text));
        return;
    }
    job->step = program_step(&job->rule->rule->program, row->step);
}

static json_t *load_json(struct str s)
{
    return s.p ? json_loadb(s.p, s.n, JSON_DECODE_ANY, NULL) : NULL;
}

static struct job *make_job(struct worker *w, const struct id *owner, const struct store_claimed *row)
{
    struct job *job = job_new(w);
    job->job_id = row->job_id;
    job->tenant = row->tenant_id;
    job->run = row->run_id;
    job->wedding = row->wedding_id;
    job->rule_id = row->rule_id;
    job->effect_key = row->effect_key;
    job->owner = *owner;
    job->rule_revision = row->rule_revision;
    job->claim_no = row->claim_no;
    job->generation = row->generation;
    job->attempt = row->attempt;
    job->max_attempts = row->max_attempts;
    job->crashes = row->crashes;
    job->snoozes = row->snoozes;
    if (job->crashes >= JOB_SUSPECT_CRASHES)
        w->suspects++;
    job->step_no = row->step;
    job->kind = kinds_find(&w->kinds, row->kind);
    job->kind_name = keep(job, row->kind);
    job->queue = keep(job, row->queue);
    job->payload = (struct str){keep(job, row->payload), row->payload.n};
    job_weigh(job, row->payload.n);
    job->now_us = row->claimed_at_us;
    job->queued_at_us = row->claimed_at_us;
    job->due_at_us = row->due_at_us;
    job->timeout_ms = row->timeout_ms;
    job->verdict = keep(job, row->verdict);
    job->traceparent = keep(job, row->traceparent);
    job->has_bare_key = !id_is_zero(&row->bare_id);
    job->bare_id = row->bare_id;
    job->bare_at_us = row->bare_at_us;
    if (!id_is_zero(&row->run_id)) {
        load_rule(job, row);
        job->wake = load_json(row->wake);
        json_t *run = load_json(row->context);
        exec_context(job, row->facts, run);
        json_decref(run);
    }
    map_put(&w->held, &job->job_id, sizeof(job->job_id), job);
    return job;
}

static void on_acked(void *arg, enum err err, int64_t count, const struct err_info *info)
{
    (void)arg, (void)count;
    if (err != ERR_OK && err != ERR_CANCELED)
        log_debug("claim.ack", L_ERR(err), L_STR("detail", info ? info->text : NULL));
}

/* A lost XACK leaves an entry pending; it comes back idle and is then stale. */
static void acknowledge_over(struct claimer *c)
{
    struct worker *w = c->w;
    struct queue_id *ids = mem_alloc((c->n + 1) * sizeof(*ids));
    size_t kept = 0;
    for (size_t stream = 0; stream < w->n_keys; stream += 2) { /* q: streams stand at the even places */
        size_t n = 0;
        for (size_t i = 0; i < c->n; i++)
            if (c->entries[i].stream == stream && c->entries[i].over)
                ids[n++] = c->entries[i].id;
        if (n)
            queue_ack(w->redis, w->key_list[stream], ids, n, on_acked, NULL);
    }
    for (size_t i = 0; i < c->n; i++)
        if (!c->entries[i].over)
            c->entries[kept++] = c->entries[i];
    c->n = kept;
    mem_free(ids);
}

/* What is not held was perhaps left out as another suspect. So many of these stay to be asked for again that there is
 * room for as much else; the others are left to whoever gets them, as stale entries are. */
static void finish_batch(struct claimer *c)
{
    const struct worker *w = c->w;
    size_t put_off = 0;
    for (size_t i = 0; i < c->n_batch; i++) {
        struct entry *e = &c->entries[i];
        e->put_off = (w->suspects || !c->suspects) && !e->unreadable && !map_get(&w->held, &e->job, sizeof(e->job)) &&
                     put_off < (size_t)w->settings->concurrency / 2;
        e->over = !e->put_off;
        put_off += e->put_off;
    }
    c->n_batch = 0;
    c->again = false;
    acknowledge_over(c);
}

static void on_claimed(void *arg, enum err err, const struct db_result *res, const struct err_info *info)
{
    struct claimer *c = arg;
    c->busy = false;
    if (err == ERR_CANCELED)
        return;
    if (err != ERR_OK) {
        log_warn("claim.failed", L_ERR(err), L_STR("detail", info ? info->text : NULL), L_INT("jobs", c->n_batch));
        c->again = true;
        timer_start(c->timer, AGAIN_MS, 0);
        return;
    }
    die_at("after_claim_commit");
    for (int i = 0; i < db_rows(res); i++) {
        struct store_claimed row;
        store_claimed(res, i, &row);
        struct job *job = make_job(c->w, &c->owner, &row);
        /* Fenced meanwhile: nobody beats for that owner any more. */
        if (!id_eq(&c->owner, &c->w->id))
            exec_release(job);
    }
    if (c->w->suspects)
        c->suspect_ms = clock_mono_ms();
    finish_batch(c);
    worker_kick(c->w);
}

static void ask(struct claimer *c)
{
    struct worker *w = c->w;
    struct id *ids = mem_alloc(2 * c->n_batch * sizeof(*ids));
    struct id *held = ids + c->n_batch;
    size_t n = 0, n_held = 0;
    for (size_t i = 0; i < c->n_batch; i++) {
        if (c->entries[i].unreadable)
            continue;
        ids[n++] = c->entries[i].job;
        if (map_get(&w->held, &c->entries[i].job, sizeof(struct id)))
            held[n_held++] = c->entries[i].job;
    }
    if (n) {
        c->busy = true;
        c->owner = w->id;
        die_at("before_claim_commit");
        store_claim(w->control,
                    &(struct store_claim){.owner = &w->id,
                                          .ids = ids,
                                          .held = held,
                                          .n = n,
                                          .n_held = n_held,
                                          .wait = c->again,
                                          .suspects = c->suspects},
                    on_claimed, c);
    } else {
        finish_batch(c);
    }
    mem_free(ids);
}

static bool any_fresh(const struct claimer *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (!c->entries[i].put_off)
            return true;
    return false;
}

/* A suspect has the worker to itself; after that the others have it for as long, if there are any. */
static bool others_turn(struct claimer *c)
{
    const int64_t now_ms = clock_mono_ms();
    if (c->suspect_ms)
        c->rest_ms = 2 * now_ms - c->suspect_ms;
    c->suspect_ms = 0;
    return now_ms < c->rest_ms && (any_fresh(c) || reader_expects(c->w->reader));
}

/* While a suspect is here others take what a read brings that was under way. */
static void leave_fresh(struct claimer *c)
{
    for (size_t i = 0; i < c->n; i++)
        c->entries[i].over = !c->entries[i].put_off;
    acknowledge_over(c);
}

void claim_kick(struct claimer *c)
{
    struct worker *w = c->w;
    bool allowed = worker_reads(w) || (c->again && w->phase == WORKER_DRAINING);
    if (c->busy || c->n == 0 || timer_active(c->timer) || !allowed)
        return;
    if (w->suspects && !c->again) {
        leave_fresh(c);
        return;
    }
    if (!c->again)
        c->suspects = !others_turn(c);
    if (!c->suspects && !any_fresh(c))
        return;
    if (!db_conn_up(w->control)) {
        timer_start(c->timer, AGAIN_MS, 0);
        return;
    }
    /* A repeated question is about the same ids. */
    if (c->n_batch == 0)
        c->n_batch = c->n < (size_t)w->settings->batch ? c->n : (size_t)w->settings->batch;
    ask(c);
}

void claim_give_up(struct claimer *c)
{
    for (size_t i = c->n_batch; i < c->n; i++)
        c->entries[i].over = true;
    acknowledge_over(c);
}

static void on_timer(void *arg)
{
    struct claimer *c = arg;
    claim_kick(c);
}

struct claimer *claim_new(struct worker *w)
{
    struct claimer *c = mem_zalloc(sizeof(*c));
    c->w = w;
    c->timer = timer_new(w->loop, on_timer, c);
    return c;
}

void claim_free(struct claimer *c)
{
    if (!c)
        return;
    timer_free(c->timer);
    mem_free(c->entries);
    mem_free(c);
}
