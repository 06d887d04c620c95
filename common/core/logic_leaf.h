/* logic_leaf: private to logic*.c: the walk that finds necessary equalities while a rule is compiled. */
#ifndef COMMON_CORE_LOGIC_LEAF_H
#define COMMON_CORE_LOGIC_LEAF_H

#include "common/core/logic_priv.h"

struct logic_leaf_source {
    const struct logic_node *nodes;
    const struct value *consts;
};

struct logic_leaf_found {
    uint32_t slot;
    uint32_t n_values;
    const struct value *values; /* NULL: `one` is the only value */
    struct value one;
};

/* Calls `found` for each; recurses through `and`s, whose depth the compiler has bounded. */
void logic_leaf_walk(const struct logic_leaf_source *src, uint32_t node,
                     void (*found)(void *ctx, const struct logic_leaf_found *leaf), void *ctx);

#endif
