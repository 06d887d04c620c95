/* adoption: see adoption.h. */
#include "common/core/adoption.h"

#define RAW_HEADER_BYTES 5 /* of array32 and of bin32 */

static void put_str(struct buf *out, const char *key, struct str s)
{
    buf_printf(out, ",\"%s\":", key);
    buf_put_json(out, s.p, s.n);
}

static void put_hex(struct buf *out, const char *key, struct str bytes)
{
    static const char digits[] = "0123456789abcdef";
    buf_printf(out, ",\"%s\":\"", key);
    buf_reserve(out, 2 * bytes.n);
    for (size_t i = 0; i < bytes.n; i++) {
        buf_put_char(out, digits[(uint8_t)bytes.p[i] >> 4]);
        buf_put_char(out, digits[(uint8_t)bytes.p[i] & 15]);
    }
    buf_put_char(out, '"');
}

static void put_time(struct buf *out, const char *key, int64_t us)
{
    char text[STR_TIME_SIZE];
    str_from_time(text, us);
    buf_printf(out, ",\"%s\":\"%s\"", key, text);
}

static void put_fields(struct buf *out, const struct envelope *env)
{
    char text[ID_TEXT_SIZE];
    if (!id_is_zero(&env->wedding))
        buf_printf(out, ",\"wedding\":\"%s\"", id_format(&env->wedding, text));
    if (env->deadline_us)
        put_time(out, "deadline", env->deadline_us);
    if (env->at_us)
        put_time(out, "due", env->at_us);
    if (env->max_attempts)
        buf_printf(out, ",\"max\":%d", env->max_attempts);
    if (env->timeout_ms)
        buf_printf(out, ",\"timeout\":%lld", (long long)env->timeout_ms);
    if (env->key.n)
        put_str(out, "key", env->key);
    if (env->traceparent.n)
        put_str(out, "traceparent", env->traceparent);
}

void adoption_put(struct buf *out, const struct adoption *a)
{
    char text[ID_TEXT_SIZE];
    buf_printf(out, "{\"id\":\"%s\"", id_format(&a->id, text));
    put_time(out, "at", a->at_us);
    buf_printf(out, ",\"entry\":\"%s %s\",\"tenant\":\"%s\",\"attempt\":%d", a->stream, a->entry_id,
               id_format(&a->tenant, text), a->attempt);
    put_str(out, "kind", str_of(a->kind));
    put_str(out, "queue", str_of(a->queue));
    if (a->payload.p)
        put_hex(out, "payload", a->payload);
    if (a->in_ms >= 0)
        buf_printf(out, ",\"in_ms\":%lld", (long long)a->in_ms);
    if (a->owner)
        buf_printf(out, ",\"owner\":\"%s\"", id_format(a->owner, text));
    if (a->dead) {
        put_str(out, "dead", str_of(a->dead));
        if (a->error)
            put_str(out, "error", str_of(a->error));
        if (a->raw.p)
            put_hex(out, "raw", a->raw);
    } else {
        put_fields(out, a->envelope);
    }
    buf_put_char(out, '}');
}

/* How many of the fields there is room for; the last one may be cut. */
static size_t raw_fields(const struct str *fields, size_t n)
{
    size_t bytes = RAW_HEADER_BYTES, i = 0;
    for (; i < n && bytes < ADOPTION_RAW_MAX_BYTES; i++)
        bytes += RAW_HEADER_BYTES + fields[i].n;
    return i;
}

void adoption_raw(struct buf *out, const struct str *fields, size_t n)
{
    const size_t from = out->len, fit = raw_fields(fields, n);
    buf_put_u8(out, 0xdd);
    buf_put_be32(out, (uint32_t)fit);
    for (size_t i = 0; i < fit; i++) {
        const size_t room = ADOPTION_RAW_MAX_BYTES - (out->len - from);
        const struct str s = {fields[i].p, fields[i].n < room ? fields[i].n : room};
        buf_put_u8(out, 0xc6);
        buf_put_be32(out, (uint32_t)s.n);
        buf_put(out, s.p, s.n);
    }
}

int64_t adoption_time_us(uint64_t id_ms)
{
    const uint64_t max_ms = UINT64_C(253402300799000); /* year 9999 */
    return (int64_t)(id_ms > max_ms ? max_ms : id_ms) * 1000;
}
