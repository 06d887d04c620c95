/* logic: conditions. JsonLogic (jsonlogic.com) compiled once to flat nodes and evaluated many times.
 *
 * A tenant's rules share one interner of field paths (struct logic_fields). A rule compiles to an immutable struct
 * logic that refers to fields by slot. One struct logic_facts holds the document of one event; each slot is resolved at
 * most once per document, whatever the number of rules. Nothing here knows time, zones or stores: they come in through
 * struct logic_env.
 *
 *     fields = logic_fields_new();
 *     logic_compile(json, fields, &(struct logic_options){.mode = LOGIC_STRICT}, &rule, &why);   once per rule revision
 *     facts = logic_facts_new(fields);
 *     logic_facts_set(facts, document, &env);                                                    once per event
 *     truth = logic_eval(rule, facts, &reason);                                                  once per rule
 *
 * LOGIC_JSONLOGIC is json-logic-js bug for bug. LOGIC_STRICT, the default of stored rules, coerces nothing and has
 * three values, as SQL has:
 *  - a missing or null operand of a comparison, `in`, string, date or arithmetic operator makes the result unknown; so do
 *    operands of different types (42 and "42"). `and`, `or`, `!` follow Kleene and take only true, false, unknown.
 *  - {"==":[x,null]} and {"!=":[x,null]}, with null written in the rule, ask for presence and are never unknown; so are
 *    `missing`, `missing_some`, `exists`, `changed`. {"var":[path, default]} and {"??":[…]} replace null and missing values.
 *  - `!!` is the explicit question for truthiness. Strings compare by code point. Integers are exact within int64.
 *  - `some` is an `or` over the items, `all` an `and`, `none` the negation of `some`; `all` of an empty list is false and
 *    `none` true, as in JsonLogic. `filter` is unknown when an item is: a count over it can not be trusted.
 *  - unknown at the root means that the rule does not match.
 * Inside an iterator's second operand {"var":…} names the item, as in JsonLogic; {"val":[[n], path…]} reaches outside.
 *
 * Dates are texts: "2026-05-02" (a civil date) or RFC 3339 (an instant). before, after, not-before, not-after (2 or 3
 * operands) and plusTime [date, integer, "year"|"month"|"day"|"hour"] are CertLogic's; in jsonlogic mode a date counts
 * as its midnight UTC, in strict mode dates compare as dates, instants as instants, and a date with an instant by the
 * instant's local date. plusTime rolls over (29 February + 1 year = 1 March), unlike civil_add, which clamps. Ours:
 * {"today":[]}, {"days_until":[d]}, {"days_since":[d]} (whole local calendar days, negative on the other side),
 * {"in_season":[d]} and {"in_season":[d, [5,6,9]]} (months), {"changed":[path]}, {"changed_to":[path, v]}. */
#ifndef COMMON_CORE_LOGIC_H
#define COMMON_CORE_LOGIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "common/base/err.h"
#include "common/base/str.h"
#include "common/core/civil.h"

/* Limits of a stored rule. The official suite's deepest rule nests 4 operators; these are generous for people and small
 * for machines. Each has its own code in LOGIC_CODE_MAP. */
#define LOGIC_GROUP_DEPTH_MAX 8     /* nested and / or / ! / if */
#define LOGIC_DEPTH_MAX 16          /* nested operators and list literals */
#define LOGIC_LEAVES_MAX 200        /* operators that are no group and no field access */
#define LOGIC_LIST_MAX 1000         /* operands of one operator, items of one list; at run time: items of a made list */
#define LOGIC_STRING_MAX_BYTES 4096 /* one literal or path; at run time: one made string */
#define LOGIC_RULE_MAX_BYTES (64 * 1024)  /* the conditions as compact JSON */
#define LOGIC_BUDGET_OPS 20000            /* nodes and list items visited by one evaluation */
#define LOGIC_SCRATCH_MAX_BYTES (1 << 20) /* memory for made strings and lists in one evaluation */

#define LOGIC_FIELDS_MAX 65535 /* distinct paths in one interner */
#define LOGIC_PATH_SEGMENTS_MAX 32

#define LOGIC_POINTER_SIZE 256 /* longer JSON pointers are cut */
#define LOGIC_TEXT_SIZE 160

enum logic_mode { LOGIC_STRICT, LOGIC_JSONLOGIC };
enum logic_truth { LOGIC_FALSE, LOGIC_TRUE, LOGIC_UNKNOWN };

/* X(code, name): what is wrong with a rule. The name is stable and may be shown or stored. */
#define LOGIC_CODE_MAP(X)                                                                                              \
    X(LOGIC_GOOD, "ok")                                                                                                \
    X(LOGIC_BAD_OPERATOR, "unknown_operator")                                                                          \
    X(LOGIC_BAD_SHAPE, "bad_shape")                                                                                    \
    X(LOGIC_BAD_COUNT, "operand_count")                                                                                \
    X(LOGIC_BAD_OPERAND, "bad_operand")                                                                                \
    X(LOGIC_BAD_PATH, "bad_path")                                                                                      \
    X(LOGIC_LIMIT_GROUPS, "limit_group_depth")                                                                         \
    X(LOGIC_LIMIT_DEPTH, "limit_depth")                                                                                \
    X(LOGIC_LIMIT_LEAVES, "limit_leaves")                                                                              \
    X(LOGIC_LIMIT_LIST, "limit_list")                                                                                  \
    X(LOGIC_LIMIT_STRING, "limit_string")                                                                              \
    X(LOGIC_LIMIT_BYTES, "limit_rule_bytes")                                                                           \
    X(LOGIC_LIMIT_FIELDS, "limit_fields")                                                                              \
    X(LOGIC_RAISED, "raised") /* logic_apply only: the evaluation failed */

#define LOGIC_CODE_ENUM(code, name) code,
enum logic_code { LOGIC_CODE_MAP(LOGIC_CODE_ENUM) LOGIC_CODE_COUNT };
#undef LOGIC_CODE_ENUM

struct logic_error {
    enum logic_code code;
    char pointer[LOGIC_POINTER_SIZE]; /* RFC 6901, relative to the compiled value: "", "/and/2/<=/0" */
    char found[LOGIC_TEXT_SIZE];      /* what stands there; for LOGIC_RAISED the error's type ("Unknown Operator") */
    char allowed[LOGIC_TEXT_SIZE];    /* what may stand there */
};

const char *logic_code_name(enum logic_code code);

/* ---- fields: path text ("wedding.guest_count") to slot number ---- */

struct logic_fields;

struct logic_fields *logic_fields_new(void);
void logic_fields_free(struct logic_fields *fields); /* after every logic and facts made with it; NULL is fine */

/* The slot of `path`, made when new. Slots count from 0 and never change or vanish. ERR_LIMIT beyond LOGIC_FIELDS_MAX
 * paths, LOGIC_PATH_SEGMENTS_MAX segments or LOGIC_STRING_MAX_BYTES. The empty path is the whole document. */
enum err logic_fields_intern(struct logic_fields *fields, struct str path, uint32_t *slot) MUST_USE;
bool logic_fields_find(const struct logic_fields *fields, struct str path, uint32_t *slot);
uint32_t logic_fields_count(const struct logic_fields *fields);
const char *logic_fields_path(const struct logic_fields *fields, uint32_t slot); /* borrowed; slot < count */

/* ---- compilation ---- */

struct logic;

struct logic_limits {
    uint32_t group_depth, depth, leaves, list, string_bytes, rule_bytes, budget_ops, scratch_bytes;
};
extern const struct logic_limits logic_limits_stored; /* the constants above */
extern const struct logic_limits logic_limits_wide;   /* for suites and comparisons; depth 64 */

struct logic_options {
    enum logic_mode mode;
    bool certlogic; /* jsonlogic mode only: {} is falsy and `reduce` sees {"var":"data"}, as CertLogic has it */
    const struct logic_limits *limits; /* NULL: logic_limits_stored; borrowed for the call */
};

/* Compiles `rule` (borrowed for the call; any JSON value). On success *out is the caller's, to be freed by logic_free.
 * On failure returns ERR_INVALID or ERR_LIMIT, sets *out to NULL and fills `why` (may be NULL); the interner may have
 * gained paths. In jsonlogic mode an unknown operator is no error here: it fails when evaluated, as in json-logic-js.
 */
enum err logic_compile(const json_t *rule, struct logic_fields *fields, const struct logic_options *options,
                       struct logic **out, struct logic_error *why) MUST_USE;
void logic_free(struct logic *logic); /* NULL is fine */

size_t logic_bytes(const struct logic *logic);      /* memory held, for the cache's accounting */
size_t logic_predicates(const struct logic *logic); /* leaves, for ns_per_predicate */
enum logic_mode logic_mode_of(const struct logic *logic);

/* What an evaluation reads besides fields. */
enum logic_needs {
    LOGIC_NEEDS_TODAY = 1,    /* today, days_until, days_since, in_season without months */
    LOGIC_NEEDS_CHANGES = 2,  /* changed, changed_to */
    LOGIC_NEEDS_ANY_FIELD = 4 /* paths made at run time, or the whole document: logic_slots is not the whole truth */
};
unsigned logic_needs(const struct logic *logic); /* enum logic_needs or-ed */

/* Slots of all fields named outside iterators, ascending, each once; borrowed from `logic`. Includes the paths of
 * missing, exists, changed and val. */
const uint32_t *logic_slots(const struct logic *logic, size_t *n);

/* ---- scalars: what the matcher's pre-filter indexes ---- */

enum logic_type { LOGIC_NULL, LOGIC_BOOL, LOGIC_INT, LOGIC_REAL, LOGIC_STRING };

struct logic_scalar {
    enum logic_type type;
    union {
        bool b;
        int64_t i;
        double d;
        struct str s; /* borrowed */
    } u;
};

bool logic_scalar_eq(const struct logic_scalar *a, const struct logic_scalar *b); /* 3 equals 3.0; "3" does not */
uint64_t logic_scalar_hash(const struct logic_scalar *s);                         /* equal scalars hash alike */

/* A necessary equality: the rule can only match when the field's value equals one of `values`. From {"==":[var,
 * literal]} and {"in":[var, [literals]]} that are the root or operands of `and`s from the root down, in strict mode
 * only. */
struct logic_leaf {
    uint32_t slot;
    uint32_t n_values;                 /* >= 1 */
    const struct logic_scalar *values; /* borrowed from the logic; none is LOGIC_NULL */
};

/* Borrowed from `logic`; *n may be 0. */
const struct logic_leaf *logic_leaves(const struct logic *logic, size_t *n);

/* ---- facts: one document and its surroundings ---- */

/* One changed path and the value before. A change of a whole object may be given once for the object. */
struct logic_change {
    const char *path;
    const json_t *old; /* NULL: did not exist */
};

/* From `from_us` on (until the next span) local time is UTC + offset_s. Made by PostgreSQL. */
struct logic_zone_span {
    int64_t from_us;
    int32_t offset_s;
};

struct logic_env {
    int64_t now_us;         /* domain time, µs since 1970 UTC */
    struct civil today;     /* the wedding's local date at now_us; year 0 = not known: unknown results */
    uint16_t season_months; /* bit 1 << m for each month m (1..12) of the peak season */
    const struct logic_change *changes;
    size_t n_changes;
    /* The wedding's zone, ascending. When empty, the local date of an instant is the one written in it if it carries a
     * numeric offset; one in UTC ("Z") is unknown with reason zone_missing. */
    const struct logic_zone_span *zone;
    size_t n_zone;
};

struct logic_facts;

/* `fields` is borrowed and may grow meanwhile. */
struct logic_facts *logic_facts_new(const struct logic_fields *fields);
void logic_facts_free(struct logic_facts *facts); /* NULL is fine */

/* Starts the next document, in O(1) and without allocation. `root` and what `env` points to are borrowed until the next
 * set or free; `env` itself is copied; NULL means all zero. `root` NULL is JSON null. The document must not change
 * meanwhile. */
void logic_facts_set(struct logic_facts *facts, const json_t *root, const struct logic_env *env);
/* The document has changed under the facts: what was resolved is looked up again. */
void logic_facts_forget(struct logic_facts *facts);

/* The field's value, resolved once per document; borrowed; NULL when missing (JSON null is a value). */
const json_t *logic_facts_get(struct logic_facts *facts, uint32_t slot);

/* The same as a scalar: false when the field is missing, null, a list or an object. Strings are borrowed from the
 * document. */
bool logic_facts_scalar(struct logic_facts *facts, uint32_t slot, struct logic_scalar *out);

/* ---- evaluation ---- */

/* X(code, name): why a result is unknown. */
#define LOGIC_WHY_MAP(X)                                                                                               \
    X(LOGIC_WHY_NONE, "")                                                                                              \
    X(LOGIC_WHY_MISSING_FIELD, "missing_field")                                                                        \
    X(LOGIC_WHY_TYPE_MISMATCH, "type_mismatch")                                                                        \
    X(LOGIC_WHY_BAD_DATE, "bad_date")                                                                                  \
    X(LOGIC_WHY_ZONE_MISSING, "zone_missing")                                                                          \
    X(LOGIC_WHY_NOT_A_NUMBER, "not_a_number") /* division by zero, overflow */                                         \
    X(LOGIC_WHY_THROWN, "thrown")             /* by the rule's own `throw` */                                          \
    X(LOGIC_WHY_OPERATOR, "error:operator")   /* unknown operator, jsonlogic mode */                                   \
    X(LOGIC_WHY_ARGUMENTS, "error:arguments") /* an operator can not take its operands, jsonlogic mode */              \
    X(LOGIC_WHY_BUDGET, "error:budget")                                                                                \
    X(LOGIC_WHY_DEPTH, "error:depth")                                                                                  \
    X(LOGIC_WHY_STRING, "error:string")                                                                                \
    X(LOGIC_WHY_LIST, "error:list")                                                                                    \
    X(LOGIC_WHY_MEMORY, "error:memory")

#define LOGIC_WHY_ENUM(code, name) code,
enum logic_why { LOGIC_WHY_MAP(LOGIC_WHY_ENUM) LOGIC_WHY_COUNT };
#undef LOGIC_WHY_ENUM

struct logic_reason {
    enum logic_why why; /* LOGIC_WHY_NONE unless the result is unknown */
    uint32_t node;      /* for logic_pointer */
    const char *path;   /* the field's path or NULL; borrowed from the interner or the logic */
};

#define LOGIC_REASON_SIZE 192
/* "missing_field:wedding.guest_count", "error:budget", ""; cut to fit. Returns out. */
const char *logic_reason_text(const struct logic_reason *reason, char out[LOGIC_REASON_SIZE]);

/* The JSON pointer of a node (of a reason): returns out. */
const char *logic_pointer(const struct logic *logic, uint32_t node, char out[LOGIC_POINTER_SIZE]);

/* Evaluates. Strict: unknown with the first reason met that left it undecided. jsonlogic: truthiness of the value,
 * unknown only when the evaluation failed. `reason` may be NULL. Allocates nothing on scalars. `facts` must use the
 * interner that compiled `logic`. */
enum logic_truth logic_eval(const struct logic *logic, struct logic_facts *facts, struct logic_reason *reason);

/* The value of the expression as JSON, a new reference; NULL when the evaluation failed (then `reason` says why; for a
 * thrown error `thrown`, when not NULL, receives a new reference to what was thrown, an object with "type"). In strict
 * mode unknown is JSON null with reason set. NaN, infinities and undefined become null, as in JSON.stringify. */
json_t *logic_value(const struct logic *logic, struct logic_facts *facts, struct logic_reason *reason,
                    json_t **thrown) MUST_USE;

/* Compile and evaluate once, with wide limits: for suites and tools. NULL with `why` filled on failure. */
json_t *logic_apply(const json_t *rule, const json_t *data, const struct logic_options *options,
                    struct logic_error *why) MUST_USE;

/* ---- explanation ---- */

/* One operator of the rule with what it saw. Parents come before their children; operands that are operators themselves
 * follow as nodes of their own. Nothing is short-circuited: every node outside iterators is evaluated, so that a person
 * sees all of it. All borrowed for the call. */
struct logic_trace {
    const char *pointer;        /* of this node, RFC 6901 */
    const char *op;             /* "<=" */
    unsigned depth;             /* 0 = root */
    enum logic_truth truth;     /* of a condition */
    bool is_condition;          /* false: yields a value (a field, a number); then `truth` means nothing */
    const json_t *value;        /* the result; NULL when unknown */
    const char *field;          /* for field access: the path, else NULL */
    struct logic_reason reason; /* when unknown */
    size_t n_operands;
    const json_t *const *operands; /* values, NULL where unknown or missing; an iterator shows its list */
};

/* Evaluates every node and calls on_node for each; returns what logic_eval returns. Allocates; meant for people. */
enum logic_truth logic_explain(const struct logic *logic, struct logic_facts *facts,
                               void (*on_node)(void *ctx, const struct logic_trace *node), void *ctx,
                               struct logic_reason *reason);

#endif
