/* webhook: call_webhook: a POST signed after Standard Webhooks to a URL that a tenant wrote: untrusted, so the egress deny-list applies.
 * webhook-id is the job's effect key: receivers drop repeats by it. */
#include <stdio.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/core/template_tree.h"
#include "common/core/webhook.h"
#include "common/io/outbound.h"
#include "workers/action.h"
#include "workers/exec.h"
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
    if (!data) data = json_pack("{s:O?}", "wedding", json_object_get(job->context, "wedding"));
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
    struct worker *w = job->worker;
    char id[ID_TEXT_SIZE], stamp[24];
    struct buf signature = {0};
    struct outbound_header headers[4] = {{"Content-Type", "application/json"}, {"webhook-id", id}, {"webhook-timestamp", stamp}};
    size_t n = 3;
    const char *url = action_render(job, json_string_value(json_object_get(job->step->params, "url")), false);
    const char *body = url ? body_of(job) : NULL;
    if (!body) return;
    const char *secret = w->settings->webhook_secret;
    int64_t now_s = clock_wall_us() / 1000000;
    id_format(&job->effect_key, id);
    snprintf(stamp, sizeof(stamp), "%lld", (long long)now_s);
    if (secret && webhook_sign(&signature, &secret, 1, id, now_s, str_of(body)) == ERR_OK)
        headers[n++] = (struct outbound_header){"webhook-signature", buf_text(&signature)};
    struct outbound_request request = {.method = "POST", .url = url, .headers = headers, .n_headers = n, .body = str_of(body), .deadline_ms = job->timeout_ms, .untrusted = true};
    job->acted = true;
    job->handle = outbound_send_http(w->outbound, &request, on_answer, job);
    buf_free(&signature);
}

const struct action action_call_webhook = {"call_webhook", start_webhook};
