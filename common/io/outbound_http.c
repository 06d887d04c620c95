/* outbound_http: one easy handle per call.
 *
 * Verdicts: a status line that was received decides, whatever happens to the rest of the answer: 2xx accepted, 408 409 425 429 5xx
 * try later, all others (3xx too, since redirects are not followed) refused. Without one: nothing of the request was written,
 * try later; something was, unknown.
 *
 * curl repeats a request by itself when a kept connection ends without an answer, which may run it twice. So a method that is not
 * idempotent uses a connection of its own, unless the caller sent a key by which the other side recognises a repeat.
 *
 * Untrusted calls live in a multi of their own, so that no connection made without the address check is ever reused for them, and
 * the address is checked twice: before the socket exists and before the request is sent. */
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include <arpa/inet.h>
#include <curl/curl.h>

#include "common/base/mem.h"
#include "common/io/outbound_impl.h"

enum {
    BODY_KEPT_BYTES = 64 * 1024,
    BODY_MAX_BYTES = 1024 * 1024, /* more is no answer but an attack or a mistake: the transfer is ended */
    HEADERS_MAX_BYTES = 256 * 1024,
    HEADER_LINE_MAX_BYTES = 16 * 1024,
    MAX_HEADERS = 64,
    IDLE_CONNECTION_S = 55, /* below the 60 s after which common proxies close */
    REPLY_WAIT_S = 1        /* bounds what curl may spend on saying goodbye on a connection of another protocol */
};
#define RETRY_AFTER_LIMIT_S (24 * 3600)
#define MS_PER_S 1000

/* --- callbacks of curl: none of them calls back into curl or into user code --- */

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct outbound_http *http = arg;
    size_t bytes = size * n;
    http->body_bytes += bytes;
    if (http->body.len < BODY_KEPT_BYTES) {
        size_t room = BODY_KEPT_BYTES - http->body.len;
        buf_put(&http->body, data, bytes < room ? bytes : room);
    }
    return http->body_bytes <= BODY_MAX_BYTES ? bytes : 0;
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
    struct outbound_http *http = arg;
    (void)data;
    http->header_bytes += size * n;
    return http->header_bytes <= HEADERS_MAX_BYTES ? size * n : 0;
}

static bool denied(const struct outbound *o, const struct sockaddr *sa)
{
    uint8_t addr[16];
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof(in));
        memcpy(addr, &in.sin_addr, sizeof(in.sin_addr));
    } else if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof(in6));
        memcpy(addr, &in6.sin6_addr, sizeof(in6.sin6_addr));
    } else {
        return true;
    }
    return outbound_egress_denied(&o->egress, sa->sa_family == AF_INET6, addr);
}

static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct outbound_call *call = arg;
    if (purpose != CURLSOCKTYPE_IPCXN || denied(call->o, &address->addr)) {
        call->http.denied = true;
        return CURL_SOCKET_BAD;
    }
    call->http.reached = true;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static int on_before_request(void *arg, char *remote_ip, char *local_ip, int remote_port, int local_port)
{
    struct outbound_call *call = arg;
    (void)local_ip;
    (void)remote_port;
    (void)local_port;
    if (!outbound_egress_denied_text(&call->o->egress, remote_ip))
        return CURL_PREREQFUNC_OK;
    call->http.denied = true;
    call->http.reached = false;
    return CURL_PREREQFUNC_ABORT;
}

/* --- the end of a call --- */

static enum outbound_verdict verdict_of_status(long status)
{
    if (status >= 200 && status < 300)
        return OUTBOUND_ACCEPTED;
    if (status == 408 || status == 409 || status == 425 || status == 429 || status >= 500)
        return OUTBOUND_TRY_LATER;
    return OUTBOUND_REFUSED;
}

/* Failures that only another URL or another setting can cure. */
static bool is_permanent(int code)
{
    return code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_BAD_FUNCTION_ARGUMENT ||
           code == CURLE_LOGIN_DENIED;
}

static enum outbound_verdict verdict_without_status(struct outbound_call *call, int code)
{
    long sent = 0;
    (void)curl_easy_getinfo(call->http.easy, CURLINFO_REQUEST_SIZE, &sent);
    if (sent > 0)
        return OUTBOUND_UNKNOWN;
    if (call->http.denied && !call->http.reached) {
        call->result.blocked = true;
        return OUTBOUND_REFUSED;
    }
    return is_permanent(code) ? OUTBOUND_REFUSED : OUTBOUND_TRY_LATER;
}

static void note_retry_after(struct outbound_call *call)
{
    curl_off_t s = 0;
    (void)curl_easy_getinfo(call->http.easy, CURLINFO_RETRY_AFTER, &s);
    if (s > RETRY_AFTER_LIMIT_S)
        s = RETRY_AFTER_LIMIT_S;
    call->result.retry_after_ms = s > 0 ? s * MS_PER_S : 0;
}

static void end_call(struct outbound_call *call, int code, const char *why)
{
    struct outbound_http *http = &call->http;
    enum outbound_verdict verdict;
    char text[OUTBOUND_CURL_ERROR_SIZE + 32];
    long status = 0;
    (void)curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200) { /* below: interim answers */
        note_retry_after(call);
        verdict = verdict_of_status(status);
        (void)snprintf(text, sizeof(text), "%s%ld", verdict == OUTBOUND_ACCEPTED ? "" : "HTTP status ", status);
    } else {
        status = 0;
        verdict = verdict_without_status(call, code);
        (void)snprintf(text, sizeof(text), "%s", call->result.blocked ? "address is on the egress deny-list" : why);
    }
    outbound_multi_remove(http->multi, http->easy);
    http->easy = NULL;
    outbound_call_finish(call, verdict, (int)status, verdict == OUTBOUND_ACCEPTED ? "" : text);
}

static void on_done(struct outbound_peer *peer, int code)
{
    struct outbound_call *call = LIST_OWNER(peer, struct outbound_call, peer);
    const char *detail = call->http.curl_error;
    end_call(call, code, detail[0] != '\0' ? detail : curl_easy_strerror((CURLcode)code));
}

void outbound_http_abort(struct outbound_call *call, const char *why)
{
    end_call(call, CURLE_OPERATION_TIMEDOUT, why);
}

void outbound_http_free(struct outbound_http *http)
{
    curl_slist_free_all(http->headers);
    buf_free(&http->body);
}

/* --- the request --- */

static bool is_token(const char *s)
{
    size_t n = strspn(s, "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");
    return n > 0 && s[n] == '\0';
}

static bool is_field_value(const char *s)
{
    for (; *s != '\0'; s++) {
        if (((unsigned char)*s < ' ' && *s != '\t') || *s == 0x7f)
            return false;
    }
    return true;
}

static bool is_one_of(const char *name, const char *const *list)
{
    for (; *list != NULL; list++) {
        if (strcasecmp(name, *list) == 0)
            return true;
    }
    return false;
}

/* These say where a message ends or whom it is for; another value than curl's own makes two parties read two messages. */
static const char *const framing_headers[] = {"Host",       "Content-Length", "Transfer-Encoding",
                                              "Connection", "Keep-Alive",     "Upgrade",
                                              "TE",         "Trailer",        "Expect",
                                              NULL};

static const char *bad_header(const struct outbound_header *h)
{
    if (h->name == NULL || h->value == NULL || !is_token(h->name))
        return "header name is not a token";
    if (!is_field_value(h->value))
        return "header value holds a line break or control character";
    if (strlen(h->name) + strlen(h->value) > HEADER_LINE_MAX_BYTES)
        return "header is too long";
    return is_one_of(h->name, framing_headers) ? "header is set by the transport" : NULL;
}

static const char *bad_request(const struct outbound_request *r)
{
    if (r->method == NULL || !is_token(r->method) || r->url == NULL)
        return "method or URL is missing or not valid";
    if (r->n_headers > MAX_HEADERS)
        return "too many headers";
    for (size_t i = 0; i < r->n_headers; i++) {
        const char *bad = bad_header(&r->headers[i]);
        if (bad != NULL)
            return bad;
    }
    return NULL;
}

static bool append(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (longer != NULL)
        *list = longer;
    return longer != NULL;
}

static bool has_header(const struct outbound_request *r, const char *const *names)
{
    for (size_t i = 0; i < r->n_headers; i++) {
        if (is_one_of(r->headers[i].name, names))
            return true;
    }
    return false;
}

static bool set_headers(struct outbound_http *http, const struct outbound_request *r)
{
    static const char *const content_type[] = {"Content-Type", NULL};
    struct buf line = {0};
    bool ok = append(&http->headers, "Expect:"); /* no pause of a second before larger bodies */
    for (size_t i = 0; i < r->n_headers && ok; i++) {
        const struct outbound_header *h = &r->headers[i];
        buf_reset(&line);
        /* curl's form for an empty value is "Name;", since "Name:" removes a header. */
        bool blank = h->value[strspn(h->value, " \t")] == '\0';
        buf_printf(&line, "%s%s%s", h->name, blank ? ";" : ": ", blank ? "" : h->value);
        ok = append(&http->headers, buf_text(&line));
    }
    if (ok && !has_header(r, content_type))
        ok = append(&http->headers, "Content-Type:"); /* instead of curl's form type */
    buf_free(&line);
    return ok && curl_easy_setopt(http->easy, CURLOPT_HTTPHEADER, http->headers) == CURLE_OK;
}

static bool set_method(CURL *easy, const struct outbound_request *r)
{
    bool post = strcmp(r->method, "POST") == 0;
    CURLcode e = CURLE_OK;
    if (post || r->body.n > 0 || strcmp(r->method, "PUT") == 0 || strcmp(r->method, "PATCH") == 0) {
        e = curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body.n);
        if (e == CURLE_OK)
            e = curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, r->body.n > 0 ? r->body.p : "");
    } else if (strcmp(r->method, "HEAD") == 0) {
        e = curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    }
    if (e == CURLE_OK && !post)
        e = curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, r->method);
    return e == CURLE_OK;
}

static bool may_be_repeated(const struct outbound_request *r)
{
    static const char *const idempotent[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", NULL}; /* RFC 9110 §9.2.2 */
    static const char *const keys[] = {"Idempotency-Key", "webhook-id", NULL};
    return is_one_of(r->method, idempotent) || has_header(r, keys);
}

static void set_common(struct outbound_call *call)
{
    CURL *e = call->http.easy;
    (void)curl_easy_setopt(e, CURLOPT_PRIVATE, &call->peer);
    (void)curl_easy_setopt(e, CURLOPT_ERRORBUFFER, call->http.curl_error);
    (void)curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(e, CURLOPT_WRITEDATA, &call->http);
    (void)curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(e, CURLOPT_HEADERDATA, &call->http);
    (void)curl_easy_setopt(e, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)BODY_MAX_BYTES);
    (void)curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(e, CURLOPT_HTTP09_ALLOWED, 0L);
    (void)curl_easy_setopt(e, CURLOPT_USERAGENT, "usher");
    (void)curl_easy_setopt(e, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    (void)curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)OUTBOUND_CONNECT_MS);
    (void)curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L); /* a cancel does not wait for a name look-up */
    (void)curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, (long)IDLE_CONNECTION_S);
    (void)curl_easy_setopt(e, CURLOPT_SERVER_RESPONSE_TIMEOUT, (long)REPLY_WAIT_S);
}

/* False when libcurl lacks one of these: then the request must not go out. */
static bool set_untrusted(struct outbound_call *call)
{
    CURL *e = call->http.easy;
    const char *protocols = call->o->egress_http ? "https,http" : "https";
    return curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, protocols) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_REDIR_PROTOCOLS_STR, protocols) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open_socket) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, call) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_before_request) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_PREREQDATA, call) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_PROXY, "") == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(e, CURLOPT_DISALLOW_USERNAME_IN_URL, 1L) == CURLE_OK;
}

static bool set_request(struct outbound_call *call, const struct outbound_request *r)
{
    struct outbound_http *http = &call->http;
    set_common(call);
    if (!may_be_repeated(r)) {
        (void)curl_easy_setopt(http->easy, CURLOPT_FRESH_CONNECT, 1L);
        (void)curl_easy_setopt(http->easy, CURLOPT_FORBID_REUSE, 1L);
    }
    bool ok = r->untrusted ? set_untrusted(call)
                           : curl_easy_setopt(http->easy, CURLOPT_PROTOCOLS_STR, "https,http") == CURLE_OK;
    return ok && curl_easy_setopt(http->easy, CURLOPT_URL, r->url) == CURLE_OK && set_method(http->easy, r) &&
           set_headers(http, r);
}

void *outbound_send_http(struct outbound *o, const struct outbound_request *request, outbound_cb cb, void *arg)
{
    struct outbound_call *call = outbound_call_new(o, cb, arg, request->deadline_ms);
    struct outbound_http *http = &call->http;
    const char *barred = outbound_call_barred(o);
    const char *bad = bad_request(request);
    call->peer.done = on_done;
    if (bad != NULL) {
        outbound_call_finish(call, OUTBOUND_REFUSED, 0, bad);
        return call;
    }
    if (barred != NULL) {
        outbound_call_finish(call, OUTBOUND_TRY_LATER, 0, barred);
        return call;
    }
    http->multi = o->multi[request->untrusted ? OUTBOUND_UNTRUSTED : OUTBOUND_PROVIDERS];
    http->easy = curl_easy_init();
    if (http->easy == NULL || !set_request(call, request) || !outbound_multi_add(http->multi, http->easy)) {
        curl_easy_cleanup(http->easy);
        http->easy = NULL;
        outbound_call_finish(call, OUTBOUND_TRY_LATER, 0, "libcurl refuses the request, or out of memory");
    }
    return call;
}
