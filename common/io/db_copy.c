/* db_copy: rows for COPY … FROM STDIN (FORMAT binary). The type of every field must be the column's exactly: one wrong
 * width and the server refuses the whole COPY (22P03). */
#include "common/io/db_private.h"

#include <assert.h>

#include "common/base/buf.h"

static const char signature[11] = {'P', 'G', 'C', 'O', 'P', 'Y', '\n', (char)0xff, '\r', '\n', '\0'};

void db_copy_begin(struct buf *b)
{
    buf_put(b, signature, sizeof(signature));
    buf_put_be32(b, 0); /* flags */
    buf_put_be32(b, 0); /* length of the header's extension */
}

void db_copy_end(struct buf *b)
{
    buf_put_be16(b, UINT16_MAX);
}

void db_copy_row(struct buf *b, int columns)
{
    assert(columns > 0 && columns <= INT16_MAX);
    buf_put_be16(b, (uint16_t)columns);
}

void db_copy_null(struct buf *b)
{
    buf_put_be32(b, UINT32_MAX);
}

void db_copy_id(struct buf *b, const struct id *id)
{
    if (!id) {
        db_copy_null(b);
        return;
    }
    buf_put_be32(b, sizeof(id->b));
    buf_put(b, id->b, sizeof(id->b));
}

void db_copy_i16(struct buf *b, int16_t v)
{
    buf_put_be32(b, 2);
    buf_put_be16(b, (uint16_t)v);
}

void db_copy_i32(struct buf *b, int32_t v)
{
    buf_put_be32(b, 4);
    buf_put_be32(b, (uint32_t)v);
}

void db_copy_i64(struct buf *b, int64_t v)
{
    buf_put_be32(b, 8);
    buf_put_be64(b, (uint64_t)v);
}

void db_copy_bool(struct buf *b, bool v)
{
    buf_put_be32(b, 1);
    buf_put_u8(b, v);
}

void db_copy_time(struct buf *b, int64_t us)
{
    if (us == DB_NULL_TIME)
        db_copy_null(b);
    else
        db_copy_i64(b, db_time_to_pg(us));
}

void db_copy_bytes(struct buf *b, struct str s)
{
    if (!s.p) {
        db_copy_null(b);
        return;
    }
    buf_put_be32(b, (uint32_t)s.n);
    buf_put(b, s.p, s.n);
}

void db_copy_text(struct buf *b, struct str s)
{
    db_copy_bytes(b, s);
}

void db_copy_jsonb(struct buf *b, struct str s)
{
    if (!s.p) {
        db_copy_null(b);
        return;
    }
    buf_put_be32(b, (uint32_t)s.n + 1);
    buf_put_u8(b, 1); /* version of jsonb_recv */
    buf_put(b, s.p, s.n);
}
