/* logic_change: changed and changed_to: what the triggering event altered. A path has changed when it, something below
 * it, or, with a different value, something above it is on the event's list. No failure of its own: an unlisted path
 * has not changed. */
#include <string.h>

#include "common/core/logic_priv.h"

/* True when `path` is `above` itself or below it; *rest is what follows. */
static bool below(const char *path, const char *above, const char **rest)
{
    size_t n = strlen(above);

    if (strncmp(path, above, n) != 0 || (path[n] != '\0' && path[n] != '.' && n > 0))
        return false;
    *rest = path + n + (path[n] == '.');
    return true;
}

static const json_t *old_value(const json_t *old, const char *rest)
{
    while (old != NULL && *rest != '\0') {
        size_t n = strcspn(rest, ".");
        if (!json_is_object(old))
            return NULL;
        old = json_object_getn(old, rest, n);
        rest += n + (rest[n] == '.');
    }
    return old;
}

static bool same_json(const json_t *a, const json_t *b)
{
    bool a_nil = a == NULL || json_is_null(a);
    bool b_nil = b == NULL || json_is_null(b);

    return a_nil || b_nil ? a_nil == b_nil : json_equal(a, b) != 0;
}

static bool has_changed(struct logic_run *r, uint32_t slot)
{
    const char *path = logic_fields_path(r->logic->fields, slot);
    const struct logic_env *env = &r->facts->env;
    const char *rest;

    for (size_t i = 0; i < env->n_changes; i++) {
        const struct logic_change *c = &env->changes[i];
        if (below(c->path, path, &rest))
            return true;
        if (below(path, c->path, &rest) && !same_json(old_value(c->old, rest), logic_facts_get(r->facts, slot)))
            return true;
    }
    return false;
}

struct value logic_changed(struct logic_run *r, const struct logic_node *n)
{
    return value_bool(has_changed(r, n->arg));
}

/* {"changed_to":[path, null]} asks whether the field became empty. */
struct value logic_changed_to(struct logic_run *r, const struct logic_node *n)
{
    struct value wanted = logic_operand(r, n, 0);
    struct value now = value_of_json(logic_facts_get(r->facts, n->arg), r->exact);
    struct value out;
    bool same;

    if (logic_stops(wanted))
        return wanted;
    if (r->exact && wanted.type == VALUE_NULL && wanted.u.why.why != LOGIC_WHY_NONE)
        return logic_unknown_of(wanted);
    if (!has_changed(r, n->arg))
        return value_bool(false);
    if (value_is_nil(wanted) || now.type == VALUE_NULL)
        return value_bool(value_is_nil(wanted) && now.type == VALUE_NULL);
    if (!r->exact)
        return value_bool(value_js_identical(now, wanted));
    if (!logic_same(r, n, now, wanted, &same, &out)) {
        out.u.why.path = logic_fields_path(r->logic->fields, n->arg);
        return out;
    }
    return value_bool(same);
}
