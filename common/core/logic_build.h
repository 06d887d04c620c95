/* logic_build: private to logic_compile.c, logic_access.c and logic_build.c: a rule under construction.
 *
 * Nodes are appended in blocks, one block per operator's operands, so that operands lie side by side. When all is
 * compiled, logic_build_pack copies everything into one allocation. */
#ifndef COMMON_CORE_LOGIC_BUILD_H
#define COMMON_CORE_LOGIC_BUILD_H

#include "common/core/logic_priv.h"

struct logic_build {
    struct logic_fields *fields;
    struct logic_limits limits;
    enum logic_mode mode;
    bool certlogic;
    unsigned needs;
    uint32_t leaves;
    struct logic_node *nodes;
    struct logic_place *places;
    uint32_t n_nodes, cap_nodes;
    struct value *consts; /* texts borrowed from the rule, lists from `arena` */
    uint32_t n_consts, cap_consts;
    uint32_t *slots;
    uint32_t n_slots, cap_slots;
    json_t **kept;
    uint32_t n_kept, cap_kept;
    struct arena arena;
    struct logic_error *why; /* may be NULL */
};

void logic_build_free(struct logic_build *b);
uint32_t logic_build_nodes(struct logic_build *b, uint32_t n, uint32_t parent); /* the first of n */
uint32_t logic_build_const(struct logic_build *b, struct value v);
void logic_build_slot(struct logic_build *b, uint32_t slot);
struct value logic_build_keep(struct logic_build *b, const json_t *json); /* a copy the rule will own */
struct logic *logic_build_pack(struct logic_build *b);                    /* takes what was kept */

/* Where an offence is: a node or, below it, an operator's name and perhaps the number of an operand that is no node
 * yet. */
struct logic_spot {
    uint32_t node;
    const char *name; /* NULL: the node itself */
    int index;        /* < 0: none */
};

/* Where the descent is. */
struct logic_at {
    uint32_t node;
    uint32_t depth;
    uint32_t groups;
    bool in_item; /* {"var":…} names an iterator's item */
    bool in_try;  /* jsonlogic mode: operators without their operands are errors there */
};

struct logic_operands {
    const json_t *value; /* the operator's value as written */
    uint32_t n;
    bool sugar; /* no list written */
};

static inline const json_t *logic_operand_json(const struct logic_operands *o, uint32_t i)
{
    return o->sugar ? o->value : json_array_get(o->value, i);
}

static inline bool logic_json_is_scalar(const json_t *json)
{
    return !json_is_array(json) && !json_is_object(json);
}

struct logic_spot logic_build_spot(uint32_t node, const char *name, int index);

/* Fills `why` and returns the code's enum err. `found` and `allowed` are cut to fit. */
enum err logic_build_error(struct logic_build *b, enum logic_code code, struct logic_spot spot, const char *found,
                           const char *allowed);

/* The same with `found` made from JSON; NULL is "nothing". */
enum err logic_build_refuse(struct logic_build *b, enum logic_code code, struct logic_spot where, const json_t *found,
                            const char *allowed);

/* The same for a limit: "1001 items", "at most 1000 items". */
enum err logic_build_over(struct logic_build *b, enum logic_code code, uint32_t node, size_t found, uint32_t most,
                          const char *unit);

/* A short text of a JSON value for messages: "the string \"x\"", "null", "a list of 3". Returns out. */
const char *logic_build_show(const json_t *json, char out[LOGIC_TEXT_SIZE]);

/* logic_pointer over a rule under construction. */
const char *logic_build_pointer(const struct logic_node *nodes, const struct logic_place *places, uint32_t node,
                                char out[LOGIC_POINTER_SIZE]);

/* logic_compile.c: operands from `from` on become nodes. Iterators' second operand and what `try` falls back to see
 * another scope. */
enum err logic_compile_operands(struct logic_build *b, const struct logic_operands *o, uint32_t from, struct logic_at at);

/* logic_access.c: each compiles the operator at `at`, whose node's op is set. */
enum err logic_access_var(struct logic_build *b, const struct logic_operands *o, struct logic_at at);
enum err logic_access_val(struct logic_build *b, const struct logic_operands *o, struct logic_at at);
enum err logic_access_exists(struct logic_build *b, const struct logic_operands *o, struct logic_at at);
enum err logic_access_missing(struct logic_build *b, const struct logic_operands *o, struct logic_at at);
enum err logic_access_changed(struct logic_build *b, const struct logic_operands *o, struct logic_at at);

#endif
