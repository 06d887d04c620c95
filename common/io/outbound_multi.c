/* outbound_multi: curl's multi_socket interface on the loop.
 *
 * curl names descriptors to watch (on_socket) and one timeout (on_timeout_wanted); both events go back through
 * curl_multi_socket_action, after which finished transfers are reported to their peers. Peers may add and remove handles, but
 * no user code runs here, so nothing re-enters curl from its own callbacks.
 *
 * A poll is its own heap object, since libuv needs it until its close callback has run, when curl has long closed the descriptor. */
#include <stdbool.h>

#include <curl/curl.h>
#include <uv.h>

#include "common/base/mem.h"
#include "common/io/outbound_impl.h"

struct outbound_multi {
    struct outbound *o;
    CURLM *curl;
    struct timer *timer;
};

struct outbound_poll {
    uv_poll_t uv;
    int events;
    struct outbound *o;
    void (*cb)(void *arg, bool readable, bool writable);
    void *arg;
};

/* One watched descriptor of curl. */
struct watch {
    struct outbound_multi *multi;
    struct outbound_poll *poll;
    curl_socket_t fd;
};

static void on_poll(uv_poll_t *uv, int status, int events)
{
    struct outbound_poll *p = uv->data;
    bool failed = status < 0; /* the next read or write says what it is */
    p->cb(p->arg, failed || (events & (UV_READABLE | UV_DISCONNECT)) != 0, failed || (events & UV_WRITABLE) != 0);
    /* After an error libuv watches no more; what was read may not have been the end yet. */
    if (failed && p->events != 0 && !uv_is_closing((uv_handle_t *)uv))
        (void)uv_poll_start(uv, p->events, on_poll);
}

static void on_poll_closed(uv_handle_t *h)
{
    struct outbound_poll *p = h->data;
    struct outbound *o = p->o;
    mem_free(p);
    outbound_poll_closed(o);
}

struct outbound_poll *outbound_poll_open(struct outbound *o, int fd,
                                         void (*cb)(void *arg, bool readable, bool writable), void *arg)
{
    struct outbound_poll *p = mem_zalloc(sizeof(*p));
    p->o = o;
    p->cb = cb;
    p->arg = arg;
    if (uv_poll_init_socket(loop_uv(o->loop), &p->uv, fd) != 0) {
        mem_free(p);
        return NULL;
    }
    p->uv.data = p;
    o->n_polls++;
    return p;
}

void outbound_poll_want(struct outbound_poll *p, bool readable, bool writable)
{
    p->events = (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0);
    if (p->events != 0)
        (void)uv_poll_start(&p->uv, p->events, on_poll); /* fails only on a closing handle */
    else
        (void)uv_poll_stop(&p->uv);
}

void outbound_poll_close(struct outbound_poll *p)
{
    if (p == NULL)
        return;
    (void)uv_poll_stop(&p->uv);
    uv_close((uv_handle_t *)&p->uv, on_poll_closed);
}

static void report_finished(struct outbound_multi *m)
{
    int left;
    for (CURLMsg *msg; (msg = curl_multi_info_read(m->curl, &left)) != NULL;) {
        struct outbound_peer *peer = NULL;
        if (msg->msg != CURLMSG_DONE)
            continue;
        CURLcode code = msg->data.result;
        (void)curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&peer);
        peer->done(peer, (int)code);
    }
}

static void act(struct outbound_multi *m, curl_socket_t fd, int events)
{
    int running;
    (void)curl_multi_socket_action(m->curl, fd, events, &running);
    report_finished(m);
}

static void on_timer(void *arg)
{
    act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static void on_watch(void *arg, bool readable, bool writable)
{
    struct watch *w = arg;
    act(w->multi, w->fd, (readable ? CURL_CSELECT_IN : 0) | (writable ? CURL_CSELECT_OUT : 0));
}

static int on_timeout_wanted(CURLM *curl, long ms, void *arg)
{
    struct outbound_multi *m = arg;
    (void)curl;
    if (ms < 0)
        timer_stop(m->timer);
    else
        timer_start(m->timer, ms, 0);
    return 0;
}

static struct watch *watch_new(struct outbound_multi *m, curl_socket_t fd)
{
    struct watch *w = mem_zalloc(sizeof(*w));
    w->multi = m;
    w->fd = fd;
    w->poll = outbound_poll_open(m->o, fd, on_watch, w);
    if (w->poll == NULL) {
        mem_free(w);
        return NULL;
    }
    (void)curl_multi_assign(m->curl, fd, w);
    return w;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *watch)
{
    struct outbound_multi *m = arg;
    struct watch *w = watch;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (w != NULL) {
            outbound_poll_close(w->poll);
            mem_free(w);
            (void)curl_multi_assign(m->curl, fd, NULL);
        }
        return 0;
    }
    if (w == NULL)
        w = watch_new(m, fd);
    if (w == NULL)
        return 0; /* the transfer stands still and ends at its deadline */
    outbound_poll_want(w->poll, (what & CURL_POLL_IN) != 0, (what & CURL_POLL_OUT) != 0);
    return 0;
}

struct outbound_multi *outbound_multi_open(struct outbound *o, int max_per_host, int max_total)
{
    struct outbound_multi *m = mem_zalloc(sizeof(*m));
    m->o = o;
    m->curl = curl_multi_init();
    if (m->curl == NULL) {
        mem_free(m);
        return NULL;
    }
    m->timer = timer_new(o->loop, on_timer, m);
    (void)curl_multi_setopt(m->curl, CURLMOPT_SOCKETFUNCTION, on_socket);
    (void)curl_multi_setopt(m->curl, CURLMOPT_SOCKETDATA, m);
    (void)curl_multi_setopt(m->curl, CURLMOPT_TIMERFUNCTION, on_timeout_wanted);
    (void)curl_multi_setopt(m->curl, CURLMOPT_TIMERDATA, m);
    (void)curl_multi_setopt(m->curl, CURLMOPT_MAX_HOST_CONNECTIONS, (long)max_per_host);
    (void)curl_multi_setopt(m->curl, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)max_total);
    (void)curl_multi_setopt(m->curl, CURLMOPT_MAXCONNECTS, (long)max_total);
    return m;
}

void outbound_multi_close(struct outbound_multi *m)
{
    if (m == NULL)
        return;
    (void)curl_multi_cleanup(m->curl); /* closes idle connections: on_socket may be called for them */
    timer_free(m->timer);
    mem_free(m);
}

bool outbound_multi_add(struct outbound_multi *m, void *easy)
{
    return curl_multi_add_handle(m->curl, easy) == CURLM_OK;
}

void outbound_multi_remove(struct outbound_multi *m, void *easy)
{
    if (easy == NULL)
        return;
    (void)curl_multi_remove_handle(m->curl, easy);
    curl_easy_cleanup(easy);
}
