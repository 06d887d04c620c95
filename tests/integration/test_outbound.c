/* Lifecycle: cancel and close, with mail and HTTP on their way. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/io/loop.h"
#include "common/io/outbound.h"
#include "tests/support/sender.h"

TestSuite(outbound, .fini = sender_fini, .timeout = 60);

static void cancel_soon(void *arg)
{
    outbound_cancel(sender.out, arg);
}

Test(outbound, cancels_what_was_not_sent_and_what_may_have_been)
{
    struct outcome first;
    struct outcome second;
    struct outcome web;
    sink_start(&sender.mail, "smtp_sink.py", NULL);
    sink_start(&sender.web, "webhook_sink.py", NULL);
    sender_open((struct outbound_config){.smtp_url = sender_smtp_url(), .max_per_host = 1});
    void *a = sender_start_mail(&first, "anna+slow60000@example.test", "m1@usher.test", SENDER_NOON, 30000);
    void *b = sender_start_mail(&second, "anna@example.test", "m2@usher.test", SENDER_NOON, 30000);
    void *c = sender_start_http(&web, (struct sender_request){.path = "/slow?ms=60000"});
    outbound_cancel(sender.out, b);
    outbound_cancel(sender.out, b); /* once is enough */
    struct timer *t = timer_new(sender.loop, cancel_soon, a);
    struct timer *u = timer_new(sender.loop, cancel_soon, c);
    timer_start(t, 400, 0);
    timer_start(u, 400, 0);
    loop_run(sender.loop);
    timer_free(t);
    timer_free(u);
    expect_outcome(first, OUTBOUND_UNKNOWN, 0);
    expect_outcome(second, OUTBOUND_TRY_LATER, 0);
    expect_outcome(web, OUTBOUND_UNKNOWN, 0);
    cr_expect(first.calls == 1 && second.calls == 1 && web.calls == 1);
    struct outcome o = sender_mail("anna@example.test", "m3@usher.test", SENDER_NOON);
    expect_outcome(o, OUTBOUND_ACCEPTED, 250);
}

Test(outbound, cancels_at_once_after_starting)
{
    struct outcome mail;
    struct outcome web;
    struct outcome bad;
    sink_start(&sender.web, "webhook_sink.py", NULL);
    sender_open_mail(NULL);
    outbound_cancel(sender.out, sender_start_mail(&mail, "anna@example.test", "m1@usher.test", SENDER_NOON, 30000));
    outbound_cancel(sender.out, sender_start_http(&web, (struct sender_request){.path = "http://localhost:1/"}));
    outbound_cancel(sender.out, sender_start_mail(&bad, "nobody", "m2@usher.test", SENDER_NOON, 30000));
    cr_expect_eq(outbound_running(sender.out), 3);
    loop_run(sender.loop);
    expect_outcome(bad, OUTBOUND_REFUSED, 0); /* what has ended keeps its end */
    expect_outcome(mail, OUTBOUND_TRY_LATER, 0);
    expect_outcome(web, OUTBOUND_TRY_LATER, 0);
    cr_expect_eq(sink_lines(&sender.mail, "accepted.jsonl", "m1"), 0);
}

Test(outbound, completes_everything_before_it_is_closed)
{
    enum { N = 12 };
    static struct outcome o[N];
    sink_start(&sender.mail, "smtp_sink.py", NULL);
    sink_start(&sender.web, "webhook_sink.py", NULL);
    sender_open((struct outbound_config){
        .smtp_url = sender_smtp_url(), .max_per_host = 2, .egress_http = true, .egress_allow = "127.0.0.1"});
    struct outcome done =
        sender_mail("anna@example.test", "m0@usher.test", SENDER_NOON); /* leaves a session in the pool */
    expect_outcome(done, OUTBOUND_ACCEPTED, 250);
    for (int i = 0; i < N; i++) {
        if (i % 3 == 0)
            sender_start_http(&o[i], (struct sender_request){.path = "/slow?ms=60000", .untrusted = i % 2 == 0});
        else
            sender_start_mail(&o[i], "anna+slow60000@example.test", "m1@usher.test", SENDER_NOON, 30000);
    }
    for (int64_t until = clock_mono_ms() + 300; clock_mono_ms() < until;)
        loop_turn(sender.loop);
    sender_close();
    int unknown = 0;
    for (int i = 0; i < N; i++) {
        cr_expect_eq(o[i].calls, 1, "call %d: %d", i, o[i].calls);
        unknown += o[i].result.verdict == OUTBOUND_UNKNOWN;
        cr_expect(o[i].result.verdict == OUTBOUND_UNKNOWN || o[i].result.verdict == OUTBOUND_TRY_LATER);
    }
    cr_expect_eq(unknown, 6, "two sessions and four requests had sent something: %d", unknown);
}

static void resend(void *arg, const struct outbound_result *result)
{
    sender_on_result(arg, result);
    if (sender.waiting == 0 && sender.out != NULL && !sender.closed) {
        outbound_close(sender.out, sender_on_closed, NULL);
        sender.out = NULL;
    }
}

Test(outbound, may_be_closed_from_a_callback)
{
    struct outcome o = {0};
    sender_open((struct outbound_config){.smtp_url = NULL});
    const struct outbound_request r = {.method = "GET", .url = "ftp://127.0.0.1/", .deadline_ms = 1000};
    sender.waiting = 1;
    outbound_send_http(sender.out, &r, resend, &o);
    loop_run(sender.loop);
    loop_run(sender.loop); /* the first was stopped by sender_on_result */
    cr_expect_eq(o.calls, 1);
    cr_expect(sender.closed);
}
