/* each: see each.h. */
#include "common/core/each.h"

#include <stdlib.h>

#include "common/core/advance.h"

static const json_t *state_of(const struct step *s, const json_t *context)
{
    return json_object_get(json_object_get(context, "steps"), s->id);
}

static int cursor_of(const json_t *state)
{
    json_int_t at = json_integer_value(json_object_get(state, "at"));

    return at < 0 || at > EACH_ITEMS_MAX ? 0 : (int)at;
}

bool each_begun(const struct step *s, const json_t *context)
{
    return json_is_array(json_object_get(state_of(s, context), "items"));
}

static bool is_good(const json_t *list, struct err_info *info)
{
    size_t bytes;

    if (!json_is_array(list)) {
        err_set(info, ERR_INVALID, "what for_each goes through is no list");
        return false;
    }
    if (json_array_size(list) > EACH_ITEMS_MAX) {
        err_set(info, ERR_LIMIT, "the list has %zu items; for_each takes %d", json_array_size(list), EACH_ITEMS_MAX);
        return false;
    }
    bytes = json_dumpb(list, NULL, 0, JSON_COMPACT);
    if (bytes > EACH_BYTES_MAX)
        err_set(info, ERR_LIMIT, "the list has %zu bytes; for_each takes %zu", bytes, EACH_BYTES_MAX);
    return bytes <= EACH_BYTES_MAX;
}

json_t *each_step(const struct step *s, const json_t *context, const json_t *list, bool *more, struct err_info *info)
{
    const json_t *state = state_of(s, context);
    int at = 0;

    if (each_begun(s, context)) {
        list = json_object_get(state, "items");
        at = cursor_of(state);
    } else if (!is_good(list, info)) {
        return NULL;
    }
    *more = (size_t)at < json_array_size(list);
    return json_pack("{s:O,s:i}", "items", list, "at", at + (*more ? 1 : 0));
}

static bool is_key(const struct step *s, const struct id *run, int iteration, int generation, const struct id *key)
{
    struct id id;

    advance_job_id(run, s->index, iteration, generation, &id);
    return id_eq(&id, key);
}

int each_iteration(const struct program *p, const struct step *s, const json_t *context, const struct id *run,
                   int generation, const struct id *key)
{
    const json_t *state;
    int at;

    if (s->type == ACTION_FOR_EACH)
        return cursor_of(state_of(s, context));
    if (s->loop == PROGRAM_END)
        return 0;
    state = state_of(&p->steps[s->loop], context);
    at = cursor_of(state);
    if (is_key(s, run, at, generation, key))
        return at;
    for (int i = 1; i <= (int)json_array_size(json_object_get(state, "items")); i++) {
        if (is_key(s, run, i, generation, key))
            return i;
    }
    return -1;
}

int each_following(const struct step *s, int now, const json_t *output, const struct step *next)
{
    if (s->type == ACTION_FOR_EACH)
        return next->loop == s->index ? cursor_of(output) : 0;
    return s->loop != PROGRAM_END && (next->loop == s->loop || next->index == s->loop) ? now : 0;
}

void each_set_item(const struct program *p, const struct step *s, int iteration, json_t *context)
{
    json_t *items;

    if (s->loop == PROGRAM_END || iteration < 1)
        return;
    items = json_object_get(state_of(&p->steps[s->loop], context), "items");
    if (json_array_get(items, (size_t)iteration - 1) != NULL)
        json_object_set(context, "item", json_array_get(items, (size_t)iteration - 1));
}
