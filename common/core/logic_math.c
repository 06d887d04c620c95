/* logic_math: strict mode's arithmetic and texts. Integers stay exact; what overflows or divides by zero is unknown
 * with reason not_a_number, never a rounded or infinite number. */
#include <math.h>
#include <string.h>

#include "common/core/logic_priv.h"

static struct value not_a_number(const struct logic_run *r, const struct logic_node *n)
{
    struct value v = logic_mismatch(r, n);

    v.u.why.why = LOGIC_WHY_NOT_A_NUMBER;
    return v;
}

static bool take_number(struct logic_run *r, const struct logic_node *n, uint32_t i, struct value *v, struct value *out)
{
    if (!logic_take(r, n, i, v, out))
        return false;
    if (value_is_number(*v))
        return true;
    *out = logic_unknown(r, LOGIC_WHY_TYPE_MISMATCH, n, logic_path_of(r, n->first + i));
    return false;
}

static struct value finite_real(const struct logic_run *r, const struct logic_node *n, double d)
{
    return isfinite(d) ? value_real(d) : not_a_number(r, n);
}

static struct value combine(const struct logic_run *r, const struct logic_node *n, struct value a, struct value b)
{
    int64_t i = 0;
    double x = value_double(a);
    double y = value_double(b);
    bool overflow;

    if (a.type != VALUE_INT || b.type != VALUE_INT)
        return finite_real(r, n, n->op == OP_ADD ? x + y : n->op == OP_SUB ? x - y : x * y);
    if (n->op == OP_ADD)
        overflow = __builtin_add_overflow(a.u.i, b.u.i, &i);
    else if (n->op == OP_SUB)
        overflow = __builtin_sub_overflow(a.u.i, b.u.i, &i);
    else
        overflow = __builtin_mul_overflow(a.u.i, b.u.i, &i);
    return overflow ? not_a_number(r, n) : value_int(i);
}

static struct value fold(struct logic_run *r, const struct logic_node *n)
{
    struct value result, v, out;

    if (!take_number(r, n, 0, &result, &out))
        return out;
    for (uint32_t i = 1; i < n->n; i++) {
        if (!take_number(r, n, i, &v, &out))
            return out;
        result = combine(r, n, result, v);
        if (logic_stops(result))
            return result;
    }
    return result;
}

struct value logic_add(struct logic_run *r, const struct logic_node *n)
{
    return fold(r, n);
}

struct value logic_mul(struct logic_run *r, const struct logic_node *n)
{
    return fold(r, n);
}

struct value logic_sub(struct logic_run *r, const struct logic_node *n)
{
    struct value v, out;

    if (n->n > 1)
        return fold(r, n);
    return take_number(r, n, 0, &v, &out) ? combine(r, n, value_int(0), v) : out;
}

struct value logic_div(struct logic_run *r, const struct logic_node *n)
{
    struct value a, b, out;

    if (!take_number(r, n, 0, &a, &out) || !take_number(r, n, 1, &b, &out))
        return out;
    if (value_double(b) == 0)
        return not_a_number(r, n);
    /* INT64_MIN / -1 overflows. */
    if (a.type == VALUE_INT && b.type == VALUE_INT && b.u.i != -1 && a.u.i % b.u.i == 0)
        return value_int(a.u.i / b.u.i);
    if (a.type == VALUE_INT && b.type == VALUE_INT && b.u.i == -1 && a.u.i != INT64_MIN)
        return value_int(-a.u.i);
    return finite_real(r, n, value_double(a) / value_double(b));
}

struct value logic_mod(struct logic_run *r, const struct logic_node *n)
{
    struct value a, b, out;

    if (!take_number(r, n, 0, &a, &out) || !take_number(r, n, 1, &b, &out))
        return out;
    if (value_double(b) == 0)
        return not_a_number(r, n);
    if (a.type == VALUE_INT && b.type == VALUE_INT)
        return value_int(b.u.i == -1 ? 0 : a.u.i % b.u.i);
    return finite_real(r, n, fmod(value_double(a), value_double(b)));
}

static struct value extreme(struct logic_run *r, const struct logic_node *n, int wanted)
{
    struct value best, v, out;
    int order = 0;

    if (!take_number(r, n, 0, &best, &out))
        return out;
    for (uint32_t i = 1; i < n->n; i++) {
        if (!take_number(r, n, i, &v, &out) || !logic_order(r, n, v, best, &order, &out))
            return out;
        if (order * wanted > 0)
            best = v;
    }
    return best;
}

struct value logic_min(struct logic_run *r, const struct logic_node *n)
{
    return extreme(r, n, -1);
}

struct value logic_max(struct logic_run *r, const struct logic_node *n)
{
    return extreme(r, n, 1);
}

/* Numbers, dates and truth values may be written into a text; lists and objects may not. */
struct value logic_cat(struct logic_run *r, const struct logic_node *n)
{
    struct value parts = logic_list(r, n);
    struct str text;
    struct value out;

    if (logic_stops(parts))
        return parts;
    for (uint32_t i = 0; i < n->n; i++) {
        struct value v = parts.u.list->v[i];
        if (v.type == VALUE_NULL)
            return logic_unknown_of(v);
        if (value_is_composite(v))
            return logic_unknown(r, LOGIC_WHY_TYPE_MISMATCH, n, logic_path_of(r, n->first + i));
    }
    return logic_js_concat(r, n, parts.u.list, &text, &out) ? value_str(text) : out;
}

static bool take_int(struct logic_run *r, const struct logic_node *n, uint32_t i, double *d, struct value *out)
{
    struct value v;

    if (!take_number(r, n, i, &v, out))
        return false;
    *d = value_double(v);
    if (v.type == VALUE_INT)
        return true;
    *out = logic_mismatch(r, n);
    return false;
}

struct value logic_substr(struct logic_run *r, const struct logic_node *n)
{
    struct value text, out;
    double start;
    double len = INFINITY;

    if (!logic_take(r, n, 0, &text, &out) || !take_int(r, n, 1, &start, &out))
        return out;
    if (n->n > 2 && !take_int(r, n, 2, &len, &out))
        return out;
    return text.type == VALUE_STRING ? value_str(logic_js_substr(text.u.s, start, len)) : logic_mismatch(r, n);
}

struct value logic_length(struct logic_run *r, const struct logic_node *n)
{
    struct value v, out;

    if (!logic_take(r, n, 0, &v, &out))
        return out;
    if (v.type == VALUE_STRING)
        return value_int((int64_t)value_utf16_length(v.u.s));
    return value_is_list(v) ? value_int((int64_t)value_length(v)) : logic_mismatch(r, n);
}
