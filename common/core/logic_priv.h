/* logic_priv: what the files of logic share. Only logic*.c include it.
 *
 * A rule is an array of nodes; the operands of node i are nodes[first] … nodes[first + n - 1]. Each operator is one row
 * of LOGIC_OP_MAP with one function per mode. A function gets its node, evaluates the operands it wants with
 * logic_node_value and returns a value; VALUE_FAILED ends everything and is passed up at once; VALUE_UNKNOWN (strict
 * mode) is passed up unless the operator knows better. */
#ifndef COMMON_CORE_LOGIC_PRIV_H
#define COMMON_CORE_LOGIC_PRIV_H

#include "common/base/buf.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/core/logic.h"
#include "common/core/value.h"

enum logic_flag {
    OP_GROUP = 1,     /* counts for LOGIC_GROUP_DEPTH_MAX */
    OP_ACCESS = 2,    /* reads a field: no leaf */
    OP_CONDITION = 4, /* yields true, false or unknown in strict mode */
    OP_ITERATOR = 8,  /* its second operand sees an item */
    OP_TODAY = 16,
    OP_CHANGE = 32,
    OP_INNER = 64 /* made by the compiler, not to be written */
};

#define OP_ANY UINT16_MAX

/* X(op, name, strict function, jsonlogic function, least and most operands in strict mode, flags) */
#define LOGIC_OP_MAP(X)                                                                                                \
    X(OP_CONST, "", logic_const, logic_const, 0, 0, OP_INNER)                                                          \
    X(OP_LIST, "", logic_list, logic_list, 0, OP_ANY, OP_INNER)                                                        \
    X(OP_FIELD, "", logic_field, logic_field, 0, 1, OP_INNER)                                                          \
    X(OP_ITEM, "", logic_item, logic_item, 0, 1, OP_INNER)                                                             \
    X(OP_PRESENT, "", logic_present, logic_present, 1, 1, OP_INNER | OP_CONDITION)                                     \
    X(OP_ABSENT, "", logic_absent, logic_absent, 1, 1, OP_INNER | OP_CONDITION)                                        \
    X(OP_UNKNOWN, "", logic_unrecognized, logic_unrecognized, 0, OP_ANY, OP_INNER)                                     \
    X(OP_LACKS, "", logic_lacks, logic_lacks, 0, 0, OP_INNER)                                                          \
    X(OP_VAR, "var", logic_var, logic_var, 0, 2, OP_ACCESS)                                                            \
    X(OP_VAL, "val", logic_val, logic_val, 0, OP_ANY, OP_ACCESS)                                                       \
    X(OP_EXISTS, "exists", logic_exists, logic_exists, 1, OP_ANY, OP_CONDITION)                                        \
    X(OP_MISSING, "missing", logic_missing, logic_missing, 0, OP_ANY, 0)                                               \
    X(OP_MISSING_SOME, "missing_some", logic_missing_some, logic_missing_some, 2, 2, 0)                                \
    X(OP_AND, "and", logic_and, js_and, 1, OP_ANY, OP_GROUP | OP_CONDITION)                                            \
    X(OP_OR, "or", logic_or, js_or, 1, OP_ANY, OP_GROUP | OP_CONDITION)                                                \
    X(OP_NOT, "!", logic_not, js_not, 1, 1, OP_GROUP | OP_CONDITION)                                                   \
    X(OP_TRUTHY, "!!", logic_truthy, js_truthy, 1, 1, OP_CONDITION)                                                    \
    X(OP_IF, "if", logic_if, js_if, 1, OP_ANY, OP_GROUP)                                                               \
    X(OP_IF_SIGN, "?:", logic_if, js_if, 1, OP_ANY, OP_GROUP)                                                          \
    X(OP_EQ, "==", logic_eq, js_eq, 2, 2, OP_CONDITION)                                                                \
    X(OP_IS, "===", logic_eq, js_is, 2, 2, OP_CONDITION)                                                               \
    X(OP_NE, "!=", logic_ne, js_ne, 2, 2, OP_CONDITION)                                                                \
    X(OP_IS_NOT, "!==", logic_ne, js_is_not, 2, 2, OP_CONDITION)                                                       \
    X(OP_LT, "<", logic_lt, js_lt, 2, 3, OP_CONDITION)                                                                 \
    X(OP_LE, "<=", logic_le, js_le, 2, 3, OP_CONDITION)                                                                \
    X(OP_GT, ">", logic_gt, js_gt, 2, 3, OP_CONDITION)                                                                 \
    X(OP_GE, ">=", logic_ge, js_ge, 2, 3, OP_CONDITION)                                                                \
    X(OP_IN, "in", logic_in, js_in, 2, 2, OP_CONDITION)                                                                \
    X(OP_STARTS, "startsWith", logic_starts, js_starts, 2, 2, OP_CONDITION)                                            \
    X(OP_ENDS, "endsWith", logic_ends, js_ends, 2, 2, OP_CONDITION)                                                    \
    X(OP_CAT, "cat", logic_cat, js_cat, 1, OP_ANY, 0)                                                                  \
    X(OP_SUBSTR, "substr", logic_substr, js_substr, 2, 3, 0)                                                           \
    X(OP_LENGTH, "length", logic_length, js_length, 1, 1, 0)                                                           \
    X(OP_ADD, "+", logic_add, js_add, 1, OP_ANY, 0)                                                                    \
    X(OP_SUB, "-", logic_sub, js_sub, 1, 2, 0)                                                                         \
    X(OP_MUL, "*", logic_mul, js_mul, 1, OP_ANY, 0)                                                                    \
    X(OP_DIV, "/", logic_div, js_div, 2, 2, 0)                                                                         \
    X(OP_MOD, "%", logic_mod, js_mod, 2, 2, 0)                                                                         \
    X(OP_MIN, "min", logic_min, js_min, 1, OP_ANY, 0)                                                                  \
    X(OP_MAX, "max", logic_max, js_max, 1, OP_ANY, 0)                                                                  \
    X(OP_MERGE, "merge", logic_merge, logic_merge, 0, OP_ANY, 0)                                                       \
    X(OP_FILTER, "filter", logic_filter, logic_filter, 2, 2, OP_ITERATOR)                                              \
    X(OP_MAP, "map", logic_map, logic_map, 2, 2, OP_ITERATOR)                                                          \
    X(OP_REDUCE, "reduce", logic_reduce, logic_reduce, 2, 3, OP_ITERATOR)                                              \
    X(OP_ALL, "all", logic_all, logic_all, 2, 2, OP_ITERATOR | OP_CONDITION)                                           \
    X(OP_SOME, "some", logic_some, logic_some, 2, 2, OP_ITERATOR | OP_CONDITION)                                       \
    X(OP_NONE, "none", logic_none, logic_none, 2, 2, OP_ITERATOR | OP_CONDITION)                                       \
    X(OP_COALESCE, "??", logic_coalesce, logic_coalesce, 1, OP_ANY, 0)                                                 \
    X(OP_TRY, "try", logic_try, logic_try, 1, OP_ANY, 0)                                                               \
    X(OP_THROW, "throw", logic_throw, logic_throw, 1, 1, 0)                                                            \
    X(OP_PRESERVE, "preserve", logic_const, logic_const, 0, OP_ANY, 0)                                                 \
    X(OP_LOG, "log", logic_log, logic_log, 1, 1, 0)                                                                    \
    X(OP_BEFORE, "before", logic_before, logic_before, 2, 3, OP_CONDITION)                                             \
    X(OP_AFTER, "after", logic_after, logic_after, 2, 3, OP_CONDITION)                                                 \
    X(OP_NOT_BEFORE, "not-before", logic_not_before, logic_not_before, 2, 3, OP_CONDITION)                             \
    X(OP_NOT_AFTER, "not-after", logic_not_after, logic_not_after, 2, 3, OP_CONDITION)                                 \
    X(OP_PLUS_TIME, "plusTime", logic_plus_time, logic_plus_time, 3, 3, 0)                                             \
    X(OP_BIRTH, "dccDateOfBirth", logic_birth, logic_birth, 1, 1, 0)                                                   \
    X(OP_TODAY_IS, "today", logic_today, logic_today, 0, 0, OP_TODAY)                                                  \
    X(OP_DAYS_UNTIL, "days_until", logic_days_until, logic_days_until, 1, 1, OP_TODAY)                                 \
    X(OP_DAYS_SINCE, "days_since", logic_days_since, logic_days_since, 1, 1, OP_TODAY)                                 \
    X(OP_IN_SEASON, "in_season", logic_in_season, logic_in_season, 1, 2, OP_CONDITION)                                 \
    X(OP_CHANGED, "changed", logic_changed, logic_changed, 1, 1, OP_CONDITION | OP_CHANGE)                             \
    X(OP_CHANGED_TO, "changed_to", logic_changed_to, logic_changed_to, 2, 2, OP_CONDITION | OP_CHANGE)

#define LOGIC_OP_ENUM(op, name, strict, loose, least, most, flags) op,
enum logic_op { LOGIC_OP_MAP(LOGIC_OP_ENUM) LOGIC_OP_COUNT };
#undef LOGIC_OP_ENUM

struct logic_run;
struct logic_node;
typedef struct value logic_fn(struct logic_run *r, const struct logic_node *n);

#define LOGIC_OP_DECLARE(op, name, strict, loose, least, most, flags)                                                  \
    logic_fn strict;                                                                                                   \
    logic_fn loose;
LOGIC_OP_MAP(LOGIC_OP_DECLARE)
#undef LOGIC_OP_DECLARE

struct logic_row {
    const char *name;
    uint16_t least, most;
    uint16_t flags; /* enum logic_flag */
};
extern const struct logic_row logic_rows[LOGIC_OP_COUNT];
extern logic_fn *const logic_calls[2][LOGIC_OP_COUNT]; /* by enum logic_mode */

#define NODE_SUGAR 1 /* the operand was written without a list: {"!": x} */

struct logic_node {
    uint8_t op;      /* enum logic_op */
    uint8_t written; /* the operator as written, for pointers and explanations */
    uint8_t flags;
    uint8_t unused;
    uint32_t n;
    uint32_t first;
    uint32_t arg; /* OP_CONST, OP_UNKNOWN: index of a constant; OP_FIELD, OP_ITEM, OP_CHANGED…: slot */
};

/* Where a node stands, for JSON pointers. Kept apart: evaluation does not touch it. */
struct logic_place {
    uint32_t parent; /* of the root: itself */
    uint32_t index;
};

struct logic {
    const struct logic_fields *fields;
    enum logic_mode mode;
    bool certlogic;
    unsigned needs;
    struct logic_limits limits;
    size_t bytes;
    uint32_t n_nodes, n_consts, n_slots, n_leaves, n_kept, n_predicates;
    struct logic_node *nodes; /* nodes[0] is the root */
    struct logic_place *places;
    struct value *consts;
    uint32_t *slots;
    struct logic_leaf *leaves;
    json_t **kept; /* object literals, owned */
};

/* The stack of iterators: what {"var":…} names, outwards. NULL is the document. */
struct logic_scope {
    const struct logic_scope *outer;
    struct value item;
    size_t index;
};

struct logic_run {
    const struct logic *logic;
    const struct logic_node *nodes;
    logic_fn *const *calls;
    struct logic_facts *facts;
    const struct logic_scope *scope;
    uint32_t budget;
    uint32_t trying; /* operators `try` around: in jsonlogic mode what has no number or no list fails there */
    bool exact;      /* integers kept: strict mode */
    struct value_why failed;
    struct value thrown; /* with failed.why = LOGIC_WHY_THROWN or alike: an object or record with "type" */
};

struct logic_memo {
    struct value value;  /* with integers */
    const json_t *json;  /* NULL: missing */
    uint32_t generation; /* of the document it was resolved in */
};

/* What the paths "wedding.…" share. */
struct logic_prefix {
    const json_t *json;
    uint32_t generation;
};

struct logic_facts {
    const struct logic_fields *fields;
    const json_t *root;
    struct logic_env env;
    uint32_t generation;
    uint32_t n_memos;
    struct logic_memo *memos;
    struct logic_prefix *prefixes; /* as many */
    struct arena arena;            /* values made by the evaluation */
    struct buf text;               /* texts being made */
};

/* logic_fields.c */
struct logic_path {
    const char *text;
    uint32_t text_bytes;
    uint32_t n_segments; /* 0: the whole */
    uint32_t prefix;     /* the number of all segments but the last; paths that share them have the same */
    struct str segments[];
};
const struct logic_path *logic_fields_at(const struct logic_fields *fields, uint32_t slot);

const struct logic_memo *logic_facts_memo(struct logic_facts *facts, uint32_t slot);

/* logic_eval.c */
void logic_run_init(struct logic_run *r, const struct logic *logic, struct logic_facts *facts);
struct value logic_fail(struct logic_run *r, enum logic_why why, const struct logic_node *n);
struct value logic_fail_typed(struct logic_run *r, enum logic_why why, const struct logic_node *n, const char *type);
struct value logic_no_number(struct logic_run *r, const struct logic_node *n); /* fails as "NaN" */
struct value logic_unknown(const struct logic_run *r, enum logic_why why, const struct logic_node *n, const char *path);
struct value logic_unknown_of(struct value null); /* a null operand's reason becomes the result's */
struct value logic_mismatch(const struct logic_run *r,
                            const struct logic_node *n); /* type_mismatch, naming the operand's field */
bool logic_spend(struct logic_run *r, const struct logic_node *n, struct value *failure); /* one item of a list */
const char *logic_path_of(const struct logic_run *r, uint32_t node); /* the field a node reads, or NULL */
struct value logic_operand(struct logic_run *r, const struct logic_node *n, uint32_t i); /* undefined when there is none */
struct value_list *logic_list_new(struct logic_run *r, const struct logic_node *n, size_t len, struct value *failure);
void logic_list_set(struct value_list *list, size_t at, struct value v);
struct value_record *logic_record_new(struct logic_run *r, const struct logic_node *n, struct value *failure);
void logic_record_add(struct value_record *record, const char *key, struct value v);
/* A text made: copied to the arena. */
struct value logic_text(struct logic_run *r, const struct logic_node *n, struct str s);
bool logic_js_text(struct logic_run *r, const struct logic_node *n, struct value v, struct str *out,
                   struct value *failure);

/* logic.c */
struct value logic_run_node(struct logic_run *r, const struct logic *logic, struct logic_facts *facts,
                            uint32_t node); /* afresh */
enum logic_truth logic_truth_of(const struct logic_run *r, struct value v, struct logic_reason *reason);

/* logic_group.c */
/* Operand i as a condition: BOOL, UNKNOWN or FAILED. jsonlogic mode: truthiness. */
struct value logic_condition(struct logic_run *r, const struct logic_node *n, uint32_t i);

/* logic_compare.c */
/* Operand i as strict operators want it: false with *out set when it is null, unknown or failed. */
bool logic_take(struct logic_run *r, const struct logic_node *n, uint32_t i, struct value *v, struct value *out);
/* Strict order of two values: false with *out set when there is none. */
bool logic_order(struct logic_run *r, const struct logic_node *n, struct value a, struct value b, int *order,
                 struct value *out);
/* Strict equality of scalars; lists and objects are a mismatch. */
bool logic_same(struct logic_run *r, const struct logic_node *n, struct value a, struct value b, bool *same,
                struct value *out);

/* logic_date.c */
/* The order of two dates, instants or texts of such: LOGIC_WHY_NONE when there is one. */
enum logic_why logic_date_order(const struct logic_run *r, struct value a, struct value b, int *order);

/* logic_js.c */
bool logic_js_concat(struct logic_run *r, const struct logic_node *n, const struct value_list *parts, struct str *text,
                     struct value *out);
struct str logic_js_substr(struct str s, double start, double len); /* a negative len cuts from the end, as PHP does */

/* logic_leaf.c */
bool logic_scalar_of(struct value v, struct logic_scalar *out);

/* Only reduce can nest made values deeper than the rule itself; it checks. */
static inline struct value logic_list_done(struct value_list *list)
{
    return (struct value){.type = VALUE_LIST, .u.list = list};
}

static inline bool logic_stops(struct value v)
{
    return v.type >= VALUE_UNKNOWN;
}

static inline struct value logic_node_value(struct logic_run *r, uint32_t node)
{
    const struct logic_node *n = &r->nodes[node];

    if (r->budget == 0)
        return logic_fail(r, LOGIC_WHY_BUDGET, n);
    r->budget--;
    return n->op == OP_CONST ? r->logic->consts[n->arg] : r->calls[n->op](r, n);
}

#endif
