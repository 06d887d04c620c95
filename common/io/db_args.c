/* db_args: parameters in the server's binary format (src/backend/utils/adt: *_recv). Values live in the caller's arena. */
#include "common/io/db_private.h"

#include <assert.h>
#include <string.h>

#include "common/base/mem.h"

#define MAX_ARG_BYTES 0x3fffffff /* the server refuses a field of 1 GiB (MaxAllocSize) */

void db_args_init(struct db_args *a, struct arena *arena)
{
    a->arena = arena;
    a->n = 0;
}

static void put(struct db_args *a, enum db_oid type, const void *value, size_t n)
{
    assert(a->n < DB_MAX_ARGS && n <= MAX_ARG_BYTES);
    a->values[a->n] = value;
    a->lengths[a->n] = (int)n;
    a->types[a->n] = (unsigned)type;
    a->n++;
}

static void put_copy(struct db_args *a, enum db_oid type, const void *value, size_t n)
{
    char *copy = NULL;
    if (value) {
        copy = arena_alloc(a->arena, n + 1); /* + 1: an empty value is not NULL */
        if (n > 0)
            memcpy(copy, value, n);
    }
    put(a, type, copy, copy ? n : 0);
}

static uint8_t *set_be32(uint8_t *p, uint32_t v)
{
    for (int i = 3; i >= 0; i--)
        *p++ = (uint8_t)(v >> (8 * i));
    return p;
}

static uint8_t *set_be64(uint8_t *p, uint64_t v)
{
    return set_be32(set_be32(p, (uint32_t)(v >> 32)), (uint32_t)v);
}

void db_arg_null(struct db_args *a)
{
    put(a, DB_OID_NONE, NULL, 0);
}

void db_arg_bool(struct db_args *a, bool v)
{
    uint8_t b = v;
    put_copy(a, DB_OID_BOOL, &b, 1);
}

void db_arg_i32(struct db_args *a, int32_t v)
{
    uint8_t b[4];
    set_be32(b, (uint32_t)v);
    put_copy(a, DB_OID_INT4, b, sizeof(b));
}

static void put_be64(struct db_args *a, enum db_oid type, uint64_t v)
{
    uint8_t b[8];
    set_be64(b, v);
    put_copy(a, type, b, sizeof(b));
}

void db_arg_i64(struct db_args *a, int64_t v)
{
    put_be64(a, DB_OID_INT8, (uint64_t)v);
}

void db_arg_double(struct db_args *a, double v)
{
    uint64_t bits = 0;
    memcpy(&bits, &v, sizeof(bits));
    put_be64(a, DB_OID_FLOAT8, bits);
}

void db_arg_text(struct db_args *a, struct str s)
{
    put_copy(a, DB_OID_TEXT, s.p, s.n);
}

void db_arg_cstr(struct db_args *a, const char *s)
{
    put_copy(a, DB_OID_TEXT, s, s ? strlen(s) : 0);
}

void db_arg_bytes(struct db_args *a, struct str s)
{
    put_copy(a, DB_OID_BYTEA, s.p, s.n);
}

void db_arg_id(struct db_args *a, const struct id *id)
{
    put_copy(a, DB_OID_UUID, id ? id->b : NULL, sizeof(id->b));
}

void db_arg_time(struct db_args *a, int64_t us)
{
    if (us == DB_NULL_TIME)
        put(a, DB_OID_TIMESTAMPTZ, NULL, 0);
    else
        put_be64(a, DB_OID_TIMESTAMPTZ, (uint64_t)db_time_to_pg(us));
}

void db_arg_json(struct db_args *a, struct str s)
{
    if (!s.p) {
        put(a, DB_OID_JSONB, NULL, 0);
        return;
    }
    char *copy = arena_alloc(a->arena, s.n + 1);
    copy[0] = 1; /* version of jsonb_recv */
    if (s.n > 0)
        memcpy(copy + 1, s.p, s.n);
    put(a, DB_OID_JSONB, copy, s.n + 1);
}

/* ---- arrays: dimensions, has-null flag, element type, then per dimension size and lower bound, then <length, bytes>* ------- */
#define ARRAY_HEAD_BYTES 20
#define ARRAY_EMPTY_BYTES 12

struct array {
    uint8_t *start;
    uint8_t *at;
    size_t size;
};

/* `bytes`: room for lengths and elements. The caller writes the elements at `at`. */
static struct array array_begin(struct db_args *a, enum db_oid element, size_t n, size_t bytes, bool nulls)
{
    struct array out = {.size = n == 0 ? ARRAY_EMPTY_BYTES : ARRAY_HEAD_BYTES + bytes};
    assert(n <= INT32_MAX);
    out.start = out.at = arena_alloc(a->arena, out.size);
    out.at = set_be32(out.at, n == 0 ? 0 : 1);
    out.at = set_be32(out.at, nulls);
    out.at = set_be32(out.at, (uint32_t)element);
    if (n > 0) {
        out.at = set_be32(out.at, (uint32_t)n);
        out.at = set_be32(out.at, 1);
    }
    return out;
}

static void array_end(struct db_args *a, enum db_oid type, const struct array *array)
{
    assert((size_t)(array->at - array->start) == array->size);
    put(a, type, array->start, array->size);
}

void db_arg_ids(struct db_args *a, const struct id *v, size_t n)
{
    struct array out = array_begin(a, DB_OID_UUID, n, n * (4 + sizeof(v->b)), false);
    for (size_t i = 0; i < n; i++) {
        out.at = set_be32(out.at, sizeof(v->b));
        memcpy(out.at, v[i].b, sizeof(v->b));
        out.at += sizeof(v->b);
    }
    array_end(a, DB_OID_UUID_ARRAY, &out);
}

void db_arg_i32s(struct db_args *a, const int32_t *v, size_t n)
{
    struct array out = array_begin(a, DB_OID_INT4, n, n * 8, false);
    for (size_t i = 0; i < n; i++)
        out.at = set_be32(set_be32(out.at, 4), (uint32_t)v[i]);
    array_end(a, DB_OID_INT4_ARRAY, &out);
}

void db_arg_i64s(struct db_args *a, const int64_t *v, size_t n)
{
    struct array out = array_begin(a, DB_OID_INT8, n, n * 12, false);
    for (size_t i = 0; i < n; i++)
        out.at = set_be64(set_be32(out.at, 8), (uint64_t)v[i]);
    array_end(a, DB_OID_INT8_ARRAY, &out);
}

void db_arg_times(struct db_args *a, const int64_t *v, size_t n)
{
    size_t nulls = 0;
    for (size_t i = 0; i < n; i++)
        nulls += v[i] == DB_NULL_TIME;
    struct array out = array_begin(a, DB_OID_TIMESTAMPTZ, n, n * 12 - nulls * 8, nulls > 0);
    for (size_t i = 0; i < n; i++)
        out.at = v[i] == DB_NULL_TIME ? set_be32(out.at, UINT32_MAX)
                                      : set_be64(set_be32(out.at, 8), (uint64_t)db_time_to_pg(v[i]));
    array_end(a, DB_OID_TIMESTAMPTZ_ARRAY, &out);
}

void db_arg_bools(struct db_args *a, const bool *v, size_t n)
{
    struct array out = array_begin(a, DB_OID_BOOL, n, n * 5, false);
    for (size_t i = 0; i < n; i++) {
        out.at = set_be32(out.at, 1);
        *out.at++ = v[i];
    }
    array_end(a, DB_OID_BOOL_ARRAY, &out);
}

static void put_strings(struct db_args *a, enum db_oid element, enum db_oid type, const struct str *v, size_t n)
{
    size_t bytes = 4 * n;
    bool nulls = false;
    for (size_t i = 0; i < n; i++) {
        bytes += v[i].p ? v[i].n : 0;
        nulls = nulls || !v[i].p;
    }
    struct array out = array_begin(a, element, n, bytes, nulls);
    for (size_t i = 0; i < n; i++) {
        out.at = set_be32(out.at, v[i].p ? (uint32_t)v[i].n : UINT32_MAX);
        if (v[i].p && v[i].n > 0)
            memcpy(out.at, v[i].p, v[i].n);
        out.at += v[i].p ? v[i].n : 0;
    }
    array_end(a, type, &out);
}

void db_arg_texts(struct db_args *a, const struct str *v, size_t n)
{
    put_strings(a, DB_OID_TEXT, DB_OID_TEXT_ARRAY, v, n);
}

void db_arg_bytess(struct db_args *a, const struct str *v, size_t n)
{
    put_strings(a, DB_OID_BYTEA, DB_OID_BYTEA_ARRAY, v, n);
}
