/* logic_compare: strict mode's equality, order, membership and text tests. Nothing is coerced: different types are a
 * type_mismatch, a null operand a missing_field, and the result unknown. */
#include <math.h>
#include <string.h>

#include "common/core/logic_priv.h"

#define INT64_LIMIT 9223372036854775808.0 /* 2^63 */

bool logic_take(struct logic_run *r, const struct logic_node *n, uint32_t i, struct value *v, struct value *out)
{
    *v = logic_operand(r, n, i);
    if (logic_stops(*v)) {
        *out = *v;
        return false;
    }
    if (v->type != VALUE_NULL)
        return true;
    *out = logic_unknown_of(*v);
    return false;
}

static int compare_int_real(int64_t i, double d)
{
    double whole;

    if (d >= INT64_LIMIT)
        return -1;
    if (d < -INT64_LIMIT)
        return 1;
    double part = modf(d, &whole);
    if (i != (int64_t)whole)
        return i < (int64_t)whole ? -1 : 1;
    return part > 0 ? -1 : part < 0;
}

static int compare_numbers(struct value a, struct value b)
{
    if (a.type == VALUE_INT && b.type == VALUE_INT)
        return a.u.i < b.u.i ? -1 : a.u.i > b.u.i;
    if (a.type == VALUE_INT)
        return compare_int_real(a.u.i, b.u.d);
    if (b.type == VALUE_INT)
        return -compare_int_real(b.u.i, a.u.d);
    return a.u.d < b.u.d ? -1 : a.u.d > b.u.d;
}

static bool is_date(struct value v)
{
    return v.type == VALUE_DATE || v.type == VALUE_INSTANT;
}

/* A text beside a date is read as a date. */
static bool order_dates(struct logic_run *r, const struct logic_node *n, struct value a, struct value b, int *order,
                        struct value *out)
{
    enum logic_why why = logic_date_order(r, a, b, order);

    if (why == LOGIC_WHY_NONE)
        return true;
    *out = logic_mismatch(r, n);
    out->u.why.why = why;
    return false;
}

bool logic_order(struct logic_run *r, const struct logic_node *n, struct value a, struct value b, int *order,
                 struct value *out)
{
    if (value_is_number(a) && value_is_number(b)) {
        *order = compare_numbers(a, b);
        return true;
    }
    if (a.type == VALUE_STRING && b.type == VALUE_STRING) {
        *order = value_compare_text(a.u.s, b.u.s);
        return true;
    }
    if (is_date(a) || is_date(b))
        return order_dates(r, n, a, b, order, out);
    *out = logic_mismatch(r, n);
    return false;
}

bool logic_same(struct logic_run *r, const struct logic_node *n, struct value a, struct value b, bool *same,
                struct value *out)
{
    int order;

    if (a.type == VALUE_BOOL && b.type == VALUE_BOOL) {
        *same = a.u.b == b.u.b;
        return true;
    }
    if (a.type == VALUE_STRING && b.type == VALUE_STRING) {
        *same = str_eq(a.u.s, b.u.s);
        return true;
    }
    if (!logic_order(r, n, a, b, &order, out))
        return false;
    *same = order == 0;
    return true;
}

static struct value equality(struct logic_run *r, const struct logic_node *n, bool wanted)
{
    struct value a, b, out;
    bool same;

    if (!logic_take(r, n, 0, &a, &out) || !logic_take(r, n, 1, &b, &out) || !logic_same(r, n, a, b, &same, &out))
        return out;
    return value_bool(same == wanted);
}

struct value logic_eq(struct logic_run *r, const struct logic_node *n)
{
    return equality(r, n, true);
}

struct value logic_ne(struct logic_run *r, const struct logic_node *n)
{
    return equality(r, n, false);
}

static bool holds(enum logic_op op, int order)
{
    if (op == OP_LT)
        return order < 0;
    if (op == OP_LE)
        return order <= 0;
    return op == OP_GT ? order > 0 : order >= 0;
}

static struct value relation(struct logic_run *r, const struct logic_node *n, struct value a, struct value b,
                             enum logic_op op)
{
    struct value out;
    int order;

    if (logic_stops(a))
        return a;
    if (logic_stops(b))
        return b;
    return logic_order(r, n, a, b, &order, &out) ? value_bool(holds(op, order)) : out;
}

/* Two operands, or three: a op b and b op c, as Kleene has it. */
static struct value ordered(struct logic_run *r, const struct logic_node *n, enum logic_op op)
{
    struct value v[3] = {{0}};

    for (uint32_t i = 0; i < n->n && i < 3; i++) {
        struct value out;
        if (!logic_take(r, n, i, &v[i], &out))
            v[i] = out;
        if (v[i].type == VALUE_FAILED)
            return v[i];
    }
    struct value left = relation(r, n, v[0], v[1], op);
    if (n->n == 2 || (left.type == VALUE_BOOL && !left.u.b))
        return left;
    struct value right = relation(r, n, v[1], v[2], op);
    if (right.type == VALUE_BOOL && !right.u.b)
        return right;
    return left.type == VALUE_UNKNOWN ? left : right;
}

struct value logic_lt(struct logic_run *r, const struct logic_node *n)
{
    return ordered(r, n, OP_LT);
}

struct value logic_le(struct logic_run *r, const struct logic_node *n)
{
    return ordered(r, n, OP_LE);
}

struct value logic_gt(struct logic_run *r, const struct logic_node *n)
{
    return ordered(r, n, OP_GT);
}

struct value logic_ge(struct logic_run *r, const struct logic_node *n)
{
    return ordered(r, n, OP_GE);
}

static bool contains_text(struct str hay, struct str needle)
{
    return needle.n == 0 || (hay.n >= needle.n && memmem(hay.p, hay.n, needle.p, needle.n) != NULL);
}

static bool comparable(struct value a, struct value b)
{
    return a.type == b.type || (value_is_number(a) && value_is_number(b));
}

/* Found: true. Otherwise a null item, or a list without any item of the needle's type, leaves it unknown. */
static struct value in_list(struct logic_run *r, const struct logic_node *n, struct value needle, struct value list)
{
    size_t len = value_length(list);
    bool alike = len == 0;
    bool has_null = false;
    struct value out;

    for (size_t i = 0; i < len; i++) {
        struct value item = value_at(list, i, true);
        bool same = false;
        if (!logic_spend(r, n, &out))
            return out;
        has_null = has_null || item.type == VALUE_NULL;
        if (!comparable(needle, item))
            continue;
        alike = true;
        if (logic_same(r, n, needle, item, &same, &out) && same)
            return value_bool(true);
    }
    if (has_null)
        return logic_unknown(r, LOGIC_WHY_MISSING_FIELD, n, logic_path_of(r, n->first + 1));
    return alike ? value_bool(false) : logic_mismatch(r, n);
}

struct value logic_in(struct logic_run *r, const struct logic_node *n)
{
    struct value needle, hay, out;

    if (!logic_take(r, n, 0, &needle, &out) || !logic_take(r, n, 1, &hay, &out))
        return out;
    if (value_is_list(hay) && !value_is_composite(needle))
        return in_list(r, n, needle, hay);
    if (hay.type == VALUE_STRING && needle.type == VALUE_STRING)
        return value_bool(contains_text(hay.u.s, needle.u.s));
    return logic_mismatch(r, n);
}

static struct value edge(struct logic_run *r, const struct logic_node *n, bool end)
{
    struct value text, part, out;

    if (!logic_take(r, n, 0, &text, &out) || !logic_take(r, n, 1, &part, &out))
        return out;
    if (text.type != VALUE_STRING || part.type != VALUE_STRING)
        return logic_mismatch(r, n);
    if (part.u.s.n == 0 || part.u.s.n > text.u.s.n)
        return value_bool(part.u.s.n == 0);
    return value_bool(memcmp(text.u.s.p + (end ? text.u.s.n - part.u.s.n : 0), part.u.s.p, part.u.s.n) == 0);
}

struct value logic_starts(struct logic_run *r, const struct logic_node *n)
{
    return edge(r, n, false);
}

struct value logic_ends(struct logic_run *r, const struct logic_node *n)
{
    return edge(r, n, true);
}
