/* logic_flat_priv: shared by logic_flat.c (evaluation) and logic_flat_build.c (construction) only. */
#ifndef COMMON_CORE_LOGIC_FLAT_PRIV_H
#define COMMON_CORE_LOGIC_FLAT_PRIV_H

#include "common/core/logic_flat.h"
#include "common/core/logic_priv.h"

/* What can be answered from the field's memo when the types agree; all else is evaluated as a node. */
enum flat_kind {
    FLAT_NODE,
    FLAT_PRESENT,
    FLAT_ABSENT,
    FLAT_ORDER, /* field op literal; the literal is a text, an integer or a truth value */
    FLAT_IN,    /* field in a literal list of texts */
    FLAT_HAS    /* literal text in the field, a list of texts */
};

enum { FLAT_BELOW = 1, FLAT_SAME = 2, FLAT_ABOVE = 4 };

/* What asking touches, without a pointer into the rules: those lie all over the memory. */
struct flat_predicate {
    uint8_t kind; /* enum flat_kind */
    uint8_t type; /* of the literal: enum value_type */
    uint8_t hold; /* FLAT_ORDER: which of FLAT_BELOW, FLAT_SAME, FLAT_ABOVE are true */
    uint32_t slot;
    union {
        int64_t i;    /* a truth value: 0 or 1 */
        struct str s; /* in the flat's own pool */
        const struct value_list *list;
    } u;
};

struct flat_source {
    const struct logic *logic; /* a rule that asks it */
    uint32_t node;             /* where it does */
    uint32_t cost;             /* budget it may spend; more is left to logic_eval */
};

/* Asks one predicate and goes on at then[false] or then[true], counted from the rule's first jump. */
struct flat_jump {
    uint32_t predicate; /* twice its number, plus 1 when negated */
    uint16_t then[2];
};

#define FLAT_CHEAP_ITEMS 64 /* of a list in the document: more of them is left to logic_eval */
#define FLAT_FALSE UINT16_MAX
#define FLAT_TRUE (UINT16_MAX - 1)
#define FLAT_JUMPS_MAX 4096 /* per rule; LOGIC_LEAVES_MAX keeps stored rules far below */

/* `and` and `or` over false < unknown < true are minimum and maximum once every `!` has been moved to the predicates.
 * So a rule is false exactly when it is with every unknown taken for true: FLAT_MONOTONE rules go on like that. */
enum flat_way {
    FLAT_ALWAYS,   /* no condition */
    FLAT_DIRECT,   /* logic_eval alone */
    FLAT_MONOTONE, /* nothing in it can fail */
    FLAT_CAREFUL   /* a list of the document may be long: the first unknown hands over to logic_eval */
};

struct flat_rule {
    uint32_t first; /* jump */
    uint32_t way;   /* enum flat_way */
};

struct logic_flat {
    const struct logic **rules;
    struct flat_rule *ways; /* at the same places */
    size_t n, cap;
    struct flat_jump *jumps; /* those of removed rules stay */
    struct flat_predicate *predicates;
    struct flat_source *sources; /* at the same places */
    uint8_t *answers;            /* enum flat_answer, by predicate */
    size_t n_jumps, cap_jumps, n_predicates, cap_predicates;
    struct arena pool; /* the literals */
    uint32_t *table;   /* hash → predicate + 1; open addressing */
    size_t table_cap;
    struct logic **kept; /* removed rules that are sources, owned */
    size_t n_kept, cap_kept, kept_bytes;
};

/* Whether the jumps can stand for the rule, and what its nodes may cost. */
enum flat_way logic_flat_way(const struct logic *logic);

#endif
