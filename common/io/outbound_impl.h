/* outbound_impl: what the files common/io/outbound*.c share; nobody else includes it. curl's handles are `void *` here, as they
 * are in curl itself, so that its headers stay in the .c files.
 *
 *   outbound.c         lifecycle of outbound and of calls: one list `running`, one `done`, exactly one callback each
 *   outbound_multi.c   curl's multi interface and descriptors on the loop
 *   outbound_http.c    HTTP calls
 *   outbound_smtp.c    SMTP sessions and mail calls
 *   outbound_mime.c    messages as text (pure)
 *   outbound_egress.c  the deny-list (pure) */
#ifndef COMMON_IO_OUTBOUND_IMPL_H
#define COMMON_IO_OUTBOUND_IMPL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/io/loop.h"
#include "common/io/outbound.h"
#include "common/io/outbound_egress.h"

struct curl_slist;
struct outbound_multi;
struct outbound_poll;
struct smtp_session;

enum { OUTBOUND_PROVIDERS, OUTBOUND_UNTRUSTED, OUTBOUND_MULTIS };

#define OUTBOUND_CURL_ERROR_SIZE 256 /* CURL_ERROR_SIZE */
#define OUTBOUND_CONNECT_MS                                                                                            \
    10000 /* name, TCP and TLS (for SMTP also greeting and AUTH): longer means that the other side is not well */

/* What CURLOPT_PRIVATE of an easy handle points to: the end of its transfer is reported here. `code` is a CURLcode. */
struct outbound_peer {
    void (*done)(struct outbound_peer *peer, int code);
};

struct outbound_http {
    void *easy;
    struct outbound_multi *multi;
    struct curl_slist *headers;
    struct buf body;   /* the answer's first 64 KiB */
    size_t body_bytes; /* all that came */
    size_t header_bytes;
    bool reached; /* an address outside the deny-list was tried */
    bool denied;  /* an address inside was not */
    char curl_error[OUTBOUND_CURL_ERROR_SIZE];
};

struct outbound_letter {
    struct list wait;             /* in smtp.waiting */
    struct smtp_session *session; /* NULL while waiting */
    struct buf content;           /* the message with the final dot */
    char from[256];
    char to[256];
    bool restarted; /* was moved off a session that had died in the pool */
};

struct outbound_call {
    struct outbound_peer peer;
    struct list node; /* in running or done */
    struct outbound *o;
    outbound_cb cb;
    void *arg;
    struct timer *deadline;
    int64_t started_ms;
    bool overdue; /* the deadline passed; what has arrived meanwhile is read first */
    bool done;
    bool is_mail;
    struct outbound_result result;
    struct outbound_http http;
    struct outbound_letter letter;
};

struct outbound_smtp {
    char *url; /* NULL: no relay */
    char *user;
    char *password;
    long tls; /* curl_usessl */
    size_t max_sessions;
    size_t n_sessions;
    struct list sessions; /* all */
    struct list idle;     /* ready for the next mail, last used first */
    struct list waiting;  /* calls without a session */
};

struct outbound {
    struct loop *loop;
    struct outbound_multi *multi[OUTBOUND_MULTIS];
    struct outbound_egress egress;
    bool egress_http;
    struct outbound_smtp smtp;
    struct list running;
    struct list done;
    size_t n_calls;
    struct timer *deliver;
    bool delivering;
    size_t n_polls; /* uv handles not yet closed */
    bool closing;
    bool torn_down; /* closing, and nothing but handles is left */
    void (*closed)(void *arg);
    void *closed_arg;
};

/* outbound.c */
struct outbound_call *outbound_call_new(struct outbound *o, outbound_cb cb, void *arg, int64_t deadline_ms);
/* Why a new call can not be made now, or NULL. */
const char *outbound_call_barred(const struct outbound *o);
/* Puts the call on `done`; its callback runs on a later turn. Called once per call. */
void outbound_call_finish(struct outbound_call *call, enum outbound_verdict verdict, int code, const char *error);
void outbound_poll_closed(struct outbound *o);

/* outbound_multi.c */
struct outbound_multi *outbound_multi_open(struct outbound *o, int max_per_host, int max_total);
void outbound_multi_close(struct outbound_multi *m); /* every easy handle has been removed */
bool outbound_multi_add(struct outbound_multi *m, void *easy);
void outbound_multi_remove(struct outbound_multi *m, void *easy); /* removes and cleans up; NULL is fine */
struct outbound_poll *outbound_poll_open(struct outbound *o, int fd, void (*cb)(void *arg, bool readable, bool writable),
                                         void *arg); /* NULL: the descriptor can not be watched */
void outbound_poll_want(struct outbound_poll *p, bool readable, bool writable);
void outbound_poll_close(struct outbound_poll *p); /* NULL is fine */

/* outbound_http.c */
void outbound_http_abort(struct outbound_call *call, const char *why);
void outbound_http_free(struct outbound_http *http);

/* outbound_smtp.c */
enum err outbound_smtp_open(struct outbound *o, const struct outbound_config *config, struct err_info *info) MUST_USE;
void outbound_smtp_close(struct outbound *o); /* says goodbye to all sessions; every call has ended */
void outbound_smtp_free(struct outbound *o);
void outbound_smtp_abort(struct outbound_call *call, const char *why);
void outbound_smtp_submit(struct outbound_call *call);

#endif
