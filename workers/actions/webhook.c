/* webhook: call_webhook: a POST signed after Standard Webhooks to a URL that a tenant wrote: untrusted, so the egress
 * deny-list applies. */
#include <stdlib.h>

#include "common/core/template_tree.h"
#include "common/io/outbound.h"
#include "workers/action.h"
#include "workers/approval.h"
#include "workers/exec.h"
#include "workers/sign.h"
#include "workers/worker.h"

static void on_answer(void *arg, const struct outbound_result *result)
{
    struct job *job = arg;
    exec_outbound(job, result, job->step->next);
}

/* {"type", "timestamp", "data"}: the payload that Standard Webhooks recommends. */
static const char *body_of(struct job *job)
{
    struct err_info info;
    char at[STR_TIME_SIZE];
    json_t *payload = json_object_get(job->step->params, "payload");
    json_t *data = NULL;
    const char *event = json_string_value(json_object_get(job->step->params, "event"));
    if (payload && template_tree_render(payload, job->context, &data, &info) != ERR_OK) {
        exec_dead(job, "template", info.text);
        return NULL;
    }
    if (!data)
        data = json_pack("{s:O?}", "wedding", json_object_get(job->context, "wedding"));
    str_from_time(at, job->now_us);
    json_t *body = json_pack("{s:s,s:s,s:o}", "type", event ? event : "rule.action", "timestamp", at, "data", data);
    char *text = json_dumps(body, JSON_COMPACT | JSON_SORT_KEYS);
    const char *kept = arena_strdup(&job->arena, text ? text : "{}");
    free(text);
    json_decref(body);
    return kept;
}

static void start_webhook(struct job *job)
{
    struct outbound_header headers[1 + SIGN_HEADERS] = {{"Content-Type", "application/json"}};
    const char *url = action_render(job, json_string_value(json_object_get(job->step->params, "url")), false);
    const char *body = url ? body_of(job) : NULL;
    if (!body)
        return;
    if (approval_wanted(job)) {
        approval_request(job, json_pack("{s:s,s:s}", "url", url, "body", body));
        return;
    }
    struct outbound_request request = {.method = "POST",
                                       .url = url,
                                       .headers = headers,
                                       .n_headers = 1 + sign_headers(job, str_of(body), headers + 1),
                                       .body = str_of(body),
                                       .deadline_ms = job->timeout_ms,
                                       .untrusted = true};
    job->acted = true;
    job->handle = outbound_send_http(job->worker->outbound, &request, on_answer, job);
}

const struct action action_call_webhook = {"call_webhook", start_webhook};
