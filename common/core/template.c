/* template: see template.h.
 *
 * The text becomes tokens (template_parse.c); rendering walks them with a stack of contexts, one per open section. A section
 * over a list goes over its tokens once per element, so the work is bounded by a budget and not by the size of the text.
 * Failures: syntax, a missing variable, a limit; the output is then cut back to where it was. */
#include "common/core/template.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/core/template_parse.h"

struct renderer {
    const struct template_tokens *tokens;
    const json_t *stack[TEMPLATE_DEPTH_MAX + 1];
    size_t depth; /* contexts on the stack */
    enum template_mode mode;
    struct buf *out;
    size_t limit; /* out->len may not pass this */
    size_t ops;
    struct err_info *info;
};

enum err template_check(struct str tpl, struct err_info *info)
{
    struct arena arena = {0};
    struct template_tokens tokens;
    enum err e = template_parse(tpl, &arena, &tokens, info);

    arena_free(&arena);
    return e;
}

/* The first dotted part of *name, which is advanced past it. */
static struct str next_part(struct str *name)
{
    const char *dot = memchr(name->p, '.', name->n);
    size_t n = dot == NULL ? name->n : (size_t)(dot - name->p);
    struct str part = {name->p, n};
    size_t skip = dot == NULL ? n : n + 1;

    name->p += skip;
    name->n -= skip;
    return part;
}

static const json_t *member(const json_t *of, struct str key)
{
    uint64_t index;

    if (json_is_object(of))
        return json_object_getn(of, key.p, key.n);
    if (json_is_array(of) && str_to_u64(key, &index) == ERR_OK)
        return json_array_get(of, (size_t)index);
    return NULL;
}

static const json_t *resolve(const struct renderer *r, struct str name)
{
    const json_t *v = NULL;
    struct str first;

    if (str_is(name, "."))
        return r->stack[r->depth - 1];
    first = next_part(&name);
    for (size_t i = r->depth; i > 0 && v == NULL; i--)
        v = member(r->stack[i - 1], first);
    while (v != NULL && name.n > 0)
        v = member(v, next_part(&name));
    return v;
}

static bool is_true(const json_t *v)
{
    if (v == NULL)
        return false;
    switch (json_typeof(v)) {
    case JSON_NULL:
    case JSON_FALSE: return false;
    case JSON_TRUE:
    case JSON_OBJECT: return true;
    case JSON_ARRAY: return json_array_size(v) > 0;
    case JSON_STRING: return json_string_length(v) > 0;
    case JSON_INTEGER: return json_integer_value(v) != 0;
    case JSON_REAL: return json_real_value(v) < 0 || json_real_value(v) > 0;
    }
    return false;
}

static enum err append(struct renderer *r, const char *p, size_t n)
{
    if (n > r->limit - r->out->len)
        return err_set(r->info, ERR_LIMIT, "the rendered text is longer than %zu bytes", TEMPLATE_OUTPUT_MAX_BYTES);
    buf_put(r->out, p, n);
    return ERR_OK;
}

static const char *entity(char c)
{
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return NULL;
    }
}

static enum err append_escaped(struct renderer *r, const char *p, size_t n)
{
    enum err e = ERR_OK;
    size_t plain = 0;

    for (size_t i = 0; i < n && e == ERR_OK; i++) {
        const char *with = entity(p[i]);

        if (with == NULL)
            continue;
        e = append(r, p + plain, i - plain);
        if (e == ERR_OK)
            e = append(r, with, strlen(with));
        plain = i + 1;
    }
    return e == ERR_OK ? append(r, p + plain, n - plain) : e;
}

enum {
    NUMBER_SIZE = 40,
    PRECISION_USUAL = 15, /* decimal digits every double can carry */
    PRECISION_EXACT = 17  /* digits that tell any two doubles apart */
};

/* Above this a double is printed with an exponent, as JavaScript does. */
#define WHOLE_MAX 1e21

/* The fewest digits that give the same double back. */
static int shortest(char text[NUMBER_SIZE], double v)
{
    double back = 0;
    int n = 0;

    for (int p = PRECISION_USUAL; p <= PRECISION_EXACT; p++) {
        n = snprintf(text, NUMBER_SIZE, "%.*g", p, v);
        if (str_to_double((struct str){text, (size_t)n}, &back) == ERR_OK && back >= v && back <= v)
            break;
    }
    return n;
}

static enum err append_real(struct renderer *r, double v)
{
    char text[NUMBER_SIZE];
    int n;

    if (floor(v) >= v && fabs(v) < WHOLE_MAX) {
        n = snprintf(text, sizeof(text), "%.0f", v);
        if (strcmp(text, "-0") == 0)
            return append(r, "0", 1);
    } else {
        n = shortest(text, v);
    }
    return append(r, text, (size_t)n);
}

static enum err missing(const struct renderer *r, const struct token *t, const char *what)
{
    return err_set(r->info, ERR_NOTFOUND, "line %zu: variable \"%.*s\" %s", t->line, (int)t->text.n, t->text.p, what);
}

static enum err render_variable(struct renderer *r, const struct token *t)
{
    const json_t *v = resolve(r, t->text);
    char text[NUMBER_SIZE];

    if (v == NULL)
        return missing(r, t, "is missing");
    switch (json_typeof(v)) {
    case JSON_NULL: return missing(r, t, "has no value (null)");
    case JSON_OBJECT: return missing(r, t, "is an object, not a text or number");
    case JSON_ARRAY: return missing(r, t, "is a list, not a text or number");
    case JSON_TRUE: return append(r, "true", 4);
    case JSON_FALSE: return append(r, "false", 5);
    case JSON_REAL: return append_real(r, json_real_value(v));
    case JSON_INTEGER:
        snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(v));
        return append(r, text, strlen(text));
    case JSON_STRING:
        if (r->mode == TEMPLATE_HTML && t->kind == TOKEN_VARIABLE)
            return append_escaped(r, json_string_value(v), json_string_length(v));
        return append(r, json_string_value(v), json_string_length(v));
    }
    return ERR_INVALID;
}

static enum err render_range(struct renderer *r, size_t from, size_t to);

static enum err render_with(struct renderer *r, const json_t *context, size_t from, size_t to)
{
    enum err e;

    r->stack[r->depth++] = context;
    e = render_range(r, from, to);
    r->depth--;
    return e;
}

static enum err render_section(struct renderer *r, size_t at)
{
    const struct token *t = &r->tokens->items[at];
    const json_t *v = resolve(r, t->text);
    enum err e = ERR_OK;

    if (t->kind == TOKEN_INVERTED)
        return is_true(v) ? ERR_OK : render_with(r, r->stack[r->depth - 1], at + 1, t->close);
    if (!is_true(v))
        return ERR_OK;
    if (!json_is_array(v))
        return render_with(r, v, at + 1, t->close);
    for (size_t i = 0; i < json_array_size(v) && e == ERR_OK; i++)
        e = render_with(r, json_array_get(v, i), at + 1, t->close);
    return e;
}

/* Recursion is bounded by the sections' depth, which template_parse limits. */
static enum err render_range(struct renderer *r, size_t from, size_t to)
{
    enum err e = ERR_OK;

    for (size_t i = from; i < to && e == ERR_OK; i++) {
        const struct token *t = &r->tokens->items[i];

        if (r->ops++ >= TEMPLATE_OPS_MAX)
            return err_set(r->info, ERR_LIMIT, "line %zu: rendering takes more than %d steps (lists within lists)",
                           t->line, TEMPLATE_OPS_MAX);
        switch (t->kind) {
        case TOKEN_TEXT: e = append(r, t->text.p, t->text.n); break;
        case TOKEN_VARIABLE:
        case TOKEN_RAW: e = render_variable(r, t); break;
        case TOKEN_SECTION:
        case TOKEN_INVERTED:
            e = render_section(r, i);
            i = t->close;
            break;
        case TOKEN_CLOSE: break;
        }
    }
    return e;
}

enum err template_render(struct str tpl, const json_t *context, enum template_mode mode, struct buf *out,
                         struct err_info *info)
{
    struct arena arena = {0};
    struct template_tokens tokens;
    struct renderer r = {.tokens = &tokens, .depth = 1, .mode = mode, .out = out, .info = info};
    size_t before = out->len;
    enum err e = template_parse(tpl, &arena, &tokens, info);

    if (e != ERR_OK)
        goto out;
    r.stack[0] = context;
    r.limit = before + TEMPLATE_OUTPUT_MAX_BYTES;
    e = render_range(&r, 0, tokens.n);
    if (e != ERR_OK && out->len > before) {
        out->len = before;
        out->data[before] = '\0';
    }
out:
    arena_free(&arena);
    return e;
}
