/* template_tree: see template_tree.h. The walk carries the JSON pointer of the place, so that an error names it; depth and total
 * output are bounded. */
#include "common/core/template_tree.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/core/template.h"

enum { POINTER_SIZE = 128 };

struct walk {
    const json_t *context;
    bool check_only;
    size_t left_bytes; /* output still allowed */
    size_t depth;
    char pointer[POINTER_SIZE]; /* cut when longer: it is for people */
    size_t pointer_n;
    struct err_info *info;
};

static void push(struct walk *w, const char *part, size_t n)
{
    char c[2] = "/";

    for (size_t i = 0; i <= n && w->pointer_n + 3 < POINTER_SIZE; i++) {
        const char *text = c;

        if (i > 0)
            c[0] = part[i - 1];
        if (i > 0 && (c[0] == '~' || c[0] == '/'))
            text = c[0] == '~' ? "~0" : "~1";
        w->pointer_n += (size_t)snprintf(w->pointer + w->pointer_n, POINTER_SIZE - w->pointer_n, "%s", text);
    }
}

static void pop(struct walk *w, size_t to)
{
    w->pointer_n = to;
    w->pointer[to] = '\0';
}

static enum err place(const struct walk *w, enum err e, const struct err_info *detail)
{
    return err_set(w->info, e, "%s: %s", w->pointer_n > 0 ? w->pointer : "value", detail->text);
}

static enum err walk_string(struct walk *w, const json_t *v, json_t **out)
{
    struct str tpl = {json_string_value(v), json_string_length(v)};
    struct err_info detail = {0};
    struct buf text = {0};
    enum err e;

    if (w->check_only) {
        e = template_check(tpl, &detail);
        return e == ERR_OK ? e : place(w, e, &detail);
    }
    e = template_render(tpl, w->context, TEMPLATE_TEXT, &text, &detail);
    if (e == ERR_OK && text.len > w->left_bytes)
        e = err_set(&detail, ERR_LIMIT, "all texts together are longer than %zu bytes", TEMPLATE_OUTPUT_MAX_BYTES);
    if (e != ERR_OK) {
        e = place(w, e, &detail);
        goto out;
    }
    w->left_bytes -= text.len;
    *out = json_stringn(buf_text(&text), text.len);
    if (*out == NULL)
        e = err_set(w->info, ERR_NOMEM, "out of memory");
out:
    buf_free(&text);
    return e;
}

static enum err walk_value(struct walk *w, const json_t *v, json_t **out);

static enum err walk_object(struct walk *w, const json_t *v, json_t **out)
{
    size_t before = w->pointer_n;
    enum err e = ERR_OK;

    *out = w->check_only ? NULL : json_object();
    /* jansson iterates over non-const objects only; nothing is changed. */
    for (void *it = json_object_iter((json_t *)(uintptr_t)v); it != NULL && e == ERR_OK;
         it = json_object_iter_next((json_t *)(uintptr_t)v, it)) {
        json_t *value = NULL;

        push(w, json_object_iter_key(it), json_object_iter_key_len(it));
        e = walk_value(w, json_object_iter_value(it), &value);
        pop(w, before);
        if (e == ERR_OK && !w->check_only &&
            json_object_setn_new(*out, json_object_iter_key(it), json_object_iter_key_len(it), value) != 0)
            e = err_set(w->info, ERR_NOMEM, "out of memory");
    }
    return e;
}

static enum err walk_array(struct walk *w, const json_t *v, json_t **out)
{
    size_t before = w->pointer_n;
    enum err e = ERR_OK;

    *out = w->check_only ? NULL : json_array();
    for (size_t i = 0; i < json_array_size(v) && e == ERR_OK; i++) {
        char index[24];
        json_t *value = NULL;

        push(w, index, (size_t)snprintf(index, sizeof(index), "%zu", i));
        e = walk_value(w, json_array_get(v, i), &value);
        pop(w, before);
        if (e == ERR_OK && !w->check_only && json_array_append_new(*out, value) != 0)
            e = err_set(w->info, ERR_NOMEM, "out of memory");
    }
    return e;
}

/* Recursion is bounded by TEMPLATE_DEPTH_MAX. On error *out may hold a part of the result; the caller frees it. */
static enum err walk_value(struct walk *w, const json_t *v, json_t **out)
{
    enum err e;

    if (json_is_string(v))
        return walk_string(w, v, out);
    if (!json_is_object(v) && !json_is_array(v)) {
        *out = w->check_only ? NULL : json_deep_copy(v);
        return ERR_OK;
    }
    if (w->depth == TEMPLATE_DEPTH_MAX)
        return err_set(w->info, ERR_LIMIT, "%s: more than %d levels", w->pointer, TEMPLATE_DEPTH_MAX);
    w->depth++;
    e = json_is_object(v) ? walk_object(w, v, out) : walk_array(w, v, out);
    w->depth--;
    if (e != ERR_OK && *out != NULL) {
        json_decref(*out);
        *out = NULL;
    }
    return e;
}

enum err template_tree_check(const json_t *tree, struct err_info *info)
{
    struct walk w = {.check_only = true, .info = info};
    json_t *none = NULL;

    return walk_value(&w, tree, &none);
}

enum err template_tree_render(const json_t *tree, const json_t *context, json_t **out, struct err_info *info)
{
    struct walk w = {.context = context, .left_bytes = TEMPLATE_OUTPUT_MAX_BYTES, .info = info};

    *out = NULL;
    return walk_value(&w, tree, out);
}
