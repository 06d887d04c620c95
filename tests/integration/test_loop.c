/* The event loop: timers, posts from other threads, signals, and what is left at its end. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <uv.h>

#include "common/io/loop.h"

static struct loop *loop;

static void open_loop(void)
{
    loop = loop_new();
}

static void close_loop(void)
{
    cr_expect_eq(loop_free(loop), 0, "handles were forgotten");
}

TestSuite(loop, .init = open_loop, .fini = close_loop, .timeout = 30);

struct ticker {
    struct timer *timer;
    int ticks;
    int enough;
    int64_t at_ms;
};

static void tick(void *arg)
{
    struct ticker *t = arg;

    t->at_ms = loop_now_ms(loop);
    if (++t->ticks < t->enough)
        return;
    timer_free(t->timer); /* from inside its own callback */
    t->timer = NULL;
}

static struct ticker *ticker(struct ticker *t, int enough)
{
    *t = (struct ticker){.enough = enough};
    t->timer = timer_new(loop, tick, t);
    return t;
}

Test(loop, timers_fire_once_or_repeatedly_and_end_the_run)
{
    struct ticker once, often;
    const int64_t start = loop_now_ms(loop);

    timer_start(ticker(&once, 1)->timer, 20, 0);
    timer_start(ticker(&often, 3)->timer, 1, 2);
    cr_expect(timer_active(once.timer));
    loop_run(loop);
    cr_expect_eq(once.ticks, 1);
    cr_expect_eq(often.ticks, 3);
    cr_expect_geq(once.at_ms - start, 20);
    cr_expect_geq(often.at_ms - start, 5);
}

Test(loop, a_started_timer_starts_over_and_a_stopped_one_is_silent)
{
    struct ticker again, never;
    const int64_t start = loop_now_ms(loop);

    timer_start(ticker(&again, 1)->timer, 0, 1);
    timer_start(again.timer, 30, 0);
    timer_start(ticker(&never, 1)->timer, 10, 0);
    timer_stop(never.timer);
    cr_expect_not(timer_active(never.timer));
    loop_run(loop);
    cr_expect_eq(again.ticks, 1);
    cr_expect_geq(again.at_ms - start, 30);
    cr_expect_eq(never.ticks, 0);
    timer_free(never.timer);
    timer_free(NULL);
}

Test(loop, a_delay_in_the_past_fires_at_once)
{
    struct ticker t;

    timer_start(ticker(&t, 1)->timer, -5, 0);
    loop_turn(loop);
    cr_expect_eq(t.ticks, 1);
}

static void stop(void *arg)
{
    loop_stop(arg);
}

Test(loop, stop_ends_a_run_that_still_has_timers)
{
    struct ticker t;

    timer_start(ticker(&t, 1)->timer, 60000, 0);
    loop_post(loop, stop, loop);
    loop_run(loop);
    cr_expect_eq(t.ticks, 0);
    cr_expect(loop_turn(loop), "the timer is still there");
    timer_free(t.timer);
    while (loop_turn(loop)) {
    }
}

/* ---- posts ------------------------------------------------------------------------------------------- */

struct counter {
    int runs;
    int expected;
    struct ticker *guard;
    pthread_t ran_on;
};

static void count(void *arg)
{
    struct counter *c = arg;

    c->ran_on = pthread_self();
    if (++c->runs == c->expected && c->guard != NULL) {
        timer_free(c->guard->timer);
        c->guard->timer = NULL;
    }
}

static void *post_many(void *arg)
{
    for (int i = 0; i < 1000; i++)
        loop_post(loop, count, arg);
    return NULL;
}

Test(loop, posts_from_threads_all_run_on_the_loop)
{
    pthread_t threads[4];
    struct ticker guard; /* keeps the loop alive meanwhile */
    struct counter c = {.expected = 4000, .guard = &guard};

    timer_start(ticker(&guard, 1)->timer, 20000, 0);
    for (int i = 0; i < 4; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, post_many, &c), 0);
    loop_run(loop);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    cr_expect_eq(c.runs, 4000);
    cr_expect(pthread_equal(c.ran_on, pthread_self()));
}

static void post_again(void *arg)
{
    struct counter *c = arg;

    if (++c->runs < 3)
        loop_post(loop, post_again, c);
}

Test(loop, a_post_made_by_a_post_waits_for_the_next_turn)
{
    struct counter c = {0};

    loop_post(loop, post_again, &c);
    cr_expect_eq(c.runs, 0, "never before loop_post returned");
    loop_turn(loop);
    cr_expect_eq(c.runs, 1);
    loop_run(loop);
    cr_expect_eq(c.runs, 3, "a loop without handles still runs its posts");
}

Test(loop, posts_never_run_are_dropped_at_the_end)
{
    struct counter c = {0};
    struct loop *other = loop_new();

    loop_post(other, count, &c);
    cr_expect_eq(loop_free(other), 0);
    cr_expect_eq(c.runs, 0);
}

/* ---- signals ----------------------------------------------------------------------------------------- */

struct caught {
    int signo;
    int times;
};

static void on_signal(void *arg, int signo)
{
    struct caught *c = arg;

    c->signo = signo;
    c->times++;
    loop_stop(loop);
}

Test(loop, signals_reach_their_callback_and_do_not_keep_the_loop_alive)
{
    struct caught c = {0, 0};
    struct ticker guard;

    loop_on_signal(loop, SIGUSR1, on_signal, &c);
    loop_on_signal(loop, SIGUSR2, on_signal, &c);
    loop_run(loop); /* returns: nothing to wait for */
    timer_start(ticker(&guard, 1)->timer, 20000, 0);
    for (int i = 1; i <= 2; i++) {
        raise(i == 1 ? SIGUSR2 : SIGUSR1);
        loop_run(loop);
        cr_expect_eq(c.times, i);
        cr_expect_eq(c.signo, i == 1 ? SIGUSR2 : SIGUSR1);
    }
    timer_free(guard.timer);
}

Test(loop, writing_to_a_closed_pipe_is_an_error_and_not_the_end)
{
    int fds[2];

    cr_assert_eq(pipe(fds), 0);
    close(fds[0]);
    cr_expect_eq(write(fds[1], "x", 1), -1);
    cr_expect_eq(errno, EPIPE);
    close(fds[1]);
}

/* ---- the end ----------------------------------------------------------------------------------------- */

Test(loop, free_counts_what_its_owners_forgot)
{
    struct loop *other = loop_new();
    struct counter c = {0};
    uv_idle_t raw;

    timer_start(timer_new(other, count, &c), 5, 0);
    timer_new(other, count, &c);
    uv_idle_init(loop_uv(other), &raw);
    cr_expect_eq(loop_free(other), 3);
    cr_expect_eq(c.runs, 0);
}

Test(loop, free_does_not_count_what_is_being_closed)
{
    struct loop *other = loop_new();
    struct counter c = {0};
    uv_idle_t raw;

    timer_free(timer_new(other, count, &c));
    uv_idle_init(loop_uv(other), &raw);
    uv_close((uv_handle_t *)&raw, NULL);
    cr_expect_eq(loop_free(other), 0);
}
