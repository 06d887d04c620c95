/* value: what an expression of logic yields. A small tagged union passed by value; texts, lists and documents are
 * borrowed from the rule, the facts or the evaluation's arena. The functions named js_ follow ECMA-262, since jsonlogic
 * mode promises what json-logic-js does. */
#ifndef COMMON_CORE_VALUE_H
#define COMMON_CORE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/str.h"

enum value_type {
    VALUE_UNDEFINED, /* jsonlogic mode only */
    VALUE_NULL,      /* u.why says where it came from: a literal, a missing field */
    VALUE_BOOL,
    VALUE_INT, /* strict mode only: JavaScript's numbers are doubles */
    VALUE_REAL,
    VALUE_STRING,
    VALUE_DATE,    /* u.i: days since 1970-01-01 */
    VALUE_INSTANT, /* u.i: µs since 1970 UTC */
    VALUE_LIST,    /* made while evaluating, or a literal */
    VALUE_RECORD,  /* made: the scope of reduce, a caught error, an iterator's index */
    VALUE_ARRAY,   /* part of a document */
    VALUE_OBJECT,  /* part of a document */
    VALUE_UNKNOWN, /* u.why */
    VALUE_FAILED   /* the evaluation ended; the run knows why */
};

struct value_why {
    uint32_t why; /* enum logic_why */
    uint32_t node;
    const char *path;
};

struct value {
    enum value_type type;
    union {
        bool b;
        int64_t i;
        double d;
        struct str s;
        const json_t *json;
        struct value_list *list;
        struct value_record *record;
        struct value_why why;
    } u;
};

struct value_list {
    uint32_t n;
    uint32_t depth; /* nesting of made lists below, so that no walk recurses without bound */
    struct value v[];
};

#define VALUE_RECORD_MAX 3
#define VALUE_DEPTH_MAX 200

struct value_record {
    uint32_t n;
    uint32_t depth;
    const char *key[VALUE_RECORD_MAX];
    struct value v[VALUE_RECORD_MAX];
};

/* Small and on every path, so inline. A LIST or ARRAY is a list; null and undefined are nil. */
static inline struct value value_null(void)
{
    return (struct value){.type = VALUE_NULL, .u.why = {0}};
}

static inline struct value value_undefined(void)
{
    return (struct value){.type = VALUE_UNDEFINED};
}

static inline struct value value_bool(bool b)
{
    return (struct value){.type = VALUE_BOOL, .u.b = b};
}

static inline struct value value_int(int64_t i)
{
    return (struct value){.type = VALUE_INT, .u.i = i};
}

static inline struct value value_real(double d)
{
    return (struct value){.type = VALUE_REAL, .u.d = d};
}

static inline struct value value_str(struct str s)
{
    return (struct value){.type = VALUE_STRING, .u.s = s};
}

static inline bool value_is_number(struct value v)
{
    return v.type == VALUE_INT || v.type == VALUE_REAL;
}

static inline bool value_is_list(struct value v)
{
    return v.type == VALUE_LIST || v.type == VALUE_ARRAY;
}

static inline bool value_is_nil(struct value v)
{
    return v.type == VALUE_NULL || v.type == VALUE_UNDEFINED;
}

static inline bool value_is_composite(struct value v)
{
    return value_is_list(v) || v.type == VALUE_RECORD || v.type == VALUE_OBJECT;
}

static inline double value_double(struct value v)
{
    return v.type == VALUE_INT ? (double)v.u.i : v.u.d;
}

/* `exact` keeps integers; without it they become doubles, as in JavaScript. NULL becomes null. */
struct value value_of_json(const json_t *json, bool exact);

uint32_t value_depth(struct value v);

/* Lists and arrays alike; `at` < the length. */
size_t value_length(struct value v);
struct value value_at(struct value v, size_t at, bool exact);

/* A member of an object or record, an item of a list by its canonical index. False when there is none. */
bool value_member(struct value v, struct str key, bool exact, struct value *out);

/* JsonLogic's truthiness: [] is false; {} too with `empty_object_false` (CertLogic). */
bool value_truthy(struct value v, bool empty_object_false);

/* A bound on walking and on made text, shared by one evaluation. */
struct value_walk {
    struct buf *text; /* appended to */
    size_t max_bytes; /* of what is appended since `text` was empty */
    uint32_t *budget; /* one for each item visited */
};

/* A new reference; NULL when the budget or memory ended. Dates become texts; undefined, NaN and infinities null. */
json_t *value_to_json(struct value v, uint32_t *budget) MUST_USE;

#define VALUE_NUMBER_SIZE 32
/* Number::toString (ECMA-262 §6.1.6.1.20): shortest digits that read back. Returns the length. */
size_t value_js_number_text(double d, char out[VALUE_NUMBER_SIZE]);

/* String(v), appended. False when a bound was met. */
bool value_js_text(struct value v, const struct value_walk *walk) MUST_USE;

double value_js_number_of_text(struct str s); /* StringToNumber (§7.1.4.1.1): NaN when it is none */
double value_js_parse_float(struct str s);    /* parseFloat (§19.2.4): the longest prefix that is a number */

double value_js_number(struct value primitive); /* ToNumber; lists and objects must have become texts before */

bool value_js_identical(struct value a, struct value b); /* === */

/* Order of UTF-16 code units, as JavaScript compares strings. */
int value_js_compare_text(struct str a, struct str b);

/* Code points compared: the order of strict mode; the same as of the UTF-8 bytes. */
int value_compare_text(struct str a, struct str b);

/* UTF-16 lengths and cuts; a surrogate pair that would be cut in two is left out. */
size_t value_utf16_length(struct str s);
struct str value_utf16_slice(struct str s, size_t from, size_t n);

#endif
