/* HTTP to the sample season's webhook receiver, a real server on a free loopback port. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/core/webhook.h"
#include "common/io/outbound.h"
#include "tests/support/sender.h"

TestSuite(outbound_http, .fini = sender_fini, .timeout = 60);

Test(outbound_http, sorts_http_statuses)
{
    static const struct {
        int status;
        enum outbound_verdict want;
    } rows[] = {
        {200, OUTBOUND_ACCEPTED},  {201, OUTBOUND_ACCEPTED},  {202, OUTBOUND_ACCEPTED},  {204, OUTBOUND_ACCEPTED},
        {301, OUTBOUND_REFUSED},   {304, OUTBOUND_REFUSED},   {400, OUTBOUND_REFUSED},   {401, OUTBOUND_REFUSED},
        {403, OUTBOUND_REFUSED},   {404, OUTBOUND_REFUSED},   {408, OUTBOUND_TRY_LATER}, {409, OUTBOUND_TRY_LATER},
        {410, OUTBOUND_REFUSED},   {422, OUTBOUND_REFUSED},   {425, OUTBOUND_TRY_LATER}, {429, OUTBOUND_TRY_LATER},
        {500, OUTBOUND_TRY_LATER}, {503, OUTBOUND_TRY_LATER}, {599, OUTBOUND_TRY_LATER},
    };
    sender_open_web(false, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char path[32];
        snprintf(path, sizeof(path), "/status/%d", rows[i].status);
        struct outcome o = sender_http((struct sender_request){.path = path});
        expect_outcome(o, rows[i].want, rows[i].status);
        cr_expect_eq(o.result.error[0] == '\0', rows[i].want == OUTBOUND_ACCEPTED, "%s", o.result.error);
    }
    struct outcome o = sender_http((struct sender_request){.path = "/gone"});
    expect_outcome(o, OUTBOUND_REFUSED, 410);
}

Test(outbound_http, reads_retry_after)
{
    static const struct {
        const char *path;
        int64_t want_ms;
    } rows[] = {
        {"/status/503?retry_after=7", 7000},
        {"/status/429?retry_after=999999999", 86400000},
        {"/status/503?retry_after=Fri%2C%2031%20Dec%202100%2023%3A59%3A59%20GMT", 86400000},
        {"/status/503?retry_after=Fri%2C%2031%20Dec%201999%2023%3A59%3A59%20GMT", 0},
        {"/status/503?retry_after=-5", 0},
        {"/status/503?retry_after=soon", 0},
        {"/status/503", 0},
    };
    sender_open_web(false, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct outcome o = sender_http((struct sender_request){.path = rows[i].path});
        cr_expect_eq(o.result.retry_after_ms, rows[i].want_ms, "%s: %lld", rows[i].path,
                     (long long)o.result.retry_after_ms);
    }
}

Test(outbound_http, follows_no_redirect)
{
    sender_open_web(false, "127.0.0.0/8");
    for (int untrusted = 0; untrusted < 2; untrusted++) {
        struct outcome o = sender_http((struct sender_request){.path = "/redirect?to=/ok", .untrusted = untrusted});
        expect_outcome(o, OUTBOUND_REFUSED, 302);
    }
    cr_expect_eq(sink_lines(&sender.web, "received.jsonl", "\"/redirect\""), 2);
    cr_expect_eq(sink_lines(&sender.web, "received.jsonl", "\"/ok\""), 0);
}

Test(outbound_http, keeps_untrusted_requests_off_denied_addresses)
{
    static const char *const spellings[] = {"127.0.0.1", "127.1", "2130706433", "0x7f.1", "localhost", "0"};
    sender_open_web(false, NULL);
    for (size_t i = 0; i < sizeof(spellings) / sizeof(spellings[0]); i++) {
        char url[64];
        snprintf(url, sizeof(url), "http://%s:%d/ok", spellings[i], sender.web.port);
        struct outcome o = sender_http((struct sender_request){.path = url, .untrusted = true});
        expect_outcome(o, OUTBOUND_REFUSED, 0);
        cr_expect(o.result.blocked, "%s: %s", url, o.result.error);
    }
    cr_expect_eq(sink_lines(&sender.web, "received.jsonl", "ok"), 0);
    struct outcome o = sender_http((struct sender_request){.path = "/ok"}); /* the operator's own */
    expect_outcome(o, OUTBOUND_ACCEPTED, 204);
    o = sender_http((struct sender_request){.path = "/ok", .untrusted = true}); /* no reuse of that connection */
    cr_expect(o.result.blocked);
    cr_expect_eq(sink_lines(&sender.web, "received.jsonl", "ok"), 1);
}

Test(outbound_http, lets_untrusted_requests_reach_what_the_operator_allows)
{
    sender_open_web(false, "127.0.0.1/32");
    struct outcome o = sender_http((struct sender_request){.path = "/ok", .untrusted = true});
    expect_outcome(o, OUTBOUND_ACCEPTED, 204);
    cr_expect_not(o.result.blocked);
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.2:%d/ok", sender.web.port);
    o = sender_http((struct sender_request){.path = url, .untrusted = true});
    cr_expect(o.result.blocked);
}

Test(outbound_http, refuses_urls_that_untrusted_requests_may_not_use)
{
    sink_start(&sender.web, "webhook_sink.py", NULL);
    sender_open((struct outbound_config){.egress_allow = "127.0.0.0/8"});
    char with_user[64];
    snprintf(with_user, sizeof(with_user), "https://u:secret@127.0.0.1:%d/ok", sender.web.port);
    const char *const urls[] = {
        "/ok", "ftp://127.0.0.1/x", "file:///etc/passwd", "smtp://127.0.0.1", "not a url", "", with_user};
    for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++) {
        struct outcome o = sender_http((struct sender_request){.path = urls[i], .untrusted = true});
        expect_outcome(o, OUTBOUND_REFUSED, 0);
        cr_expect(strstr(o.result.error, "secret") == NULL, "%s", o.result.error);
    }
    cr_expect_eq(sink_lines(&sender.web, "received.jsonl", "ok"), 0);
}

Test(outbound_http, refuses_injected_and_framing_headers)
{
    static const struct outbound_header bad[] = {
        {"X-A", "a\r\nX-B: b"},
        {"X-A", "a\nb"},
        {"X-A", "a\rb"},
        {"X-A\r\nX-B", "b"},
        {"X A", "b"},
        {"X:A", "b"},
        {"", "b"},
        {"X-A", "\x01"},
        {"Content-Length", "5"},
        {"transfer-encoding", "chunked"},
        {"Host", "other"},
        {"Connection", "close"},
    };
    sender_open_web(false, NULL);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct outcome o = sender_http((struct sender_request){.path = "/ok", .headers = {bad[i]}});
        expect_outcome(o, OUTBOUND_REFUSED, 0);
    }
    struct outcome o = sender_http((struct sender_request){.path = "/ok", .method = "PO ST"});
    expect_outcome(o, OUTBOUND_REFUSED, 0);
    o = sender_http((struct sender_request){.path = "/ok", .method = "GET\r\nX: y"});
    expect_outcome(o, OUTBOUND_REFUSED, 0);
    cr_expect_eq(sink_lines(&sender.web, "received.jsonl", "/"), 0);
    o = sender_http((struct sender_request){.path = "/ok", .headers = {{"X-Empty", ""}, {"X-Utf8", "\xc3\xab\tx"}}});
    expect_outcome(o, OUTBOUND_ACCEPTED, 204);
}

Test(outbound_http, tells_failures_before_from_failures_after_sending)
{
    char url[64];
    sender_open_web(false, NULL);
    snprintf(url, sizeof(url), "http://127.0.0.1:%d/ok", sender_dead_port());
    struct outcome o = sender_http((struct sender_request){.path = url});
    expect_outcome(o, OUTBOUND_TRY_LATER, 0);
    o = sender_http((struct sender_request){.path = "/drop"});
    expect_outcome(o, OUTBOUND_UNKNOWN, 0);
    o = sender_http((struct sender_request){.path = "/slow?ms=60000", .deadline_ms = 300});
    expect_outcome(o, OUTBOUND_UNKNOWN, 0);
    cr_expect(o.result.took_ms >= 300 && o.result.took_ms < 5000, "%lld ms", (long long)o.result.took_ms);
    cr_expect(strstr(o.result.error, "deadline") != NULL, "%s", o.result.error);
}

/* A request that might run twice is never repeated by libcurl, although the connection it reuses is dead. */
Test(outbound_http, sends_a_post_without_a_key_once)
{
    sender_open_web(false, NULL);
    for (int i = 0; i < 3; i++) {
        struct outcome o = sender_http((struct sender_request){.path = "/ok", .method = "GET", .body = STR("")});
        expect_outcome(o, OUTBOUND_ACCEPTED, 204);
        o = sender_http((struct sender_request){.path = "/drop"});
        expect_outcome(o, OUTBOUND_UNKNOWN, 0);
    }
    cr_expect_eq(sink_lines(&sender.web, "received.jsonl", "\"/drop\""), 3);
}

Test(outbound_http, keeps_the_first_64_kib_of_an_answer)
{
    static const struct {
        const char *path;
        size_t want;
    } rows[] = {
        {"/big?bytes=10", 10}, {"/big?bytes=65536", 65536}, {"/big?bytes=65537", 65536}, {"/big?bytes=1000000", 65536}};
    sender_open_web(false, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct outcome o = sender_http((struct sender_request){.path = rows[i].path});
        expect_outcome(o, OUTBOUND_ACCEPTED, 200);
        cr_expect_eq(o.body_n, rows[i].want, "%s: %zu", rows[i].path, o.body_n);
    }
    struct outcome o =
        sender_http((struct sender_request){.path = "/big?bytes=8000000"}); /* given up, but accepted it was */
    expect_outcome(o, OUTBOUND_ACCEPTED, 200);
}

static struct outcome signed_post(const char *path, const char *id)
{
    static const char *const secrets[] = {SENDER_SECRET};
    struct buf signature = {0};
    char now[24];
    int64_t s = clock_wall_us() / 1000000;
    snprintf(now, sizeof(now), "%lld", (long long)s);
    cr_assert_eq(webhook_sign(&signature, secrets, 1, id, s, STR("{\"a\":1}")), ERR_OK);
    struct outcome o = sender_http((struct sender_request){
        .path = path,
        .headers = {{"webhook-id", id}, {"webhook-timestamp", now}, {"webhook-signature", buf_text(&signature)}},
        .body = STR("{\"a\":1}"),
    });
    buf_free(&signature);
    return o;
}

Test(outbound_http, signs_webhooks_so_that_another_implementation_accepts_them)
{
    sender_open_web(true, NULL);
    struct outcome o = sender_http((struct sender_request){.path = "/ok"});
    expect_outcome(o, OUTBOUND_REFUSED, 401);
    o = signed_post("/fail-once", "msg_1");
    expect_outcome(o, OUTBOUND_TRY_LATER, 503);
    o = signed_post("/fail-once", "msg_1");
    expect_outcome(o, OUTBOUND_ACCEPTED, 204);
    o = signed_post("/ok", "msg_1");
    expect_outcome(o, OUTBOUND_ACCEPTED, 204);
    cr_expect_eq(sink_lines(&sender.web, "received.jsonl", "\"msg_1\""), 3);
    cr_expect_eq(sink_lines(&sender.web, "received.jsonl", "\"repeat\": true"), 1);
}
