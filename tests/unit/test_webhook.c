#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "common/core/webhook.h"

/* The vector of the Standard Webhooks specification's reference libraries; the second signature is Python's hmac. */
#define SECRET "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define OTHER "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define MSG_ID "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define MSG_TIME 1614265330
#define MSG_BODY "{\"test\": 2432232314}"
#define MSG_SIGNATURE "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

static const char *const one[] = {SECRET};
static const char *const both[] = {OTHER, SECRET};
static const char *const other[] = {OTHER};

static struct webhook_headers headers(const char *signature)
{
    return (struct webhook_headers){STR(MSG_ID), STR("1614265330"), str_of(signature)};
}

static enum err verify(const struct webhook_headers *h, int64_t now)
{
    return webhook_verify(h, one, 1, STR(MSG_BODY), now, WEBHOOK_TOLERANCE_S);
}

Test(webhook, signs_the_published_vector)
{
    struct buf b = {0};
    cr_expect_eq(webhook_sign(&b, one, 1, MSG_ID, MSG_TIME, STR(MSG_BODY)), ERR_OK);
    cr_expect_str_eq(buf_text(&b), MSG_SIGNATURE);
    buf_free(&b);
}

Test(webhook, signs_once_for_each_secret)
{
    struct buf b = {0};
    cr_expect_eq(webhook_sign(&b, both, 2, MSG_ID, MSG_TIME, STR(MSG_BODY)), ERR_OK);
    cr_expect_eq(b.len, 2 * strlen(MSG_SIGNATURE) + 1);
    cr_expect_str_eq(buf_text(&b) + strlen(MSG_SIGNATURE) + 1, MSG_SIGNATURE);
    struct webhook_headers h = headers(buf_text(&b));
    cr_expect_eq(webhook_verify(&h, one, 1, STR(MSG_BODY), MSG_TIME, 300), ERR_OK);
    cr_expect_eq(webhook_verify(&h, other, 1, STR(MSG_BODY), MSG_TIME, 300), ERR_OK);
    buf_free(&b);
}

Test(webhook, verifies_with_any_secret_and_any_entry)
{
    static const char *const lists[] = {
        MSG_SIGNATURE,
        "v1a,abc " MSG_SIGNATURE,
        "v1,AAAA " MSG_SIGNATURE,
        "v1,Ceo5qEr07ixe2NLpvHk3FH9bwy/WavXrAFQ/9tdO6mc= " MSG_SIGNATURE " v2,x",
    };
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        struct webhook_headers h = headers(lists[i]);
        cr_expect_eq(webhook_verify(&h, both, 2, STR(MSG_BODY), MSG_TIME, 300), ERR_OK, "%s", lists[i]);
        cr_expect_eq(webhook_verify(&h, other, 1, STR(MSG_BODY), MSG_TIME, 300), ERR_DENIED, "%s", lists[i]);
    }
}

Test(webhook, denies_what_was_changed)
{
    struct webhook_headers h = headers(MSG_SIGNATURE);
    cr_expect_eq(webhook_verify(&h, one, 1, STR("{\"test\": 2432232315}"), MSG_TIME, 300), ERR_DENIED);
    h.id = STR("msg_p5jXN8AQM9LWM0D4loKWxJeK");
    cr_expect_eq(verify(&h, MSG_TIME), ERR_DENIED);
    h = headers(MSG_SIGNATURE);
    h.timestamp = STR("1614265331");
    cr_expect_eq(verify(&h, MSG_TIME), ERR_DENIED);
    static const char *const lists[] = {"v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OF=",
                                        "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
                                        "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
                                        "v1,",
                                        "v1",
                                        " ",
                                        "v1,g0hM9SsE"};
    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        h = headers(lists[i]);
        cr_expect_eq(verify(&h, MSG_TIME), ERR_DENIED, "%s", lists[i]);
    }
}

Test(webhook, looks_at_a_bounded_number_of_entries)
{
    struct buf b = {0};
    for (int i = 0; i < WEBHOOK_SIGNATURES_MAX - 1; i++)
        buf_put_str(&b, "v1,x ");
    buf_put_str(&b, MSG_SIGNATURE);
    struct webhook_headers h = headers(buf_text(&b));
    cr_expect_eq(verify(&h, MSG_TIME), ERR_OK);
    buf_reset(&b);
    for (int i = 0; i < WEBHOOK_SIGNATURES_MAX; i++)
        buf_put_str(&b, "v1,x ");
    buf_put_str(&b, MSG_SIGNATURE);
    h = headers(buf_text(&b));
    cr_expect_eq(verify(&h, MSG_TIME), ERR_DENIED);
    buf_free(&b);
}

Test(webhook, holds_to_the_tolerance_both_ways)
{
    static const struct {
        int64_t now;
        enum err want;
    } rows[] = {{MSG_TIME + 300, ERR_OK},      {MSG_TIME - 300, ERR_OK}, {MSG_TIME + 301, ERR_TIMEOUT},
                {MSG_TIME - 301, ERR_TIMEOUT}, {INT64_MAX, ERR_TIMEOUT}, {INT64_MIN, ERR_TIMEOUT}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct webhook_headers h = headers(MSG_SIGNATURE);
        cr_expect_eq(verify(&h, rows[i].now), rows[i].want, "now %lld", (long long)rows[i].now);
    }
}

Test(webhook, reports_headers_it_can_not_read)
{
    struct webhook_headers rows[] = {
        {STR(""), STR("1614265330"), STR(MSG_SIGNATURE)},    {STR("a.b"), STR("1614265330"), STR(MSG_SIGNATURE)},
        {STR("a b"), STR("1614265330"), STR(MSG_SIGNATURE)}, {STR("a\nb"), STR("1614265330"), STR(MSG_SIGNATURE)},
        {STR(MSG_ID), STR(""), STR(MSG_SIGNATURE)},          {STR(MSG_ID), STR("soon"), STR(MSG_SIGNATURE)},
        {STR(MSG_ID), STR("-5"), STR(MSG_SIGNATURE)},        {STR(MSG_ID), STR("1614265330.0"), STR(MSG_SIGNATURE)},
        {STR(MSG_ID), STR("1614265330"), STR("")},           {{NULL, 0}, {NULL, 0}, {NULL, 0}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_expect_eq(verify(&rows[i], MSG_TIME), ERR_MALFORMED, "row %zu", i);
}

Test(webhook, takes_secrets_of_24_to_64_bytes)
{
    static const struct {
        const char *secret;
        enum err want;
    } rows[] = {
        {SECRET, ERR_OK},
        {OTHER, ERR_OK},
        {NULL, ERR_INVALID},
        {"", ERR_INVALID},
        {"whsec_", ERR_INVALID},
        {"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", ERR_INVALID},
        {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS", ERR_INVALID},
        {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa8=", ERR_INVALID},
        {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqrTwjUPD8ILA==", ERR_OK},
        {"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqrTwjUPD8ILPY=", ERR_INVALID},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_expect_eq(webhook_check_secret(rows[i].secret), rows[i].want, "row %zu", i);
}

Test(webhook, signs_nothing_with_bad_input)
{
    static const char *const bad[] = {SECRET, "whsec_x"};
    struct buf b = {0};
    cr_expect_eq(webhook_sign(&b, bad, 2, MSG_ID, MSG_TIME, STR(MSG_BODY)), ERR_INVALID);
    cr_expect_eq(webhook_sign(&b, one, 0, MSG_ID, MSG_TIME, STR(MSG_BODY)), ERR_INVALID);
    cr_expect_eq(webhook_sign(&b, one, 1, "a.b", MSG_TIME, STR(MSG_BODY)), ERR_INVALID);
    cr_expect_eq(webhook_sign(&b, one, 1, "", MSG_TIME, STR(MSG_BODY)), ERR_INVALID);
    cr_expect_eq(webhook_sign(&b, one, 1, "a\r\nb", MSG_TIME, STR(MSG_BODY)), ERR_INVALID);
    cr_expect_eq(webhook_sign(&b, one, 1, MSG_ID, -1, STR(MSG_BODY)), ERR_INVALID);
    cr_expect_eq(b.len, 0);
    struct webhook_headers h = headers(MSG_SIGNATURE);
    cr_expect_eq(webhook_verify(&h, bad, 2, STR(MSG_BODY), MSG_TIME, 300), ERR_INVALID);
    cr_expect_eq(webhook_verify(&h, one, 0, STR(MSG_BODY), MSG_TIME, 300), ERR_DENIED);
    buf_free(&b);
}
