/* outbound_smtp: mail calls over a pool of SMTP sessions.
 *
 *   CONNECTING → (MAIL → RCPT → DATA → CONTENT → next mail or idle) … → closed
 *                   └────────┴──────┴─ refused → RESETTING → next mail or idle
 *
 * libcurl opens a session (name, TCP, TLS or STARTTLS, greeting, EHLO, AUTH) with CURLOPT_CONNECT_ONLY; the mail itself
 * is spoken here with curl_easy_send and curl_easy_recv. Handing libcurl the whole transfer is not possible on a loop:
 * libcurl 7.88 waits for the reply to the final dot inside curl_multi_socket_action (smtp_done, smtp_block_statemach), which
 * would stop everything else for as long as the relay thinks, and a transfer that is removed half way gets the final dot
 * of half a message.
 *
 * Verdicts. The session could not be opened, or was lost before the first byte of content: try later. A reply to MAIL, RCPT,
 * DATA or to the final dot decides: 2xx goes on or accepts, 4xx try later, 5xx refused; but 530, 534, 535 and 538 are the
 * relay's quarrel with our login, not with this mail: try later. Once content was handed over, anything but a reply is
 * unknown. A session that had died in the pool (lost or 421 at MAIL, after an earlier mail) hands its call to a new
 * session, once. */
#include <stdlib.h>
#include <string.h>

#include <curl/curl.h>

#include "common/base/mem.h"
#include "common/io/outbound_impl.h"
#include "common/io/outbound_mime.h"

enum {
    MAILS_PER_SESSION = 100, /* relays begin to refuse somewhere above */
    IDLE_MS = 20000,         /* below the 60 s and more that relays grant */
    REPLY_LINE_SIZE = 1024,  /* RFC 5321 §4.5.3.1.5 asks for 512; more of a line is dropped */
    REPLY_MAX_BYTES = 64 * 1024
};

enum smtp_state { SMTP_CONNECTING, SMTP_IDLE, SMTP_MAIL, SMTP_RCPT, SMTP_DATA, SMTP_CONTENT, SMTP_RESETTING };

struct smtp_session {
    struct outbound_peer peer;
    struct list node; /* in smtp.sessions */
    struct list idle; /* in smtp.idle */
    struct outbound *o;
    void *easy;
    struct outbound_poll *poll;
    struct timer *idle_timer;
    struct outbound_call *call; /* the one being sent */
    enum smtp_state state;
    unsigned mails;     /* done on this session */
    struct buf command; /* what is being sent, except content */
    struct str out;     /* the unsent rest of command or content */
    bool content_begun; /* some of it was handed to the connection */
    char line[REPLY_LINE_SIZE];
    size_t line_n;
    size_t reply_bytes; /* of the current reply */
    bool in_event;      /* the event's handler frees */
    bool closed;
    char curl_error[OUTBOUND_CURL_ERROR_SIZE];
};

static void pump(struct outbound *o);
static void session_step(struct smtp_session *s, int code);

/* --- sessions --- */

static void session_free(struct smtp_session *s)
{
    buf_free(&s->command);
    mem_free(s);
}

static void session_close(struct smtp_session *s)
{
    s->closed = true;
    s->o->smtp.n_sessions--;
    list_remove(&s->node);
    list_remove(&s->idle);
    timer_free(s->idle_timer);
    outbound_poll_close(s->poll);
    s->poll = NULL;
    outbound_multi_remove(s->o->multi[OUTBOUND_PROVIDERS], s->easy);
    s->easy = NULL;
    if (!s->in_event)
        session_free(s);
}

/* Says goodbye if that is possible without waiting; the relay's answer is of no interest. */
static void session_quit(struct smtp_session *s)
{
    static const char quit[] = "QUIT\r\n";
    size_t sent = 0;
    if (s->state == SMTP_IDLE)
        (void)curl_easy_send(s->easy, quit, sizeof(quit) - 1, &sent);
    session_close(s);
}

static struct outbound_call *session_release(struct smtp_session *s)
{
    struct outbound_call *call = s->call;
    s->call = NULL;
    if (call != NULL)
        call->letter.session = NULL;
    return call;
}

static void session_finish_call(struct smtp_session *s, enum outbound_verdict verdict, int code, const char *error)
{
    outbound_call_finish(session_release(s), verdict, code, error);
}

/* The session ends without a reply that decides. */
static void session_lost(struct smtp_session *s, int code, const char *why)
{
    struct outbound *o = s->o;
    struct outbound_call *call = session_release(s);
    bool stale = s->state == SMTP_MAIL && s->mails > 0;
    bool unknown = s->content_begun;
    session_close(s);
    if (call != NULL && stale && !call->letter.restarted) {
        call->letter.restarted = true;
        list_prepend(&o->smtp.waiting, &call->letter.wait);
    } else if (call != NULL) {
        outbound_call_finish(call, unknown ? OUTBOUND_UNKNOWN : OUTBOUND_TRY_LATER, code, why);
    }
    pump(o);
}

static void watch_session(struct smtp_session *s)
{
    outbound_poll_want(s->poll, true, s->out.n > 0);
}

/* Sends what the connection takes now; the rest waits until it is writable. */
static void flush(struct smtp_session *s)
{
    while (s->out.n > 0) {
        size_t n = 0;
        /* TLS may have sent part of a record even when it reports nothing sent. */
        s->content_begun |= s->state == SMTP_CONTENT;
        CURLcode e = curl_easy_send(s->easy, s->out.p, s->out.n, &n);
        if (e == CURLE_AGAIN)
            break;
        if (e != CURLE_OK) {
            session_lost(s, 0, "connection lost while sending");
            return;
        }
        s->out.p += n;
        s->out.n -= n;
    }
    watch_session(s);
}

static void send_command(struct smtp_session *s, enum smtp_state state, const char *verb, const char *path)
{
    s->state = state;
    s->reply_bytes = 0;
    buf_reset(&s->command);
    if (path != NULL)
        buf_printf(&s->command, "%s:<%s>\r\n", verb, path);
    else
        buf_printf(&s->command, "%s\r\n", verb);
    s->out = (struct str){s->command.data, s->command.len};
    flush(s);
}

static void send_content(struct smtp_session *s)
{
    s->state = SMTP_CONTENT;
    s->reply_bytes = 0;
    s->out = (struct str){s->call->letter.content.data, s->call->letter.content.len};
    flush(s);
}

static void begin_mail(struct smtp_session *s, struct outbound_call *call)
{
    list_remove(&s->idle);
    timer_stop(s->idle_timer);
    s->call = call;
    call->letter.session = s;
    s->content_begun = false;
    send_command(s, SMTP_MAIL, "MAIL FROM", call->letter.from);
}

/* Between two mails: the next one, or the pool. */
static void session_next(struct smtp_session *s)
{
    struct outbound_smtp *smtp = &s->o->smtp;
    s->state = SMTP_IDLE;
    if (s->mails >= MAILS_PER_SESSION) {
        struct outbound *o = s->o;
        session_quit(s);
        pump(o);
        return;
    }
    struct list *it = list_take(&smtp->waiting);
    if (it != NULL) {
        begin_mail(s, LIST_OWNER(it, struct outbound_call, letter.wait));
        return;
    }
    list_prepend(&smtp->idle, &s->idle);
    timer_start(s->idle_timer, IDLE_MS, 0);
    watch_session(s);
}

/* --- replies --- */

static enum outbound_verdict verdict_of_reply(int code)
{
    bool login = code == 530 || code == 534 || code == 535 || code == 538; /* RFC 4954 §6 */
    return code >= 500 && !login ? OUTBOUND_REFUSED : OUTBOUND_TRY_LATER;
}

static bool service_closes(int code)
{
    return code == 421; /* RFC 5321 §3.8: may answer any command, the connection ends */
}

static void refused_command(struct smtp_session *s, int code)
{
    if (service_closes(code) || code < 400) {
        session_lost(s, code, code < 400 ? "relay answers out of turn" : s->line);
        return;
    }
    session_finish_call(s, verdict_of_reply(code), code, s->line);
    send_command(s, SMTP_RESETTING, "RSET", NULL);
}

static void content_reply(struct smtp_session *s, int code)
{
    struct outbound *o = s->o;
    bool whole = s->out.n == 0;
    if (code >= 200 && code < 300 && whole) {
        session_finish_call(s, OUTBOUND_ACCEPTED, code, "");
    } else if (code >= 400) {
        session_finish_call(s, verdict_of_reply(code), code, s->line);
    } else {
        session_lost(s, code, "relay answers out of turn");
        return;
    }
    s->mails++;
    if (whole && !service_closes(code)) {
        session_next(s);
        return;
    }
    session_close(s);
    pump(o);
}

static void session_step(struct smtp_session *s, int code)
{
    bool good = code >= 200 && code < 300;
    switch (s->state) {
    case SMTP_MAIL:
        if (good)
            send_command(s, SMTP_RCPT, "RCPT TO", s->call->letter.to);
        else
            refused_command(s, code);
        break;
    case SMTP_RCPT:
        if (good)
            send_command(s, SMTP_DATA, "DATA", NULL);
        else
            refused_command(s, code);
        break;
    case SMTP_DATA:
        if (code == 354)
            send_content(s);
        else
            refused_command(s, good ? 0 : code);
        break;
    case SMTP_CONTENT: content_reply(s, code); break;
    case SMTP_RESETTING:
        if (good)
            session_next(s);
        else
            session_lost(s, code, "RSET refused");
        break;
    case SMTP_IDLE: /* an unasked-for reply is a goodbye (421) */
    case SMTP_CONNECTING: session_lost(s, code, "relay answers out of turn"); break;
    }
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* A whole line is in s->line. Returns the reply's code at its last line, 0 before that, -1 when it is no reply. */
static int parse_line(struct smtp_session *s)
{
    const char *l = s->line;
    if (s->line_n < 3 || l[0] < '2' || l[0] > '5' || !is_digit(l[1]) || !is_digit(l[2]))
        return -1;
    if (l[3] == '-')
        return 0;
    return l[3] == ' ' || l[3] == '\0' ? (l[0] - '0') * 100 + (l[1] - '0') * 10 + (l[2] - '0') : -1;
}

/* One byte of a reply; steps at the end of its last line. */
static void take_byte(struct smtp_session *s, char c)
{
    if (++s->reply_bytes > REPLY_MAX_BYTES) {
        session_lost(s, 0, "reply of the relay is too long");
        return;
    }
    if (c != '\n') {
        if (c != '\r' && s->line_n < REPLY_LINE_SIZE - 1)
            s->line[s->line_n++] = c;
        return;
    }
    s->line[s->line_n] = '\0';
    int code = parse_line(s);
    s->line_n = 0;
    if (code < 0)
        session_lost(s, 0, "reply of the relay is no SMTP reply");
    else if (code > 0)
        session_step(s, code);
}

static void receive(struct smtp_session *s)
{
    char bytes[2048];
    while (!s->closed) {
        size_t n = 0;
        CURLcode e = curl_easy_recv(s->easy, bytes, sizeof(bytes), &n);
        if (e == CURLE_AGAIN)
            return;
        if (e != CURLE_OK || n == 0) {
            session_lost(s, 0, "connection lost before the final reply");
            return;
        }
        for (size_t i = 0; i < n && !s->closed; i++)
            take_byte(s, bytes[i]);
    }
}

static void leave_event(struct smtp_session *s)
{
    s->in_event = false;
    if (s->closed)
        session_free(s);
}

static void on_session(void *arg, bool readable, bool writable)
{
    struct smtp_session *s = arg;
    s->in_event = true;
    if (readable)
        receive(s);
    if (writable && !s->closed)
        flush(s);
    leave_event(s);
}

/* --- opening --- */

static void on_connected(struct outbound_peer *peer, int code)
{
    struct smtp_session *s = LIST_OWNER(peer, struct smtp_session, peer);
    curl_socket_t fd = CURL_SOCKET_BAD;
    long reply = 0;
    s->in_event = true;
    (void)curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &reply);
    if (code == CURLE_OK && curl_easy_getinfo(s->easy, CURLINFO_ACTIVESOCKET, &fd) == CURLE_OK && fd != CURL_SOCKET_BAD)
        s->poll = outbound_poll_open(s->o, fd, on_session, s);
    if (s->poll == NULL) {
        const char *text = s->curl_error[0] != '\0' ? s->curl_error : curl_easy_strerror((CURLcode)code);
        session_lost(s, reply >= 400 ? (int)reply : 0, text);
    } else if (s->call != NULL) {
        begin_mail(s, s->call);
    } else {
        session_next(s);
    }
    leave_event(s);
}

static void on_idle(void *arg)
{
    session_quit(arg);
}

static size_t ignore_data(char *data, size_t size, size_t n, void *arg)
{
    (void)data;
    (void)arg;
    return size * n;
}

static bool set_session(struct smtp_session *s)
{
    const struct outbound_smtp *smtp = &s->o->smtp;
    CURL *e = s->easy;
    (void)curl_easy_setopt(e, CURLOPT_PRIVATE, &s->peer);
    (void)curl_easy_setopt(e, CURLOPT_ERRORBUFFER, s->curl_error);
    (void)curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, ignore_data);
    (void)curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    (void)curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)OUTBOUND_CONNECT_MS);
    (void)curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
    (void)curl_easy_setopt(e, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(e, CURLOPT_PROXY, ""); /* web proxies are not for mail */
    bool ok = curl_easy_setopt(e, CURLOPT_CONNECT_ONLY, 1L) == CURLE_OK &&
              curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "smtp,smtps") == CURLE_OK &&
              curl_easy_setopt(e, CURLOPT_USE_SSL, smtp->tls) == CURLE_OK &&
              curl_easy_setopt(e, CURLOPT_URL, smtp->url) == CURLE_OK;
    if (ok && smtp->user != NULL)
        ok = curl_easy_setopt(e, CURLOPT_USERNAME, smtp->user) == CURLE_OK &&
             curl_easy_setopt(e, CURLOPT_PASSWORD, smtp->password != NULL ? smtp->password : "") == CURLE_OK;
    return ok;
}

/* Opens a session for `call`; false when curl has no handle to give, the call is then still the caller's. */
static bool session_open(struct outbound *o, struct outbound_call *call)
{
    struct smtp_session *s = mem_zalloc(sizeof(*s));
    s->o = o;
    s->peer.done = on_connected;
    list_init(&s->idle);
    s->easy = curl_easy_init();
    if (s->easy == NULL || !set_session(s) || !outbound_multi_add(o->multi[OUTBOUND_PROVIDERS], s->easy)) {
        curl_easy_cleanup(s->easy);
        mem_free(s);
        return false;
    }
    s->idle_timer = timer_new(o->loop, on_idle, s);
    s->call = call;
    call->letter.session = s;
    list_append(&o->smtp.sessions, &s->node);
    o->smtp.n_sessions++;
    return true;
}

static struct smtp_session *take_idle(struct outbound_smtp *smtp)
{
    struct list *it = list_take(&smtp->idle);
    return it != NULL ? LIST_OWNER(it, struct smtp_session, idle) : NULL;
}

/* Gives waiting calls to idle and to new sessions. */
static void pump(struct outbound *o)
{
    struct outbound_smtp *smtp = &o->smtp;
    while (!list_empty(&smtp->waiting) && (!list_empty(&smtp->idle) || smtp->n_sessions < smtp->max_sessions)) {
        struct list *it = list_take(&smtp->waiting);
        struct outbound_call *call = LIST_OWNER(it, struct outbound_call, letter.wait);
        struct smtp_session *idle = take_idle(smtp);
        if (idle != NULL && call->letter.restarted) { /* where one had died the others may have too */
            session_quit(idle);
            idle = NULL;
        }
        if (idle != NULL)
            begin_mail(idle, call);
        else if (!session_open(o, call))
            outbound_call_finish(call, OUTBOUND_TRY_LATER, 0, "libcurl refuses the session, or out of memory");
    }
}

void outbound_smtp_submit(struct outbound_call *call)
{
    list_append(&call->o->smtp.waiting, &call->letter.wait);
    pump(call->o);
}

void outbound_smtp_abort(struct outbound_call *call, const char *why)
{
    struct outbound *o = call->o;
    struct smtp_session *s = call->letter.session;
    bool unknown = s != NULL && s->content_begun;
    list_remove(&call->letter.wait);
    outbound_call_finish(call, unknown ? OUTBOUND_UNKNOWN : OUTBOUND_TRY_LATER, 0, why);
    if (s == NULL)
        return;
    (void)session_release(s);
    session_close(s);
    if (!o->closing)
        pump(o);
}

void outbound_smtp_close(struct outbound *o)
{
    for (struct list *it; (it = list_first(&o->smtp.sessions)) != NULL;)
        session_quit(LIST_OWNER(it, struct smtp_session, node));
}
