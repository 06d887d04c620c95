/* One libuv loop. Signals and posts hang on unreferenced handles, so they never keep loop_run from ending;
 * timers do.
 *
 * Posts from other threads wait in a list under a mutex; an async handle wakes the loop, which takes the
 * whole list and runs it. A post made while the list runs waits for the next turn, so that a callback that
 * posts itself can not starve the rest. Posts that were never run are dropped by loop_free.
 *
 * Making the loop's own handles fails only when the process is out of file descriptors at its start, or by
 * our mistake: both abort. */
#include "common/io/loop.h"

#include <assert.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <uv.h>

#include "common/base/list.h"
#include "common/base/mem.h"

struct loop {
    uv_loop_t uv;
    uv_async_t wake;
    uv_mutex_t mutex; /* guards posts */
    struct list posts;
    struct list signals;
    struct list timers;
    bool stopped;
};

struct post {
    struct list node;
    void (*cb)(void *arg);
    void *arg;
};

struct signal_watch {
    struct list node;
    uv_signal_t uv;
    void (*cb)(void *arg, int signo);
    void *arg;
};

struct timer {
    struct list node;
    uv_timer_t uv;
    void (*cb)(void *arg);
    void *arg;
};

static void must(int rc, const char *what)
{
    if (rc == 0)
        return;
    fprintf(stderr, "loop: %s: %s\n", what, uv_strerror(rc));
    abort();
}

/* Returns true when there was something to run. */
static bool run_posts(struct loop *loop)
{
    struct list batch;
    bool any = false;

    list_init(&batch);
    uv_mutex_lock(&loop->mutex);
    for (struct list *it; (it = list_take(&loop->posts)) != NULL;)
        list_append(&batch, it);
    uv_mutex_unlock(&loop->mutex);

    for (struct list *it; (it = list_take(&batch)) != NULL;) {
        struct post *p = LIST_OWNER(it, struct post, node);
        p->cb(p->arg);
        mem_free(p);
        any = true;
    }
    return any;
}

static void on_wake(uv_async_t *uv)
{
    run_posts(uv->data);
}

/* Writing to a connection that the peer has closed must be an error return, not the end of the process. */
static void ignore_sigpipe(void)
{
    struct sigaction now;

    if (sigaction(SIGPIPE, NULL, &now) == 0 && now.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
}

struct loop *loop_new(void)
{
    struct loop *loop = mem_zalloc(sizeof(*loop));

    ignore_sigpipe();
    list_init(&loop->posts);
    list_init(&loop->signals);
    list_init(&loop->timers);
    must(uv_loop_init(&loop->uv), "uv_loop_init");
    must(uv_mutex_init(&loop->mutex), "uv_mutex_init");
    must(uv_async_init(&loop->uv, &loop->wake, on_wake), "uv_async_init");
    loop->wake.data = loop;
    uv_unref((uv_handle_t *)&loop->wake);
    return loop;
}

void loop_run(struct loop *loop)
{
    loop->stopped = false;
    /* uv_run does not look at unreferenced handles when nothing else is alive, hence the posts are run here
     * as well. */
    do {
        run_posts(loop);
        if (!loop->stopped)
            uv_run(&loop->uv, UV_RUN_DEFAULT);
    } while (!loop->stopped && run_posts(loop));
}

void loop_stop(struct loop *loop)
{
    loop->stopped = true;
    uv_stop(&loop->uv);
}

bool loop_turn(struct loop *loop)
{
    run_posts(loop);
    return uv_run(&loop->uv, UV_RUN_NOWAIT) != 0;
}

int64_t loop_now_ms(const struct loop *loop)
{
    return (int64_t)uv_now(&loop->uv);
}

void *loop_uv(struct loop *loop)
{
    return &loop->uv;
}

static void on_signal(uv_signal_t *uv, int signo)
{
    struct signal_watch *w = uv->data;

    w->cb(w->arg, signo);
}

void loop_on_signal(struct loop *loop, int signo, void (*cb)(void *arg, int signo), void *arg)
{
    struct signal_watch *w = mem_zalloc(sizeof(*w));

    w->cb = cb;
    w->arg = arg;
    must(uv_signal_init(&loop->uv, &w->uv), "uv_signal_init");
    w->uv.data = w;
    must(uv_signal_start(&w->uv, on_signal, signo), "uv_signal_start");
    uv_unref((uv_handle_t *)&w->uv);
    list_append(&loop->signals, &w->node);
}

void loop_post(struct loop *loop, void (*cb)(void *arg), void *arg)
{
    struct post *p = mem_alloc(sizeof(*p));

    p->cb = cb;
    p->arg = arg;
    uv_mutex_lock(&loop->mutex);
    list_append(&loop->posts, &p->node);
    uv_mutex_unlock(&loop->mutex);
    must(uv_async_send(&loop->wake), "uv_async_send");
}

static void on_signal_closed(uv_handle_t *h)
{
    mem_free(h->data);
}

/* Timers that are being closed have left loop->timers, so what is found there was forgotten by its owner. */
static int close_own_handles(struct loop *loop)
{
    int forgotten = 0;

    for (struct list *it; (it = list_first(&loop->timers)) != NULL; forgotten++)
        timer_free(LIST_OWNER(it, struct timer, node));
    for (struct list *it; (it = list_take(&loop->signals)) != NULL;)
        uv_close((uv_handle_t *)&LIST_OWNER(it, struct signal_watch, node)->uv, on_signal_closed);
    if (!uv_is_closing((uv_handle_t *)&loop->wake))
        uv_close((uv_handle_t *)&loop->wake, NULL);
    return forgotten;
}

static void close_stray(uv_handle_t *h, void *arg)
{
    int *forgotten = arg;

    if (uv_is_closing(h))
        return;
    uv_close(h, NULL);
    (*forgotten)++;
}

int loop_free(struct loop *loop)
{
    int forgotten = 0;

    /* Close callbacks may open handles again, hence the repetition. */
    do {
        forgotten += close_own_handles(loop);
        uv_walk(&loop->uv, close_stray, &forgotten);
        uv_run(&loop->uv, UV_RUN_DEFAULT);
    } while (uv_loop_close(&loop->uv) == UV_EBUSY);

    for (struct list *it; (it = list_take(&loop->posts)) != NULL;)
        mem_free(LIST_OWNER(it, struct post, node));
    uv_mutex_destroy(&loop->mutex);
    mem_free(loop);
    return forgotten;
}

/* ---- timers ------------------------------------------------------------------------------------------ */

static void on_timer(uv_timer_t *uv)
{
    struct timer *t = uv->data;

    t->cb(t->arg);
}

static void on_timer_closed(uv_handle_t *h)
{
    mem_free(h->data);
}

struct timer *timer_new(struct loop *loop, void (*cb)(void *arg), void *arg)
{
    struct timer *t = mem_zalloc(sizeof(*t));

    t->cb = cb;
    t->arg = arg;
    must(uv_timer_init(&loop->uv, &t->uv), "uv_timer_init");
    t->uv.data = t;
    list_append(&loop->timers, &t->node);
    return t;
}

void timer_start(struct timer *t, int64_t after_ms, int64_t repeat_ms)
{
    assert(repeat_ms >= 0);
    must(uv_timer_start(&t->uv, on_timer, after_ms > 0 ? (uint64_t)after_ms : 0, (uint64_t)repeat_ms),
         "uv_timer_start");
}

void timer_stop(struct timer *t)
{
    must(uv_timer_stop(&t->uv), "uv_timer_stop");
}

bool timer_active(const struct timer *t)
{
    return uv_is_active((const uv_handle_t *)&t->uv) != 0;
}

void timer_free(struct timer *t)
{
    if (t == NULL)
        return;
    list_remove(&t->node);
    uv_close((uv_handle_t *)&t->uv, on_timer_closed);
}
