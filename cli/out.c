/* out: cells are kept as text until all are known, since widths depend on all. Control characters are shown as '?' in
 * tables: what tenants wrote must not drive the operator's terminal. */
#include "cli/out.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/mem.h"

#define GAP 2 /* blanks between columns */

struct cell {
    char *text; /* NULL: null */
    size_t n;
};

struct out {
    const struct out_column *columns;
    size_t n_columns;
    struct cell *cells;
    size_t n;
    size_t cap;
};

struct out *out_new(const struct out_column *columns, size_t n)
{
    struct out *o = mem_zalloc(sizeof(*o));

    o->columns = columns;
    o->n_columns = n;
    return o;
}

void out_free(struct out *o)
{
    if (o == NULL)
        return;
    for (size_t i = 0; i < o->n; i++)
        mem_free(o->cells[i].text);
    mem_free(o->cells);
    mem_free(o);
}

void out_str(struct out *o, struct str s)
{
    if (o->n == o->cap) {
        o->cap = o->cap == 0 ? 64 : o->cap * 2;
        o->cells = mem_realloc(o->cells, o->cap * sizeof(*o->cells));
    }
    o->cells[o->n++] = (struct cell){s.p == NULL ? NULL : mem_strndup(s.p, s.n), s.n};
}

void out_text(struct out *o, const char *s)
{
    out_str(o, (struct str){s, s == NULL ? 0 : strlen(s)});
}

void out_null(struct out *o)
{
    out_text(o, NULL);
}

void out_int(struct out *o, int64_t v)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%lld", (long long)v);
    out_text(o, text);
}

void out_bool(struct out *o, bool v)
{
    out_text(o, v ? "true" : "false");
}

void out_id(struct out *o, const struct id *id)
{
    char text[ID_TEXT_SIZE];

    out_text(o, id_is_zero(id) ? NULL : id_format(id, text));
}

void out_time(struct out *o, int64_t us)
{
    char text[STR_TIME_SIZE];

    if (us == INT64_MIN) {
        out_null(o);
        return;
    }
    str_from_time(text, us);
    out_text(o, text);
}

size_t out_rows(const struct out *o)
{
    return o->n / o->n_columns;
}

/* ---- JSON ------------------------------------------------------------------------------------------------------------ */

static void put_json_cell(struct buf *b, enum out_type type, const struct cell *cell)
{
    if (cell->text == NULL)
        buf_put_str(b, "null");
    else if (type == OUT_TEXT)
        buf_put_json(b, cell->text, cell->n);
    else
        buf_put(b, cell->text, cell->n);
}

static void put_json_row(struct buf *b, const struct out *o, size_t row)
{
    buf_put_char(b, '{');
    for (size_t c = 0; c < o->n_columns; c++) {
        if (c > 0)
            buf_put_char(b, ',');
        buf_put_json(b, o->columns[c].name, strlen(o->columns[c].name));
        buf_put_char(b, ':');
        put_json_cell(b, o->columns[c].type, &o->cells[row * o->n_columns + c]);
    }
    buf_put_char(b, '}');
}

/* ---- text ------------------------------------------------------------------------------------------------------------ */

static const struct cell *shown(const struct cell *cell)
{
    static char dash[] = "-";
    static const struct cell none = {dash, 1};

    return cell->text == NULL || cell->n == 0 ? &none : cell;
}

/* Characters, not bytes: continuation bytes of UTF-8 take no place. */
static size_t width_of(const struct cell *cell)
{
    size_t width = 0;

    for (size_t i = 0; i < cell->n; i++)
        width += ((unsigned char)cell->text[i] & 0xC0u) != 0x80u;
    return width;
}

/* U+0080 to U+009F (C2 80 to C2 9F) are control characters too. */
static bool is_control(const struct cell *cell, size_t i)
{
    unsigned char c = (unsigned char)cell->text[i];
    unsigned char before = i > 0 ? (unsigned char)cell->text[i - 1] : 0;

    return c < 0x20 || c == 0x7F || (before == 0xC2 && c >= 0x80 && c <= 0x9F);
}

static void put_shown(struct buf *b, const struct cell *cell)
{
    for (size_t i = 0; i < cell->n; i++) {
        if (!is_control(cell, i)) {
            buf_put_char(b, cell->text[i]);
            continue;
        }
        if ((unsigned char)cell->text[i] >= 0x80)
            b->len--; /* its first byte */
        buf_put_char(b, '?');
    }
}

static size_t *column_widths(const struct out *o)
{
    size_t *widths = mem_zalloc(o->n_columns * sizeof(*widths));

    for (size_t c = 0; c < o->n_columns; c++)
        widths[c] = strlen(o->columns[c].name);
    for (size_t i = 0; i < out_rows(o) * o->n_columns; i++) {
        size_t width = width_of(shown(&o->cells[i]));
        if (width > widths[i % o->n_columns])
            widths[i % o->n_columns] = width;
    }
    return widths;
}

static void put_aligned(struct buf *b, const struct out *o, size_t c, const size_t *widths, const struct cell *cell)
{
    int pad = (int)(widths[c] - width_of(cell));
    bool right = o->columns[c].type == OUT_INT;
    bool last = c + 1 == o->n_columns;

    if (right)
        buf_printf(b, "%*s", pad, "");
    put_shown(b, cell);
    if (!last)
        buf_printf(b, "%*s", (right ? 0 : pad) + GAP, "");
    else
        buf_put_char(b, '\n');
}

static void put_headings(struct buf *b, const struct out *o, const size_t *widths)
{
    for (size_t c = 0; c < o->n_columns; c++) {
        struct cell heading = {mem_strdup(o->columns[c].name), strlen(o->columns[c].name)};
        for (char *p = heading.text; *p != '\0'; p++)
            *p = *p == '_' ? ' ' : (char)toupper((unsigned char)*p);
        put_aligned(b, o, c, widths, &heading);
        mem_free(heading.text);
    }
}

static void put_table(struct buf *b, const struct out *o)
{
    size_t *widths = column_widths(o);

    if (o->n > 0)
        put_headings(b, o, widths);
    for (size_t i = 0; i < out_rows(o) * o->n_columns; i++)
        put_aligned(b, o, i % o->n_columns, widths, shown(&o->cells[i]));
    mem_free(widths);
}

static void put_lines(struct buf *b, const struct out *o)
{
    size_t longest = 0;

    for (size_t c = 0; c < o->n_columns; c++) {
        size_t n = strlen(o->columns[c].name);
        longest = n > longest ? n : longest;
    }
    for (size_t c = 0; c < o->n_columns; c++) {
        buf_printf(b, "%s:%*s", o->columns[c].name, (int)(longest - strlen(o->columns[c].name) + 1), "");
        put_shown(b, shown(&o->cells[c]));
        buf_put_char(b, '\n');
    }
}

static void put_json_rows(struct buf *b, const struct out *o)
{
    buf_put_char(b, '[');
    for (size_t row = 0; row < out_rows(o); row++) {
        buf_put_str(b, row > 0 ? ",\n" : "");
        put_json_row(b, o, row);
    }
    buf_put_char(b, ']');
}

char *out_json(const struct out *o)
{
    struct buf b = {0};

    assert(o->n % o->n_columns == 0);
    put_json_rows(&b, o);
    return b.data;
}

void out_print(const struct out *o, bool json, FILE *f)
{
    struct buf b = {0};

    assert(o->n % o->n_columns == 0);
    if (!json) {
        put_table(&b, o);
    } else {
        put_json_rows(&b, o);
        buf_put_char(&b, '\n');
    }
    (void)fwrite(buf_text(&b), 1, b.len, f);
    buf_free(&b);
}

void out_print_one(const struct out *o, bool json, FILE *f)
{
    struct buf b = {0};

    assert(o->n == o->n_columns);
    if (json) {
        put_json_row(&b, o, 0);
        buf_put_char(&b, '\n');
    } else {
        put_lines(&b, o);
    }
    (void)fwrite(buf_text(&b), 1, b.len, f);
    buf_free(&b);
}
