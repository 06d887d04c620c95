/* value_js: the conversions of ECMA-262 that json-logic-js leans on. Texts are UTF-8; lengths, cuts and order are those
 * of UTF-16. Failure: text that outgrows its bound, or a walk that outgrows the budget. Without memory an endless
 * number is NaN. */
#include "common/core/value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/core/civil.h"

#define DIGITS_MAX 17 /* always read back */
#define POINT_MAX 21  /* beyond, an exponent is written */
#define POINT_MIN (-6)
#define NUMBER_TEXT_MAX 400        /* longer decimal texts need memory of their own */
#define UTF8_FOUR 0xF0             /* lead byte of a code point beyond the BMP: a surrogate pair in UTF-16 */
#define UTF8_AFTER_SURROGATES 0xEE /* lead byte of U+E000 and above */

static const char object_text[] = "[object Object]";

static size_t put_exponent(char *out, const char *digits, size_t n, int point)
{
    int e = point - 1;
    int len = snprintf(out, VALUE_NUMBER_SIZE - 1, "%c%s%.*se%c%d", digits[0], n > 1 ? "." : "", (int)n - 1, digits + 1,
                       e < 0 ? '-' : '+', e < 0 ? -e : e);

    return (size_t)len;
}

static size_t put_plain(char *out, const char *digits, size_t n, int point)
{
    size_t len = 0;

    if (point <= 0) {
        out[len++] = '0';
        out[len++] = '.';
        for (int i = point; i < 0; i++)
            out[len++] = '0';
    }
    for (size_t i = 0; i < n; i++) {
        if (point > 0 && i == (size_t)point)
            out[len++] = '.';
        out[len++] = digits[i];
    }
    for (size_t i = n; point > 0 && i < (size_t)point; i++)
        out[len++] = '0';
    out[len] = '\0';
    return len;
}

/* The shortest digits d1…dn with value 0.d1…dn × 10^point. */
static size_t shortest_digits(double d, char digits[DIGITS_MAX + 1], int *point)
{
    char text[VALUE_NUMBER_SIZE];
    size_t n = 0;

    for (int precision = 1; precision <= DIGITS_MAX; precision++) {
        (void)snprintf(text, sizeof(text), "%.*e", precision - 1, d);
        if (strtod(text, NULL) == d)
            break;
    }
    const char *p = text;
    for (; *p != 'e'; p++) {
        if (*p != '.')
            digits[n++] = *p;
    }
    while (n > 1 && digits[n - 1] == '0')
        n--;
    digits[n] = '\0';
    *point = (int)strtol(p + 1, NULL, 10) + 1;
    return n;
}

size_t value_js_number_text(double d, char out[VALUE_NUMBER_SIZE])
{
    char digits[DIGITS_MAX + 1];
    int point;
    size_t sign = 0;

    if (isnan(d))
        return (size_t)snprintf(out, VALUE_NUMBER_SIZE, "NaN");
    if (d == 0)
        return (size_t)snprintf(out, VALUE_NUMBER_SIZE, "0");
    if (isinf(d))
        return (size_t)snprintf(out, VALUE_NUMBER_SIZE, d < 0 ? "-Infinity" : "Infinity");
    if (d < 0)
        out[sign++] = '-';
    size_t n = shortest_digits(fabs(d), digits, &point);
    if (point > POINT_MAX || point < POINT_MIN + 1)
        return sign + put_exponent(out + sign, digits, n, point);
    return sign + put_plain(out + sign, digits, n, point);
}

static bool put_text(const struct value_walk *walk, const char *p, size_t n)
{
    if (walk->text->len + n > walk->max_bytes)
        return false;
    if (n > 0)
        buf_put(walk->text, p, n);
    return true;
}

static bool put_items(struct value list, const struct value_walk *walk)
{
    size_t n = value_length(list);

    for (size_t i = 0; i < n; i++) {
        struct value item = value_at(list, i, false);
        if (i > 0 && !put_text(walk, ",", 1))
            return false;
        if (*walk->budget == 0)
            return false;
        (*walk->budget)--;
        if (!value_is_nil(item) && !value_js_text(item, walk))
            return false;
    }
    return true;
}

static bool put_date(struct value v, const struct value_walk *walk)
{
    char text[STR_TIME_SIZE];

    if (v.type == VALUE_DATE)
        (void)civil_format_date(civil_of_days((int32_t)v.u.i), text);
    else
        str_from_time(text, v.u.i);
    return put_text(walk, text, strlen(text));
}

static bool put_number(double d, const struct value_walk *walk)
{
    char text[VALUE_NUMBER_SIZE];
    size_t n = value_js_number_text(d, text);

    return put_text(walk, text, n);
}

bool value_js_text(struct value v, const struct value_walk *walk)
{
    switch (v.type) {
    case VALUE_UNDEFINED: return put_text(walk, "undefined", strlen("undefined"));
    case VALUE_BOOL: return v.u.b ? put_text(walk, "true", 4) : put_text(walk, "false", 5);
    case VALUE_INT:
    case VALUE_REAL: return put_number(value_double(v), walk);
    case VALUE_STRING: return put_text(walk, v.u.s.p, v.u.s.n);
    case VALUE_DATE:
    case VALUE_INSTANT: return put_date(v, walk);
    case VALUE_LIST:
    case VALUE_ARRAY: return put_items(v, walk);
    case VALUE_RECORD:
    case VALUE_OBJECT: return put_text(walk, object_text, sizeof(object_text) - 1);
    case VALUE_NULL:
    case VALUE_UNKNOWN:
    case VALUE_FAILED: break;
    }
    return put_text(walk, "null", 4);
}

/* WhiteSpace and LineTerminator (ECMA-262 §12.2, §12.3): the length in bytes of one at the start, or 0. */
static size_t space_at(struct str s)
{
    static const char *const wide[] = {"\xC2\xA0",     "\xE1\x9A\x80", "\xE2\x80\x80", "\xE2\x80\x81", "\xE2\x80\x82",
                                       "\xE2\x80\x83", "\xE2\x80\x84", "\xE2\x80\x85", "\xE2\x80\x86", "\xE2\x80\x87",
                                       "\xE2\x80\x88", "\xE2\x80\x89", "\xE2\x80\x8A", "\xE2\x80\xA8", "\xE2\x80\xA9",
                                       "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80", "\xEF\xBB\xBF"};

    if (s.n == 0)
        return 0;
    if (s.p[0] == ' ' || (s.p[0] >= '\t' && s.p[0] <= '\r'))
        return 1;
    for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++) {
        if (str_starts(s, wide[i]))
            return strlen(wide[i]);
    }
    return 0;
}

static struct str skip_space(struct str s)
{
    for (size_t n = space_at(s); n > 0; n = space_at(s))
        s = (struct str){s.p + n, s.n - n};
    return s;
}

static size_t count_digits(struct str s, size_t from)
{
    size_t n = 0;

    while (from + n < s.n && s.p[from + n] >= '0' && s.p[from + n] <= '9')
        n++;
    return n;
}

/* The length of the longest StrDecimalLiteral without "Infinity" at the start of `s`, 0 when there is none. */
static size_t decimal_prefix(struct str s)
{
    size_t at = s.n > 0 && (s.p[0] == '+' || s.p[0] == '-') ? 1 : 0;
    size_t whole = count_digits(s, at);
    size_t part = 0;

    at += whole;
    if (at < s.n && s.p[at] == '.') {
        part = count_digits(s, at + 1);
        at += whole + part > 0 ? 1 + part : 0;
    }
    if (whole + part == 0)
        return 0;
    if (at < s.n && (s.p[at] == 'e' || s.p[at] == 'E')) {
        size_t sign = at + 1 < s.n && (s.p[at + 1] == '+' || s.p[at + 1] == '-') ? 1 : 0;
        size_t exponent = count_digits(s, at + 1 + sign);
        at += exponent > 0 ? 1 + sign + exponent : 0;
    }
    return at;
}

static double read_decimal(const char *p, size_t n)
{
    char small[NUMBER_TEXT_MAX];
    char *text = n < sizeof(small) ? small : mem_try_alloc(n + 1);

    if (text == NULL)
        return NAN;
    memcpy(text, p, n);
    text[n] = '\0';
    double d = strtod(text, NULL);
    if (text != small)
        mem_free(text);
    return d;
}

static bool take_infinity(struct str s, double *d, size_t *n)
{
    size_t sign = s.n > 0 && (s.p[0] == '+' || s.p[0] == '-') ? 1 : 0;

    if (!str_starts((struct str){s.p + sign, s.n - sign}, "Infinity"))
        return false;
    *d = sign == 1 && s.p[0] == '-' ? -INFINITY : INFINITY;
    *n = sign + strlen("Infinity");
    return true;
}

double value_js_parse_float(struct str s)
{
    double d;
    size_t n;

    s = skip_space(s);
    if (take_infinity(s, &d, &n))
        return d;
    n = decimal_prefix(s);
    return n > 0 ? read_decimal(s.p, n) : NAN;
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
}

/* "0x1F", "0b11", "0o17", unsigned; *n is how far it goes. */
static bool take_radix(struct str s, double *d, size_t *n)
{
    char c = s.n > 2 && s.p[0] == '0' ? (char)(s.p[1] | 0x20) : '\0';
    int radix = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 0;
    size_t at = 2;

    *d = 0;
    for (; radix > 0 && at < s.n && digit_of(s.p[at]) < radix; at++)
        *d = *d * radix + digit_of(s.p[at]);
    *n = at;
    return radix > 0 && at > 2;
}

double value_js_number_of_text(struct str s)
{
    double d;
    size_t n;

    s = skip_space(s);
    if (s.n == 0)
        return 0;
    if (!take_radix(s, &d, &n) && !take_infinity(s, &d, &n)) {
        n = decimal_prefix(s);
        if (n == 0)
            return NAN;
        d = read_decimal(s.p, n);
    }
    return skip_space((struct str){s.p + n, s.n - n}).n == 0 ? d : NAN;
}

double value_js_number(struct value primitive)
{
    switch (primitive.type) {
    case VALUE_NULL: return 0;
    case VALUE_BOOL: return primitive.u.b ? 1 : 0;
    case VALUE_INT:
    case VALUE_REAL: return value_double(primitive);
    case VALUE_STRING: return value_js_number_of_text(primitive.u.s);
    case VALUE_UNDEFINED:
    case VALUE_DATE:
    case VALUE_INSTANT:
    case VALUE_LIST:
    case VALUE_RECORD:
    case VALUE_ARRAY:
    case VALUE_OBJECT:
    case VALUE_UNKNOWN:
    case VALUE_FAILED: break;
    }
    return NAN;
}

bool value_js_identical(struct value a, struct value b)
{
    if (value_is_number(a) && value_is_number(b))
        return value_double(a) == value_double(b);
    if (a.type != b.type)
        return false;
    switch (a.type) {
    case VALUE_UNDEFINED:
    case VALUE_NULL: return true;
    case VALUE_BOOL: return a.u.b == b.u.b;
    case VALUE_STRING: return str_eq(a.u.s, b.u.s);
    case VALUE_LIST: return a.u.list == b.u.list;
    case VALUE_RECORD: return a.u.record == b.u.record;
    case VALUE_ARRAY:
    case VALUE_OBJECT: return a.u.json == b.u.json;
    case VALUE_DATE:
    case VALUE_INSTANT:
    case VALUE_INT:
    case VALUE_REAL:
    case VALUE_UNKNOWN:
    case VALUE_FAILED: break;
    }
    return false;
}

int value_js_compare_text(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;

    for (size_t i = 0; i < n; i++) {
        unsigned char x = (unsigned char)a.p[i];
        unsigned char y = (unsigned char)b.p[i];
        if (x == y)
            continue;
        /* Surrogates (D800…DFFF) sort below U+E000…U+FFFF, though their code points are higher. */
        bool swapped = (x >= UTF8_FOUR && y >= UTF8_AFTER_SURROGATES && y < UTF8_FOUR) ||
                       (y >= UTF8_FOUR && x >= UTF8_AFTER_SURROGATES && x < UTF8_FOUR);
        return (x < y) != swapped ? -1 : 1;
    }
    return a.n < b.n ? -1 : a.n > b.n;
}

static size_t utf8_width(char lead)
{
    unsigned char c = (unsigned char)lead;

    if (c < 0x80)
        return 1;
    if (c < 0xE0)
        return 2;
    return c < UTF8_FOUR ? 3 : 4;
}

static size_t utf16_units(char lead)
{
    return (unsigned char)lead >= UTF8_FOUR ? 2 : 1;
}

size_t value_utf16_length(struct str s)
{
    size_t units = 0;

    for (size_t i = 0; i < s.n; i += utf8_width(s.p[i]))
        units += utf16_units(s.p[i]);
    return units;
}

struct str value_utf16_slice(struct str s, size_t from, size_t n)
{
    size_t start = 0;
    size_t at = 0;

    while (start < s.n && at < from) {
        at += utf16_units(s.p[start]);
        start += utf8_width(s.p[start]);
    }
    size_t end = start;
    while (end < s.n && at + utf16_units(s.p[end]) - from <= n) {
        at += utf16_units(s.p[end]);
        end += utf8_width(s.p[end]);
    }
    if (start > s.n)
        start = s.n;
    if (end > s.n)
        end = s.n;
    return (struct str){s.p + start, end - start};
}
