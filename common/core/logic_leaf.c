/* logic_leaf: necessary equalities of a rule, for the matcher's pre-filter, and the scalars they compare.
 *
 * Walks from the root through `and`s only: a conjunct that is not true makes the rule not match, so its equality is
 * necessary. jsonlogic mode coerces ("1" == 1) and offers none. */
#include <string.h>

#include "common/core/logic_leaf.h"
#include "common/core/logic_priv.h"

#define HASH_SEED UINT64_C(0xcbf29ce484222325) /* FNV-1a, 64 bits */
#define HASH_PRIME UINT64_C(0x100000001b3)
#define INT64_LIMIT 9223372036854775808.0 /* 2^63 */

bool logic_scalar_of(struct value v, struct logic_scalar *out)
{
    memset(out, 0, sizeof(*out));
    if (v.type == VALUE_BOOL) {
        out->type = LOGIC_BOOL;
        out->u.b = v.u.b;
    } else if (v.type == VALUE_INT) {
        out->type = LOGIC_INT;
        out->u.i = v.u.i;
    } else if (v.type == VALUE_REAL) {
        out->type = LOGIC_REAL;
        out->u.d = v.u.d;
    } else if (v.type == VALUE_STRING) {
        out->type = LOGIC_STRING;
        out->u.s = v.u.s;
    } else {
        return v.type == VALUE_NULL;
    }
    return true;
}

/* A real that is an integer, as an integer; so 3 and 3.0 meet. */
static struct logic_scalar normal(const struct logic_scalar *s)
{
    if (s->type != LOGIC_REAL || s->u.d < -INT64_LIMIT || s->u.d >= INT64_LIMIT || s->u.d != (double)(int64_t)s->u.d)
        return *s;
    return (struct logic_scalar){.type = LOGIC_INT, .u.i = (int64_t)s->u.d};
}

bool logic_scalar_eq(const struct logic_scalar *a, const struct logic_scalar *b)
{
    struct logic_scalar x = normal(a);
    struct logic_scalar y = normal(b);

    if (x.type != y.type)
        return false;
    switch (x.type) {
    case LOGIC_NULL: return true;
    case LOGIC_BOOL: return x.u.b == y.u.b;
    case LOGIC_INT: return x.u.i == y.u.i;
    case LOGIC_REAL: return x.u.d == y.u.d;
    case LOGIC_STRING: return str_eq(x.u.s, y.u.s);
    }
    return false;
}

static uint64_t mix(uint64_t h, const void *p, size_t n)
{
    const unsigned char *bytes = p;

    for (size_t i = 0; i < n; i++)
        h = (h ^ bytes[i]) * HASH_PRIME;
    return h;
}

uint64_t logic_scalar_hash(const struct logic_scalar *s)
{
    struct logic_scalar x = normal(s);
    uint64_t h = (HASH_SEED ^ (uint64_t)x.type) * HASH_PRIME;

    switch (x.type) {
    case LOGIC_NULL: break;
    case LOGIC_BOOL: return mix(h, &x.u.b, sizeof(x.u.b));
    case LOGIC_INT: return mix(h, &x.u.i, sizeof(x.u.i));
    case LOGIC_REAL: return mix(h, &x.u.d, sizeof(x.u.d));
    case LOGIC_STRING: return mix(h, x.u.s.p, x.u.s.n);
    }
    return h;
}

static bool is_field(const struct logic_node *n)
{
    return n->op == OP_FIELD && n->n == 0;
}

static bool scalar_const(const struct logic_leaf_source *src, const struct logic_node *n, struct value *v)
{
    struct logic_scalar unused;

    if (n->op != OP_CONST)
        return false;
    *v = src->consts[n->arg];
    return v->type != VALUE_NULL && logic_scalar_of(*v, &unused);
}

static bool equality_leaf(const struct logic_leaf_source *src, const struct logic_node *n, struct logic_leaf_found *out)
{
    const struct logic_node *a = &src->nodes[n->first];
    const struct logic_node *b = a + 1;

    if (!is_field(a)) {
        const struct logic_node *t = a;
        a = b;
        b = t;
    }
    if (!is_field(a) || !scalar_const(src, b, &out->one))
        return false;
    out->slot = a->arg;
    out->values = NULL;
    out->n_values = 1;
    return true;
}

static bool membership_leaf(const struct logic_leaf_source *src, const struct logic_node *n, struct logic_leaf_found *out)
{
    const struct logic_node *a = &src->nodes[n->first];
    const struct logic_node *b = a + 1;
    struct logic_scalar unused;

    if (!is_field(a) || b->op != OP_CONST || src->consts[b->arg].type != VALUE_LIST)
        return false;
    const struct value_list *list = src->consts[b->arg].u.list;
    for (uint32_t i = 0; i < list->n; i++) {
        if (list->v[i].type == VALUE_NULL || !logic_scalar_of(list->v[i], &unused))
            return false;
    }
    out->slot = a->arg;
    out->values = list->v;
    out->n_values = list->n;
    return list->n > 0;
}

void logic_leaf_walk(const struct logic_leaf_source *src, uint32_t node,
                     void (*found)(void *ctx, const struct logic_leaf_found *leaf), void *ctx)
{
    const struct logic_node *n = &src->nodes[node];
    struct logic_leaf_found leaf;

    if (n->op == OP_AND) {
        for (uint32_t i = 0; i < n->n; i++)
            logic_leaf_walk(src, n->first + i, found, ctx);
        return;
    }
    bool is_leaf = false;
    if (n->op == OP_EQ || n->op == OP_IS)
        is_leaf = equality_leaf(src, n, &leaf);
    else if (n->op == OP_IN)
        is_leaf = membership_leaf(src, n, &leaf);
    if (is_leaf)
        found(ctx, &leaf);
}
