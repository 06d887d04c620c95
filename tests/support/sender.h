/* sender: an outbound with its loop and the two sinks it talks to; one per test process. */
#ifndef TESTS_SUPPORT_SENDER_H
#define TESTS_SUPPORT_SENDER_H

#include <stdbool.h>

#include "common/io/loop.h"
#include "common/io/outbound.h"
#include "tests/support/sink.h"

/* What a callback was given. */
struct outcome {
    int calls;
    bool in_send; /* set while the starting call runs: a callback that sees it fails the test */
    struct outbound_result result;
    size_t body_n;
};

struct sender {
    struct loop *loop;
    struct outbound *out;
    struct sink mail;
    struct sink web;
    int waiting; /* calls not yet answered; the loop stops at the last */
    bool closed;
};
extern struct sender sender;

void sender_open(struct outbound_config config);
void sender_close(void); /* waits until it is closed */
void sender_fini(void);  /* closes and frees all there is; fails the test when handles were forgotten */
void sender_on_closed(void *arg);
void sender_on_result(void *arg, const struct outbound_result *result); /* arg: struct outcome */

void sender_open_mail(const char *const *args);                   /* the mail sink and an outbound for it */
void sender_open_web(bool signed_only, const char *egress_allow); /* the webhook sink and an outbound */
const char *sender_smtp_url(void);                                /* of the running mail sink; static */
int sender_dead_port(void);                                       /* one on which nobody listens */

#define SENDER_NOON INT64_C(1777723200000000) /* 2026-05-02T12:00:00Z */
#define SENDER_SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

/* A sample mail. The start returns the handle; the other waits for its end. */
void *sender_start_mail(struct outcome *o, const char *to, const char *message_id, int64_t date_us, int64_t deadline_ms);
struct outcome sender_mail(const char *to, const char *message_id, int64_t date_us);

struct sender_request {
    const char *method; /* NULL: POST */
    const char *path;   /* "/…" on the webhook sink, or a whole URL */
    struct outbound_header headers[4];
    bool untrusted;
    int64_t deadline_ms; /* 0: 10 s */
    struct str body;     /* NULL: {} */
};
void *sender_start_http(struct outcome *o, struct sender_request h);
struct outcome sender_http(struct sender_request h);

#define expect_outcome(o, want, status)                                                                                \
    cr_expect((o).result.verdict == (want) && (o).result.code == (status), "verdict %d code %d: %s",                   \
              (int)(o).result.verdict, (o).result.code, (o).result.error)

#endif
