/* exec: see exec.h. */
#include "workers/exec.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/core/context.h"
#include "common/core/each.h"
#include "common/core/message.h"
#include "common/core/retry.h"
#include "common/core/vocab.h"
#include "common/io/db.h"
#include "common/io/loop.h"
#include "common/io/outbound.h"
#include "common/io/store_jobs.h"
#include "workers/action.h"
#include "workers/approval.h"
#include "workers/worker.h"

#define LOOKS_MAX 32        /* a connection takes 64 statements at most, and claims and beats need room */
#define SECOND_LOOK_MS 2000 /* design, invariant 5 */
/* A kind that was registered just now, or that a newer release knows: rolling deploys take minutes. 5 s, doubling up to 10 min: the 150th
 * snooze comes after a day. */
#define UNKNOWN_FIRST_MS 5000
#define UNKNOWN_MOST_MS 600000
#define UNKNOWN_SNOOZES 150

void exec_context(struct job *job, struct str facts, const json_t *run)
{
    char id[ID_TEXT_SIZE];
    job->context = context_new(facts);
    const json_t *event = json_object_get(run, "event");
    if (event)
        context_set_event(job->context, event, (struct str){0}, (struct str){0});
    json_t *steps = json_object_get(run, "steps");
    json_object_set_new(job->context, "steps", steps ? json_incref(steps) : json_object());
    if (job->step) {
        const struct program *p = &job->rule->rule->program;
        job->iteration = each_iteration(p, job->step, job->context, &job->run, job->generation, &job->effect_key);
        each_set_item(p, job->step, job->iteration, job->context);
    }
    message_keep(job->context, json_object_get(run, MESSAGE_TEMPLATES));
    const char *name = job->rule ? job->rule->rule->name : "";
    json_object_set_new(job->context, "rule", json_pack("{s:s,s:s}", "id", id_format(&job->rule_id, id), "name", name));
    json_object_set_new(job->context, "run", json_pack("{s:s}", "id", id_format(&job->run, id)));
}

/* ---- endings
 * -------------------------------------------------------------------------------------------------------------- */

static void finish(struct job *job, struct job_result result)
{
    struct worker *w = job->worker;
    if (job->started_us) {
        job->duration_us = clock_mono_us() - job->started_us;
        if (job->crashes < JOB_SUSPECT_CRASHES)
            w->mean_ms = 0.9 * w->mean_ms + 0.1 * (double)job->duration_us / 1000.0;
    }
    job->handle = NULL;
    timer_free(job->timer);
    job->timer = NULL;
    if (job->result.effect != result.effect)
        json_decref(job->result.effect);
    if (job->result.output != result.output)
        json_decref(job->result.output);
    job->result = result;
    if (job->crashes >= JOB_SUSPECT_CRASHES)
        w->alone = false;
    job_move(job, JOB_EXECUTED);
    worker_kick(w);
}

static const char *copy(struct job *job, const char *text)
{
    return text ? arena_strdup(&job->arena, text) : NULL;
}

/* The run goes on with `next`, or is over. */
static void follow(struct job *job, struct job_result *result, int next)
{
    result->next = next;
    if (job->step && next == PROGRAM_END)
        result->run_state = "succeeded";
}

void exec_success(struct job *job, json_t *output, int next)
{
    struct job_result result = {.settle = SETTLE_FINAL,
                                .outcome = OUTCOME_DONE,
                                .output = output,
                                .effect = job->result.effect,
                                .next = PROGRAM_END};
    follow(job, &result, next);
    if (job->step && job->step->type == ACTION_STOP) {
        const char *reason = json_string_value(json_object_get(job->step->params, "reason"));
        result.run_reason = reason ? reason : "stopped";
    }
    finish(job, result);
}

void exec_dead(struct job *job, const char *reason, const char *error)
{
    struct job_result result = {.settle = SETTLE_FINAL,
                                .outcome = OUTCOME_DEAD,
                                .reason = copy(job, reason),
                                .error = copy(job, error),
                                .next = PROGRAM_END};
    if (job->step) {
        result.failed_step = true;
        result.output = json_pack("{s:b,s:s}", "failed", 1, "reason", reason);
        if (job->rule->rule->settings.on_action_error == ON_ERROR_CONTINUE) {
            follow(job, &result, job->step->next);
        } else {
            result.run_state = "failed";
            result.run_reason = "step_failed";
        }
    } else if (!id_is_zero(&job->run)) {
        result.run_state = "failed";
        result.run_reason = result.reason;
    }
    log_warn("job.dead", L_ID("job", &job->job_id), L_STR("kind", job->kind_name), L_STR("reason", reason),
             L_STR("error", error), L_INT("attempt", job->attempt));
    finish(job, result);
}

void exec_retry(struct job *job, const char *reason, const char *error, int64_t lower_bound_ms)
{
    static const struct retry_policy plain = {5000, 300, 3600000};
    if (job->attempt >= job->max_attempts) {
        exec_dead(job, "exhausted", error ? error : reason);
        return;
    }
    int64_t delay = retry_delay_ms(job->kind ? &job->kind->retry : &plain, &job->job_id, job->attempt);
    struct job_result result = {.settle = SETTLE_RETRY,
                                .outcome = OUTCOME_FAILED,
                                .delay_ms = retry_after_ms(delay, lower_bound_ms),
                                .reason = copy(job, reason),
                                .error = copy(job, error),
                                .next = PROGRAM_END};
    log_info("job.retry", L_ID("job", &job->job_id), L_STR("kind", job->kind_name), L_STR("reason", reason),
             L_INT("attempt", job->attempt), L_MS("delay", result.delay_ms));
    finish(job, result);
}

void exec_end(struct job *job, enum outcome outcome, const char *reason)
{
    struct job_result result = {
        .settle = SETTLE_FINAL, .outcome = outcome, .reason = copy(job, reason), .next = PROGRAM_END};
    if (!id_is_zero(&job->run)) {
        result.run_state = outcome_word(outcome);
        result.run_reason = result.reason;
    }
    finish(job, result);
}

void exec_skip(struct job *job, const char *reason)
{
    struct job_result result = {
        .settle = SETTLE_FINAL, .outcome = OUTCOME_SKIPPED, .reason = copy(job, reason), .next = PROGRAM_END};
    result.output = json_pack("{s:b,s:s}", "skipped", 1, "reason", reason);
    follow(job, &result, job->step->next);
    finish(job, result);
}

void exec_snooze(struct job *job, int64_t delay_ms, const char *reason)
{
    finish(job, (struct job_result){.settle = SETTLE_SNOOZE,
                                    .outcome = OUTCOME_SNOOZED,
                                    .delay_ms = delay_ms,
                                    .reason = copy(job, reason),
                                    .next = PROGRAM_END});
}

void exec_park(struct job *job, const char *reason, const char *error)
{
    finish(job, (struct job_result){.settle = SETTLE_PARK,
                                    .outcome = OUTCOME_PARKED,
                                    .effect = job->result.effect,
                                    .reason = copy(job, reason),
                                    .error = copy(job, error),
                                    .next = PROGRAM_END});
}

void exec_release(struct job *job)
{
    finish(job, (struct job_result){.settle = SETTLE_RELEASE, .outcome = OUTCOME_SNOOZED, .next = PROGRAM_END});
}

void exec_outbound(struct job *job, const struct outbound_result *r, int next)
{
    job->handle = NULL;
    switch (r->verdict) {
    case OUTBOUND_ACCEPTED: exec_success(job, json_pack("{s:i}", "code", r->code), next); return;
    case OUTBOUND_REFUSED: exec_dead(job, r->blocked ? "blocked" : "permanent", r->error); return;
    case OUTBOUND_TRY_LATER: exec_retry(job, "try_later", r->error, r->retry_after_ms); return;
    case OUTBOUND_UNKNOWN:
        if (job->kind && job->kind->ask_unknown)
            exec_park(job, "unknown_outcome", r->error);
        else
            exec_retry(job, "unknown", r->error, 0);
        return;
    }
}

/* ---- start
 * ----------------------------------------------------------------------------------------------------------------------
 * */

static void on_timeout(void *arg)
{
    struct job *job = arg;
    struct worker *w = job->worker;
    if (job->handle)
        outbound_cancel(w->outbound, job->handle); /* its callback tells what that means */
    else
        exec_retry(job, "timeout", "the job's time limit passed", 0);
}

/* due_at moves with every snooze: their number tells how long this has gone on. */
static bool unknown_for_long(const struct job *job)
{
    return job->snoozes >= UNKNOWN_SNOOZES;
}

static int64_t unknown_snooze_ms(const struct job *job)
{
    int64_t ms = UNKNOWN_FIRST_MS;
    for (int i = 0; i < job->snoozes && ms < UNKNOWN_MOST_MS; i++)
        ms *= 2;
    return ms < UNKNOWN_MOST_MS ? ms : UNKNOWN_MOST_MS;
}

static void unknown_action(struct job *job)
{
    if (unknown_for_long(job))
        exec_dead(job, "unknown_action", "no worker had this kind's handler for a day");
    else
        exec_snooze(job, unknown_snooze_ms(job), "unknown_action");
}

static void unknown_kind(struct job *job)
{
    if (unknown_for_long(job))
        exec_dead(job, "unknown_kind", "no worker knew this kind for a day");
    else
        exec_snooze(job, unknown_snooze_ms(job), "unknown_kind");
}

static void act(struct job *job)
{
    const struct action *action = job->kind->action;
    if (!action) {
        unknown_action(job);
        return;
    }
    if (approval_refused(job))
        return;
    action->start(job);
    if (job->state != JOB_RUNNING || job->timeout_ms == 0)
        return; /* over already: most free jobs never need a timer */
    job->timer = timer_new(job->worker->loop, on_timeout, job);
    timer_start(job->timer, job->timeout_ms, 0);
}

/* "outcome:reason" of the claim or of the second look. */
static void end_by(struct job *job, const char *verdict)
{
    const char *colon = strchr(verdict, ':');
    const char *reason = colon ? colon + 1 : verdict;
    if (strncmp(verdict, "closed:", 7) == 0)
        exec_snooze(job, strtoll(reason, NULL, 10), "outside_window");
    else if (strncmp(verdict, "superseded", 10) == 0)
        exec_end(job, OUTCOME_SUPERSEDED, reason);
    else if (strncmp(verdict, "skipped", 7) == 0)
        exec_end(job, OUTCOME_SKIPPED, reason);
    else
        exec_end(job, OUTCOME_CANCELLED, reason);
}

static void on_recheck(void *arg, enum err err, const struct db_result *res, const struct err_info *info)
{
    struct job *job = arg;
    job->worker->looks--;
    if (err != ERR_OK || db_rows(res) != 1) {
        log_info("job.recheck", L_ID("job", &job->job_id), L_ERR(err), L_STR("detail", info ? info->text : NULL));
        exec_release(job); /* nothing was done: another claim looks again */
        return;
    }
    struct str verdict = db_text(res, 0, 1);
    if (str_is(verdict, "lost_lease"))
        exec_release(job); /* settling hits no row and drops it */
    else if (!str_is(verdict, "run"))
        end_by(job, arena_strndup(&job->arena, verdict.p, verdict.n));
    else
        act(job);
}

static bool exit_wanted(struct job *job)
{
    struct logic_change changes[CONTEXT_CHANGES_MAX];
    struct logic_env env;
    if (!job->step || !job->rule->rule->settings.exit_when)
        return false;
    context_env(job->context, job->now_us, changes, &env);
    logic_facts_set(job->rule->facts, job->context, &env);
    bool wanted = logic_eval(job->rule->rule->settings.exit_when, job->rule->facts, NULL) == LOGIC_TRUE;
    logic_facts_set(job->rule->facts, NULL, NULL);
    return wanted;
}

static bool needs_look(const struct job *job)
{
    if (job->bare || !job->kind)
        return false;
    return job->kind->ask_unknown || clock_mono_ms() - job->claimed_ms > SECOND_LOOK_MS;
}

bool exec_may_start(const struct job *job)
{
    return job->worker->looks < LOOKS_MAX || !needs_look(job);
}

void exec_start(struct job *job)
{
    struct worker *w = job->worker;
    job_move(job, JOB_RUNNING);
    if (job->crashes >= JOB_SUSPECT_CRASHES)
        w->alone = true;
    if (strcmp(job->verdict, "run") != 0) {
        end_by(job, job->verdict);
    } else if (!job->kind) {
        unknown_kind(job);
    } else if (!id_is_zero(&job->run) && !job->step) {
        exec_dead(job, "rule_version", "the rule's version can not be read any more");
    } else if (exit_wanted(job)) {
        exec_end(job, OUTCOME_CANCELLED, "exit_when");
    } else {
        job->started_us = clock_mono_us();
        if (needs_look(job)) {
            int32_t claim = job->claim_no;
            w->looks++;
            store_recheck(w->control, &job->owner, &job->job_id, &claim, 1, job->kind->ask_unknown, on_recheck, job);
        } else {
            act(job);
        }
    }
}

void exec_cancel(struct job *job)
{
    if (job->handle)
        outbound_cancel(job->worker->outbound, job->handle);
}
