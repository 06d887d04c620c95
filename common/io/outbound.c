/* outbound: lifecycle.
 *
 *   outbound_send_* → running ─ final answer, failure, deadline or cancel → done ─ next turn → callback → freed
 *
 * A call is on exactly one of the lists `running` and `done`; outbound_call_finish is the only way from one to the other, and
 * on_deliver the only place that calls back, so a callback runs once and never inside the call that caused it.
 *
 * Failure modes. A deadline that passes while this loop was busy must not turn an answer that has arrived into an unknown one:
 * the first firing only marks the call, and the next turn reads before it gives up. Inputs that are refused, too many
 * calls and calls on a closing outbound also end through `done`. outbound_close ends what runs as outbound_cancel does, delivers it, then
 * takes down sessions and multis, and calls `closed` when libuv has let go of the last descriptor. */
#include "common/io/outbound.h"

#include <string.h>

#include <curl/curl.h>

#include "common/base/mem.h"
#include "common/io/loop.h"
#include "common/io/outbound_impl.h"

enum {
    MAX_CALLS = 16384, /* several times what a process may execute at once: more is a caller that has run away */
    DEFAULT_PER_HOST = 8,
    DEFAULT_TOTAL = 256,
    LIMIT_CONNECTIONS = 4096,
    DEFAULT_DEADLINE_MS = 30000,
    LONGEST_DEADLINE_MS = 3600000,
    AGAIN_MS = 1 /* a callback that answers every refusal with a new call must not keep the loop from its other work */
};

static void destroy(struct outbound *o)
{
    timer_free(o->deliver);
    for (size_t i = 0; i < OUTBOUND_MULTIS; i++)
        outbound_multi_close(o->multi[i]);
    outbound_smtp_free(o);
    mem_free(o);
}

/* The one gate to the end: nothing left to deliver, then nothing left to close. */
static void maybe_destroy(struct outbound *o)
{
    if (!o->closing || o->n_calls > 0 || o->delivering)
        return;
    if (!o->torn_down) {
        o->torn_down = true;
        outbound_smtp_close(o);
        for (size_t i = 0; i < OUTBOUND_MULTIS; i++) {
            outbound_multi_close(o->multi[i]);
            o->multi[i] = NULL;
        }
    }
    if (o->n_polls > 0)
        return;
    void (*closed)(void *) = o->closed;
    void *arg = o->closed_arg;
    destroy(o);
    if (closed != NULL)
        closed(arg);
}

void outbound_poll_closed(struct outbound *o)
{
    o->n_polls--;
    maybe_destroy(o);
}

static void call_free(struct outbound_call *call)
{
    timer_free(call->deadline);
    outbound_http_free(&call->http);
    buf_free(&call->letter.content);
    mem_free(call);
}

static void deliver_one(struct outbound_call *call)
{
    call->result.took_ms = loop_now_ms(call->o->loop) - call->started_ms;
    call->result.body = (struct str){buf_text(&call->http.body), call->http.body.len};
    call->o->n_calls--;
    call->cb(call->arg, &call->result);
    call_free(call);
}

static void on_deliver(void *arg)
{
    struct outbound *o = arg;
    struct list batch;
    list_init(&batch);
    for (struct list *it; (it = list_take(&o->done)) != NULL;)
        list_append(&batch, it);
    o->delivering = true;
    for (struct list *it; (it = list_take(&batch)) != NULL;)
        deliver_one(LIST_OWNER(it, struct outbound_call, node));
    o->delivering = false;
    if (!list_empty(&o->done))
        timer_start(o->deliver, AGAIN_MS, 0);
    else if (o->closing)
        maybe_destroy(o);
}

static void abort_call(struct outbound_call *call, const char *why)
{
    if (call->is_mail)
        outbound_smtp_abort(call, why);
    else
        outbound_http_abort(call, why);
}

static void on_deadline(void *arg)
{
    struct outbound_call *call = arg;
    if (call->overdue) {
        abort_call(call, "no final answer before the deadline");
        return;
    }
    call->overdue = true;
    timer_start(call->deadline, AGAIN_MS, 0);
}

const char *outbound_call_barred(const struct outbound *o)
{
    if (o->closing)
        return "closing";
    return o->n_calls > MAX_CALLS ? "too many calls at once" : NULL;
}

struct outbound_call *outbound_call_new(struct outbound *o, outbound_cb cb, void *arg, int64_t deadline_ms)
{
    struct outbound_call *call = mem_zalloc(sizeof(*call));
    call->o = o;
    call->cb = cb;
    call->arg = arg;
    list_init(&call->letter.wait);
    call->started_ms = loop_now_ms(o->loop);
    call->deadline = timer_new(o->loop, on_deadline, call);
    if (deadline_ms <= 0)
        deadline_ms = DEFAULT_DEADLINE_MS;
    timer_start(call->deadline, deadline_ms < LONGEST_DEADLINE_MS ? deadline_ms : LONGEST_DEADLINE_MS, 0);
    list_append(&o->running, &call->node);
    o->n_calls++;
    return call;
}

/* Answers and curl's texts come from outside: one line of printable ASCII for logs. */
static void copy_error(char *dst, size_t size, const char *src)
{
    (void)str_copy(dst, size, src);
    for (char *p = dst; *p != '\0'; p++) {
        if (*p < ' ' || *p > '~')
            *p = ' ';
    }
    for (size_t n = strlen(dst); n > 0 && dst[n - 1] == ' '; n--)
        dst[n - 1] = '\0';
}

void outbound_call_finish(struct outbound_call *call, enum outbound_verdict verdict, int code, const char *error)
{
    struct outbound *o = call->o;
    call->done = true;
    call->result.verdict = verdict;
    call->result.code = code;
    copy_error(call->result.error, sizeof(call->result.error), error);
    timer_stop(call->deadline);
    list_remove(&call->node);
    list_append(&o->done, &call->node);
    if (!o->delivering && !timer_active(o->deliver))
        timer_start(o->deliver, 0, 0);
}

void outbound_cancel(struct outbound *o, void *handle)
{
    struct outbound_call *call = handle;
    (void)o;
    if (call != NULL && !call->done)
        abort_call(call, "canceled");
}

size_t outbound_running(const struct outbound *o)
{
    return o->n_calls;
}

void outbound_close(struct outbound *o, void (*closed)(void *arg), void *arg)
{
    if (o->closing)
        return;
    o->closing = true;
    o->closed = closed;
    o->closed_arg = arg;
    for (struct list *it; (it = list_first(&o->running)) != NULL;)
        abort_call(LIST_OWNER(it, struct outbound_call, node), "canceled: closing");
    if (!o->delivering)
        timer_start(o->deliver, 0, 0);
}

/* Once per process and never undone: curl's threads that still look up a name outlive every handle. */
static bool init_curl(void)
{
    static bool done;
    if (!done)
        done = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    return done;
}

static int limit_of(int configured, int otherwise)
{
    if (configured <= 0)
        return otherwise;
    return configured < LIMIT_CONNECTIONS ? configured : LIMIT_CONNECTIONS;
}

struct outbound *outbound_open(struct loop *loop, const struct outbound_config *config, struct err_info *info)
{
    struct outbound *o = mem_zalloc(sizeof(*o));
    int per_host = limit_of(config->max_per_host, DEFAULT_PER_HOST);
    int total = limit_of(config->max_total, DEFAULT_TOTAL);
    bool ready = false;
    o->loop = loop;
    list_init(&o->running);
    list_init(&o->done);
    o->egress_http = config->egress_http;
    o->smtp.max_sessions = (size_t)(per_host < total ? per_host : total);
    if (outbound_egress_parse(&o->egress, config->egress_allow, info) != ERR_OK)
        goto out;
    if (!init_curl()) {
        (void)err_set(info, ERR_IO, "libcurl can not be initialised");
        goto out;
    }
    if (outbound_smtp_open(o, config, info) != ERR_OK)
        goto out;
    ready = true;
    for (size_t i = 0; i < OUTBOUND_MULTIS && ready; i++) {
        o->multi[i] = outbound_multi_open(o, per_host, total);
        ready = o->multi[i] != NULL;
    }
    if (!ready)
        (void)err_set(info, ERR_NOMEM, "libcurl: no multi handle");
out:
    o->deliver = ready ? timer_new(loop, on_deliver, o) : NULL;
    if (!ready) {
        destroy(o);
        o = NULL;
    }
    return o;
}
