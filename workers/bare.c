/* bare: see bare.h. */
#include "workers/bare.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/core/adoption.h"
#include "common/core/envelope.h"
#include "common/io/db.h"
#include "common/io/loop.h"
#include "common/io/store_jobs.h"
#include "workers/exec.h"
#include "workers/worker.h"

#define ADOPT_MAX 64                    /* slow entries of one statement */
#define SLOW_MS 8000                    /* design: adopted before 10 s have passed */
#define AHEAD_MS 60000                  /* an id further ahead was not made by this Redis's clock */
#define OLD_MS (INT64_C(27) * 86400000) /* the log has the month before this one for sure */

/* ---- an entry becomes a job
 * ------------------------------------------------------------------------------------------------------ */

static struct str put_text(char **at, struct str s)
{
    struct str copy = {*at, s.n};
    if (s.n)
        memcpy(*at, s.p, s.n);
    (*at)[s.n] = '\0';
    *at += s.n + 1;
    return copy;
}

/* The entry's fields, alternating, copied into the job's arena at once. */
static struct str *fields_of(struct job *job, const struct queue_entry *e)
{
    size_t bytes = 1;
    for (size_t i = 0; i < e->n_fields; i++)
        bytes += e->fields[i].name.n + e->fields[i].value.n + 2;
    struct str *fields = arena_alloc(&job->arena, 2 * e->n_fields * sizeof(*fields) + bytes);
    job_weigh(job, bytes);
    char *at = (char *)(fields + 2 * e->n_fields);
    for (size_t i = 0; i < e->n_fields; i++) {
        fields[2 * i] = put_text(&at, e->fields[i].name);
        fields[2 * i + 1] = put_text(&at, e->fields[i].value);
    }
    return fields;
}

static void executed(struct job *job, struct job_result result)
{
    result.next = PROGRAM_END;
    job->result = result;
    job_move(job, JOB_EXECUTED);
}

void bare_hand_back(struct job *job)
{
    executed(job, (struct job_result){.settle = SETTLE_RELEASE, .outcome = OUTCOME_SNOOZED});
}

static struct job_result dead(const char *reason, const char *error)
{
    return (struct job_result){
        .settle = SETTLE_FINAL, .outcome = OUTCOME_DEAD, .reason = reason, .error = error, .next = PROGRAM_END};
}

static void warn_dead(const struct job *job)
{
    log_warn("bare.dead", L_STR("stream", job->worker->key_list[job->stream]), L_STR("entry", job->entry_id),
             L_STR("reason", job->result.reason), L_STR("error", job->result.error));
}

static void bury(struct job *job, const char *reason, const char *error)
{
    executed(job, dead(reason, error));
    warn_dead(job);
}

bool bare_ahead(const struct queue_id *id, int64_t now_us)
{
    return id->ms > (uint64_t)(now_us / 1000 + AHEAD_MS);
}

static bool odd_id(const struct queue_entry *e, int64_t now_us)
{
    return bare_ahead(&e->id, now_us) || e->id.ms < (uint64_t)(now_us / 1000 - OLD_MS);
}

static void sort_out(struct job *job, const struct queue_entry *e, bool idle)
{
    const struct envelope *env = job->envelope;
    bool ties = !id_is_zero(&env->wedding) || env->key.n || env->deadline_us || env->at_us > job->now_us;
    if (job->kind && job->kind->rule)
        bury(job, "forged", "this kind is a step of rules and may not stand in a bare entry");
    else if (idle || ties || !job->kind || !tenants_has(&job->worker->tenants, &job->tenant) || odd_id(e, job->now_us))
        bare_hand_back(job);
}

static void name_job(struct job *job, const struct envelope *env)
{
    struct worker *w = job->worker;
    job->kind = kinds_find(&w->kinds, env->kind);
    job->kind_name = job->kind ? job->kind->name : env->kind.p ? env->kind.p : "?"; /* a copy of fields_of */
    job->queue = w->queue_names[job->stream / 2];
    job->tenant = env->tenant;
    job->wedding = env->wedding;
    job->payload = env->payload;
    job->traceparent = env->traceparent.p; /* a copy of fields_of */
    job->attempt = 1;
    job->max_attempts = env->max_attempts ? env->max_attempts : job->kind ? job->kind->max_attempts : 1;
    job->timeout_ms = env->timeout_ms ? env->timeout_ms : job->kind ? job->kind->timeout_ms : 30000;
}

static void keep_raw(struct job *job)
{
    struct buf raw = {0};
    adoption_raw(&raw, job->fields, job->n_fields);
    job->raw = (struct str){arena_strndup(&job->arena, raw.data, raw.len), raw.len};
    buf_free(&raw);
}

void bare_add(struct worker *w, size_t stream, const struct queue_entry *e, bool idle, int64_t now_us)
{
    struct err_info info = {0};
    struct job *job = job_new(w);
    struct envelope *env = arena_zalloc(&job->arena, sizeof(*env));
    struct str *fields = fields_of(job, e);
    job->fields = fields;
    job->n_fields = 2 * e->n_fields;
    job->bare = true;
    job->owner = w->id;
    job->stream = stream;
    job->entry = e->id;
    str_copy_n(job->entry_id, sizeof(job->entry_id), e->id_text.p, e->id_text.n);
    envelope_log_id(str_of(w->key_list[stream]), str_of(job->entry_id), fields, job->n_fields, &job->bare_id);
    job->has_bare_key = true;
    job->job_id = job->bare_id;
    job->effect_key = job->bare_id;
    job->bare_at_us = adoption_time_us(e->id.ms);
    job->queued_at_us = job->bare_at_us;
    job->now_us = now_us;
    job->envelope = env;
    enum err err = e->deleted ? err_set(&info, ERR_MALFORMED, "the entry was deleted from the stream before it was read")
                              : envelope_parse(fields, job->n_fields, env, &info);
    name_job(job, env);
    if (err == ERR_OK) {
        sort_out(job, e, idle);
    } else {
        keep_raw(job);
        bury(job, "malformed", arena_strdup(&job->arena, info.text));
    }
}

/* ---- adoption
 * --------------------------------------------------------------------------------------------------------------------------
 * */

static void put_entry(struct buf *out, const struct job *job, bool running)
{
    const struct job_result *r = &job->result;
    const bool retry = !running && r->settle == SETTLE_RETRY;
    const bool dead = !running && (r->settle == SETTLE_FINAL || r->settle == SETTLE_PARK);
    adoption_put(out, &(struct adoption){.id = job->bare_id,
                                         .at_us = job->bare_at_us,
                                         .stream = job->worker->key_list[job->stream],
                                         .entry_id = job->entry_id,
                                         .tenant = job->tenant,
                                         .kind = job->kind_name,
                                         .queue = job->queue,
                                         .payload = job->payload,
                                         .attempt = retry ? 2 : 1,
                                         .in_ms = retry || r->settle == SETTLE_SNOOZE ? r->delay_ms : -1,
                                         .owner = running ? &job->owner : NULL,
                                         .dead = dead ? str_of(r->reason).p : NULL,
                                         .error = r->error,
                                         .raw = job->raw,
                                         .envelope = job->envelope});
}

void bare_json(struct job *const *jobs, size_t n, struct buf *out)
{
    buf_put_char(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_put_char(out, ',');
        put_entry(out, jobs[i], false);
    }
    buf_put_char(out, ']');
}

/* The database knows no such tenant: what it made of the entry is a dead letter, and that is what the log says. */
static void refused(struct job *job, struct str why)
{
    job->result = dead("unknown_tenant", arena_strndup(&job->arena, why.p, why.n));
    warn_dead(job);
}

void bare_adopted(struct job *const *jobs, size_t n, const struct db_result *rows)
{
    struct map first = {0}; /* of two deliveries in one batch one counts */
    for (size_t i = n; i-- > 0;) {
        jobs[i]->settled = SETTLED_WITHDRAWN;
        map_put(&first, &jobs[i]->bare_id, sizeof(jobs[i]->bare_id), jobs[i]);
    }
    for (int row = 0; row < db_rows(rows); row++) {
        struct id id = db_id(rows, row, 0);
        struct job *job = map_get(&first, &id, sizeof(id));
        if (!job)
            continue;
        if (db_bool(rows, row, 4))
            job->settled = SETTLED_BUSY;
        if (!db_bool(rows, row, 1))
            continue;
        job->settled = SETTLED_HIT;
        if (!db_null(rows, row, 3))
            refused(job, db_text(rows, row, 3));
    }
    map_free(&first);
}

static void on_acked(void *arg, enum err err, int64_t count, const struct err_info *info)
{
    (void)arg, (void)count;
    /* A lost XACK leaves the entry pending; it comes back idle, and its log key or row stands. */
    if (err != ERR_OK && err != ERR_CANCELED)
        log_debug("bare.ack", L_ERR(err), L_STR("detail", info ? info->text : NULL));
}

void bare_acknowledge(struct worker *w, struct job *const *jobs, size_t n)
{
    struct queue_id *ids = mem_alloc(n * sizeof(*ids) + 1);
    for (size_t stream = 1; stream < w->n_keys; stream += 2) { /* in: streams stand at the odd places */
        size_t k = 0;
        for (size_t i = 0; i < n; i++)
            if (jobs[i]->stream == stream && jobs[i]->settled != SETTLED_BUSY)
                ids[k++] = jobs[i]->entry;
        if (k)
            queue_ack(w->redis, w->key_list[stream], ids, k, on_acked, w);
    }
    mem_free(ids);
}

void bare_strip(struct job *job, const char *why)
{
    keep_raw(job);
    job->payload = (struct str){0};
    job->envelope = arena_zalloc(&job->arena, sizeof(struct envelope));
    job->result = dead("unstorable", arena_strdup(&job->arena, why));
    warn_dead(job);
}

/* ---- slow ones
 * ----------------------------------------------------------------------------------------------------------------------------
 * */

/* The row is claimed by us now. Where it is not ours (logged or adopted by another meanwhile), settling hits no row and nothing of
 * this execution applies. */
static void become_claimed(struct job *job)
{
    struct worker *w = job->worker;
    job->adopting = false;
    job->bare = false;
    job->claim_no = 1;
    map_put(&w->held, &job->job_id, sizeof(job->job_id), job);
}

/* Those that may be adopted, whatever they do by now; at most `size`. */
static size_t slow_jobs(const struct worker *w, struct job **jobs, size_t size)
{
    static const enum job_state states[] = {JOB_RUNNING, JOB_EXECUTED};
    int64_t now_ms = clock_mono_ms();
    size_t n = 0;
    for (size_t s = 0; s < 2; s++) {
        LIST_FOR (node, &w->jobs[states[s]]) {
            struct job *job = LIST_OWNER(node, struct job, node);
            bool slow = states[s] == JOB_RUNNING && now_ms - job->claimed_ms >= SLOW_MS;
            if (job->bare && !job->unadoptable && (job->adopting || slow) && n < size)
                jobs[n++] = job;
        }
    }
    return n;
}

/* A value that the database refuses, of one of these: fewer are asked for, down to the one, which goes on as if it were not slow, and
 * which its settling buries. Nothing of them has happened. */
static void part_slow(struct worker *w)
{
    struct job *job;
    if (w->adopt_n > 1) {
        w->adopt_most = w->adopt_n / 2;
        return;
    }
    job = map_get(&w->slow, &w->adopt_first, sizeof(w->adopt_first));
    map_remove(&w->slow, &w->adopt_first, sizeof(w->adopt_first));
    if (job) {
        job->adopting = false;
        job->unadoptable = true;
    }
    worker_kick(w);
}

static void on_slow_adopted(void *arg, enum err err, const struct db_result *res, const struct err_info *info)
{
    struct worker *w = arg;
    struct job *jobs[ADOPT_MAX];
    size_t n = 0;
    w->adopting = false;
    if (err != ERR_OK) {
        /* It may have happened: they are asked for again, and not settled before the answer. */
        if (err != ERR_CANCELED)
            log_warn("bare.adopt", L_ERR(err), L_STR("detail", info ? info->text : NULL));
        if (err == ERR_DB_DATA)
            part_slow(w);
        return;
    }
    w->adopt_most = w->adopt_most < ADOPT_MAX ? 2 * w->adopt_most : ADOPT_MAX;
    for (int row = 0; row < db_rows(res); row++) {
        struct id id = db_id(res, row, 0);
        struct job *job = map_get(&w->slow, &id, sizeof(id));
        if (!job)
            continue;
        if (db_bool(res, row, 1))
            job->queued_at_us = db_time(res, row, 2);
        map_remove(&w->slow, &id, sizeof(id));
        become_claimed(job);
        jobs[n++] = job;
    }
    bare_acknowledge(w, jobs, n);
    worker_kick(w);
}

void bare_watch(struct worker *w)
{
    struct job *jobs[ADOPT_MAX];
    struct buf json = {0};
    if (w->adopting || !db_conn_up(w->control))
        return;
    size_t n = slow_jobs(w, jobs, w->adopt_most ? w->adopt_most : ADOPT_MAX);
    for (size_t i = 0; i < n; i++) {
        buf_put_char(&json, i ? ',' : '[');
        put_entry(&json, jobs[i], true);
        jobs[i]->adopting = true;
        map_put(&w->slow, &jobs[i]->bare_id, sizeof(jobs[i]->bare_id), jobs[i]);
    }
    if (n) {
        w->adopting = true;
        w->adopt_n = n;
        w->adopt_first = jobs[0]->bare_id;
        buf_put_char(&json, ']');
        store_adopt(w->control, (struct str){json.data, json.len}, on_slow_adopted, w);
    }
    buf_free(&json);
}
