/* outbound: mail and HTTP to the outside through libcurl's multi interface on the loop.
 *
 * Two multi handles: providers (the operator's SMTP relay and handler URLs) and untrusted (URLs that tenants wrote), kept
 * apart because connection reuse bypasses the address check. Untrusted requests follow no redirects, ignore proxies, and connect only
 * to addresses outside the deny-list (RFC 6890 and later special-purpose ranges, IPv4-mapped and NAT64 included) unless the
 * operator allowed the range. */
#ifndef COMMON_IO_OUTBOUND_H
#define COMMON_IO_OUTBOUND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/str.h"

struct loop;
struct outbound;

struct outbound_config {
    const char *smtp_url;  /* smtp://host:port or smtps://…; NULL: mail is refused */
    const char *smtp_user; /* NULL: no AUTH */
    const char *smtp_password;
    const char *smtp_tls;     /* "none" | "try" | "require" (STARTTLS) */
    const char *helo_name;    /* NULL: the host's name */
    const char *egress_allow; /* comma-separated CIDRs that untrusted requests may reach all the same; NULL: none */
    bool egress_http;         /* allow http:// for untrusted URLs */
    int max_per_host;         /* parallel connections; 0: 8 */
    int max_total;            /* 0: 256 */
};

/* What the other side's answer means. */
enum outbound_verdict {
    OUTBOUND_ACCEPTED,  /* final positive reply */
    OUTBOUND_REFUSED,   /* final negative reply, or blocked by us: the same request will not succeed */
    OUTBOUND_TRY_LATER, /* certainly not accepted, may succeed later (4xx mail reply, 408 425 429 5xx, no connection) */
    OUTBOUND_UNKNOWN    /* no final reply after the request had been sent: it may have been accepted */
};

struct outbound_result {
    enum outbound_verdict verdict;
    int code;               /* SMTP or HTTP status, 0 without one */
    int64_t retry_after_ms; /* lower bound from Retry-After, capped at 24 h; 0: none */
    bool blocked;           /* refused by the egress deny-list */
    int64_t took_ms;
    struct str body; /* HTTP: first 64 KiB; borrowed */
    char error[256]; /* for people; no secrets, no query strings */
};
typedef void (*outbound_cb)(void *arg, const struct outbound_result *result);

struct outbound_mail {
    const char *from;       /* addr-spec or "Name <addr>" */
    const char *to;         /* one recipient, same forms */
    const char *reply_to;   /* or NULL */
    const char *subject;    /* UTF-8; encoded (RFC 2047) by us */
    const char *text;       /* UTF-8 body */
    const char *html;       /* or NULL: multipart/alternative */
    const char *message_id; /* without angle brackets; stable over retries */
    int64_t date_us;        /* Date header: domain time */
    int64_t deadline_ms;    /* for the whole exchange */
};

struct outbound_header {
    const char *name;
    const char *value; /* CR, LF and NUL are refused */
};

struct outbound_request {
    const char *method;
    const char *url;
    const struct outbound_header *headers;
    size_t n_headers;
    struct str body;
    int64_t deadline_ms;
    bool untrusted;
};

/* NULL: bad setting, see info. */
struct outbound *outbound_open(struct loop *loop, const struct outbound_config *config, struct err_info *info);

/* Inputs are copied. The callback runs exactly once, never before the call returned. Returns a handle for outbound_cancel,
 * valid until then. */
void *outbound_send_mail(struct outbound *o, const struct outbound_mail *mail, outbound_cb cb, void *arg);
void *outbound_send_http(struct outbound *o, const struct outbound_request *request, outbound_cb cb, void *arg);
void outbound_cancel(struct outbound *o,
                     void *handle); /* the callback runs with UNKNOWN if anything was sent, else TRY_LATER */
size_t outbound_running(const struct outbound *o);
void outbound_close(struct outbound *o, void (*closed)(void *arg), void *arg); /* cancels what runs */

/* True when `ip` (textual IPv4 or IPv6) may not be reached by untrusted requests; `allow` as in the config. Pure. */
bool outbound_denied(const char *ip, const char *allow);

#endif
