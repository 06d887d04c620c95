/* logic_access: compiles the operators that name fields: var, val, exists, missing, missing_some, changed, changed_to.
 *
 * A path known now becomes a slot, read at the top from the facts' memos and in an iterator walked from the item; any
 * other becomes an expression. Failure: a path that is none, or too long, or one too many for the tenant's interner. */
#include <string.h>

#include "common/core/logic_build.h"

static enum err intern(struct logic_build *b, struct str path, uint32_t node, const json_t *shown, uint32_t *slot)
{
    enum err err = logic_fields_intern(b->fields, path, slot);

    if (err == ERR_OK)
        return ERR_OK;
    if (logic_fields_count(b->fields) == LOGIC_FIELDS_MAX)
        return logic_build_over(b, LOGIC_LIMIT_FIELDS, node, LOGIC_FIELDS_MAX, LOGIC_FIELDS_MAX,
                                "field paths per tenant");
    return logic_build_refuse(b, LOGIC_BAD_PATH, logic_build_spot(node, NULL, -1), shown,
                              "a path of at most 32 names and 4096 bytes");
}

/* The path that `var` names when it is known now. null and nothing mean the whole. */
static bool constant_path(const json_t *json, char number[VALUE_NUMBER_SIZE], struct str *path)
{
    if (json == NULL || json_is_null(json)) {
        *path = STR("");
        return true;
    }
    if (json_is_string(json)) {
        *path = (struct str){json_string_value(json), json_string_length(json)};
        return true;
    }
    if (!json_is_number(json))
        return false;
    *path = (struct str){number, value_js_number_text(json_number_value(json), number)};
    return true;
}

static void use_field(struct logic_build *b, struct logic_at at, uint32_t slot, bool whole)
{
    struct logic_node *n = &b->nodes[at.node];

    n->op = at.in_item ? OP_ITEM : OP_FIELD;
    n->arg = slot;
    if (!at.in_item)
        logic_build_slot(b, slot);
    if (whole && !at.in_item)
        b->needs |= LOGIC_NEEDS_ANY_FIELD;
}

/* A default that fails when evaluated would fail in JavaScript even where it is not needed. */
static bool fits_field(const struct logic_build *b, const struct logic_operands *o)
{
    return o->n <= 1 || (o->n == 2 && (b->mode == LOGIC_STRICT || logic_json_is_scalar(logic_operand_json(o, 1))));
}

enum err logic_access_var(struct logic_build *b, const struct logic_operands *o, struct logic_at at)
{
    char number[VALUE_NUMBER_SIZE];
    struct str path;
    uint32_t slot;
    const json_t *first = o->n > 0 ? logic_operand_json(o, 0) : NULL;

    if (!fits_field(b, o) || !constant_path(first, number, &path)) {
        if (b->mode == LOGIC_STRICT && !json_is_object(first))
            return logic_build_refuse(b, LOGIC_BAD_PATH, logic_build_spot(at.node, "var", o->sugar ? -1 : 0), first,
                                      "a path, such as \"wedding.guest_count\"");
        b->needs |= LOGIC_NEEDS_ANY_FIELD;
        return logic_compile_operands(b, o, 0, at);
    }
    enum err err = intern(b, path, at.node, first, &slot);
    if (err != ERR_OK)
        return err;
    use_field(b, at, slot, path.n == 0);
    return o->n == 2 ? logic_compile_operands(b, o, 1, at) : ERR_OK;
}

/* {"val":["a","b"]} as the path "a.b", when its names are known and hold no dot. */
static bool joined_keys(const struct logic_operands *o, struct buf *path)
{
    for (uint32_t i = 0; i < o->n; i++) {
        const char *key = json_string_value(logic_operand_json(o, i));
        if (key == NULL || key[0] == '\0' || strchr(key, '.') != NULL)
            return false;
        if (i > 0)
            buf_put_char(path, '.');
        buf_put_str(path, key);
    }
    return o->n > 0 && o->n <= LOGIC_PATH_SEGMENTS_MAX && path->len <= LOGIC_STRING_MAX_BYTES;
}

enum err logic_access_val(struct logic_build *b, const struct logic_operands *o, struct logic_at at)
{
    struct buf path = {0};
    uint32_t slot;
    enum err err;

    if (!joined_keys(o, &path)) {
        b->needs |= LOGIC_NEEDS_ANY_FIELD;
        err = logic_compile_operands(b, o, 0, at);
        goto out;
    }
    err = intern(b, (struct str){buf_text(&path), path.len}, at.node, o->value, &slot);
    if (err == ERR_OK)
        use_field(b, at, slot, false);
out:
    buf_free(&path);
    return err;
}

/* missing, missing_some, exists: their literal paths are worth knowing; evaluation walks them itself. */
static enum err note_paths(struct logic_build *b, const json_t *json, struct logic_at at)
{
    uint32_t slot;

    if (at.in_item)
        return ERR_OK;
    if (json_is_string(json)) {
        struct str path = {json_string_value(json), json_string_length(json)};
        enum err err = intern(b, path, at.node, json, &slot);
        if (err == ERR_OK)
            logic_build_slot(b, slot);
        return err;
    }
    if (json_is_object(json))
        b->needs |= LOGIC_NEEDS_ANY_FIELD;
    for (size_t i = 0; json_is_array(json) && i < json_array_size(json); i++) {
        const json_t *item = json_array_get(json, i);
        enum err err = json_is_array(item) ? ERR_OK : note_paths(b, item, at);
        if (err != ERR_OK)
            return err;
    }
    return ERR_OK;
}

enum err logic_access_exists(struct logic_build *b, const struct logic_operands *o, struct logic_at at)
{
    struct buf path = {0};
    uint32_t slot = 0;
    bool known = joined_keys(o, &path);
    enum err err = ERR_OK;

    if (!known)
        b->needs |= LOGIC_NEEDS_ANY_FIELD;
    if (known && !at.in_item)
        err = intern(b, (struct str){buf_text(&path), path.len}, at.node, o->value, &slot);
    if (err == ERR_OK && known && !at.in_item)
        logic_build_slot(b, slot);
    buf_free(&path);
    return err != ERR_OK ? err : logic_compile_operands(b, o, 0, at);
}

enum err logic_access_missing(struct logic_build *b, const struct logic_operands *o, struct logic_at at)
{
    bool some = b->nodes[at.node].op == OP_MISSING_SOME;
    const json_t *paths = some ? (o->n > 1 ? logic_operand_json(o, 1) : NULL) : o->value;
    enum err err = note_paths(b, paths, at);

    /* {"missing":[["a","b"]]} */
    if (err == ERR_OK && !some && o->n > 0 && json_is_array(logic_operand_json(o, 0)))
        err = note_paths(b, logic_operand_json(o, 0), at);
    return err != ERR_OK ? err : logic_compile_operands(b, o, 0, at);
}

enum err logic_access_changed(struct logic_build *b, const struct logic_operands *o, struct logic_at at)
{
    const json_t *path = o->n > 0 ? logic_operand_json(o, 0) : NULL;
    uint32_t slot;

    if (!json_is_string(path) || o->n > 2)
        return logic_build_refuse(b, LOGIC_BAD_PATH,
                                  logic_build_spot(at.node, logic_rows[b->nodes[at.node].op].name, o->sugar ? -1 : 0),
                                  path, "a literal path, such as \"wedding.date\"");
    enum err err = intern(b, (struct str){json_string_value(path), json_string_length(path)}, at.node, path, &slot);
    if (err != ERR_OK)
        return err;
    logic_build_slot(b, slot);
    b->nodes[at.node].arg = slot;
    b->needs |= LOGIC_NEEDS_CHANGES;
    return b->nodes[at.node].op == OP_CHANGED_TO ? logic_compile_operands(b, o, 1, at) : ERR_OK;
}
