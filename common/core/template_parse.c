/* template_parse: see template_parse.h.
 *
 * One pass: text up to "{{", then a tag, and so on. The tokens are counted first (a tag is at least four bytes and makes at
 * most two tokens), so they live in one array. Failures: a tag that is not closed, not a name, not supported; sections
 * that are not balanced or too deep. */
#include "common/core/template_parse.h"

#include <stdint.h>
#include <string.h>

#include "common/core/template.h"

struct parser {
    struct str s;
    size_t at;         /* begin of the text not yet made a token */
    size_t counted_to; /* lines are counted up to here */
    size_t line;
    size_t open[TEMPLATE_DEPTH_MAX];
    size_t depth;
    struct template_tokens *out;
    struct err_info *info;
};

/* A tag as written: bytes [begin, end) of the template, of which `body` is inside the braces and the sigil. */
struct tag {
    size_t begin;
    size_t end;
    char sigil; /* 0 for a plain variable, '{' for {{{…}}} */
    struct str body;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_space(char c)
{
    return is_blank(c) || c == '\n' || c == '\r';
}

static struct str trim(struct str s)
{
    while (s.n > 0 && is_space(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && is_space(s.p[s.n - 1]))
        s.n--;
    return s;
}

static size_t find(struct str s, size_t from, const char *what)
{
    const char *p = from < s.n ? memmem(s.p + from, s.n - from, what, strlen(what)) : NULL;

    return p == NULL ? SIZE_MAX : (size_t)(p - s.p);
}

static void count_lines(struct parser *p, size_t to)
{
    for (; p->counted_to < to; p->counted_to++)
        p->line += p->s.p[p->counted_to] == '\n' ? 1 : 0;
}

/* Names in messages are cut: they may be the rest of a long template. */
enum { SHOWN_MAX = 60 };

static int shown(struct str s)
{
    return s.n > SHOWN_MAX ? SHOWN_MAX : (int)s.n;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           (unsigned char)c >= 0x80;
}

static bool name_valid(struct str s)
{
    bool starting = true;

    if (str_is(s, "."))
        return true;
    if (s.n == 0 || s.n > TEMPLATE_NAME_MAX_BYTES)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '.' ? starting : !is_name_char(s.p[i]))
            return false;
        starting = s.p[i] == '.';
    }
    return !starting;
}

static void put(struct parser *p, enum token_kind kind, struct str text)
{
    p->out->items[p->out->n++] = (struct token){.kind = kind, .text = text, .line = p->line};
}

static enum err read_tag(struct parser *p, size_t begin, struct tag *t)
{
    size_t body = begin + 2;
    const char *closing = "}}";
    size_t close;

    t->begin = begin;
    t->sigil = '\0';
    if (body < p->s.n && strchr("{&#^/!>=", p->s.p[body]) != NULL && p->s.p[body] != '\0')
        t->sigil = p->s.p[body++];
    if (t->sigil == '{')
        closing = "}}}";
    close = find(p->s, body, closing);
    if (close == SIZE_MAX)
        return err_set(p->info, ERR_INVALID, "line %zu: \"{{\" without \"%s\"", p->line, closing);
    t->end = close + strlen(closing);
    t->body = trim((struct str){p->s.p + body, close - body});
    return ERR_OK;
}

/* Where the line of a tag begins when nothing but blanks stands on it beside the tag; then *end is where the next line begins. */
static size_t standalone(const struct parser *p, const struct tag *t, size_t *end)
{
    size_t b = t->begin, e = t->end;

    while (b > p->at && is_blank(p->s.p[b - 1]))
        b--;
    if (b > 0 && p->s.p[b - 1] != '\n')
        return SIZE_MAX;
    while (e < p->s.n && is_blank(p->s.p[e]))
        e++;
    if (e < p->s.n && p->s.p[e] == '\r')
        e++;
    if (e < p->s.n && p->s.p[e] != '\n')
        return SIZE_MAX;
    *end = e < p->s.n ? e + 1 : e;
    return b;
}

static void put_text_before(struct parser *p, const struct tag *t)
{
    size_t text_end = t->begin, next = t->end;
    bool vanishes = t->sigil != '\0' && strchr("#^/!", t->sigil) != NULL;

    if (vanishes) {
        size_t after = 0;
        size_t line_begin = standalone(p, t, &after);

        if (line_begin != SIZE_MAX) {
            text_end = line_begin;
            next = after;
        }
    }
    if (text_end > p->at)
        put(p, TOKEN_TEXT, (struct str){p->s.p + p->at, text_end - p->at});
    p->at = next;
}

static enum err open_section(struct parser *p, const struct tag *t)
{
    if (p->depth == TEMPLATE_DEPTH_MAX)
        return err_set(p->info, ERR_LIMIT, "line %zu: more than %d sections within sections", p->line,
                       TEMPLATE_DEPTH_MAX);
    p->open[p->depth++] = p->out->n;
    put(p, t->sigil == '#' ? TOKEN_SECTION : TOKEN_INVERTED, t->body);
    return ERR_OK;
}

static enum err close_section(struct parser *p, const struct tag *t)
{
    struct token *opening;

    if (p->depth == 0)
        return err_set(p->info, ERR_INVALID, "line %zu: {{/%.*s}} closes nothing", p->line, shown(t->body), t->body.p);
    opening = &p->out->items[p->open[p->depth - 1]];
    if (!str_eq(opening->text, t->body))
        return err_set(p->info, ERR_INVALID, "line %zu: {{/%.*s}} where {{/%.*s}} (line %zu) is open", p->line,
                       shown(t->body), t->body.p, shown(opening->text), opening->text.p, opening->line);
    opening->close = p->out->n;
    p->depth--;
    put(p, TOKEN_CLOSE, t->body);
    return ERR_OK;
}

static enum err put_tag(struct parser *p, const struct tag *t)
{
    if (t->sigil == '!')
        return ERR_OK;
    if (t->sigil == '>' || t->sigil == '=')
        return err_set(p->info, ERR_INVALID, "line %zu: {{%c …}} is not supported (no partials, no other delimiters)",
                       p->line, t->sigil);
    if (!name_valid(t->body))
        return err_set(p->info, ERR_INVALID,
                       "line %zu: \"%.*s\" is not a variable: names are letters, digits, _ and - with dots between, "
                       "at most %d bytes",
                       p->line, shown(t->body), t->body.p, TEMPLATE_NAME_MAX_BYTES);
    if (t->sigil == '#' || t->sigil == '^')
        return open_section(p, t);
    if (t->sigil == '/')
        return close_section(p, t);
    put(p, t->sigil == '\0' ? TOKEN_VARIABLE : TOKEN_RAW, t->body);
    return ERR_OK;
}

static size_t count_tokens(struct str s)
{
    size_t n = 1;

    for (size_t at = find(s, 0, "{{"); at != SIZE_MAX; at = find(s, at + 2, "{{"))
        n += 2;
    return n;
}

enum err template_parse(struct str tpl, struct arena *arena, struct template_tokens *out, struct err_info *info)
{
    struct parser p = {.s = tpl, .line = 1, .out = out, .info = info};
    enum err e = ERR_OK;

    *out = (struct template_tokens){0};
    if (tpl.n > TEMPLATE_MAX_BYTES)
        return err_set(info, ERR_LIMIT, "template has %zu bytes, allowed are %zu", tpl.n, TEMPLATE_MAX_BYTES);
    if (!str_is_utf8(tpl))
        return err_set(info, ERR_INVALID, "template is not valid UTF-8");
    out->items = arena_alloc(arena, count_tokens(tpl) * sizeof(*out->items));
    for (size_t begin = find(tpl, 0, "{{"); begin != SIZE_MAX; begin = find(tpl, p.at, "{{")) {
        struct tag t = {0};

        count_lines(&p, begin);
        e = read_tag(&p, begin, &t);
        if (e != ERR_OK)
            return e;
        put_text_before(&p, &t);
        e = put_tag(&p, &t);
        if (e != ERR_OK)
            return e;
    }
    if (p.depth > 0) {
        const struct token *opening = &out->items[p.open[p.depth - 1]];

        return err_set(info, ERR_INVALID, "line %zu: section {{#%.*s}} is not closed", opening->line,
                       shown(opening->text), opening->text.p);
    }
    if (p.at < tpl.n)
        put(&p, TOKEN_TEXT, (struct str){tpl.p + p.at, tpl.n - p.at});
    return ERR_OK;
}
