/* logic_flat_build: makes the jumps and the table of predicates (logic_flat_priv.h).
 *
 * Each rule is walked once: `and`, `or` and `!` become targets of jumps, everything else a predicate, looked up by a hash over
 * its nodes and compared in full. Failure: none; a rule that does not fit is left to logic_eval. */
#include <string.h>

#include "common/core/logic_flat_priv.h"

#define HASH_SEED UINT64_C(0x9e3779b97f4a7c15)
#define HASH_PRIME UINT64_C(0xff51afd7ed558ccd) /* MurmurHash3's finaliser */
#define FIRST_CAP 16

struct builder {
    struct logic_flat *flat;
    const struct logic *logic;
    size_t begin;     /* of the rule's jumps */
    struct map texts; /* the literal texts met, once each: key → key */
};

/* By an eighth: a flat lives long and changes by single rules. */
static size_t more(size_t cap)
{
    return cap + cap / 8 + FIRST_CAP;
}

/* ---- which rules ---- */

static bool is_plain(enum logic_op op)
{
    static const enum logic_op plain[] = {
        OP_CONST,      OP_FIELD,     OP_PRESENT, OP_ABSENT,     OP_AND,       OP_OR,       OP_NOT,
        OP_TRUTHY,     OP_IF,        OP_IF_SIGN, OP_EQ,         OP_IS,        OP_NE,       OP_IS_NOT,
        OP_LT,         OP_LE,        OP_GT,      OP_GE,         OP_IN,        OP_STARTS,   OP_ENDS,
        OP_COALESCE,   OP_BEFORE,    OP_AFTER,   OP_NOT_BEFORE, OP_NOT_AFTER, OP_TODAY_IS, OP_DAYS_UNTIL,
        OP_DAYS_SINCE, OP_IN_SEASON, OP_CHANGED, OP_CHANGED_TO, OP_PLUS_TIME, OP_ADD,      OP_SUB,
        OP_MUL,        OP_DIV,       OP_MOD,     OP_MIN,        OP_MAX,       OP_LENGTH,
    };

    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        if (plain[i] == op)
            return true;
    }
    return false;
}

static bool is_dynamic_list(const struct logic *l, const struct logic_node *n)
{
    return (n->op == OP_IN || n->op == OP_IN_SEASON) && n->n > 1 && l->nodes[n->first + 1].op != OP_CONST;
}

/* What the node and those below it may spend at most. */
static uint32_t cost_of(const struct logic *l, uint32_t node)
{
    const struct logic_node *n = &l->nodes[node];
    uint32_t cost = is_dynamic_list(l, n) ? FLAT_CHEAP_ITEMS + 1 : 1;

    if (n->op == OP_CONST && l->consts[n->arg].type == VALUE_LIST)
        cost += l->consts[n->arg].u.list->n;
    for (uint32_t i = 0; i < n->n; i++)
        cost += cost_of(l, n->first + i);
    return cost;
}

enum flat_way logic_flat_way(const struct logic *logic)
{
    enum flat_way way = FLAT_MONOTONE;

    if (logic->mode != LOGIC_STRICT || logic->n_nodes > FLAT_JUMPS_MAX)
        return FLAT_DIRECT;
    for (uint32_t i = 0; i < logic->n_nodes; i++) {
        const struct logic_node *n = &logic->nodes[i];
        if (!is_plain(n->op))
            return FLAT_DIRECT;
        if (is_dynamic_list(logic, n))
            way = FLAT_CAREFUL;
    }
    return cost_of(logic, 0) <= logic->limits.budget_ops ? way : FLAT_DIRECT;
}

/* ---- equal predicates ---- */

static uint64_t mix(uint64_t h, uint64_t x)
{
    h = (h ^ x) * HASH_PRIME;
    return h ^ (h >> 32);
}

static uint64_t hash_value(uint64_t h, struct value v)
{
    struct logic_scalar s;

    h = mix(h, v.type);
    if (v.type != VALUE_LIST)
        return logic_scalar_of(v, &s) ? mix(h, logic_scalar_hash(&s)) : h;
    for (uint32_t i = 0; i < v.u.list->n; i++)
        h = hash_value(h, v.u.list->v[i]);
    return h;
}

static uint64_t hash_node(uint64_t h, const struct logic *l, uint32_t node)
{
    const struct logic_node *n = &l->nodes[node];

    h = mix(h, (uint64_t)n->op << 32 | n->n);
    h = n->op == OP_CONST ? hash_value(h, l->consts[n->arg]) : mix(h, n->arg);
    for (uint32_t i = 0; i < n->n; i++)
        h = hash_node(h, l, n->first + i);
    return h;
}

static bool same_value(struct value a, struct value b)
{
    struct logic_scalar s, t;

    if (a.type != b.type)
        return false;
    if (a.type != VALUE_LIST)
        return logic_scalar_of(a, &s) && logic_scalar_of(b, &t) && logic_scalar_eq(&s, &t);
    if (a.u.list->n != b.u.list->n)
        return false;
    for (uint32_t i = 0; i < a.u.list->n; i++) {
        if (!same_value(a.u.list->v[i], b.u.list->v[i]))
            return false;
    }
    return true;
}

static bool same_node(const struct logic *a, uint32_t i, const struct logic *b, uint32_t k)
{
    const struct logic_node *m = &a->nodes[i], *n = &b->nodes[k];

    if (m->op != n->op || m->n != n->n)
        return false;
    if (m->op == OP_CONST ? !same_value(a->consts[m->arg], b->consts[n->arg]) : m->arg != n->arg)
        return false;
    for (uint32_t at = 0; at < m->n; at++) {
        if (!same_node(a, m->first + at, b, n->first + at))
            return false;
    }
    return true;
}

/* ---- predicates ---- */

/* Which orders of field and literal are true; 0: no comparison. */
static unsigned hold_of(enum logic_op op, bool turned)
{
    unsigned below = turned ? FLAT_ABOVE : FLAT_BELOW, above = turned ? FLAT_BELOW : FLAT_ABOVE;

    if (op == OP_EQ || op == OP_IS)
        return FLAT_SAME;
    if (op == OP_NE || op == OP_IS_NOT)
        return FLAT_BELOW | FLAT_ABOVE;
    if (op == OP_LT || op == OP_LE)
        return op == OP_LT ? below : below | FLAT_SAME;
    if (op == OP_GT || op == OP_GE)
        return op == OP_GT ? above : above | FLAT_SAME;
    return 0;
}

static enum flat_kind kind_of(enum logic_op op, bool turned)
{
    if (op == OP_IN)
        return turned ? FLAT_HAS : FLAT_IN;
    return hold_of(op, turned) != 0 ? FLAT_ORDER : FLAT_NODE;
}

static bool quick_literal(enum flat_kind kind, const struct value *v)
{
    if (kind == FLAT_HAS)
        return v->type == VALUE_STRING;
    if (kind == FLAT_ORDER)
        return v->type == VALUE_STRING || v->type == VALUE_INT || v->type == VALUE_BOOL;
    if (v->type != VALUE_LIST || v->u.list->n == 0)
        return false;
    for (uint32_t i = 0; i < v->u.list->n; i++) {
        if (v->u.list->v[i].type != VALUE_STRING)
            return false;
    }
    return true;
}

static bool is_field(const struct logic_node *n)
{
    return n->op == OP_FIELD && n->n == 0;
}

/* The same text at the same place, and all of them together. */
static struct str pooled(struct builder *b, struct str s)
{
    char *text = map_get(&b->texts, s.n > 0 ? s.p : "", s.n);

    if (text == NULL) {
        text = arena_strndup(&b->flat->pool, s.n > 0 ? s.p : "", s.n);
        (void)map_put(&b->texts, text, s.n, text);
    }
    return (struct str){text, s.n};
}

static const struct value_list *pooled_list(struct builder *b, const struct value_list *from)
{
    struct value_list *list = arena_alloc(&b->flat->pool, sizeof(*list) + from->n * sizeof(struct value));

    *list = (struct value_list){.n = from->n, .depth = from->depth};
    for (uint32_t i = 0; i < from->n; i++)
        list->v[i] = value_str(pooled(b, from->v[i].u.s));
    return list;
}

static void set_literal(struct builder *b, struct flat_predicate *p, const struct value *v)
{
    p->type = (uint8_t)v->type;
    if (v->type == VALUE_LIST)
        p->u.list = pooled_list(b, v->u.list);
    else if (v->type == VALUE_STRING)
        p->u.s = pooled(b, v->u.s);
    else
        p->u.i = v->type == VALUE_INT ? v->u.i : v->u.b;
}

static void specialise(struct builder *b, uint32_t node, struct flat_predicate *p)
{
    const struct logic *l = b->logic;
    const struct logic_node *n = &l->nodes[node];
    const struct logic_node *first = &l->nodes[n->first], *second = first + 1;

    if (n->n == 1 && (n->op == OP_PRESENT || n->op == OP_ABSENT) && is_field(first)) {
        p->kind = (uint8_t)(n->op == OP_PRESENT ? FLAT_PRESENT : FLAT_ABSENT);
        p->slot = first->arg;
        return;
    }
    if (n->n != 2)
        return;
    bool turned = !is_field(first);
    enum flat_kind kind = kind_of(n->op, turned);
    const struct logic_node *field = turned ? second : first, *literal = turned ? first : second;
    if (kind == FLAT_NODE || !is_field(field) || literal->op != OP_CONST ||
        !quick_literal(kind, &l->consts[literal->arg]))
        return;
    p->kind = (uint8_t)kind;
    p->hold = (uint8_t)hold_of(n->op, turned);
    p->slot = field->arg;
    set_literal(b, p, &l->consts[literal->arg]);
}

static uint64_t hash_predicate(const struct logic *l, uint32_t node)
{
    return hash_node(HASH_SEED, l, node);
}

static void grow_table(struct logic_flat *f)
{
    f->table_cap = f->table_cap == 0 ? FIRST_CAP : f->table_cap * 2;
    mem_free(f->table);
    f->table = mem_zalloc(f->table_cap * sizeof(*f->table));
    for (size_t i = 0; i < f->n_predicates; i++) {
        size_t at = hash_predicate(f->sources[i].logic, f->sources[i].node) & (f->table_cap - 1);
        while (f->table[at] != 0)
            at = (at + 1) & (f->table_cap - 1);
        f->table[at] = (uint32_t)i + 1;
    }
}

static void hold_predicates(struct logic_flat *f, size_t cap)
{
    f->cap_predicates = cap;
    f->predicates = mem_realloc(f->predicates, cap * sizeof(*f->predicates));
    f->sources = mem_realloc(f->sources, cap * sizeof(*f->sources));
    f->answers = mem_realloc(f->answers, cap * sizeof(*f->answers));
}

static uint32_t predicate(struct builder *b, uint32_t node)
{
    struct logic_flat *f = b->flat;

    if (f->n_predicates * 2 >= f->table_cap)
        grow_table(f);
    size_t at = hash_predicate(b->logic, node) & (f->table_cap - 1);
    for (; f->table[at] != 0; at = (at + 1) & (f->table_cap - 1)) {
        const struct flat_source *p = &f->sources[f->table[at] - 1];
        if (same_node(p->logic, p->node, b->logic, node))
            return f->table[at] - 1;
    }
    if (f->n_predicates == f->cap_predicates)
        hold_predicates(f, more(f->cap_predicates));
    f->sources[f->n_predicates] = (struct flat_source){b->logic, node, cost_of(b->logic, node)};
    f->predicates[f->n_predicates] = (struct flat_predicate){.kind = FLAT_NODE};
    specialise(b, node, &f->predicates[f->n_predicates]);
    f->table[at] = (uint32_t)++f->n_predicates;
    return (uint32_t)f->n_predicates - 1;
}

/* ---- jumps ---- */

static uint16_t here(const struct builder *b)
{
    return (uint16_t)(b->flat->n_jumps - b->begin);
}

static void hold_jumps(struct logic_flat *f, size_t cap)
{
    f->cap_jumps = cap;
    f->jumps = mem_realloc(f->jumps, cap * sizeof(*f->jumps));
}

static void put_jump(struct builder *b, uint32_t node, bool negated, uint16_t on_false, uint16_t on_true)
{
    struct logic_flat *f = b->flat;
    struct flat_jump jump = {.predicate = predicate(b, node) << 1 | negated, .then = {on_false, on_true}};

    if (f->n_jumps == f->cap_jumps)
        hold_jumps(f, more(f->cap_jumps));
    f->jumps[f->n_jumps++] = jump;
}

/* How many jumps `node` becomes. */
static uint16_t jumps_of(const struct logic *l, uint32_t node)
{
    const struct logic_node *n = &l->nodes[node];
    uint16_t total = 0;

    if (n->op != OP_AND && n->op != OP_OR && n->op != OP_NOT)
        return 1;
    for (uint32_t i = 0; i < n->n; i++)
        total = (uint16_t)(total + jumps_of(l, n->first + i));
    return total;
}

/* The compiler has bounded the depth. */
static void put_node(struct builder *b, uint32_t node, bool negated, uint16_t on_false, uint16_t on_true)
{
    const struct logic_node *n = &b->logic->nodes[node];

    if (n->op == OP_NOT) {
        put_node(b, n->first, !negated, on_false, on_true);
        return;
    }
    if (n->op != OP_AND && n->op != OP_OR) {
        put_jump(b, node, negated, on_false, on_true);
        return;
    }
    bool all = (n->op == OP_AND) != negated;
    for (uint32_t i = 0; i < n->n; i++) {
        uint16_t next = (uint16_t)(here(b) + jumps_of(b->logic, n->first + i));
        bool last = i + 1 == n->n;
        put_node(b, n->first + i, negated, all || last ? on_false : next, !all || last ? on_true : next);
    }
}

static struct flat_rule flatten(struct builder *b, const struct logic *logic)
{
    struct flat_rule rule = {.first = (uint32_t)b->flat->n_jumps, .way = FLAT_ALWAYS};

    if (logic == NULL)
        return rule;
    rule.way = logic_flat_way(logic);
    if (rule.way == FLAT_DIRECT)
        return rule;
    b->logic = logic;
    b->begin = b->flat->n_jumps;
    put_node(b, 0, false, FLAT_FALSE, FLAT_TRUE);
    return rule;
}

/* ---- rules come and go ---- */

static void hold_rules(struct logic_flat *f, size_t cap)
{
    f->cap = cap;
    f->rules = mem_realloc(f->rules, cap * sizeof(*f->rules));
    f->ways = mem_realloc(f->ways, cap * sizeof(*f->ways));
}

static void put_rule(struct builder *b, size_t i, const struct logic *rule)
{
    struct logic_flat *f = b->flat;

    if (f->n == f->cap)
        hold_rules(f, more(f->cap));
    memmove(&f->rules[i + 1], &f->rules[i], (f->n - i) * sizeof(*f->rules));
    memmove(&f->ways[i + 1], &f->ways[i], (f->n - i) * sizeof(*f->ways));
    f->rules[i] = rule;
    f->ways[i] = flatten(b, rule);
    f->n++;
}

struct logic_flat *logic_flat_new(const struct logic *const *rules, size_t n)
{
    struct logic_flat *flat = mem_zalloc(sizeof(*flat));
    struct builder b = {.flat = flat};

    hold_rules(flat, n + 1);
    for (size_t i = 0; i < n; i++)
        put_rule(&b, i, rules[i]);
    hold_jumps(flat, flat->n_jumps + 1);
    hold_predicates(flat, flat->n_predicates + 1);
    map_free(&b.texts);
    return flat;
}

void logic_flat_insert(struct logic_flat *flat, size_t i, const struct logic *rule)
{
    struct builder b = {.flat = flat};

    put_rule(&b, i, rule);
    map_free(&b.texts);
}

/* Others may ask predicates that were first met in this rule. */
static bool is_source(const struct logic_flat *f, size_t i)
{
    struct flat_rule rule = f->ways[i];

    if (rule.way == FLAT_ALWAYS || rule.way == FLAT_DIRECT)
        return false;
    for (uint32_t k = 0, n = jumps_of(f->rules[i], 0); k < n; k++) {
        if (f->sources[f->jumps[rule.first + k].predicate >> 1].logic == f->rules[i])
            return true;
    }
    return false;
}

static void keep(struct logic_flat *f, struct logic *rule)
{
    if (f->n_kept == f->cap_kept) {
        f->cap_kept = more(f->cap_kept);
        f->kept = mem_realloc(f->kept, f->cap_kept * sizeof(*f->kept));
    }
    f->kept[f->n_kept++] = rule;
    f->kept_bytes += logic_bytes(rule);
}

void logic_flat_remove(struct logic_flat *flat, size_t i, struct logic **rule)
{
    if (is_source(flat, i)) {
        keep(flat, *rule);
        *rule = NULL;
    }
    flat->n--;
    memmove(&flat->rules[i], &flat->rules[i + 1], (flat->n - i) * sizeof(*flat->rules));
    memmove(&flat->ways[i], &flat->ways[i + 1], (flat->n - i) * sizeof(*flat->ways));
}
