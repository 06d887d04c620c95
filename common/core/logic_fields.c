/* logic_fields: the interner of field paths, and facts: one document with its paths resolved lazily.
 *
 * A path is split once, when interned. Facts hold a memo per slot, stamped with the document's generation, so that
 * starting the next document costs nothing. Failure: a path too long, with too many segments, or one too many. */
#include <string.h>

#include "common/core/logic_priv.h"

#define FIRST_CAP 64

struct logic_fields {
    struct map by_text;   /* path text → slot + 1 */
    struct map by_prefix; /* path text up to its last dot → number + 1 */
    struct logic_path **paths;
    uint32_t n;
    uint32_t cap;
};

struct logic_fields *logic_fields_new(void)
{
    return mem_zalloc(sizeof(struct logic_fields));
}

void logic_fields_free(struct logic_fields *fields)
{
    if (fields == NULL)
        return;
    for (uint32_t i = 0; i < fields->n; i++)
        mem_free(fields->paths[i]);
    mem_free(fields->paths);
    map_free(&fields->by_text);
    map_free(&fields->by_prefix);
    mem_free(fields);
}

static uint32_t count_segments(struct str path)
{
    uint32_t n = path.n > 0 ? 1 : 0;

    for (size_t i = 0; i < path.n; i++)
        n += path.p[i] == '.';
    return n;
}

static struct logic_path *path_new(struct str path, uint32_t n_segments)
{
    size_t head = sizeof(struct logic_path) + n_segments * sizeof(struct str);
    struct logic_path *p = mem_alloc(head + path.n + 1);
    char *text = (char *)p + head;
    size_t from = 0;
    uint32_t n = 0;

    if (path.n > 0)
        memcpy(text, path.p, path.n);
    text[path.n] = '\0';
    *p = (struct logic_path){.text = text, .text_bytes = (uint32_t)path.n, .n_segments = n_segments};
    for (size_t i = 0; n < n_segments && i <= path.n; i++) {
        if (i < path.n && text[i] != '.')
            continue;
        p->segments[n++] = (struct str){text + from, i - from};
        from = i + 1;
    }
    return p;
}

/* There are no more than paths. */
static uint32_t prefix_of(struct logic_fields *fields, const struct logic_path *p)
{
    const struct str *last = &p->segments[p->n_segments - 1];
    const size_t n = p->text_bytes - last->n; /* with its dot: ".a" lies in "", "a" in the document */
    void *found = map_get(&fields->by_prefix, p->text, n);

    if (found != NULL)
        return (uint32_t)((uintptr_t)found - 1);
    const uint32_t number = (uint32_t)fields->by_prefix.n;
    (void)map_put(&fields->by_prefix, p->text, n, (void *)((uintptr_t)number + 1));
    return number;
}

bool logic_fields_find(const struct logic_fields *fields, struct str path, uint32_t *slot)
{
    void *found = map_get(&fields->by_text, path.p, path.n);

    if (found == NULL)
        return false;
    *slot = (uint32_t)((uintptr_t)found - 1);
    return true;
}

enum err logic_fields_intern(struct logic_fields *fields, struct str path, uint32_t *slot)
{
    uint32_t n_segments = count_segments(path);

    if (logic_fields_find(fields, path, slot))
        return ERR_OK;
    if (n_segments > LOGIC_PATH_SEGMENTS_MAX || path.n > LOGIC_STRING_MAX_BYTES || fields->n == LOGIC_FIELDS_MAX)
        return ERR_LIMIT;
    if (fields->n == fields->cap) {
        fields->cap = fields->cap == 0 ? FIRST_CAP : fields->cap * 2;
        fields->paths = mem_realloc(fields->paths, fields->cap * sizeof(*fields->paths));
    }
    fields->paths[fields->n] = path_new(path, n_segments);
    if (n_segments > 0)
        fields->paths[fields->n]->prefix = prefix_of(fields, fields->paths[fields->n]);
    (void)map_put(&fields->by_text, path.p, path.n, (void *)((uintptr_t)fields->n + 1));
    *slot = fields->n++;
    return ERR_OK;
}

uint32_t logic_fields_count(const struct logic_fields *fields)
{
    return fields->n;
}

const struct logic_path *logic_fields_at(const struct logic_fields *fields, uint32_t slot)
{
    return fields->paths[slot];
}

const char *logic_fields_path(const struct logic_fields *fields, uint32_t slot)
{
    return fields->paths[slot]->text;
}

struct logic_facts *logic_facts_new(const struct logic_fields *fields)
{
    struct logic_facts *f = mem_zalloc(sizeof(*f));

    f->fields = fields;
    f->generation = 1;
    return f;
}

void logic_facts_free(struct logic_facts *facts)
{
    if (facts == NULL)
        return;
    mem_free(facts->memos);
    mem_free(facts->prefixes);
    arena_free(&facts->arena);
    buf_free(&facts->text);
    mem_free(facts);
}

void logic_facts_set(struct logic_facts *facts, const json_t *root, const struct logic_env *env)
{
    facts->root = root;
    facts->env = env != NULL ? *env : (struct logic_env){0};
    logic_facts_forget(facts);
}

void logic_facts_forget(struct logic_facts *facts)
{
    if (++facts->generation == 0) {
        if (facts->memos != NULL) {
            memset(facts->memos, 0, facts->n_memos * sizeof(*facts->memos));
            memset(facts->prefixes, 0, facts->n_memos * sizeof(*facts->prefixes));
        }
        facts->generation = 1;
    }
}

static const json_t *step_into(const json_t *json, struct str key)
{
    struct value found;

    if (json_is_object(json))
        return json_object_getn(json, key.p, key.n);
    /* Through value_member, so that a list's index means the same everywhere. */
    if (!json_is_array(json) || !value_member(value_of_json(json, true), key, true, &found))
        return NULL;
    size_t at = 0;
    for (size_t i = 0; i < key.n; i++)
        at = at * 10 + (size_t)(key.p[i] - '0');
    return json_array_get(json, at);
}

/* Paths of a document share few objects: each of these is looked up once. */
static const json_t *resolve(struct logic_facts *facts, const struct logic_path *path)
{
    struct logic_prefix *prefix = &facts->prefixes[path->prefix];

    if (path->n_segments == 0)
        return facts->root;
    if (prefix->generation != facts->generation) {
        const json_t *at = facts->root;
        for (uint32_t i = 0; at != NULL && i + 1 < path->n_segments; i++)
            at = step_into(at, path->segments[i]);
        *prefix = (struct logic_prefix){at, facts->generation};
    }
    return prefix->json != NULL ? step_into(prefix->json, path->segments[path->n_segments - 1]) : NULL;
}

static void make_room(struct logic_facts *facts, uint32_t slot)
{
    uint32_t n = logic_fields_count(facts->fields);

    if (n <= slot)
        n = slot + 1;
    facts->memos = mem_realloc(facts->memos, n * sizeof(*facts->memos));
    facts->prefixes = mem_realloc(facts->prefixes, n * sizeof(*facts->prefixes));
    memset(facts->memos + facts->n_memos, 0, (n - facts->n_memos) * sizeof(*facts->memos));
    memset(facts->prefixes + facts->n_memos, 0, (n - facts->n_memos) * sizeof(*facts->prefixes));
    facts->n_memos = n;
}

const struct logic_memo *logic_facts_memo(struct logic_facts *facts, uint32_t slot)
{
    if (slot >= facts->n_memos)
        make_room(facts, slot);
    struct logic_memo *memo = &facts->memos[slot];
    if (memo->generation != facts->generation) {
        memo->json = resolve(facts, logic_fields_at(facts->fields, slot));
        memo->value = value_of_json(memo->json, true);
        memo->generation = facts->generation;
    }
    return memo;
}

const json_t *logic_facts_get(struct logic_facts *facts, uint32_t slot)
{
    return logic_facts_memo(facts, slot)->json;
}

bool logic_facts_scalar(struct logic_facts *facts, uint32_t slot, struct logic_scalar *out)
{
    const struct logic_memo *memo = logic_facts_memo(facts, slot);

    return memo->json != NULL && logic_scalar_of(memo->value, out) && out->type != LOGIC_NULL;
}
