/* program: see program.h.
 *
 * Two passes over the actions. The first counts them and their depth, so that the second can be sure of its room and its
 * recursion; the second writes the steps in the order of the document, which makes the index of what follows a branch known
 * before its lists are written. Failures are all reported to the validator; a rule with any is never run. */
#include "common/core/program.h"

#include <stdio.h>
#include <string.h>

#include "common/core/program_step.h"
#include "common/core/rule_check.h"

struct builder {
    struct program *p;
    struct rule_check *check;
    int loop; /* index of the for_each whose list is being written, or PROGRAM_END */
};

/* Lists of a branch or for_each stand in the action itself or, as other actions have it, in its `params`. */
static const json_t *inner_list(const json_t *action, enum action_type of, const char *key)
{
    const json_t *type = json_object_get(action, "type");
    const json_t *params = json_object_get(action, "params");

    if (!json_is_string(type) || strcmp(json_string_value(type), vocab_text(VOCAB_ACTION, (int)of)) != 0)
        return NULL;
    return json_object_get(params != NULL ? params : action, key);
}

static size_t count_actions(const json_t *list, int depth);

/* Actions in the lists of one action. */
static size_t count_inside(const json_t *action, int depth)
{
    return count_actions(inner_list(action, ACTION_BRANCH, "then"), depth) +
           count_actions(inner_list(action, ACTION_BRANCH, "else"), depth) +
           count_actions(inner_list(action, ACTION_FOR_EACH, "do"), depth);
}

/* Actions in a list and all lists below, up to one level too deep. */
static size_t count_actions(const json_t *list, int depth)
{
    size_t n = json_array_size(list);

    if (depth > PROGRAM_DEPTH_MAX)
        return n;
    for (size_t i = 0; i < json_array_size(list); i++)
        n += count_inside(json_array_get(list, i), depth + 1);
    return n;
}

static bool build_list(struct builder *b, const json_t *list, const char *pointer, int depth, int follow);

/* Writes one list of a branch or for_each and returns its first step, or `follow` when it is empty. */
static int build_side(struct builder *b, const struct step *s, const char *key, const json_t *list, int follow,
                      bool *ends)
{
    const char *pointer = rule_check_join(b->check, s->pointer, key);
    int first = b->p->n;
    char shown[RULE_CHECK_SHOW_SIZE];

    *ends = false;
    if (list == NULL || json_array_size(list) == 0) {
        if (list != NULL && !json_is_array(list))
            rule_check_error(b->check, pointer, NULL, "found %s; it must be a list of actions",
                             rule_check_show(list, shown));
        return follow;
    }
    if (s->depth == PROGRAM_DEPTH_MAX) {
        rule_check_error(b->check, pointer, NULL, "lists of actions are more than %d deep", PROGRAM_DEPTH_MAX);
        return follow;
    }
    *ends = build_list(b, list, pointer, s->depth + 1, follow);
    return first;
}

/* True when nothing after the branch can be reached. */
static bool build_branch(struct builder *b, struct step *s, const json_t *action)
{
    const json_t *yes = inner_list(action, ACTION_BRANCH, "then");
    const json_t *no = inner_list(action, ACTION_BRANCH, "else");
    bool yes_ends, no_ends;

    if (json_object_get(action, "params") != NULL)
        s->pointer = rule_check_join(b->check, s->pointer, "params");
    if (yes == NULL)
        rule_check_error(b->check, s->pointer, "then", "missing; it must be a list of actions");
    else if (json_array_size(yes) == 0 && json_array_size(no) == 0)
        rule_check_error(b->check, s->pointer, NULL, "a branch needs an action in \"then\" or in \"else\"");
    s->next_true = build_side(b, s, "then", yes, s->next, &yes_ends);
    s->next_false = build_side(b, s, "else", no, s->next, &no_ends);
    return yes_ends && no_ends;
}

/* One cursor a run is enough for what weddings have lists of, and keeps the ids of jobs simple: no for_each within another. */
static void build_each(struct builder *b, struct step *s, const json_t *action)
{
    const json_t *list = inner_list(action, ACTION_FOR_EACH, "do");
    const int self = s->index;
    bool ends;

    if (b->loop != PROGRAM_END)
        rule_check_error(b->check, s->pointer, NULL, "stands within another for_each; only one at a time is possible");
    if (json_object_get(action, "params") != NULL)
        s->pointer = rule_check_join(b->check, s->pointer, "params");
    if (json_array_size(list) == 0)
        rule_check_error(b->check, s->pointer, "do", "must be a list of at least one action");
    b->loop = self;
    s->next_true = build_side(b, s, "do", list, self, &ends);
    s->next_false = s->next;
    b->loop = PROGRAM_END;
}

/* Writes one action as the next step; true when nothing after it can be reached. */
static bool build_action(struct builder *b, const json_t *action, const char *pointer, int depth, int next)
{
    struct step *s = &b->p->steps[b->p->n];

    *s = (struct step){.index = b->p->n,
                       .pointer = pointer,
                       .depth = depth,
                       .loop = b->loop,
                       .next = next,
                       .next_true = PROGRAM_END,
                       .next_false = PROGRAM_END};
    b->p->n++;
    if (depth > b->p->depth)
        b->p->depth = depth;
    if (!program_step_read(b->check, s, action))
        return false;
    if (s->type == ACTION_BRANCH)
        return build_branch(b, s, action);
    if (s->type == ACTION_FOR_EACH)
        build_each(b, s, action);
    if (s->type == ACTION_STOP)
        s->next = PROGRAM_END;
    return s->type == ACTION_STOP;
}

/* Writes a list whose last action leads to `follow`; true when its end can not be reached. Recursion is bounded by
 * PROGRAM_DEPTH_MAX. */
static bool build_list(struct builder *b, const json_t *list, const char *pointer, int depth, int follow)
{
    size_t n = json_array_size(list);
    bool ended = false, reported = false;

    for (size_t i = 0; i < n; i++) {
        const json_t *action = json_array_get(list, i);
        const char *at = rule_check_join_index(b->check, pointer, i);
        size_t inside = count_inside(action, depth + 1);
        int next = i + 1 < n ? b->p->n + 1 + (int)inside : follow;

        if (ended && !reported)
            rule_check_error(b->check, at, NULL, "can never be reached: everything before it stops");
        reported = reported || ended;
        ended = build_action(b, action, at, depth, next) || ended;
    }
    return ended;
}

static void check_duplicates(struct builder *b)
{
    for (int i = 0; i < b->p->n; i++) {
        const struct step *s = &b->p->steps[i];
        const struct step *first = s->id == NULL ? s : program_find(b->p, str_of(s->id));

        if (first != s)
            rule_check_error(b->check, s->pointer, "id", "\"%s\" is also the id of the action at %s", s->id,
                             first->pointer);
    }
}

/* "s1", "s2", … by position, with an underscore where somebody wrote that id himself. */
static void name_steps(struct builder *b)
{
    for (int i = 0; i < b->p->n; i++) {
        struct step *s = &b->p->steps[i];
        const char *id;

        if (s->id != NULL)
            continue;
        id = arena_printf(b->check->arena, "s%d", i + 1);
        while (program_find(b->p, str_of(id)) != NULL)
            id = arena_printf(b->check->arena, "%s_", id);
        s->id = id;
    }
}

void program_build(struct program *p, const json_t *actions, const char *pointer, struct rule_check *check)
{
    struct builder b = {.p = p, .check = check, .loop = PROGRAM_END};
    size_t n = count_actions(actions, 0);
    char shown[RULE_CHECK_SHOW_SIZE];

    *p = (struct program){0};
    if (!json_is_array(actions) || n == 0) {
        rule_check_error(check, pointer, NULL, "found %s; it must be a list of at least one action",
                         json_is_array(actions) ? "an empty list" : rule_check_show(actions, shown));
        return;
    }
    if (n > PROGRAM_STEPS_MAX) {
        rule_check_error(check, pointer, NULL, "found %zu actions; allowed are %d", n, PROGRAM_STEPS_MAX);
        return;
    }
    p->steps = arena_zalloc(check->arena, n * sizeof(*p->steps));
    build_list(&b, actions, pointer, 0, PROGRAM_END);
    check_duplicates(&b);
    name_steps(&b);
}

const struct step *program_find(const struct program *p, struct str id)
{
    for (int i = 0; i < p->n; i++) {
        if (p->steps[i].id != NULL && str_is(id, p->steps[i].id))
            return &p->steps[i];
    }
    return NULL;
}

const struct step *program_step(const struct program *p, int index)
{
    return index >= 0 && index < p->n ? &p->steps[index] : NULL;
}

int program_next(const struct step *s, enum logic_truth truth)
{
    if (s->type != ACTION_BRANCH && s->type != ACTION_FOR_EACH)
        return s->next;
    return truth == LOGIC_TRUE ? s->next_true : s->next_false;
}

int program_ahead(const struct program *p, int from, int next)
{
    return next != PROGRAM_END && next <= from ? p->steps[next].next : next;
}

void program_fini(struct program *p)
{
    for (int i = 0; i < p->n; i++) {
        logic_free(p->steps[i].condition);
        logic_free(p->steps[i].list);
        logic_free(p->steps[i].wait.where);
        json_decref(p->steps[i].params);
    }
    *p = (struct program){0};
}

/* What jansson 2.14 allocates on 64 bits, with malloc's overhead: a pair, list or table, a text's header, a number. */
enum { JSON_PAIR_BYTES = 80, JSON_CONTAINER_BYTES = 240, JSON_STRING_BYTES = 64, JSON_NUMBER_BYTES = 32 };

/* Recursion is bounded by the depth that templates in parameters may have (template.h). */
static size_t json_bytes(const json_t *v)
{
    json_t *o = (json_t *)(uintptr_t)v;
    size_t n = 0;

    switch (json_typeof(v)) {
    case JSON_OBJECT:
        for (void *it = json_object_iter(o); it != NULL; it = json_object_iter_next(o, it))
            n += JSON_PAIR_BYTES + json_object_iter_key_len(it) + json_bytes(json_object_iter_value(it));
        return n + JSON_CONTAINER_BYTES;
    case JSON_ARRAY:
        for (size_t i = 0; i < json_array_size(v); i++)
            n += sizeof(void *) + json_bytes(json_array_get(v, i));
        return n + JSON_CONTAINER_BYTES;
    case JSON_STRING: return JSON_STRING_BYTES + json_string_length(v);
    case JSON_INTEGER:
    case JSON_REAL: return JSON_NUMBER_BYTES;
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL: return 0;
    }
    return 0;
}

size_t program_bytes(const struct program *p)
{
    size_t n = 0;

    for (int i = 0; i < p->n; i++) {
        if (p->steps[i].condition != NULL)
            n += logic_bytes(p->steps[i].condition);
        if (p->steps[i].list != NULL)
            n += logic_bytes(p->steps[i].list);
        if (p->steps[i].wait.where != NULL)
            n += logic_bytes(p->steps[i].wait.where);
        if (p->steps[i].params != NULL)
            n += json_bytes(p->steps[i].params);
    }
    return n;
}
