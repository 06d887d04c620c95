/* rule_errors: the errors of one document, collected (rule.h). Nothing fails: what does not fit is counted or cut. */
#include <stdarg.h>
#include <stdio.h>

#include "common/core/rule.h"

enum { MESSAGE_SIZE = 768, POINTER_SIZE = 512 };

/* Cutting may have split a character; messages go to JSON and PostgreSQL, which refuse half ones. */
static char *keep_utf8(char *s)
{
    if (str_is_utf8(str_of(s)))
        return s;
    for (char *p = s; *p != '\0'; p++) {
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    }
    return s;
}

static struct rule_error PRINTF_LIKE(3, 0) make(struct arena *arena, const char *pointer, const char *fmt, va_list args)
{
    char message[MESSAGE_SIZE], place[POINTER_SIZE];

    vsnprintf(message, sizeof(message), fmt, args);
    snprintf(place, sizeof(place), "%s", pointer);
    return (struct rule_error){.pointer = arena_strdup(arena, keep_utf8(place)),
                               .message = arena_strdup(arena, keep_utf8(message))};
}

void rule_errors_add(struct rule_errors *e, const char *pointer, const char *fmt, ...)
{
    va_list args;

    if (e->n == RULE_ERRORS_MAX) {
        e->more++;
        return;
    }
    va_start(args, fmt);
    e->items[e->n++] = make(&e->arena, pointer, fmt, args);
    va_end(args);
}

void rule_errors_warn(struct rule_errors *e, const char *pointer, const char *fmt, ...)
{
    va_list args;

    if (e->n_warnings == RULE_WARNINGS_MAX)
        return;
    va_start(args, fmt);
    e->warnings[e->n_warnings++] = make(&e->arena, pointer, fmt, args);
    va_end(args);
}

void rule_errors_free(struct rule_errors *e)
{
    arena_free(&e->arena);
    *e = (struct rule_errors){0};
}

static json_t *list_json(const struct rule_error *items, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "pointer", items[i].pointer, "message", items[i].message));
    return list;
}

json_t *rule_errors_warnings_json(const struct rule_errors *e)
{
    return e->n_warnings > 0 ? list_json(e->warnings, e->n_warnings) : NULL;
}

json_t *rule_errors_json(const struct rule_errors *e)
{
    json_t *list = list_json(e->items, e->n);

    if (e->more > 0) {
        char text[64];

        snprintf(text, sizeof(text), "and %zu more errors", e->more);
        json_array_append_new(list, json_pack("{s:s, s:s}", "pointer", "", "message", text));
    }
    return list;
}
