/* free: handlers of free kinds: noop, http (forwards the payload to the kind's URL), drill (development: behaves as
 * the payload says). */
#include <stdio.h>
#include <stdlib.h>

#include "common/core/pack.h"
#include "common/io/loop.h"
#include "common/io/outbound.h"
#include "workers/action.h"
#include "workers/exec.h"
#include "workers/sign.h"
#include "workers/worker.h"

static void start_noop(struct job *job)
{
    exec_success(job, NULL, PROGRAM_END);
}

static void on_answer(void *arg, const struct outbound_result *result)
{
    struct job *job = arg;
    exec_outbound(job, result, PROGRAM_END);
}

static void start_http(struct job *job)
{
    char id[ID_TEXT_SIZE], key[ID_TEXT_SIZE], attempt[16];
    bool json = job->payload.n && job->payload.p[0] == '{';
    snprintf(attempt, sizeof(attempt), "%d", job->attempt);
    struct outbound_header headers[6 + SIGN_HEADERS] = {{"Content-Type",
                                                         json ? "application/json" : "application/msgpack"},
                                                        {"Usher-Job-Id", id_format(&job->job_id, id)},
                                                        {"Usher-Kind", job->kind_name},
                                                        {"Usher-Attempt", attempt},
                                                        {"Idempotency-Key", id_format(&job->effect_key, key)}};
    size_t n = 5;
    if (job->traceparent)
        headers[n++] = (struct outbound_header){"traceparent", job->traceparent};
    n += sign_headers(job, job->payload, headers + n);
    struct outbound_request request = {.method = "POST",
                                       .url = job->kind->url,
                                       .headers = headers,
                                       .n_headers = n,
                                       .body = job->payload,
                                       .deadline_ms = job->timeout_ms};
    job->acted = true;
    job->handle = outbound_send_http(job->worker->outbound, &request, on_answer, job);
}

/* ---- drill: {"take_ms": 50, "fail": 2, "dead": true, "abort": true}
 * ----------------------------------------------------------- */

static void drill_over(struct job *job)
{
    json_t *say = pack_to_json(job->payload, NULL);
    json_int_t fail = json_integer_value(json_object_get(say, "fail"));
    bool dead = json_is_true(json_object_get(say, "dead"));
    json_decref(say);
    if (job->attempt <= fail)
        exec_retry(job, "drill", "failed as it was told to", 0);
    else if (dead)
        exec_dead(job, "drill", "refused as it was told to");
    else
        exec_success(job, NULL, PROGRAM_END);
}

struct drill {
    struct job *job;
    struct timer *timer;
};

static void on_drill(void *arg)
{
    struct drill *drill = arg;
    struct job *job = drill->job;
    timer_free(drill->timer);
    mem_free(drill);
    drill_over(job);
}

static void start_drill(struct job *job)
{
    if (job->worker->settings->common.environment != SETTINGS_DEVELOPMENT) {
        exec_dead(job, "development_only", "kind drill runs in development only");
        return;
    }
    json_t *say = pack_to_json(job->payload, NULL);
    json_int_t take_ms = json_integer_value(json_object_get(say, "take_ms"));
    bool die = json_is_true(json_object_get(say, "abort"));
    json_decref(say);
    if (die)
        abort();
    if (take_ms <= 0) {
        drill_over(job);
        return;
    }
    struct drill *drill = mem_zalloc(sizeof(*drill));
    drill->job = job;
    drill->timer = timer_new(job->worker->loop, on_drill, drill);
    timer_start(drill->timer, take_ms, 0);
    /* It can not be cancelled: the job's own limit would free it under the timer. */
    job->timeout_ms = 0;
}

const struct action action_noop = {"noop", start_noop};
const struct action action_http = {"http", start_http};
const struct action action_drill = {"drill", start_drill};
