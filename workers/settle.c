/* settle: see settle.h. */
#include "workers/settle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/core/advance.h"
#include "common/core/each.h"
#include "common/core/key.h"
#include "common/core/vocab.h"
#include "common/io/db.h"
#include "common/io/store_jobs.h"
#include "workers/exec.h"
#include "workers/rules.h"
#include "workers/worker.h"

static const char *const settle_words[] = {
    [SETTLE_FINAL] = "final", [SETTLE_RETRY] = "retry", [SETTLE_SNOOZE] = "snooze", [SETTLE_PARK] = "park", [SETTLE_RELEASE] = "release"};

/* ---- the batch
 * ---------------------------------------------------------------------------------------------------------------- */

static void put_text(struct buf *out, const char *key, const char *text)
{
    if (!text)
        return;
    buf_printf(out, ",\"%s\":", key);
    buf_put_json(out, text, strlen(text));
}

static int write_buf(const char *p, size_t n, void *out)
{
    buf_put(out, p, n);
    return 0;
}

static void put_json(struct buf *out, const json_t *value)
{
    json_dump_callback(value, write_buf, out, JSON_COMPACT | JSON_ENCODE_ANY | JSON_SORT_KEYS);
}

static void put_next(struct buf *out, const struct job *job)
{
    const struct step *next = job->step ? program_step(&job->rule->rule->program, job->result.next) : NULL;
    struct id id;
    char text[ID_TEXT_SIZE];
    if (!next)
        return;
    advance_job_id(&job->run, next->index, each_following(job->step, job->iteration, job->result.output, next),
                   job->generation, &id);
    json_t *due = advance_due(job->rule->rule, next);
    buf_printf(out, ",\"next\":[{\"job\":\"%s\",\"step\":%d,\"kind\":\"%s\"", id_format(&id, text), next->index,
               vocab_text(VOCAB_ACTION, (int)next->type));
    if (due) {
        buf_put_str(out, ",\"due\":");
        put_json(out, due);
    }
    if (next->type == ACTION_WAIT && next->wait.kind == WAIT_EVENT)
        put_text(out, "event", next->wait.event_type);
    buf_put_str(out, "}]");
    json_decref(due);
}

static void put_run(struct buf *out, const struct job *job)
{
    const struct job_result *r = &job->result;
    buf_printf(out, ",\"run_patch\":{\"failed\":%d", r->failed_step ? 1 : 0);
    if (job->acted)
        buf_put_str(out, ",\"acted\":true");
    put_text(out, "state", r->run_state);
    put_text(out, "reason", r->run_reason);
    if (r->output && job->step) {
        buf_put_str(out, ",\"steps\":{");
        buf_put_json(out, job->step->id, strlen(job->step->id));
        buf_put_char(out, ':');
        put_json(out, r->output);
        buf_put_char(out, '}');
    }
    buf_put_char(out, '}');
}

static void put_job(struct buf *out, const struct job *job)
{
    const struct job_result *r = &job->result;
    char id[ID_TEXT_SIZE];
    buf_printf(out, "{\"j\":\"%s\",\"c\":%d,\"a\":\"%s\"", id_format(&job->job_id, id), job->claim_no,
               settle_words[r->settle]);
    if (r->settle == SETTLE_FINAL)
        put_text(out, "o", outcome_word(r->outcome));
    if (r->settle == SETTLE_RETRY || r->settle == SETTLE_SNOOZE)
        buf_printf(out, ",\"in_ms\":%lld", (long long)r->delay_ms);
    put_text(out, "reason", r->reason);
    put_text(out, "error", r->error);
    if (r->effect) {
        buf_put_str(out, ",\"effect\":");
        put_json(out, r->effect);
    }
    if (!id_is_zero(&job->run) && r->settle != SETTLE_RELEASE)
        put_run(out, job);
    if (r->settle == SETTLE_FINAL && !r->run_state)
        put_next(out, job);
    buf_put_char(out, '}');
}

void settle_json(struct job *const *jobs, size_t n, struct buf *out)
{
    buf_put_char(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_put_char(out, ',');
        put_job(out, jobs[i]);
    }
    buf_put_char(out, ']');
}

bool settle_is_done(const struct job *job)
{
    const struct job_result *r = &job->result;
    return r->settle == SETTLE_FINAL && r->outcome == OUTCOME_DONE && !r->effect && id_is_zero(&job->run);
}

static int by_id(const void *a, const void *b)
{
    const struct job *const *x = a, *const *y = b;
    return id_cmp(&(*x)->job_id, &(*y)->job_id);
}

void settle_done(struct db_conn *c, struct job **jobs, size_t n, db_cb cb, void *arg)
{
    struct id *ids = mem_alloc(n * sizeof(*ids));
    int32_t *claims = mem_alloc(n * sizeof(*claims));
    qsort(jobs, n, sizeof(struct job *), by_id);
    for (size_t i = 0; i < n; i++) {
        ids[i] = jobs[i]->job_id;
        claims[i] = jobs[i]->claim_no;
    }
    store_settle_done(c, &jobs[0]->owner, ids, claims, n, cb, arg);
    mem_free(ids);
    mem_free(claims);
}

/* ---- the answer
 * ------------------------------------------------------------------------------------------------------------------
 * */

static void take_result(struct job *job, struct str result)
{
    job->settled = SETTLED_LOST;
    if (str_is(result, "hit"))
        job->settled = SETTLED_HIT;
    else if (str_is(result, "withdrawn"))
        job->settled = SETTLED_WITHDRAWN;
    else if (str_is(result, "busy"))
        job->settled = SETTLED_BUSY;
    else if (str_starts(result, "effect:"))
        job->settled = SETTLED_REFUSED;
    if (job->settled == SETTLED_REFUSED)
        job->settled_text = arena_strndup(&job->arena, result.p, result.n);
}

static void set_results(struct job *const *jobs, size_t n, enum job_settled unnamed, const struct db_result *rows)
{
    struct map batch = {0}; /* and not what the worker holds: after a fence that is the same job again, under its new id */
    for (size_t i = 0; i < n; i++)
        jobs[i]->settled = unnamed;
    for (size_t i = 0; i < n && db_rows(rows) > 0; i++)
        map_put(&batch, &jobs[i]->job_id, sizeof(jobs[i]->job_id), jobs[i]);
    for (int row = 0; row < db_rows(rows); row++) {
        struct id id = db_id(rows, row, 0);
        struct job *job = map_get(&batch, &id, sizeof(id));
        if (job)
            take_result(job, db_text(rows, row, 1));
    }
    map_free(&batch);
}

void settle_results(struct job *const *jobs, size_t n, const struct db_result *rows)
{
    set_results(jobs, n, SETTLED_LOST, rows);
}

void settle_done_results(struct job *const *jobs, size_t n, const struct db_result *rows)
{
    set_results(jobs, n, SETTLED_HIT, rows);
}

void settle_refused(struct job *job)
{
    const char *state = job->settled_text + sizeof("effect:") - 1;
    /* 22xxx, 23xxx: the value will be refused again; anything else may pass. */
    if (strncmp(state, "22", 2) == 0 || strncmp(state, "23", 2) == 0)
        exec_dead(job, "effect_refused", job->settled_text);
    else
        exec_retry(job, "effect_failed", job->settled_text, 0);
}

void settle_strip(struct job *job, const char *why)
{
    exec_dead(job, "unstorable", arena_strdup(&job->arena, why));
    json_decref(job->result.output);
    job->result.output = NULL;
    job_move(job, JOB_SETTLING); /* the lane still holds it and gives it back */
}

/* ---- the log
 * ----------------------------------------------------------------------------------------------------------------------
 * */

static void log_key(const struct job *job, struct store_log *out)
{
    char job_text[ID_TEXT_SIZE], claim[16];
    if (job->has_bare_key && job->result.settle != SETTLE_PARK && job->settled != SETTLED_LOST) {
        out->execution_id = job->bare_id;
        out->queued_at_us = job->bare_at_us;
        return;
    }
    snprintf(claim, sizeof(claim), "%d", job->claim_no);
    struct str parts[] = {str_of(id_format(&job->job_id, job_text)), str_of(claim)};
    key_derive(&out->execution_id, "attempt", parts, 2);
    out->queued_at_us = job->queued_at_us;
}

bool settle_log(const struct job *job, struct store_log *out)
{
    const struct job_result *r = &job->result;
    bool logged = job->settled == SETTLED_HIT || (job->settled == SETTLED_LOST && job->acted);
    /* Lost to the COMMIT that was not answered, as far as anybody can tell: its row stands under the entry's key. */
    if (job->settled == SETTLED_LOST && job->has_bare_key && job->maybe_settled)
        return false;
    if (!logged || r->settle == SETTLE_RELEASE || r->settle == SETTLE_SNOOZE)
        return false;
    *out = (struct store_log){
        .tenant_id = job->tenant,
        .job_id = job->job_id,
        .run_id = job->run,
        .rule_id = job->rule_id,
        .wedding_id = job->wedding,
        .worker_id = job->owner,
        .due_at_us = job->due_at_us,
        .started_at_us = job->started_us ? job->now_us : DB_NULL_TIME,
        .rule_revision = job->rule_revision,
        .duration_us = job->duration_us,
        .step = id_is_zero(&job->run) ? -1 : job->step_no,
        .attempt = job->attempt,
        .outcome = job->settled == SETTLED_LOST ? OUTCOME_LOST_LEASE : r->outcome,
        .kind = job->kind_name,
        .queue = job->queue,
        .reason = r->reason,
        .error = r->error,
    };
    log_key(job, out);
    return true;
}
