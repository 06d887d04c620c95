/* out: rows of data on standard output, as an aligned table for people or as JSON with --json.
 *
 *     static const struct out_column columns[] = {{"queue", OUT_TEXT}, {"backlog", OUT_INT}};
 *     struct out *o = out_new(columns, 2);
 *     for each row: out_text(o, name); out_int(o, n);
 *     out_print(o, run->json, stdout);
 *     out_free(o);                                                                                                     */
#ifndef CLI_OUT_H
#define CLI_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/base/id.h"
#include "common/base/str.h"

enum out_type { OUT_TEXT, OUT_INT, OUT_BOOL, OUT_JSON /* a JSON value as text */ };

struct out_column {
    const char *name; /* lower case with underscores: JSON key; the table's heading shows it in capitals */
    enum out_type type;
};

struct out;

/* The columns are borrowed. */
struct out *out_new(const struct out_column *columns, size_t n);
void out_free(struct out *o); /* NULL is fine */

/* The next cell, in the order of the columns; a row is complete with its last cell. Texts are copied. */
void out_text(struct out *o, const char *s); /* NULL: JSON null, "-" in a table */
void out_str(struct out *o, struct str s);   /* p == NULL: as above */
void out_int(struct out *o, int64_t v);
void out_bool(struct out *o, bool v);
void out_id(struct out *o, const struct id *id); /* zero: null */
void out_time(struct out *o, int64_t us);        /* INT64_MIN: null */
void out_null(struct out *o);

size_t out_rows(const struct out *o);

/* All rows: a table with headings (nothing without rows), or a JSON array of objects, one a line. */
void out_print(const struct out *o, bool json, FILE *f);

/* The same array in memory, without a newline behind it: the value of an OUT_JSON cell. Allocated. */
char *out_json(const struct out *o);

/* The only row: "name: value" lines, or one JSON object. */
void out_print_one(const struct out *o, bool json, FILE *f);

#endif
