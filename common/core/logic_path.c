/* logic_path: field access: var, val, exists, missing, missing_some.
 *
 * A path known when the rule was compiled is a slot: at the top it is read from the facts' memos (OP_FIELD), in an
 * iterator it is walked from the item (OP_ITEM). A path made at run time is walked each time. Failure: none of its own;
 * what is missing is null with the path as its reason. */
#include <math.h>
#include <string.h>

#include "common/core/logic_priv.h"

#define SCOPE_LEVEL_MAX 1000 /* far outside every nesting */

/* Member access; in jsonlogic mode with JavaScript's `length` and the characters of a text. */
static bool member(const struct logic_run *r, struct value v, struct str key, struct value *out)
{
    struct str one;
    int64_t at;

    if (value_member(v, key, r->exact, out))
        return true;
    if (r->exact || (v.type != VALUE_STRING && !value_is_list(v)))
        return false;
    if (str_is(key, "length")) {
        *out = value_real((double)(v.type == VALUE_STRING ? value_utf16_length(v.u.s) : value_length(v)));
        return true;
    }
    bool canonical = key.n > 0 && key.p[0] >= '0' && key.p[0] <= '9' && (key.n == 1 || key.p[0] != '0');
    if (v.type != VALUE_STRING || !canonical || str_to_i64(key, &at) != ERR_OK)
        return false;
    one = value_utf16_slice(v.u.s, (size_t)at, 1);
    *out = value_str(one);
    return one.n > 0;
}

static struct value root_value(const struct logic_run *r)
{
    return r->scope != NULL ? r->scope->item : value_of_json(r->facts->root, r->exact);
}

static struct value missing_at(const struct logic_run *r, const struct logic_node *n, const char *path)
{
    struct value null = value_null();

    null.u.why = (struct value_why){.why = LOGIC_WHY_MISSING_FIELD, .node = (uint32_t)(n - r->nodes), .path = path};
    return null;
}

static bool walk_segments(const struct logic_run *r, const struct logic_path *path, struct value *v)
{
    for (uint32_t i = 0; i < path->n_segments; i++) {
        if (!member(r, *v, path->segments[i], v))
            return false;
    }
    return v->type != VALUE_UNDEFINED || path->n_segments == 0;
}

/* Splits at dots as JavaScript's split does: an empty text is one empty segment. */
static bool walk_text(const struct logic_run *r, struct str path, struct value *v)
{
    size_t from = 0;

    for (size_t i = 0; i <= path.n; i++) {
        if (i < path.n && path.p[i] != '.')
            continue;
        if (!member(r, *v, (struct str){path.p + from, i - from}, v))
            return false;
        from = i + 1;
    }
    return v->type != VALUE_UNDEFINED;
}

/* What was found, or the default written as operand `i`; strict: a default also replaces null. */
static struct value or_default(struct logic_run *r, const struct logic_node *n, bool found, struct value v, uint32_t i,
                               const char *path)
{
    if (found && (!r->exact || v.type != VALUE_NULL))
        return v;
    if (i >= n->n)
        return missing_at(r, n, path);
    v = logic_node_value(r, n->first + i);
    return !r->exact && v.type == VALUE_UNDEFINED ? value_null() : v;
}

struct value logic_field(struct logic_run *r, const struct logic_node *n)
{
    const struct logic_memo *memo = logic_facts_memo(r->facts, n->arg);
    struct value v = memo->value;
    bool found = memo->json != NULL;

    if (!r->exact && v.type == VALUE_INT)
        v = value_real((double)v.u.i);
    if (found && v.type != VALUE_NULL)
        return v;
    const struct logic_path *path = logic_fields_at(r->logic->fields, n->arg);
    if (!found && !r->exact) {
        v = value_of_json(r->facts->root, false);
        found = walk_segments(r, path, &v);
    }
    return or_default(r, n, found, v, 0, path->text);
}

struct value logic_item(struct logic_run *r, const struct logic_node *n)
{
    const struct logic_path *path = logic_fields_at(r->logic->fields, n->arg);
    struct value v = root_value(r);
    bool found = walk_segments(r, path, &v);

    return or_default(r, n, found, v, 0, path->text);
}

static struct value var_of(struct logic_run *r, const struct logic_node *n, struct value key, struct value *found_value)
{
    struct value failure = value_null();
    struct str path;

    *found_value = root_value(r);
    if (value_is_nil(key) || (key.type == VALUE_STRING && key.u.s.n == 0))
        return value_bool(true);
    if (!logic_js_text(r, n, key, &path, &failure))
        return failure;
    return value_bool(walk_text(r, path, found_value));
}

struct value logic_var(struct logic_run *r, const struct logic_node *n)
{
    struct value key = logic_operand(r, n, 0);
    struct value other = value_undefined();
    struct value v;

    if (logic_stops(key))
        return key;
    if (r->exact && key.type == VALUE_NULL)
        return logic_unknown_of(key);
    if (r->exact && value_is_composite(key))
        return logic_mismatch(r, n);
    for (uint32_t i = 1; i < n->n && !r->exact; i++) {
        struct value extra = logic_node_value(r, n->first + i);
        if (extra.type == VALUE_FAILED)
            return extra;
        if (i == 1)
            other = extra;
    }
    struct value found = var_of(r, n, key, &v);
    if (found.type == VALUE_FAILED)
        return found;
    if (r->exact)
        return or_default(r, n, found.u.b, v, 1, NULL);
    if (found.u.b)
        return v;
    return other.type == VALUE_UNDEFINED ? value_null() : other;
}

/* Level 2k is the k-th scope outwards, 2k + 1 what is known about that scope's place: {"index"}. */
static struct value scope_at(struct logic_run *r, const struct logic_node *n, double level)
{
    const struct logic_scope *scope = r->scope;
    uint32_t left = fabs(level) < SCOPE_LEVEL_MAX ? (uint32_t)fabs(level) : SCOPE_LEVEL_MAX;
    struct value failure;

    for (; left >= 2 && scope != NULL; left -= 2)
        scope = scope->outer;
    if (left == 0)
        return scope != NULL ? scope->item : value_of_json(r->facts->root, r->exact);
    if (left >= 2 || scope == NULL)
        return missing_at(r, n, NULL);
    struct value_record *record = logic_record_new(r, n, &failure);
    if (record == NULL)
        return failure;
    int64_t index = (int64_t)scope->index;
    logic_record_add(record, "index", r->exact ? value_int(index) : value_real((double)index));
    return (struct value){.type = VALUE_RECORD, .u.record = record};
}

static bool step_key(struct logic_run *r, const struct logic_node *n, struct value key, struct value *v, bool *found)
{
    struct value failure;
    struct str text;

    if (!*found)
        return true;
    if (!logic_js_text(r, n, key, &text, &failure)) {
        *v = failure;
        return false;
    }
    *found = member(r, *v, text, v);
    return true;
}

/* A jump to an outer scope: a list that begins with a number. */
static bool is_jump(struct value first, double *level)
{
    if (!value_is_list(first) || value_length(first) == 0)
        return false;
    struct value v = value_at(first, 0, false);
    *level = value_is_number(v) ? value_double(v) : 0;
    return value_is_number(v);
}

/* Walks a list of keys given as one operand: {"val": {"var": "keys"}}. */
static bool walk_list(struct logic_run *r, const struct logic_node *n, struct value list, struct value *v, bool *found)
{
    for (size_t i = 0; i < value_length(list); i++) {
        if (!logic_spend(r, n, v) || !step_key(r, n, value_at(list, i, r->exact), v, found))
            return false;
    }
    return true;
}

/* The keys of val and exists; false with *v stopping. */
static bool walk_keys(struct logic_run *r, const struct logic_node *n, struct value *v, bool *found)
{
    double level;

    *v = root_value(r);
    *found = true;
    for (uint32_t i = 0; i < n->n; i++) {
        struct value key = logic_node_value(r, n->first + i);
        bool going = true;
        if (logic_stops(key)) {
            *v = key;
            return false;
        }
        if (i == 0 && !(n->flags & NODE_SUGAR) && is_jump(key, &level)) {
            *v = scope_at(r, n, level);
            *found = v->type != VALUE_NULL;
        } else if (value_is_list(key)) {
            going = walk_list(r, n, key, v, found);
        } else if (!value_is_nil(key) || n->n > 1) {
            going = step_key(r, n, key, v, found);
        }
        if (!going || logic_stops(*v))
            return false;
    }
    return true;
}

struct value logic_val(struct logic_run *r, const struct logic_node *n)
{
    struct value v;
    bool found;

    if (!walk_keys(r, n, &v, &found))
        return v;
    return or_default(r, n, found && v.type != VALUE_UNDEFINED, v, n->n, NULL);
}

struct value logic_exists(struct logic_run *r, const struct logic_node *n)
{
    struct value v;
    bool found;

    return walk_keys(r, n, &v, &found) ? value_bool(found && v.type != VALUE_UNDEFINED) : v;
}

/* JsonLogic: null and "" are missing. A key that is a list is [path, default]. */
static struct value key_missing(struct logic_run *r, const struct logic_node *n, struct value key)
{
    struct value found;
    struct value v;
    struct value other = value_undefined();

    if (value_is_list(key)) {
        size_t len = value_length(key);
        other = len > 1 ? value_at(key, 1, r->exact) : other;
        key = len > 0 ? value_at(key, 0, r->exact) : value_undefined();
    }
    found = var_of(r, n, key, &v);
    if (found.type == VALUE_FAILED)
        return found;
    if (!found.u.b)
        v = other.type == VALUE_UNDEFINED ? value_null() : other;
    return value_bool(v.type == VALUE_NULL || (v.type == VALUE_STRING && v.u.s.n == 0));
}

static struct value missing_keys(struct logic_run *r, const struct logic_node *n, struct value keys)
{
    struct value failure;
    size_t len = value_length(keys);
    struct value_list *list = logic_list_new(r, n, len, &failure);
    size_t at = 0;

    if (list == NULL)
        return failure;
    for (size_t i = 0; i < len; i++) {
        struct value key = value_at(keys, i, r->exact);
        if (!logic_spend(r, n, &failure))
            return failure;
        struct value absent = key_missing(r, n, key);
        if (absent.type == VALUE_FAILED)
            return absent;
        if (absent.u.b)
            logic_list_set(list, at++, key);
    }
    list->n = (uint32_t)at;
    return logic_list_done(list);
}

struct value logic_missing(struct logic_run *r, const struct logic_node *n)
{
    struct value all = logic_list(r, n);

    if (logic_stops(all))
        return all;
    if (value_length(all) > 0 && value_is_list(value_at(all, 0, r->exact)))
        all = value_at(all, 0, r->exact);
    return missing_keys(r, n, all);
}

/* `options.length`, as JavaScript has it. */
static double options_length(const struct logic_run *r, struct value options)
{
    struct value v;

    if (member(r, options, STR("length"), &v))
        return value_is_number(v) ? value_double(v) : NAN;
    return value_is_list(options) ? (double)value_length(options) : NAN;
}

/* missing receives `options` as its operands: a list stands for several, and its first item may be a list again. */
static struct value missing_of_options(struct logic_run *r, const struct logic_node *n, struct value options)
{
    struct value failure;

    if (!value_is_list(options)) {
        struct value_list *one = logic_list_new(r, n, 1, &failure);
        if (one == NULL)
            return failure;
        logic_list_set(one, 0, options);
        return missing_keys(r, n, logic_list_done(one));
    }
    if (value_length(options) > 0 && value_is_list(value_at(options, 0, r->exact)))
        options = value_at(options, 0, r->exact);
    return missing_keys(r, n, options);
}

static struct value needed_number(struct logic_run *r, const struct logic_node *n, struct value need)
{
    struct value failure;
    struct str text;

    if (value_is_number(need))
        return value_real(value_double(need));
    if (r->exact)
        return need.type == VALUE_NULL ? logic_unknown_of(need) : logic_mismatch(r, n);
    if (!value_is_composite(need))
        return value_real(value_js_number(need));
    return logic_js_text(r, n, need, &text, &failure) ? value_real(value_js_number_of_text(text)) : failure;
}

struct value logic_missing_some(struct logic_run *r, const struct logic_node *n)
{
    struct value need = logic_operand(r, n, 0);
    struct value options = logic_stops(need) ? need : logic_operand(r, n, 1);
    struct value failure;

    if (logic_stops(options))
        return options;
    if (r->exact && !value_is_list(options))
        return options.type == VALUE_NULL ? logic_unknown_of(options) : logic_mismatch(r, n);
    if (value_is_nil(options))
        return logic_fail_typed(r, LOGIC_WHY_ARGUMENTS, n, "Invalid Arguments");
    struct value absent = missing_of_options(r, n, options);
    need = absent.type == VALUE_FAILED ? absent : needed_number(r, n, need);
    if (logic_stops(need))
        return need;
    if (!(options_length(r, options) - (double)value_length(absent) >= need.u.d))
        return absent;
    struct value_list *none = logic_list_new(r, n, 0, &failure);
    return none != NULL ? logic_list_done(none) : failure;
}
