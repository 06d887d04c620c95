/* Mail through the sample season's relay, a real server on a free loopback port. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "common/io/loop.h"
#include "common/io/outbound.h"
#include "tests/support/sender.h"

#define DAY_US INT64_C(86400000000)

TestSuite(outbound_mail, .fini = sender_fini, .timeout = 60);

Test(outbound_mail, delivers_a_mail_as_it_was_written)
{
    sender_open_mail(NULL);
    struct outcome o = sender_mail("\"B, Anna\" <anna@example.test>", "m1@usher.test", SENDER_NOON);
    expect_outcome(o, OUTBOUND_ACCEPTED, 250);
    cr_expect_eq(
        sink_lines(
            &sender.mail, "accepted.jsonl",
            "{\"message_id\": \"<m1@usher.test>\", \"to\": \"anna@example.test\", \"subject\": \"Gr\xc3\xbc\xc3\x9f"
            "e\", "
            "\"date\": \"Sat, 02 May 2026 12:00:00 +0000\", \"repeat\": 0"),
        1);
    struct buf eml = {0};
    sink_read(&sender.mail, "new/00000001.eml", &eml);
    cr_expect(strstr(buf_text(&eml), "\r\none\r\n=2E\r\n=2E.two\r\n=2E\r\n") != NULL, "%s", buf_text(&eml));
    cr_expect(strstr(buf_text(&eml), "To: \"B, Anna\" <anna@example.test>\r\n") != NULL);
    cr_expect(strstr(buf_text(&eml), "<p>one</p>\r\n--=_usher_alternative--\r\n") != NULL);
    buf_free(&eml);
}

Test(outbound_mail, takes_550_as_refused_and_goes_on_over_the_same_connection)
{
    sink_start(&sender.mail, "smtp_sink.py", NULL);
    sender_open((struct outbound_config){.smtp_url = sender_smtp_url(), .max_per_host = 1});
    struct outcome o = sender_mail("anna+refuse@example.test", "m1@usher.test", SENDER_NOON);
    expect_outcome(o, OUTBOUND_REFUSED, 550);
    cr_expect(strstr(o.result.error, "no such mailbox") != NULL, "%s", o.result.error);
    o = sender_mail("anna@example.test", "m2@usher.test", SENDER_NOON);
    expect_outcome(o, OUTBOUND_ACCEPTED, 250);
    cr_expect_eq(sink_lines(&sender.mail, "accepted.jsonl", "\"connection\": 1"), 1);
}

Test(outbound_mail, takes_451_as_later_until_the_day_has_come)
{
    sender_open_mail(NULL);
    struct outcome o = sender_mail("anna+later@example.test", "m1@usher.test", SENDER_NOON);
    expect_outcome(o, OUTBOUND_TRY_LATER, 451);
    o = sender_mail("anna+later@example.test", "m1@usher.test", SENDER_NOON + DAY_US - 1000000);
    expect_outcome(o, OUTBOUND_TRY_LATER, 451);
    sender_close();
    sink_halt(&sender.mail); /* the sink keeps the time of the first try */
    sender_open_mail(NULL);
    o = sender_mail("anna+later@example.test", "m1@usher.test", SENDER_NOON + DAY_US);
    expect_outcome(o, OUTBOUND_ACCEPTED, 250);
    cr_expect_eq(sink_lines(&sender.mail, "accepted.jsonl", "m1@usher.test"), 1);
}

Test(outbound_mail, tries_later_without_a_relay)
{
    char url[64];
    snprintf(url, sizeof(url), "smtp://127.0.0.1:%d", sender_dead_port());
    sender_open((struct outbound_config){.smtp_url = url});
    struct outcome o = sender_mail("anna@example.test", "m1@usher.test", SENDER_NOON);
    expect_outcome(o, OUTBOUND_TRY_LATER, 0);
    cr_expect(o.result.error[0] != '\0');
}

Test(outbound_mail, refuses_mail_when_no_relay_is_configured)
{
    sender_open((struct outbound_config){.smtp_url = NULL});
    struct outcome o = sender_mail("anna@example.test", "m1@usher.test", SENDER_NOON);
    expect_outcome(o, OUTBOUND_REFUSED, 0);
}

Test(outbound_mail, does_not_know_when_the_relay_dies_after_the_content)
{
    sender_open_mail(NULL);
    struct outcome o = sender_mail("anna+drop@example.test", "m1@usher.test", SENDER_NOON);
    expect_outcome(o, OUTBOUND_UNKNOWN, 0);
    cr_expect_eq(sink_lines(&sender.mail, "accepted.jsonl", "m1@usher.test"), 1, "it had been accepted");
    o = sender_mail("anna@example.test", "m1@usher.test", SENDER_NOON);
    expect_outcome(o, OUTBOUND_ACCEPTED, 250);
    cr_expect_eq(sink_lines(&sender.mail, "accepted.jsonl", "\"repeat\": 1"), 1);
}

static void count_tick(void *arg)
{
    (*(int *)arg)++;
}

Test(outbound_mail, keeps_the_loop_turning_while_a_relay_thinks)
{
    struct outcome slow;
    int ticks = 0;
    sender_open_mail(NULL);
    struct timer *t = timer_new(sender.loop, count_tick, &ticks);
    timer_start(t, 10, 10);
    sender_start_mail(&slow, "anna+slow60000@example.test", "m1@usher.test", SENDER_NOON, 500);
    loop_run(sender.loop);
    timer_free(t);
    expect_outcome(slow, OUTBOUND_UNKNOWN, 0);
    cr_expect(slow.result.took_ms >= 500 && slow.result.took_ms < 5000, "%lld ms", (long long)slow.result.took_ms);
    cr_expect_gt(ticks, 10);
}

Test(outbound_mail, sends_many_mails_over_few_connections)
{
    enum { N = 60 };
    static struct outcome o[N];
    sink_start(&sender.mail, "smtp_sink.py", NULL);
    sender_open((struct outbound_config){.smtp_url = sender_smtp_url(), .max_per_host = 2});
    for (int i = 0; i < N; i++) {
        char id[32];
        snprintf(id, sizeof(id), "m%d@usher.test", i);
        sender_start_mail(&o[i], "anna@example.test", id, SENDER_NOON, 20000);
    }
    cr_expect_eq(outbound_running(sender.out), N);
    loop_run(sender.loop);
    cr_expect_eq(outbound_running(sender.out), 0);
    for (int i = 0; i < N; i++)
        expect_outcome(o[i], OUTBOUND_ACCEPTED, 250);
    cr_expect_eq(sink_lines(&sender.mail, "accepted.jsonl", "\"repeat\": 0"), N);
    size_t first = sink_lines(&sender.mail, "accepted.jsonl", "\"connection\": 1}");
    size_t second = sink_lines(&sender.mail, "accepted.jsonl", "\"connection\": 2}");
    cr_expect(first + second == N && first > 0 && second > 0, "%zu and %zu", first, second);
    struct outcome later = sender_mail("anna@example.test", "again@usher.test", SENDER_NOON); /* from the pool */
    expect_outcome(later, OUTBOUND_ACCEPTED, 250);
    cr_expect_eq(sink_lines(&sender.mail, "accepted.jsonl", "\"connection\": 3}"), 0);
}

Test(outbound_mail, moves_a_mail_off_a_connection_that_the_relay_ends)
{
    static const char *const args[] = {"--mails", "2", NULL};
    sender_open_mail(args);
    for (int i = 0; i < 5; i++) {
        char id[32];
        snprintf(id, sizeof(id), "m%d@usher.test", i);
        struct outcome o = sender_mail("anna@example.test", id, SENDER_NOON);
        expect_outcome(o, OUTBOUND_ACCEPTED, 250);
    }
    cr_expect_eq(sink_lines(&sender.mail, "accepted.jsonl", "\"connection\": 3}"), 1);
}

Test(outbound_mail, opens_a_new_connection_after_the_relay_was_restarted)
{
    sender_open_mail(NULL);
    struct outcome o = sender_mail("anna@example.test", "m1@usher.test", SENDER_NOON);
    expect_outcome(o, OUTBOUND_ACCEPTED, 250);
    char port[8];
    snprintf(port, sizeof(port), "%d", sender.mail.port);
    sink_halt(&sender.mail);
    const char *const args[] = {"--port", port, NULL};
    sink_start(&sender.mail, "smtp_sink.py", args);
    o = sender_mail("anna@example.test", "m2@usher.test", SENDER_NOON);
    expect_outcome(o, OUTBOUND_ACCEPTED, 250);
}

Test(outbound_mail, logs_in_and_takes_a_wrong_password_as_the_relays_trouble)
{
    static const char *const args[] = {"--user", "usher", "--password", "p w\"d"};
    const char *const words[] = {args[0], args[1], args[2], args[3], NULL};
    sink_start(&sender.mail, "smtp_sink.py", words);
    sender_open((struct outbound_config){
        .smtp_url = sender_smtp_url(), .smtp_user = "usher", .smtp_password = "p w\"d", .smtp_tls = "none"});
    struct outcome o = sender_mail("anna@example.test", "m1@usher.test", SENDER_NOON);
    expect_outcome(o, OUTBOUND_ACCEPTED, 250);
    sender_close();
    sender_open((struct outbound_config){
        .smtp_url = sender_smtp_url(), .smtp_user = "usher", .smtp_password = "wrong", .smtp_tls = "none"});
    o = sender_mail("anna@example.test", "m2@usher.test", SENDER_NOON);
    expect_outcome(o, OUTBOUND_TRY_LATER, 535);
    sender_close();
    sender_open((struct outbound_config){.smtp_url = sender_smtp_url(), .smtp_tls = "none"});
    o = sender_mail("anna@example.test", "m3@usher.test", SENDER_NOON);
    expect_outcome(o, OUTBOUND_TRY_LATER, 530);
    cr_expect_eq(sink_lines(&sender.mail, "accepted.jsonl", "usher.test"), 1);
}

Test(outbound_mail, sends_nothing_in_the_clear_when_tls_is_required)
{
    static const char *const policies[] = {"require", NULL}; /* NULL with a user is require */
    sink_start(&sender.mail, "smtp_sink.py", NULL);
    for (size_t i = 0; i < 2; i++) {
        sender_open((struct outbound_config){
            .smtp_url = sender_smtp_url(), .smtp_user = "usher", .smtp_password = "secret", .smtp_tls = policies[i]});
        struct outcome o = sender_mail("anna@example.test", "m1@usher.test", SENDER_NOON);
        cr_expect_eq(o.result.verdict, OUTBOUND_TRY_LATER);
        cr_expect(strstr(o.result.error, "secret") == NULL);
        sender_close();
    }
    cr_expect_eq(sink_lines(&sender.mail, "accepted.jsonl", "usher.test"), 0);
}

Test(outbound_mail, refuses_mail_with_injected_headers)
{
    sender_open_mail(NULL);
    struct outcome o = sender_mail("anna@example.test>\r\nRCPT TO:<eve@example.test", "m1@usher.test", SENDER_NOON);
    expect_outcome(o, OUTBOUND_REFUSED, 0);
    o = sender_mail("anna@example.test", "m1@usher.test>\r\nBcc: <eve@example.test", SENDER_NOON);
    expect_outcome(o, OUTBOUND_REFUSED, 0);
    cr_expect_eq(sink_lines(&sender.mail, "accepted.jsonl", "eve"), 0);
}
