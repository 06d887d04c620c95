/* envelope: see envelope.h. */
#include "common/core/envelope.h"

#include "common/core/key.h"
#include "common/core/pack.h"

#define MAX_ATTEMPTS 100
#define MAX_TIMEOUT_MS 3600000

static bool kind_ok(struct str s)
{
    if (s.n < 1 || s.n > 64 || s.p[0] < 'a' || s.p[0] > 'z')
        return false;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-'))
            return false;
    }
    return true;
}

static enum err bad(struct err_info *info, const char *field, struct str found, const char *expected)
{
    return err_set(info, ERR_MALFORMED, "field %s: \"%.*s\": expected %s", field, (int)(found.n > 40 ? 40 : found.n),
                   found.p, expected);
}

static enum err parse_id(struct str value, const char *field, struct id *out, struct err_info *info)
{
    return id_parse(value, out) == ERR_OK ? ERR_OK : bad(info, field, value, "a UUID");
}

static enum err parse_instant(struct str value, const char *field, int64_t *out, struct err_info *info)
{
    int64_t ms;
    if (str_to_i64(value, &ms) == ERR_OK && ms > 0 && ms < INT64_C(253402300800000)) { /* year 10000 */
        *out = ms * 1000;
        return ERR_OK;
    }
    if (str_to_time(value, out) == ERR_OK && *out > 0)
        return ERR_OK;
    return bad(info, field, value, "an RFC 3339 time or milliseconds since 1970");
}

static enum err parse_number(struct str value, const char *field, int64_t max, int64_t *out, struct err_info *info)
{
    if (str_to_i64(value, out) == ERR_OK && *out >= 1 && *out <= max)
        return ERR_OK;
    return err_set(info, ERR_MALFORMED, "field %s: \"%.*s\": expected a number from 1 to %lld", field,
                   (int)(value.n > 40 ? 40 : value.n), value.p, (long long)max);
}

static enum err parse_payload(struct str value, struct envelope *out, struct err_info *info)
{
    out->payload = value;
    if (value.n > PACK_PAYLOAD_MAX_BYTES)
        return err_set(info, ERR_LIMIT, "field payload: %zu bytes: at most %zu are allowed", value.n,
                       PACK_PAYLOAD_MAX_BYTES);
    if (value.n == 0)
        return bad(info, "payload", value, "a JSON object or a MessagePack map");
    return pack_check(value, info);
}

/* W3C Trace Context, version 00. What has another form is left out, as it says. */
static bool traceparent_ok(struct str s)
{
    static const char form[] = "xx-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";
    if (s.n != sizeof(form) - 1)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        bool hex = (s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f');
        if (form[i] == 'x' ? !hex : s.p[i] != '-')
            return false;
    }
    return true;
}

static enum err parse_field(struct str name, struct str value, struct envelope *out, struct err_info *info)
{
    enum err err = ERR_OK;
    int64_t number = 0;
    if (str_is(name, "payload"))
        return parse_payload(value, out, info);
    if (value.n > ENVELOPE_FIELD_MAX_BYTES || name.n > ENVELOPE_FIELD_MAX_BYTES)
        return err_set(info, ERR_LIMIT, "field %.*s: %zu bytes: at most %d are allowed",
                       (int)(name.n > 40 ? 40 : name.n), name.p, value.n, ENVELOPE_FIELD_MAX_BYTES);
    if (str_is(name, "kind")) {
        out->kind = value;
        if (!kind_ok(value))
            return bad(info, "kind", value, "1 to 64 of a-z 0-9 _ . - beginning with a letter");
    } else if (str_is(name, "v")) {
        if (!str_is(value, "1"))
            return bad(info, "v", value, "1");
    } else if (str_is(name, "tenant")) {
        err = parse_id(value, "tenant", &out->tenant, info);
    } else if (str_is(name, "wedding")) {
        err = parse_id(value, "wedding", &out->wedding, info);
    } else if (str_is(name, "key")) {
        out->key = value;
        if (value.n == 0 || value.n > ENVELOPE_KEY_MAX_BYTES || !str_is_utf8(value))
            return bad(info, "key", value, "1 to 200 bytes of UTF-8 text");
    } else if (str_is(name, "at")) {
        err = parse_instant(value, "at", &out->at_us, info);
    } else if (str_is(name, "deadline")) {
        err = parse_instant(value, "deadline", &out->deadline_us, info);
    } else if (str_is(name, "max")) {
        err = parse_number(value, "max", MAX_ATTEMPTS, &number, info);
        out->max_attempts = (int)number;
    } else if (str_is(name, "timeout")) {
        err = parse_number(value, "timeout", MAX_TIMEOUT_MS, &out->timeout_ms, info);
    } else if (str_is(name, "traceparent")) {
        if (traceparent_ok(value))
            out->traceparent = value;
    }
    return err;
}

/* Which of two values counts nobody could tell. */
static enum err check_repeated(const struct str *fields, size_t i, struct err_info *info)
{
    for (size_t j = 0; j < i; j += 2)
        if (str_eq(fields[j], fields[i]))
            return err_set(info, ERR_MALFORMED, "field %.*s: given twice", (int)(fields[i].n > 40 ? 40 : fields[i].n),
                           fields[i].p);
    return ERR_OK;
}

enum err envelope_parse(const struct str *fields, size_t n, struct envelope *out, struct err_info *info)
{
    *out = (struct envelope){0};
    if (n / 2 > ENVELOPE_FIELDS_MAX)
        return err_set(info, ERR_LIMIT, "entry of %zu fields: at most %d are allowed", n / 2, ENVELOPE_FIELDS_MAX);
    for (size_t i = 0; i + 1 < n; i += 2) {
        enum err err = check_repeated(fields, i, info);
        if (err == ERR_OK)
            err = parse_field(fields[i], fields[i + 1], out, info);
        if (err != ERR_OK)
            return err;
    }
    if (!out->kind.p)
        return err_set(info, ERR_MALFORMED, "field kind is missing");
    if (!out->payload.p)
        return err_set(info, ERR_MALFORMED, "field payload is missing");
    return ERR_OK;
}

void envelope_log_id(struct str stream, struct str entry_id, const struct str *fields, size_t n, struct id *out)
{
    struct str parts[2 + 2 * ENVELOPE_FIELDS_MAX];
    size_t count = 0;
    parts[count++] = stream;
    parts[count++] = entry_id;
    for (size_t i = 0; i < n && count < sizeof(parts) / sizeof(parts[0]); i++)
        parts[count++] = fields[i];
    key_derive(out, "entry", parts, count);
}
