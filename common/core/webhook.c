#include "common/core/webhook.h"

#include <string.h>

#include "common/core/base64.h"
#include "common/core/hash.h"

#define SECRET_PREFIX "whsec_"
#define VERSION_PREFIX "v1,"

struct secret {
    uint8_t key[WEBHOOK_SECRET_MAX_BYTES];
    size_t n;
};

static enum err secret_read(struct secret *out, const char *text)
{
    if (text == NULL || strncmp(text, SECRET_PREFIX, strlen(SECRET_PREFIX)) != 0)
        return ERR_INVALID;
    struct str b64 = str_of(text + strlen(SECRET_PREFIX));
    if (base64_decode(b64, out->key, sizeof(out->key), &out->n) != ERR_OK)
        return ERR_INVALID;
    return out->n >= WEBHOOK_SECRET_MIN_BYTES ? ERR_OK : ERR_INVALID;
}

enum err webhook_check_secret(const char *secret)
{
    struct secret s;
    return secret_read(&s, secret);
}

/* Visible ASCII without '.', which separates the signed parts. */
static bool id_is_good(struct str id)
{
    if (id.n == 0 || id.n > WEBHOOK_ID_MAX_BYTES)
        return false;
    for (size_t i = 0; i < id.n; i++) {
        if (id.p[i] <= ' ' || id.p[i] > '~' || id.p[i] == '.')
            return false;
    }
    return true;
}

static void signed_content(struct buf *out, struct str id, struct str timestamp, struct str body)
{
    buf_put(out, id.p, id.n);
    buf_put_char(out, '.');
    buf_put(out, timestamp.p, timestamp.n);
    buf_put_char(out, '.');
    if (body.n > 0)
        buf_put(out, body.p, body.n);
}

enum err webhook_sign(struct buf *out, const char *const *secrets, size_t n_secrets, const char *id,
                      int64_t timestamp_s, struct str body)
{
    struct buf content = {0};
    struct buf time_text = {0};
    struct buf list = {0};
    enum err e = n_secrets > 0 && timestamp_s >= 0 && id_is_good(str_of(id)) ? ERR_OK : ERR_INVALID;
    if (e != ERR_OK)
        goto out;
    buf_printf(&time_text, "%lld", (long long)timestamp_s);
    signed_content(&content, str_of(id), (struct str){time_text.data, time_text.len}, body);
    for (size_t i = 0; i < n_secrets; i++) {
        struct secret s;
        e = secret_read(&s, secrets[i]);
        if (e != ERR_OK)
            goto out;
        uint8_t mac[HASH_SIZE];
        hash_hmac(mac, s.key, s.n, content.data, content.len);
        buf_put_str(&list, i == 0 ? VERSION_PREFIX : " " VERSION_PREFIX);
        base64_encode(&list, mac, sizeof(mac));
    }
    buf_put(out, list.data, list.len);
out:
    buf_free(&list);
    buf_free(&time_text);
    buf_free(&content);
    return e;
}

/* Compares one MAC with every v1 entry of the list. */
static bool list_holds(struct str list, const uint8_t mac[HASH_SIZE])
{
    bool found = false;
    const char *end = list.p + list.n;
    const char *p = list.p;
    for (int entries = 0; p < end && entries < WEBHOOK_SIGNATURES_MAX; entries++) {
        const char *space = memchr(p, ' ', (size_t)(end - p));
        struct str entry = {p, (size_t)((space != NULL ? space : end) - p)};
        p = space != NULL ? space + 1 : end;
        if (!str_starts(entry, VERSION_PREFIX))
            continue;
        uint8_t given[HASH_SIZE];
        size_t n = 0;
        struct str b64 = {entry.p + strlen(VERSION_PREFIX), entry.n - strlen(VERSION_PREFIX)};
        if (base64_decode(b64, given, sizeof(given), &n) == ERR_OK && n == HASH_SIZE)
            found |= hash_equal(given, mac, HASH_SIZE);
    }
    return found;
}

static enum err check_time(struct str text, int64_t now_s, int64_t tolerance_s)
{
    int64_t t;
    if (str_to_i64(text, &t) != ERR_OK || t < 0)
        return ERR_MALFORMED;
    int64_t away;
    if (__builtin_sub_overflow(now_s, t, &away))
        return ERR_TIMEOUT;
    return away > tolerance_s || away < -tolerance_s ? ERR_TIMEOUT : ERR_OK;
}

enum err webhook_verify(const struct webhook_headers *h, const char *const *secrets, size_t n_secrets, struct str body,
                        int64_t now_s, int64_t tolerance_s)
{
    struct buf content = {0};
    bool fits = false;
    enum err e = id_is_good(h->id) && h->signature.n > 0 ? check_time(h->timestamp, now_s, tolerance_s) : ERR_MALFORMED;
    if (e != ERR_OK)
        goto out;
    signed_content(&content, h->id, h->timestamp, body);
    for (size_t i = 0; i < n_secrets; i++) {
        struct secret s;
        e = secret_read(&s, secrets[i]);
        if (e != ERR_OK)
            goto out;
        uint8_t mac[HASH_SIZE];
        hash_hmac(mac, s.key, s.n, content.data, content.len);
        fits |= list_holds(h->signature, mac);
    }
    e = fits ? ERR_OK : ERR_DENIED;
out:
    buf_free(&content);
    return e;
}
