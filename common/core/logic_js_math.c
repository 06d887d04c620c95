/* logic_js_math: jsonlogic mode's arithmetic, on doubles, as json-logic-js has it: + and * read their operands with
 * parseFloat, the rest with ToNumber; NaN and infinities are values. Failure: {"*":[]}, where JavaScript throws, and
 * the bounds. */
#include <math.h>

#include "common/core/logic_priv.h"

/* Inside `try` a number that is none is an error and + and * take ToNumber as well, as the community's proposals have
 * it; json-logic-js has no `try`. */
static struct value real(struct logic_run *r, const struct logic_node *n, double d)
{
    if (r->trying > 0 && !isfinite(d))
        return logic_no_number(r, n);
    return value_real(d);
}

/* ToNumber of operand `i`; one that is not there is NaN. */
static bool number(struct logic_run *r, const struct logic_node *n, struct value v, double *d, struct value *out)
{
    struct str text;

    if (r->trying > 0 && value_is_composite(v)) {
        *out = logic_no_number(r, n);
        return false;
    }
    if (value_is_composite(v) || v.type == VALUE_DATE || v.type == VALUE_INSTANT) {
        if (!logic_js_text(r, n, v, &text, out))
            return false;
        v = value_str(text);
    }
    *d = value_js_number(v);
    return true;
}

static bool parse_float(struct logic_run *r, const struct logic_node *n, struct value v, double *d, struct value *out)
{
    struct str text;

    if (r->trying > 0)
        return number(r, n, v, d, out);
    if (value_is_number(v)) {
        *d = value_double(v) + 0.0; /* parseFloat(String(-0)) is 0 */
        return true;
    }
    if (!logic_js_text(r, n, v, &text, out))
        return false;
    *d = value_js_parse_float(text);
    return true;
}

struct value js_add(struct logic_run *r, const struct logic_node *n)
{
    struct value parts = logic_list(r, n);
    struct value out;
    double sum = 0;
    double d;

    if (logic_stops(parts))
        return parts;
    for (uint32_t i = 0; i < n->n; i++) {
        if (!parse_float(r, n, parts.u.list->v[i], &d, &out))
            return out;
        sum += d;
    }
    return real(r, n, sum);
}

struct value js_mul(struct logic_run *r, const struct logic_node *n)
{
    struct value parts = logic_list(r, n);
    struct value out;
    double product = 1;
    double d;

    if (logic_stops(parts))
        return parts;
    if (n->n == 0)
        return logic_fail_typed(r, LOGIC_WHY_ARGUMENTS, n, "Invalid Arguments");
    if (n->n == 1 && r->trying == 0) /* reduce without initial value returns a single operand as it is */
        return parts.u.list->v[0];
    for (uint32_t i = 0; i < n->n; i++) {
        if (!parse_float(r, n, parts.u.list->v[i], &d, &out))
            return out;
        product = i == 0 ? d : (product + 0.0) * d;
    }
    return real(r, n, product);
}

/* The first two operands as numbers; all are evaluated. */
static bool two(struct logic_run *r, const struct logic_node *n, double *x, double *y, bool *has_second,
                struct value *out)
{
    struct value parts = logic_list(r, n);
    struct value a = value_undefined();
    struct value b = value_undefined();

    *out = parts;
    if (logic_stops(parts))
        return false;
    if (n->n > 0)
        a = parts.u.list->v[0];
    if (n->n > 1)
        b = parts.u.list->v[1];
    *has_second = b.type != VALUE_UNDEFINED;
    return number(r, n, a, x, out) && number(r, n, b, y, out);
}

struct value js_sub(struct logic_run *r, const struct logic_node *n)
{
    struct value out;
    double x, y;
    bool binary;

    if (!two(r, n, &x, &y, &binary, &out))
        return out;
    return real(r, n, binary ? x - y : -x);
}

struct value js_div(struct logic_run *r, const struct logic_node *n)
{
    struct value out;
    double x, y;
    bool binary;

    return two(r, n, &x, &y, &binary, &out) ? real(r, n, x / y) : out;
}

struct value js_mod(struct logic_run *r, const struct logic_node *n)
{
    struct value out;
    double x, y;
    bool binary;

    return two(r, n, &x, &y, &binary, &out) ? real(r, n, fmod(x, y)) : out;
}

/* Math.max (ECMA-262 §21.3.2.24): NaN wins, 0 is larger than -0, nothing is -Infinity. sign = -1 makes it Math.min. */
static struct value extreme(struct logic_run *r, const struct logic_node *n, double sign)
{
    struct value parts = logic_list(r, n);
    struct value out;
    double best = -INFINITY;
    double d;

    if (logic_stops(parts))
        return parts;
    for (uint32_t i = 0; i < n->n; i++) {
        if (!number(r, n, parts.u.list->v[i], &d, &out))
            return out;
        d *= sign;
        if (isnan(d) || isnan(best))
            best = NAN;
        else if (d > best || (d == best && signbit(best)))
            best = d;
    }
    return real(r, n, best * sign);
}

struct value js_min(struct logic_run *r, const struct logic_node *n)
{
    return extreme(r, n, -1);
}

struct value js_max(struct logic_run *r, const struct logic_node *n)
{
    return extreme(r, n, 1);
}
