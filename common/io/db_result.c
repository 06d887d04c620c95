/* db_result: cells of a libpq result in binary format, read in place. A cell whose width does not fit the accessor is our
 * mistake (the statement's text decides the type) and asserts. */
#include "common/io/db_private.h"

#include <assert.h>
#include <string.h>

#include <libpq-fe.h>

#include "common/base/str.h"

struct db_result *db_result_new(struct pg_result *pg)
{
    struct db_result *r = mem_alloc(sizeof(*r));
    r->pg = pg;
    return r;
}

void db_result_free(struct db_result *r)
{
    if (!r)
        return;
    PQclear(r->pg);
    mem_free(r);
}

int db_rows(const struct db_result *r)
{
    return PQntuples(r->pg);
}

int64_t db_affected(const struct db_result *r)
{
    int64_t n = 0;
    const char *text = PQcmdTuples(r->pg);
    return text[0] && str_to_i64(str_of(text), &n) == ERR_OK ? n : 0;
}

bool db_null(const struct db_result *r, int row, int col)
{
    assert(row >= 0 && row < PQntuples(r->pg) && col >= 0 && col < PQnfields(r->pg));
    return PQgetisnull(r->pg, row, col) != 0;
}

/* The cell's bytes, or NULL for SQL NULL. */
static const uint8_t *cell(const struct db_result *r, int row, int col, int *n)
{
    if (db_null(r, row, col))
        return NULL;
    assert(PQfformat(r->pg, col) == 1);
    *n = PQgetlength(r->pg, row, col);
    return (const uint8_t *)PQgetvalue(r->pg, row, col);
}

static uint64_t big_endian(const uint8_t *p, int n)
{
    uint64_t v = 0;
    for (int i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

bool db_bool(const struct db_result *r, int row, int col)
{
    int n = 0;
    const uint8_t *p = cell(r, row, col, &n);
    assert(!p || n == 1);
    return p && p[0] != 0;
}

int64_t db_i64(const struct db_result *r, int row, int col)
{
    int n = 0;
    const uint8_t *p = cell(r, row, col, &n);
    if (!p)
        return 0;
    assert(n == 2 || n == 4 || n == 8);
    uint64_t v = big_endian(p, n);
    if (n == 2)
        return (int16_t)(uint16_t)v;
    return n == 4 ? (int32_t)(uint32_t)v : (int64_t)v;
}

double db_double(const struct db_result *r, int row, int col)
{
    int n = 0;
    const uint8_t *p = cell(r, row, col, &n);
    if (!p)
        return 0;
    assert(n == 4 || n == 8);
    uint64_t bits = big_endian(p, n);
    double d = 0;
    if (n == 8) {
        memcpy(&d, &bits, sizeof(d));
        return d;
    }
    uint32_t narrow = (uint32_t)bits;
    float f = 0;
    memcpy(&f, &narrow, sizeof(f));
    return (double)f;
}

struct str db_text(const struct db_result *r, int row, int col)
{
    int n = 0;
    const uint8_t *p = cell(r, row, col, &n);
    if (!p)
        return (struct str){NULL, 0};
    if (PQftype(r->pg, col) == DB_OID_JSONB && n > 0) {
        p++; /* the version byte of jsonb_send */
        n--;
    }
    return (struct str){(const char *)p, (size_t)n};
}

struct id db_id(const struct db_result *r, int row, int col)
{
    struct id id = ID_ZERO;
    int n = 0;
    const uint8_t *p = cell(r, row, col, &n);
    assert(!p || n == (int)sizeof(id.b));
    if (p)
        memcpy(id.b, p, sizeof(id.b));
    return id;
}

int64_t db_time(const struct db_result *r, int row, int col)
{
    int n = 0;
    const uint8_t *p = cell(r, row, col, &n);
    assert(!p || n == 8);
    return p ? db_time_from_pg((int64_t)big_endian(p, n)) : DB_NULL_TIME;
}
