/* logic_flat: see logic_flat.h. Evaluation; logic_flat_build.c makes what it runs over.
 *
 * Happy path: a rule's jumps ask predicates until one leads to false, which most rules are. True without an unknown on the way
 * is true. Failure: none of its own; unknowns and what spends more than foreseen end in logic_eval. */
#include "common/core/logic_flat.h"

#include <string.h>

#include "common/core/logic_flat_priv.h"
#include "common/core/match_bits.h"

/* The first two are which way a jump goes. */
enum flat_answer { ANSWER_FALSE, ANSWER_TRUE, ANSWER_UNKNOWN, ANSWER_HEAVY, ANSWER_NONE };

static enum flat_answer answer_of(bool b)
{
    return (enum flat_answer)b;
}

static enum flat_answer ask_node(const struct logic_flat *flat, uint32_t predicate, struct logic_facts *facts)
{
    const struct flat_source *src = &flat->sources[predicate];
    struct logic_run r;
    struct value v = logic_run_node(&r, src->logic, facts, src->node);

    if (v.type == VALUE_FAILED || src->logic->limits.budget_ops - r.budget > src->cost)
        return ANSWER_HEAVY;
    return v.type == VALUE_BOOL ? answer_of(v.u.b) : ANSWER_UNKNOWN;
}

/* Without a branch: which comparison it is and how it ends can not be foreseen. */
static enum flat_answer by_order(unsigned hold, int order)
{
    return answer_of(hold >> (order + 1) & 1);
}

/* Both lengths are known, texts are short. */
static bool same_text(struct str a, struct str b)
{
    return a.n == b.n && memcmp(a.p, b.p, a.n) == 0;
}

static enum flat_answer by_text(unsigned hold, struct str a, struct str b)
{
    int order;

    if (hold == FLAT_SAME || hold == (FLAT_BELOW | FLAT_ABOVE))
        return by_order(hold, same_text(a, b) ? 0 : 1);
    order = value_compare_text(a, b);
    return by_order(hold, (order > 0) - (order < 0));
}

static enum flat_answer by_list(struct str s, const struct value_list *list)
{
    for (uint32_t i = 0; i < list->n; i++) {
        if (same_text(s, list->v[i].u.s))
            return ANSWER_TRUE;
    }
    return ANSWER_FALSE;
}

/* Unknown: not a short list of texts. */
static enum flat_answer by_items(const json_t *items, struct str s)
{
    size_t n = json_array_size(items);

    if (n > FLAT_CHEAP_ITEMS)
        return ANSWER_UNKNOWN;
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(items, i);
        if (!json_is_string(item))
            return ANSWER_UNKNOWN;
        if (same_text((struct str){json_string_value(item), json_string_length(item)}, s))
            return ANSWER_TRUE;
    }
    return ANSWER_FALSE;
}

static const struct value *field(struct logic_facts *facts, uint32_t slot)
{
    if (slot < facts->n_memos && facts->memos[slot].generation == facts->generation)
        return &facts->memos[slot].value;
    return &logic_facts_memo(facts, slot)->value;
}

/* The field's value is neither null nor of a type that the predicate is not made for, else unknown. */
static enum flat_answer ask_value(const struct flat_predicate *p, const struct value *v)
{
    if (p->kind == FLAT_HAS)
        return v->type == VALUE_ARRAY ? by_items(v->u.json, p->u.s) : ANSWER_UNKNOWN;
    if (p->kind == FLAT_IN)
        return v->type == VALUE_STRING ? by_list(v->u.s, p->u.list) : ANSWER_UNKNOWN;
    if (v->type != p->type)
        return ANSWER_UNKNOWN;
    if (v->type == VALUE_STRING)
        return by_text(p->hold, v->u.s, p->u.s);
    if (v->type == VALUE_INT)
        return by_order(p->hold, (v->u.i > p->u.i) - (v->u.i < p->u.i));
    return by_order(p->hold, v->u.b != (p->u.i != 0));
}

static enum flat_answer ask(const struct logic_flat *flat, uint32_t predicate, struct logic_facts *facts)
{
    const struct flat_predicate *p = &flat->predicates[predicate];

    if (p->kind == FLAT_NODE)
        return ask_node(flat, predicate, facts);
    const struct value *v = field(facts, p->slot);
    if (p->kind == FLAT_PRESENT || p->kind == FLAT_ABSENT)
        return answer_of((v->type == VALUE_NULL) == (p->kind == FLAT_ABSENT));
    if (v->type == VALUE_NULL)
        return ANSWER_UNKNOWN;
    enum flat_answer answer = ask_value(p, v);
    return answer != ANSWER_UNKNOWN ? answer : ask_node(flat, predicate, facts);
}

void logic_flat_begin(struct logic_flat *flat)
{
    memset(flat->answers, ANSWER_NONE, flat->n_predicates);
}

/* False, or true when no unknown was taken for true; else unknown: not settled. Most rules ask two or three predicates, so a call would
 * cost as much as it does. */
static inline __attribute__((always_inline)) enum logic_truth run_jumps(struct logic_flat *flat, struct flat_rule rule,
                                                                        struct logic_facts *facts)
{
    const struct flat_jump *jumps = &flat->jumps[rule.first];
    uint8_t *answers = flat->answers;
    bool sure = true;
    uint16_t at = 0;

    while (at < FLAT_TRUE) {
        const struct flat_jump *j = &jumps[at];
        const uint32_t predicate = j->predicate >> 1;
        unsigned answer = answers[predicate];
        if (answer == ANSWER_NONE) {
            answer = ask(flat, predicate, facts);
            answers[predicate] = (uint8_t)answer;
        }
        if (answer <= ANSWER_TRUE) {
            at = j->then[answer ^ (j->predicate & 1)];
            continue;
        }
        if (rule.way == FLAT_CAREFUL || answer == ANSWER_HEAVY)
            return LOGIC_UNKNOWN;
        sure = false;
        at = j->then[1];
    }
    if (at == FLAT_FALSE)
        return LOGIC_FALSE;
    return sure ? LOGIC_TRUE : LOGIC_UNKNOWN;
}

enum logic_truth logic_flat_eval(struct logic_flat *flat, size_t i, struct logic_facts *facts,
                                 struct logic_reason *reason)
{
    struct flat_rule rule = flat->ways[i];
    enum logic_truth truth = LOGIC_TRUE;

    if (rule.way == FLAT_ALWAYS)
        return LOGIC_TRUE;
    if (rule.way != FLAT_DIRECT)
        truth = run_jumps(flat, rule, facts);
    if (rule.way == FLAT_DIRECT || truth == LOGIC_UNKNOWN)
        return logic_eval(flat->rules[i], facts, reason);
    return truth;
}

/* Most rules are false: going over them is one loop. */
size_t logic_flat_next(struct logic_flat *flat, const uint64_t *marks, size_t from, struct logic_facts *facts,
                       struct logic_answer *answer)
{
    const size_t n = flat->n;

    for (size_t i = match_bits_next(marks, n, from); i < n; i = match_bits_next(marks, n, i + 1)) {
        const struct flat_rule rule = flat->ways[i];
        enum logic_truth truth = LOGIC_TRUE;

        answer->asked++;
        if (rule.way == FLAT_MONOTONE || rule.way == FLAT_CAREFUL)
            truth = run_jumps(flat, rule, facts);
        if (rule.way == FLAT_DIRECT || truth == LOGIC_UNKNOWN)
            truth = logic_eval(flat->rules[i], facts, &answer->reason);
        if (truth != LOGIC_FALSE) {
            answer->truth = truth;
            return i;
        }
    }
    return n;
}

void logic_flat_free(struct logic_flat *flat)
{
    if (flat == NULL)
        return;
    for (size_t i = 0; i < flat->n_kept; i++)
        logic_free(flat->kept[i]);
    mem_free(flat->kept);
    mem_free(flat->rules);
    mem_free(flat->ways);
    mem_free(flat->jumps);
    mem_free(flat->predicates);
    mem_free(flat->sources);
    mem_free(flat->answers);
    mem_free(flat->table);
    arena_free(&flat->pool);
    mem_free(flat);
}

size_t logic_flat_bytes(const struct logic_flat *flat)
{
    return sizeof(*flat) + flat->cap * (sizeof(*flat->rules) + sizeof(*flat->ways)) +
           flat->cap_jumps * sizeof(*flat->jumps) +
           flat->cap_predicates * (sizeof(*flat->predicates) + sizeof(*flat->sources) + sizeof(*flat->answers)) +
           flat->table_cap * sizeof(*flat->table) + flat->pool.used_bytes + flat->cap_kept * sizeof(*flat->kept) +
           flat->kept_bytes;
}

size_t logic_flat_predicates(const struct logic_flat *flat)
{
    return flat->n_predicates;
}
