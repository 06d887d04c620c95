/* pack: see pack.h. */
#include "common/core/pack.h"

#include <ctype.h>
#include <msgpack.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/base/mem.h"

/* One value of the wire format: how many bytes and how many values follow its first byte. */
struct shape {
    unsigned length_bytes; /* big-endian length field behind the first byte */
    uint64_t fixed;        /* bytes of the value besides */
    bool counted;          /* the length field counts bytes (else values) */
    uint64_t values;       /* values that follow (fixarray, fixmap) */
    unsigned per_item;     /* values per counted item: 1 array, 2 map, 0 neither */
};

static bool is_map(uint8_t first)
{
    return (first & 0xf0) == 0x80 || first == 0xde || first == 0xdf;
}

/* https://github.com/msgpack/msgpack/blob/master/spec.md, "Formats" */
static bool shape_of(uint8_t b, struct shape *s)
{
    static const struct shape table[32] = {
        [0x00] = {0}, /* nil */
        [0x02] = {0},
        [0x03] = {0}, /* false true */
        [0x04] = {1, 0, true, 0, 0},
        [0x05] = {2, 0, true, 0, 0},
        [0x06] = {4, 0, true, 0, 0}, /* bin */
        [0x07] = {1, 1, true, 0, 0},
        [0x08] = {2, 1, true, 0, 0},
        [0x09] = {4, 1, true, 0, 0}, /* ext */
        [0x0a] = {0, 4, false, 0, 0},
        [0x0b] = {0, 8, false, 0, 0}, /* float */
        [0x0c] = {0, 1, false, 0, 0},
        [0x0d] = {0, 2, false, 0, 0},
        [0x0e] = {0, 4, false, 0, 0},
        [0x0f] = {0, 8, false, 0, 0},
        [0x10] = {0, 1, false, 0, 0},
        [0x11] = {0, 2, false, 0, 0},
        [0x12] = {0, 4, false, 0, 0},
        [0x13] = {0, 8, false, 0, 0},
        [0x14] = {0, 2, false, 0, 0},
        [0x15] = {0, 3, false, 0, 0},
        [0x16] = {0, 5, false, 0, 0},
        [0x17] = {0, 9, false, 0, 0},
        [0x18] = {0, 17, false, 0, 0}, /* fixext */
        [0x19] = {1, 0, true, 0, 0},
        [0x1a] = {2, 0, true, 0, 0},
        [0x1b] = {4, 0, true, 0, 0}, /* str */
        [0x1c] = {2, 0, false, 0, 1},
        [0x1d] = {4, 0, false, 0, 1}, /* array */
        [0x1e] = {2, 0, false, 0, 2},
        [0x1f] = {4, 0, false, 0, 2}, /* map */
    };
    *s = (struct shape){0};
    if (b < 0x80 || b >= 0xe0)
        return true; /* fixint */
    if (b < 0x90)
        s->values = 2u * (b & 0x0fu);
    else if (b < 0xa0)
        s->values = b & 0x0fu;
    else if (b < 0xc0)
        s->fixed = b & 0x1fu;
    else if (b == 0xc1)
        return false; /* never used */
    else
        *s = table[b - 0xc0];
    return true;
}

/* Reads one value's head at *at; *values becomes the number of values inside it. */
static enum err read_head(struct str bytes, size_t *at, uint64_t *values)
{
    struct shape s;
    if (*at >= bytes.n)
        return ERR_MALFORMED;
    if (!shape_of((uint8_t)bytes.p[(*at)++], &s))
        return ERR_MALFORMED;
    uint64_t length = 0;
    if (bytes.n - *at < s.length_bytes)
        return ERR_MALFORMED;
    for (unsigned i = 0; i < s.length_bytes; i++)
        length = length << 8 | (uint8_t)bytes.p[(*at)++];
    uint64_t skip = s.fixed + (s.counted ? length : 0);
    if (bytes.n - *at < skip)
        return ERR_MALFORMED;
    *at += skip;
    *values = s.values + length * s.per_item;
    /* Each value takes at least one byte: a count beyond what is left is a lie. */
    return *values > bytes.n - *at ? ERR_MALFORMED : ERR_OK;
}

/* ---- JSON's grammar (RFC 8259), without a tree: parsing one costs a worker as much as all else it does for a small entry ---- */

struct json_walk {
    const char *at, *end;
    char open[PACK_JSON_DEPTH_MAX]; /* the brackets around */
    int depth;
};

static bool take(struct json_walk *j, char c)
{
    if (j->at == j->end || *j->at != c)
        return false;
    j->at++;
    return true;
}

static void skip_space(struct json_walk *j)
{
    while (j->at < j->end && (*j->at == ' ' || *j->at == '\t' || *j->at == '\n' || *j->at == '\r'))
        j->at++;
}

static bool take_escape(struct json_walk *j)
{
    if (!take(j, 'u')) {
        if (j->at == j->end || *j->at == '\0' || !strchr("\"\\/bfnrt", *j->at))
            return false;
        j->at++;
        return true;
    }
    for (int i = 0; i < 4; i++, j->at++)
        if (j->at == j->end || !isxdigit((unsigned char)*j->at))
            return false;
    return true;
}

static bool take_string(struct json_walk *j)
{
    if (!take(j, '"'))
        return false;
    while (!take(j, '"')) {
        if (take(j, '\\')) {
            if (!take_escape(j))
                return false;
        } else if (j->at == j->end || (unsigned char)*j->at < ' ') {
            return false;
        } else {
            j->at++;
        }
    }
    return true;
}

static bool take_digits(struct json_walk *j)
{
    const char *from = j->at;
    while (j->at < j->end && *j->at >= '0' && *j->at <= '9')
        j->at++;
    return j->at > from;
}

static bool take_number(struct json_walk *j)
{
    (void)take(j, '-');
    if (!take(j, '0') && !take_digits(j))
        return false;
    if (take(j, '.') && !take_digits(j))
        return false;
    if (take(j, 'e') || take(j, 'E')) {
        if (!take(j, '+'))
            (void)take(j, '-');
        return take_digits(j);
    }
    return true;
}

static bool take_word(struct json_walk *j, struct str word)
{
    if ((size_t)(j->end - j->at) < word.n || memcmp(j->at, word.p, word.n) != 0)
        return false;
    j->at += word.n;
    return true;
}

static bool take_key(struct json_walk *j)
{
    skip_space(j);
    if (!take_string(j))
        return false;
    skip_space(j);
    return take(j, ':');
}

static char closing(const struct json_walk *j)
{
    return j->open[j->depth - 1] == '{' ? '}' : ']';
}

/* *inside: a bracket was opened, and a value must follow. */
static bool take_value(struct json_walk *j, bool *inside)
{
    const bool object = take(j, '{');
    if (!object && !take(j, '['))
        return take_word(j, STR("true")) || take_word(j, STR("false")) || take_word(j, STR("null")) ||
               (j->at < j->end && *j->at == '"' ? take_string(j) : take_number(j));
    if (j->depth == PACK_JSON_DEPTH_MAX)
        return false;
    j->open[j->depth++] = object ? '{' : '[';
    skip_space(j);
    if (take(j, closing(j))) {
        j->depth--;
        return true;
    }
    *inside = true;
    return !object || take_key(j);
}

/* Behind a value: the end of what is around it, or a comma, and *another must follow. */
static bool go_on(struct json_walk *j, bool *another)
{
    if (take(j, closing(j))) {
        j->depth--;
        return true;
    }
    *another = true;
    return take(j, ',') && (j->open[j->depth - 1] == '[' || take_key(j));
}

static bool walk_json(struct json_walk *j)
{
    bool value = true; /* must stand here; otherwise one has ended */
    bool ok = true;
    while (ok && (value || j->depth > 0)) {
        bool next = false;
        skip_space(j);
        ok = value ? take_value(j, &next) : go_on(j, &next);
        value = next;
    }
    skip_space(j);
    return ok && j->at == j->end;
}

static enum err check_json(struct str text, struct err_info *info)
{
    struct json_walk j = {.at = text.p, .end = text.p + text.n};
    if (!str_is_utf8(text))
        return err_set(info, ERR_MALFORMED, "payload: JSON that is no UTF-8 text");
    if (!walk_json(&j))
        return err_set(info, ERR_MALFORMED, "payload: JSON ends or goes wrong at byte %zu of %zu",
                       (size_t)(j.at - text.p), text.n);
    return ERR_OK;
}

enum err pack_check(struct str bytes, struct err_info *info)
{
    uint64_t left[PACK_DEPTH_MAX];
    size_t at = 0;
    int depth = 0;
    if (bytes.n > PACK_PAYLOAD_MAX_BYTES)
        return err_set(info, ERR_LIMIT, "payload of %zu bytes: at most %zu are allowed", bytes.n, PACK_PAYLOAD_MAX_BYTES);
    if (bytes.n && bytes.p[0] == '{')
        return check_json(bytes, info);
    if (bytes.n == 0 || !is_map((uint8_t)bytes.p[0]))
        return err_set(info, ERR_MALFORMED, "payload: expected a JSON object or a MessagePack map");
    do {
        uint64_t values;
        if (read_head(bytes, &at, &values) != ERR_OK)
            return err_set(info, ERR_MALFORMED, "payload: MessagePack ends or goes wrong at byte %zu of %zu", at,
                           bytes.n);
        if (values) {
            if (depth == PACK_DEPTH_MAX)
                return err_set(info, ERR_LIMIT, "payload: MessagePack nested deeper than %d", PACK_DEPTH_MAX);
            left[depth++] = values;
            continue;
        }
        while (depth && --left[depth - 1] == 0)
            depth--;
    } while (depth);
    if (at != bytes.n)
        return err_set(info, ERR_MALFORMED, "payload: %zu bytes behind the MessagePack map", bytes.n - at);
    return ERR_OK;
}

static json_t *text_json(const char *p, size_t n)
{
    json_t *s = json_stringn(n ? p : "", n); /* msgpack-c gives an empty string no address */
    return s ? s : json_null();
}

static json_t *object_json(const msgpack_object *o);

static json_t *map_json(const msgpack_object_map *m)
{
    json_t *object = json_object();
    for (uint32_t i = 0; i < m->size; i++) {
        const msgpack_object *key = &m->ptr[i].key;
        char *name = key->type == MSGPACK_OBJECT_STR ? mem_strndup(key->via.str.ptr, key->via.str.size) : NULL;
        json_t *value = object_json(&m->ptr[i].val);
        /* jansson refuses names that are no UTF-8: such members are left out */
        if (!name || json_object_set(object, name, value)) { /* member dropped */
        }
        json_decref(value);
        mem_free(name);
    }
    return object;
}

static json_t *array_json(const msgpack_object_array *a)
{
    json_t *array = json_array();
    for (uint32_t i = 0; i < a->size; i++)
        json_array_append_new(array, object_json(&a->ptr[i]));
    return array;
}

static json_t *object_json(const msgpack_object *o)
{
    switch (o->type) {
    case MSGPACK_OBJECT_NIL: return json_null();
    case MSGPACK_OBJECT_BOOLEAN: return json_boolean(o->via.boolean);
    case MSGPACK_OBJECT_POSITIVE_INTEGER:
        return o->via.u64 > INT64_MAX ? json_real((double)o->via.u64) : json_integer((json_int_t)o->via.u64);
    case MSGPACK_OBJECT_NEGATIVE_INTEGER: return json_integer(o->via.i64);
    case MSGPACK_OBJECT_FLOAT32:
    case MSGPACK_OBJECT_FLOAT64: {
        json_t *real = json_real(o->via.f64);
        return real ? real : json_null();
    }
    case MSGPACK_OBJECT_STR: return text_json(o->via.str.ptr, o->via.str.size);
    case MSGPACK_OBJECT_BIN: return text_json(o->via.bin.ptr, o->via.bin.size);
    case MSGPACK_OBJECT_ARRAY: return array_json(&o->via.array);
    case MSGPACK_OBJECT_MAP: return map_json(&o->via.map);
    case MSGPACK_OBJECT_EXT: return json_null();
    }
    return json_null();
}

static json_t *packed_json(struct str payload, struct err_info *info)
{
    msgpack_unpacked unpacked;
    size_t at = 0;
    json_t *out = NULL;
    if (pack_check(payload, info) != ERR_OK)
        return NULL;
    msgpack_unpacked_init(&unpacked);
    if (msgpack_unpack_next(&unpacked, payload.p, payload.n, &at) == MSGPACK_UNPACK_SUCCESS)
        out = object_json(&unpacked.data);
    else
        err_set(info, ERR_MALFORMED, "payload: MessagePack refused");
    msgpack_unpacked_destroy(&unpacked);
    return out;
}

json_t *pack_to_json(struct str payload, struct err_info *info)
{
    json_error_t why;
    if (payload.n == 0 || payload.p[0] != '{')
        return packed_json(payload, info);
    if (payload.n > PACK_PAYLOAD_MAX_BYTES) {
        err_set(info, ERR_LIMIT, "payload of %zu bytes: at most %zu are allowed", payload.n, PACK_PAYLOAD_MAX_BYTES);
        return NULL;
    }
    json_t *out = json_loadb(payload.p, payload.n, JSON_REJECT_DUPLICATES, &why);
    if (!out)
        err_set(info, ERR_MALFORMED, "payload: JSON, line %d column %d: %s", why.line, why.column, why.text);
    return out;
}

static int write_buf(void *data, const char *p, size_t n)
{
    buf_put(data, p, n);
    return 0;
}

static void pack_value(msgpack_packer *pk, const json_t *value)
{
    const char *key;
    json_t *member;
    size_t i;
    switch (json_typeof(value)) {
    case JSON_NULL: msgpack_pack_nil(pk); break;
    case JSON_TRUE: msgpack_pack_true(pk); break;
    case JSON_FALSE: msgpack_pack_false(pk); break;
    case JSON_INTEGER: msgpack_pack_int64(pk, json_integer_value(value)); break;
    case JSON_REAL: msgpack_pack_double(pk, json_real_value(value)); break;
    case JSON_STRING: msgpack_pack_str_with_body(pk, json_string_value(value), json_string_length(value)); break;
    case JSON_ARRAY:
        msgpack_pack_array(pk, json_array_size(value));
        json_array_foreach(value, i, member) pack_value(pk, member);
        break;
    case JSON_OBJECT:
        msgpack_pack_map(pk, json_object_size(value));
        json_object_foreach((json_t *)(uintptr_t)value, key, member)
        {
            msgpack_pack_str_with_body(pk, key, strlen(key));
            pack_value(pk, member);
        }
        break;
    }
}

void pack_from_json(const json_t *value, struct buf *out)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, out, write_buf);
    pack_value(&pk, value);
}
