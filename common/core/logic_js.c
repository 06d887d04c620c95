/* logic_js: jsonlogic mode's operators, as json-logic-js (2.0.5) and ECMA-262 have them: operands that are not there
 * are undefined, everything is coerced, all operands are evaluated in order. Failure: where JavaScript throws
 * ("error:arguments"), inside `try` comparisons of what is no number with one, and the bounds. */
#include <math.h>
#include <string.h>

#include "common/core/logic_priv.h"

#define JS_OPERANDS_MAX 3

/* Evaluates every operand; keeps the first three, undefined where there are fewer. False with *out stopping. */
static bool take(struct logic_run *r, const struct logic_node *n, struct value v[JS_OPERANDS_MAX], struct value *out)
{
    for (uint32_t i = 0; i < JS_OPERANDS_MAX; i++)
        v[i] = value_undefined();
    for (uint32_t i = 0; i < n->n; i++) {
        *out = logic_node_value(r, n->first + i);
        if (logic_stops(*out))
            return false;
        if (i < JS_OPERANDS_MAX)
            v[i] = *out;
    }
    return true;
}

/* ToPrimitive: lists, objects and dates become texts. */
static bool primitive(struct logic_run *r, const struct logic_node *n, struct value *v, struct value *out)
{
    struct str text;

    if (!value_is_composite(*v) && v->type != VALUE_DATE && v->type != VALUE_INSTANT)
        return true;
    if (!logic_js_text(r, n, *v, &text, out))
        return false;
    *v = value_str(text);
    return true;
}

static bool number(struct logic_run *r, const struct logic_node *n, struct value v, double *d, struct value *out)
{
    if (!primitive(r, n, &v, out))
        return false;
    *d = value_js_number(v);
    return true;
}

/* IsLooselyEqual (ECMA-262 §7.2.14). */
static struct value loosely_equal(struct logic_run *r, const struct logic_node *n, struct value a, struct value b)
{
    struct value out;

    if (value_is_nil(a) || value_is_nil(b))
        return value_bool(value_is_nil(a) && value_is_nil(b));
    if (r->trying > 0 && (value_is_composite(a) || value_is_composite(b)))
        return logic_no_number(r, n);
    if (value_is_composite(a) && value_is_composite(b))
        return value_bool(value_js_identical(a, b));
    if (!primitive(r, n, &a, &out) || !primitive(r, n, &b, &out))
        return out;
    if (a.type == VALUE_STRING && b.type == VALUE_STRING)
        return value_bool(str_eq(a.u.s, b.u.s));
    double x = value_js_number(a);
    double y = value_js_number(b);
    if (r->trying > 0 && (isnan(x) || isnan(y)))
        return logic_no_number(r, n);
    return value_bool(x == y);
}

static struct value inverted(struct value v)
{
    if (v.type == VALUE_BOOL)
        v.u.b = !v.u.b;
    return v;
}

struct value js_eq(struct logic_run *r, const struct logic_node *n)
{
    struct value v[JS_OPERANDS_MAX], out;

    return take(r, n, v, &out) ? loosely_equal(r, n, v[0], v[1]) : out;
}

struct value js_ne(struct logic_run *r, const struct logic_node *n)
{
    return inverted(js_eq(r, n));
}

struct value js_is(struct logic_run *r, const struct logic_node *n)
{
    struct value v[JS_OPERANDS_MAX], out;

    return take(r, n, v, &out) ? value_bool(value_js_identical(v[0], v[1])) : out;
}

struct value js_is_not(struct logic_run *r, const struct logic_node *n)
{
    return inverted(js_is(r, n));
}

/* IsLessThan (ECMA-262 §7.2.13) and its kin; false where a number is NaN. */
static struct value related(struct logic_run *r, const struct logic_node *n, struct value a, struct value b)
{
    struct value out;

    if (r->trying > 0 && (value_is_composite(a) || value_is_composite(b)))
        return logic_no_number(r, n);
    if (!primitive(r, n, &a, &out) || !primitive(r, n, &b, &out))
        return out;
    double x = 0;
    double y = 0;
    if (a.type == VALUE_STRING && b.type == VALUE_STRING) {
        x = value_js_compare_text(a.u.s, b.u.s);
    } else {
        x = value_js_number(a);
        y = value_js_number(b);
    }
    if (r->trying > 0 && (isnan(x) || isnan(y)))
        return logic_no_number(r, n);
    if (n->op == OP_LT)
        return value_bool(x < y);
    if (n->op == OP_LE)
        return value_bool(x <= y);
    return value_bool(n->op == OP_GT ? x > y : x >= y);
}

/* json-logic-js gives only < and <= a third operand; CertLogic gives it to all. */
static struct value js_ordered(struct logic_run *r, const struct logic_node *n)
{
    struct value v[JS_OPERANDS_MAX], out;
    bool ternary = n->op == OP_LT || n->op == OP_LE || r->logic->certlogic;

    if (!take(r, n, v, &out))
        return out;
    out = related(r, n, v[0], v[1]);
    if (v[2].type == VALUE_UNDEFINED || !ternary || out.type != VALUE_BOOL || !out.u.b)
        return out;
    return related(r, n, v[1], v[2]);
}

struct value js_lt(struct logic_run *r, const struct logic_node *n)
{
    return js_ordered(r, n);
}

struct value js_le(struct logic_run *r, const struct logic_node *n)
{
    return js_ordered(r, n);
}

struct value js_gt(struct logic_run *r, const struct logic_node *n)
{
    return js_ordered(r, n);
}

struct value js_ge(struct logic_run *r, const struct logic_node *n)
{
    return js_ordered(r, n);
}

static struct value in_items(struct logic_run *r, const struct logic_node *n, struct value needle, struct value list)
{
    struct value out;

    for (size_t i = 0; i < value_length(list); i++) {
        if (!logic_spend(r, n, &out))
            return out;
        if (value_js_identical(needle, value_at(list, i, false)))
            return value_bool(true);
    }
    return value_bool(false);
}

struct value js_in(struct logic_run *r, const struct logic_node *n)
{
    struct value v[JS_OPERANDS_MAX], out;
    struct str needle;

    if (!take(r, n, v, &out))
        return out;
    if (value_is_list(v[1]))
        return in_items(r, n, v[0], v[1]);
    if (v[1].type == VALUE_OBJECT && json_object_get(v[1].u.json, "indexOf") != NULL)
        return logic_fail_typed(r, LOGIC_WHY_ARGUMENTS, n, "Invalid Arguments");
    if (v[1].type != VALUE_STRING || v[1].u.s.n == 0)
        return value_bool(false);
    if (!logic_js_text(r, n, v[0], &needle, &out))
        return out;
    return value_bool(needle.n == 0 ||
                      (needle.n <= v[1].u.s.n && memmem(v[1].u.s.p, v[1].u.s.n, needle.p, needle.n) != NULL));
}

static struct value js_edge(struct logic_run *r, const struct logic_node *n, bool end)
{
    struct value v[JS_OPERANDS_MAX], out;
    struct str part;

    if (!take(r, n, v, &out) || !logic_js_text(r, n, v[1], &part, &out))
        return out;
    if (v[0].type != VALUE_STRING || part.n > v[0].u.s.n)
        return value_bool(false);
    return value_bool(part.n == 0 || memcmp(v[0].u.s.p + (end ? v[0].u.s.n - part.n : 0), part.p, part.n) == 0);
}

struct value js_starts(struct logic_run *r, const struct logic_node *n)
{
    return js_edge(r, n, false);
}

struct value js_ends(struct logic_run *r, const struct logic_node *n)
{
    return js_edge(r, n, true);
}

bool logic_js_concat(struct logic_run *r, const struct logic_node *n, const struct value_list *parts, struct str *text,
                     struct value *out)
{
    struct buf *buf = &r->facts->text;
    struct value_walk walk = {.text = buf, .max_bytes = r->logic->limits.string_bytes, .budget = &r->budget};

    buf_reset(buf);
    for (uint32_t i = 0; i < parts->n; i++) {
        if (value_is_nil(parts->v[i]) || value_js_text(parts->v[i], &walk))
            continue;
        *out = logic_fail(r, r->budget == 0 ? LOGIC_WHY_BUDGET : LOGIC_WHY_STRING, n);
        return false;
    }
    *out = logic_text(r, n, (struct str){buf_text(buf), buf->len});
    *text = out->u.s;
    return out->type == VALUE_STRING;
}

struct value js_cat(struct logic_run *r, const struct logic_node *n)
{
    struct value parts = logic_list(r, n);
    struct value out;
    struct str text;

    if (logic_stops(parts))
        return parts;
    return logic_js_concat(r, n, parts.u.list, &text, &out) ? value_str(text) : out;
}

/* ToIntegerOrInfinity */
static double integer(double d)
{
    return isnan(d) ? 0 : trunc(d);
}

/* String.prototype.substr (ECMA-262 §B.2.2.1) */
static struct str cut(struct str s, double start, double len)
{
    double size = (double)value_utf16_length(s);

    start = start < 0 ? fmax(size + start, 0) : fmin(start, size);
    len = fmin(fmax(len, 0), size - start);
    return value_utf16_slice(s, (size_t)start, (size_t)len);
}

struct str logic_js_substr(struct str s, double start, double len)
{
    if (len >= 0)
        return cut(s, start, len);
    s = cut(s, start, INFINITY);
    return cut(s, 0, (double)value_utf16_length(s) + len);
}

/* temp.length + end: where `end` is a text or becomes one, JavaScript appends digits instead of adding. */
static bool end_from_length(struct logic_run *r, const struct logic_node *n, struct value end, size_t length,
                            double *sum, struct value *out)
{
    struct value_list *parts;
    struct str text;

    if (!value_is_composite(end) && end.type != VALUE_STRING) {
        *sum = (double)length + value_js_number(end);
        return true;
    }
    parts = logic_list_new(r, n, 2, out);
    if (parts == NULL)
        return false;
    logic_list_set(parts, 0, value_real((double)length));
    logic_list_set(parts, 1, end);
    if (!logic_js_concat(r, n, parts, &text, out))
        return false;
    *sum = value_js_number_of_text(text);
    return true;
}

struct value js_substr(struct logic_run *r, const struct logic_node *n)
{
    struct value v[JS_OPERANDS_MAX], out;
    struct str text;
    double start;
    double end;

    if (!take(r, n, v, &out) || !logic_js_text(r, n, v[0], &text, &out) || !number(r, n, v[1], &start, &out) ||
        !number(r, n, v[2], &end, &out))
        return out;
    if (v[2].type == VALUE_UNDEFINED)
        return value_str(cut(text, integer(start), INFINITY));
    if (!(end < 0))
        return value_str(cut(text, integer(start), integer(end)));
    text = cut(text, integer(start), INFINITY);
    if (!end_from_length(r, n, v[2], value_utf16_length(text), &end, &out))
        return out;
    return value_str(cut(text, 0, integer(end)));
}

struct value js_length(struct logic_run *r, const struct logic_node *n)
{
    struct value v[JS_OPERANDS_MAX], out;

    if (!take(r, n, v, &out))
        return out;
    if (v[0].type == VALUE_STRING)
        return value_real((double)value_utf16_length(v[0].u.s));
    if (value_is_list(v[0]))
        return value_real((double)value_length(v[0]));
    return logic_fail_typed(r, LOGIC_WHY_ARGUMENTS, n, "Invalid Arguments");
}
