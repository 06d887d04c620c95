#include "tests/support/sender.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <criterion/criterion.h>

struct sender sender;

void sender_on_result(void *arg, const struct outbound_result *result)
{
    struct outcome *o = arg;
    cr_expect_not(o->in_send, "called back before the call returned");
    o->calls++;
    o->result = *result;
    o->body_n = result->body.n;
    if (--sender.waiting == 0)
        loop_stop(sender.loop);
}

void sender_on_closed(void *arg)
{
    sender.closed = true;
    (void)arg;
}

void sender_open(struct outbound_config config)
{
    struct err_info info = {.text = ""};
    if (sender.loop == NULL)
        sender.loop = loop_new();
    sender.out = outbound_open(sender.loop, &config, &info);
    cr_assert_not_null(sender.out, "%s", info.text);
}

void sender_close(void)
{
    sender.closed = false;
    outbound_close(sender.out, sender_on_closed, NULL);
    cr_expect_not(sender.closed, "closed before outbound_close returned");
    sender.out = NULL;
    loop_run(sender.loop);
    cr_expect(sender.closed);
}

void sender_fini(void)
{
    if (sender.out != NULL)
        sender_close();
    if (sender.loop != NULL)
        cr_expect_eq(loop_free(sender.loop), 0, "handles were forgotten");
    sender.loop = NULL;
    sink_stop(&sender.mail);
    sink_stop(&sender.web);
}

const char *sender_smtp_url(void)
{
    static char url[64];
    snprintf(url, sizeof(url), "smtp://127.0.0.1:%d", sender.mail.port);
    return url;
}

void sender_open_mail(const char *const *args)
{
    sink_start(&sender.mail, "smtp_sink.py", args);
    sender_open((struct outbound_config){.smtp_url = sender_smtp_url(), .helo_name = "usher.test"});
}

void *sender_start_mail(struct outcome *o, const char *to, const char *message_id, int64_t date_us, int64_t deadline_ms)
{
    const struct outbound_mail mail = {
        .from = "Studio <studio@example.test>",
        .to = to,
        .subject = "Gr\xc3\xbc\xc3\x9f"
                   "e",
        .text = "one\n.\n..two\n.",
        .html = "<p>one</p>",
        .message_id = message_id,
        .date_us = date_us,
        .deadline_ms = deadline_ms,
    };
    *o = (struct outcome){.in_send = true};
    sender.waiting++;
    void *handle = outbound_send_mail(sender.out, &mail, sender_on_result, o);
    o->in_send = false;
    return handle;
}

struct outcome sender_mail(const char *to, const char *message_id, int64_t date_us)
{
    struct outcome o;
    sender_start_mail(&o, to, message_id, date_us, 10000);
    loop_run(sender.loop);
    cr_expect_eq(o.calls, 1);
    return o;
}

int sender_dead_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(bind(fd, (struct sockaddr *)&a, n) == 0 && getsockname(fd, (struct sockaddr *)&a, &n) == 0);
    close(fd);
    return ntohs(a.sin_port);
}

void sender_open_web(bool signed_only, const char *egress_allow)
{
    static const char *const args[] = {"--secret", SENDER_SECRET, NULL};
    sink_start(&sender.web, "webhook_sink.py", signed_only ? args : NULL);
    sender_open((struct outbound_config){.egress_allow = egress_allow, .egress_http = true});
}

void *sender_start_http(struct outcome *o, struct sender_request h)
{
    char url[256];
    size_t n = 0;
    if (h.path[0] == '/')
        snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", sender.web.port, h.path);
    else
        snprintf(url, sizeof(url), "%s", h.path);
    while (n < 4 && h.headers[n].name != NULL)
        n++;
    const struct outbound_request r = {
        .method = h.method != NULL ? h.method : "POST",
        .url = url,
        .headers = h.headers,
        .n_headers = n,
        .body = h.body.p != NULL ? h.body : STR("{}"),
        .deadline_ms = h.deadline_ms != 0 ? h.deadline_ms : 10000,
        .untrusted = h.untrusted,
    };
    *o = (struct outcome){.in_send = true};
    sender.waiting++;
    void *handle = outbound_send_http(sender.out, &r, sender_on_result, o);
    o->in_send = false;
    return handle;
}

struct outcome sender_http(struct sender_request h)
{
    struct outcome o;
    sender_start_http(&o, h);
    loop_run(sender.loop);
    cr_expect_eq(o.calls, 1);
    return o;
}
