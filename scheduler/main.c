/* usher-scheduler: the leader's duties on threads of their own (elect.c, lead.c); this thread runs the loop: signals now, HTTP later.
 *
 * SIGTERM, SIGINT: the duties end after their transaction, the lock is released, exit 0. A second signal, or the drain time-out, ends
 * the process at once (by SIGTERM, SIGALRM): what it had begun is rolled back. Status 78: bad settings, a database behind
 * a transaction pooler, or a stepped clock in production. */
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/io/die.h"
#include "common/io/loop.h"
#include "common/io/settings.h"
#include "scheduler/elect.h"
#include "scheduler/listen.h"
#include "scheduler/refresh.h"
#include "scheduler/wake.h"

#define IDLE_MS 60000

struct scheduler {
    struct scheduler_settings settings;
    struct loop *loop;
    struct wake work;
    struct elect elect;
    struct listen listen;
    struct refresh refresh;
    struct timer *idle;
    int signals;
};

static void stop_loop(void *arg)
{
    struct scheduler *s = arg;

    loop_stop(s->loop);
}

/* Signals and posts alone do not keep a loop running. */
static void on_idle(void *arg)
{
    (void)arg;
}

static void on_refused(void *arg)
{
    struct scheduler *s = arg;

    loop_post(s->loop, stop_loop, s);
}

static void on_signal(void *arg, int signo)
{
    struct scheduler *s = arg;

    if (s->signals++ == 0) {
        log_info("scheduler.stopping", L_INT("signal", signo));
        loop_stop(s->loop);
    }
}

/* While the threads are joined nobody turns the loop: the second signal and the time-out act by themselves. */
static void bound_stopping(int64_t drain_timeout_ms)
{
    const struct sigaction at_once = {.sa_handler = SIG_DFL};

    (void)sigaction(SIGTERM, &at_once, NULL);
    (void)sigaction(SIGINT, &at_once, NULL);
    (void)sigaction(SIGALRM, &at_once, NULL);
    (void)alarm((unsigned)(drain_timeout_ms / 1000 + 1));
}

int main(int argc, char **argv)
{
    static struct scheduler s;
    int code = settings_start(&settings_scheduler, &s.settings, argc, argv);

    if (code >= 0)
        return code;
    if (s.settings.common.redis_url == NULL) {
        log_error("scheduler.settings", L_STR("reason", "redis-url (REDIS_URL) is not set"));
        settings_free(&settings_scheduler, &s.settings);
        return SETTINGS_EXIT_CONFIG;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    die_init(s.settings.common.environment == SETTINGS_DEVELOPMENT);
    s.loop = loop_new();
    loop_on_signal(s.loop, SIGTERM, on_signal, &s);
    loop_on_signal(s.loop, SIGINT, on_signal, &s);
    s.idle = timer_new(s.loop, on_idle, &s);
    timer_start(s.idle, IDLE_MS, IDLE_MS);
    wake_init(&s.work);
    elect_start(&s.elect, &s.settings, &s.work, on_refused, &s);
    listen_start(&s.listen, &s.settings, &s.work);
    refresh_start(&s.refresh, s.loop, &s.settings, &s.elect.leading);
    log_info("scheduler.started", L_INT("pid", getpid()));
    loop_run(s.loop);

    bound_stopping(s.settings.drain_timeout_ms);
    elect_stop(&s.elect);
    listen_stop(&s.listen);
    refresh_stop(&s.refresh, stop_loop, &s);
    loop_run(s.loop);
    wake_fini(&s.work);
    timer_free(s.idle);
    (void)loop_free(s.loop);
    code = atomic_load(&s.elect.refused) ? SETTINGS_EXIT_CONFIG : EXIT_SUCCESS;
    log_info("scheduler.stopped", L_INT("status", code));
    settings_free(&settings_scheduler, &s.settings);
    return code;
}
