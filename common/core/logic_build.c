/* logic_build: see logic_build.h. Grows arrays by doubling; the caller bounds what goes in by the rule's limits.
 * Failure: none; small allocations abort. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/core/logic_build.h"
#include "common/core/logic_leaf.h"

#define FIRST_CAP 16
#define INTERN_WINDOW 64 /* constants looked back at for an equal one */
#define SHOWN_MAX 60     /* bytes of a text shown in a message */
#define POINTER_DEPTH_MAX 256

static void *grown(void *p, uint32_t n, uint32_t *cap, size_t size)
{
    if (n <= *cap)
        return p;
    while (*cap < n)
        *cap = *cap == 0 ? FIRST_CAP : *cap * 2;
    return mem_realloc(p, *cap * size);
}

void logic_build_free(struct logic_build *b)
{
    for (uint32_t i = 0; i < b->n_kept; i++)
        json_decref(b->kept[i]);
    mem_free(b->nodes);
    mem_free(b->places);
    mem_free(b->consts);
    mem_free(b->slots);
    mem_free(b->kept);
    arena_free(&b->arena);
}

uint32_t logic_build_nodes(struct logic_build *b, uint32_t n, uint32_t parent)
{
    uint32_t first = b->n_nodes;
    uint32_t cap = b->cap_nodes;

    b->nodes = grown(b->nodes, first + n, &b->cap_nodes, sizeof(*b->nodes));
    b->places = grown(b->places, first + n, &cap, sizeof(*b->places));
    for (uint32_t i = 0; i < n; i++) {
        b->nodes[first + i] = (struct logic_node){0};
        b->places[first + i] = (struct logic_place){.parent = parent, .index = i};
    }
    b->n_nodes = first + n;
    return first;
}

static bool same_const(struct value a, struct value b)
{
    if (a.type != b.type || value_is_composite(a))
        return false;
    if (a.type == VALUE_STRING)
        return str_eq(a.u.s, b.u.s);
    if (a.type == VALUE_INT)
        return a.u.i == b.u.i;
    if (a.type == VALUE_REAL)
        return a.u.d == b.u.d && signbit(a.u.d) == signbit(b.u.d);
    return a.type == VALUE_NULL || (a.type == VALUE_BOOL && a.u.b == b.u.b);
}

uint32_t logic_build_const(struct logic_build *b, struct value v)
{
    uint32_t from = b->n_consts > INTERN_WINDOW ? b->n_consts - INTERN_WINDOW : 0;

    for (uint32_t i = from; i < b->n_consts; i++) {
        if (same_const(b->consts[i], v))
            return i;
    }
    b->consts = grown(b->consts, b->n_consts + 1, &b->cap_consts, sizeof(*b->consts));
    b->consts[b->n_consts] = v;
    return b->n_consts++;
}

void logic_build_slot(struct logic_build *b, uint32_t slot)
{
    b->slots = grown(b->slots, b->n_slots + 1, &b->cap_slots, sizeof(*b->slots));
    b->slots[b->n_slots++] = slot;
}

struct value logic_build_keep(struct logic_build *b, const json_t *json)
{
    json_t *copy = json_deep_copy(json);

    if (copy == NULL)
        abort(); /* jansson copies fail only without memory */
    b->kept = grown(b->kept, b->n_kept + 1, &b->cap_kept, sizeof(json_t *));
    b->kept[b->n_kept++] = copy;
    return value_of_json(copy, b->mode == LOGIC_STRICT);
}

/* ---- packing ---- */

struct packer {
    char *at; /* where the next texts and lists go */
    struct logic *logic;
    uint32_t n_leaves;
    size_t n_leaf_values;
    struct logic_scalar *leaf_values;
};

static size_t rounded(size_t n)
{
    return (n + 15) & ~(size_t)15;
}

static size_t const_bytes(struct value v)
{
    size_t n = 0;

    if (v.type == VALUE_STRING)
        return v.u.s.n + 1;
    if (v.type != VALUE_LIST)
        return 0;
    n = sizeof(struct value_list) + v.u.list->n * sizeof(struct value);
    for (uint32_t i = 0; i < v.u.list->n; i++)
        n += const_bytes(v.u.list->v[i]);
    return n + 2 * sizeof(max_align_t);
}

static struct value pack_text(struct packer *p, struct value v)
{
    char *text = p->at;

    if (v.u.s.n > 0)
        memcpy(text, v.u.s.p, v.u.s.n);
    text[v.u.s.n] = '\0';
    p->at += v.u.s.n + 1;
    return value_str((struct str){text, v.u.s.n});
}

/* Literal lists hold scalars only. */
static struct value pack_const(struct packer *p, struct value v)
{
    if (v.type == VALUE_STRING)
        return pack_text(p, v);
    if (v.type != VALUE_LIST)
        return v;
    size_t size = sizeof(struct value_list) + v.u.list->n * sizeof(struct value);
    p->at = (char *)rounded((uintptr_t)p->at);
    struct value_list *list = (struct value_list *)(void *)p->at;
    p->at += size;
    memcpy(list, v.u.list, size);
    for (uint32_t i = 0; i < list->n; i++) {
        if (list->v[i].type == VALUE_STRING)
            list->v[i] = pack_text(p, list->v[i]);
    }
    v.u.list = list;
    return v;
}

static void count_leaf(void *ctx, const struct logic_leaf_found *leaf)
{
    struct packer *p = ctx;

    p->n_leaves++;
    p->n_leaf_values += leaf->n_values;
}

static void add_leaf(void *ctx, const struct logic_leaf_found *leaf)
{
    struct packer *p = ctx;
    struct logic *l = p->logic;

    l->leaves[l->n_leaves++] =
        (struct logic_leaf){.slot = leaf->slot, .n_values = leaf->n_values, .values = p->leaf_values};
    for (uint32_t i = 0; i < leaf->n_values; i++)
        (void)logic_scalar_of(leaf->values != NULL ? leaf->values[i] : leaf->one, p->leaf_values++);
}

static int compare_slots(const void *a, const void *b)
{
    const uint32_t *x = a;
    const uint32_t *y = b;

    return *x < *y ? -1 : *x > *y;
}

static void sort_slots(struct logic_build *b)
{
    uint32_t n = 0;

    if (b->n_slots > 1)
        qsort(b->slots, b->n_slots, sizeof(*b->slots), compare_slots);
    for (uint32_t i = 0; i < b->n_slots; i++) {
        if (n == 0 || b->slots[n - 1] != b->slots[i])
            b->slots[n++] = b->slots[i];
    }
    b->n_slots = n;
}

static void *take(struct packer *p, const void *from, size_t n)
{
    char *to = p->at;

    if (from != NULL && n > 0)
        memcpy(to, from, n);
    p->at += rounded(n);
    return to;
}

static size_t measure(const struct logic_build *b, const struct packer *p)
{
    size_t n = rounded(sizeof(struct logic)) + rounded(b->n_nodes * sizeof(*b->nodes)) +
               rounded(b->n_nodes * sizeof(*b->places)) + rounded(b->n_consts * sizeof(*b->consts)) +
               rounded(b->n_slots * sizeof(*b->slots)) + rounded(b->n_kept * sizeof(json_t *)) +
               rounded(p->n_leaves * sizeof(struct logic_leaf)) +
               rounded(p->n_leaf_values * sizeof(struct logic_scalar));

    for (uint32_t i = 0; i < b->n_consts; i++)
        n += const_bytes(b->consts[i]);
    return n;
}

static void pack_leaves(struct logic *l, struct packer *p)
{
    struct logic_leaf_source src = {.nodes = l->nodes, .consts = l->consts};

    l->leaves = take(p, NULL, p->n_leaves * sizeof(*l->leaves));
    p->leaf_values = take(p, NULL, p->n_leaf_values * sizeof(*p->leaf_values));
    if (p->n_leaves > 0)
        logic_leaf_walk(&src, 0, add_leaf, p);
}

struct logic *logic_build_pack(struct logic_build *b)
{
    struct packer p = {0};
    struct logic_leaf_source src = {.nodes = b->nodes, .consts = b->consts};

    sort_slots(b);
    if (b->mode == LOGIC_STRICT)
        logic_leaf_walk(&src, 0, count_leaf, &p);
    size_t bytes = measure(b, &p);
    struct logic *l = mem_alloc(bytes);
    p.at = (char *)l + rounded(sizeof(*l));
    p.logic = l;
    *l = (struct logic){.fields = b->fields,
                        .mode = b->mode,
                        .certlogic = b->certlogic,
                        .needs = b->needs,
                        .limits = b->limits,
                        .bytes = bytes,
                        .n_nodes = b->n_nodes,
                        .n_consts = b->n_consts,
                        .n_slots = b->n_slots,
                        .n_kept = b->n_kept,
                        .n_predicates = b->leaves};
    l->nodes = take(&p, b->nodes, b->n_nodes * sizeof(*b->nodes));
    l->places = take(&p, b->places, b->n_nodes * sizeof(*b->places));
    l->consts = take(&p, b->consts, b->n_consts * sizeof(*b->consts));
    l->slots = take(&p, b->slots, b->n_slots * sizeof(*b->slots));
    l->kept = take(&p, b->kept, b->n_kept * sizeof(json_t *));
    b->n_kept = 0;
    char *after =
        p.at + rounded(p.n_leaves * sizeof(struct logic_leaf)) + rounded(p.n_leaf_values * sizeof(struct logic_scalar));
    struct packer texts = {.at = after};
    for (uint32_t i = 0; i < l->n_consts; i++)
        l->consts[i] = pack_const(&texts, l->consts[i]);
    pack_leaves(l, &p);
    return l;
}

/* ---- messages ---- */

static size_t put_escaped(char *out, size_t size, size_t at, const char *s)
{
    for (; *s != '\0' && at + 2 < size; s++) {
        if (*s == '~' || *s == '/') {
            out[at++] = '~';
            out[at++] = *s == '~' ? '0' : '1';
        } else {
            out[at++] = *s;
        }
    }
    return at;
}

/* From the parent to this node: "/and/2", "/!" for a sole operand without a list, "/2" inside a list. */
static size_t put_step(const struct logic_node *parent, uint32_t index, char *out, size_t at)
{
    if (parent->op != OP_LIST && at + 1 < LOGIC_POINTER_SIZE) {
        out[at++] = '/';
        at = put_escaped(out, LOGIC_POINTER_SIZE, at, logic_rows[parent->written].name);
    }
    if (!(parent->flags & NODE_SUGAR) && at < LOGIC_POINTER_SIZE) {
        int n = snprintf(out + at, LOGIC_POINTER_SIZE - at, "/%u", (unsigned)index);
        at += (size_t)n < LOGIC_POINTER_SIZE - at ? (size_t)n : LOGIC_POINTER_SIZE - at - 1;
    }
    out[at < LOGIC_POINTER_SIZE ? at : LOGIC_POINTER_SIZE - 1] = '\0';
    return at;
}

const char *logic_build_pointer(const struct logic_node *nodes, const struct logic_place *places, uint32_t node,
                                char out[LOGIC_POINTER_SIZE])
{
    uint32_t way[POINTER_DEPTH_MAX];
    size_t depth = 0;
    size_t at = 0;

    for (; node != 0 && depth < POINTER_DEPTH_MAX; node = places[node].parent)
        way[depth++] = node;
    out[0] = '\0';
    while (depth > 0) {
        node = way[--depth];
        at = put_step(&nodes[places[node].parent], places[node].index, out, at);
    }
    return out;
}

static void put_spot(const struct logic_build *b, struct logic_spot spot, char out[LOGIC_POINTER_SIZE])
{
    (void)logic_build_pointer(b->nodes, b->places, spot.node, out);
    size_t at = strlen(out);

    if (spot.name == NULL || at + 1 >= LOGIC_POINTER_SIZE)
        return;
    out[at++] = '/';
    at = put_escaped(out, LOGIC_POINTER_SIZE, at, spot.name);
    out[at] = '\0';
    if (spot.index >= 0)
        (void)snprintf(out + at, LOGIC_POINTER_SIZE - at, "/%d", spot.index);
}

enum err logic_build_error(struct logic_build *b, enum logic_code code, struct logic_spot spot, const char *found,
                           const char *allowed)
{
    enum err err = code >= LOGIC_LIMIT_GROUPS && code <= LOGIC_LIMIT_FIELDS ? ERR_LIMIT : ERR_INVALID;

    if (b->why == NULL)
        return err;
    b->why->code = code;
    put_spot(b, spot, b->why->pointer);
    (void)str_copy(b->why->found, sizeof(b->why->found), found);
    (void)str_copy(b->why->allowed, sizeof(b->why->allowed), allowed);
    return err;
}

/* Cuts at a character's edge. */
static int shown_bytes(const char *s, size_t n)
{
    if (n <= SHOWN_MAX)
        return (int)n;
    for (n = SHOWN_MAX; n > 0 && ((unsigned char)s[n] & 0xC0) == 0x80;)
        n--;
    return (int)n;
}

const char *logic_build_show(const json_t *json, char out[LOGIC_TEXT_SIZE])
{
    const char *text = json_string_value(json);
    size_t n = json_string_length(json);
    char number[VALUE_NUMBER_SIZE] = "";

    if (json_is_string(json))
        (void)snprintf(out, LOGIC_TEXT_SIZE, "the string \"%.*s\"%s", shown_bytes(text, n), text,
                       n > SHOWN_MAX ? "…" : "");
    else if (json_is_array(json))
        (void)snprintf(out, LOGIC_TEXT_SIZE, "a list of %zu", json_array_size(json));
    else if (json_is_object(json))
        (void)snprintf(out, LOGIC_TEXT_SIZE, "an object with %zu keys", json_object_size(json));
    else if (json_is_integer(json))
        (void)snprintf(out, LOGIC_TEXT_SIZE, "%lld", (long long)json_integer_value(json));
    else if (json_is_real(json) && value_js_number_text(json_real_value(json), number) > 0)
        (void)str_copy(out, LOGIC_TEXT_SIZE, number);
    else
        (void)str_copy(out, LOGIC_TEXT_SIZE, json_is_true(json) ? "true" : json_is_false(json) ? "false" : "null");
    return out;
}

struct logic_spot logic_build_spot(uint32_t node, const char *name, int index)
{
    return (struct logic_spot){.node = node, .name = name, .index = index};
}

enum err logic_build_refuse(struct logic_build *b, enum logic_code code, struct logic_spot where, const json_t *found,
                            const char *allowed)
{
    char text[LOGIC_TEXT_SIZE];

    return logic_build_error(b, code, where, found == NULL ? "nothing" : logic_build_show(found, text), allowed);
}

enum err logic_build_over(struct logic_build *b, enum logic_code code, uint32_t node, size_t found, uint32_t most,
                          const char *unit)
{
    char has[LOGIC_TEXT_SIZE];
    char may[LOGIC_TEXT_SIZE];

    (void)snprintf(has, sizeof(has), "%zu %s", found, unit);
    (void)snprintf(may, sizeof(may), "at most %u %s", (unsigned)most, unit);
    return logic_build_error(b, code, logic_build_spot(node, NULL, -1), has, may);
}
