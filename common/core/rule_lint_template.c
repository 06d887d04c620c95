/* rule_lint_template: the names in a step's templates, whose syntax is good. At the top level of a template a name that can not exist ends
 * the step when it runs (template.h: strict), so it is an error here. Inside a section a name may belong to the section's own
 * value, and a section asks whether something is there, so there it is a warning. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/core/rule_check.h"
#include "common/core/rule_lint_template.h"
#include "common/core/template_parse.h"

struct reader {
    struct rule_check *c;
    const struct rule *r;
    const struct step *s;
};

static void PRINTF_LIKE(4, 5) report(struct rule_check *c, const char *at, bool strict, const char *fmt, ...)
{
    char message[256];
    va_list args;

    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    if (strict)
        rule_check_error(c, at, NULL, "%s", message);
    else
        rule_errors_warn(c->errors, at, "%s", message);
}

static void check_step(struct reader *t, struct str name, const char *at, bool strict)
{
    static const char steps[] = "steps.";
    struct str id = {name.p + sizeof(steps) - 1, name.n - (sizeof(steps) - 1)};
    const char *dot = memchr(id.p, '.', id.n);
    const struct step *used;

    id.n = dot == NULL ? id.n : (size_t)(dot - id.p);
    used = program_find(&t->r->program, id);
    if (used == NULL)
        report(t->c, at, strict, "template: uses \"%.*s\", but no action has the id \"%.*s\"", (int)name.n, name.p,
               (int)id.n, id.p);
    else if (!rule_lint_precedes(&t->r->program, used, t->s))
        report(t->c, at, strict, "template: uses \"%.*s\", but the action \"%s\" can not have run before", (int)name.n,
               name.p, used->id);
    else
        rule_lint_path(t->c, &t->r->program, name, at);
}

/* A path of one part is an attribute of the wedding, or the element of a section. */
static void check_name(struct reader *t, struct str name, const char *at, bool strict, bool inside)
{
    const char *dot = memchr(name.p, '.', name.n);
    struct str root = {name.p, dot == NULL ? name.n : (size_t)(dot - name.p)};
    int code = vocab_find(VOCAB_ROOT, root);
    bool own = str_is(root, "rule") || str_is(root, "run");
    const char *nearest = code >= 0 || own || inside ? NULL : vocab_nearest_in(VOCAB_ROOT, root);

    if (dot == NULL || root.n == 0)
        return;
    if (code == ROOT_EVENT && t->r->trigger.type == TRIGGER_MILESTONE)
        report(t->c, at, strict, "template: uses \"%.*s\", but a milestone comes without an event", (int)name.n, name.p);
    else if (code == ROOT_ITEM && t->s->loop == PROGRAM_END)
        report(t->c, at, strict, "template: uses \"%.*s\", but only steps within a for_each have an item", (int)name.n,
               name.p);
    else if (code == ROOT_STEPS)
        check_step(t, name, at, strict);
    else if (nearest != NULL)
        report(t->c, at, strict, "template: uses the unknown field \"%.*s\"; did you mean \"%s%.*s\"?", (int)name.n,
               name.p, nearest, (int)(name.n - root.n), name.p + root.n);
    else if (code >= 0)
        rule_lint_path(t->c, &t->r->program, name, at);
}

static void check_text(struct reader *t, struct str text, const char *at)
{
    struct arena arena = {0};
    struct template_tokens tokens = {0};
    struct err_info why = {0};
    size_t depth = 0;

    if (template_parse(text, &arena, &tokens, &why) != ERR_OK)
        tokens.n = 0;
    for (size_t i = 0; i < tokens.n; i++) {
        const struct token *k = &tokens.items[i];
        bool variable = k->kind == TOKEN_VARIABLE || k->kind == TOKEN_RAW;

        if (k->kind == TOKEN_CLOSE)
            depth--;
        else if (k->kind != TOKEN_TEXT)
            check_name(t, k->text, at, variable && depth == 0, depth > 0);
        if (k->kind == TOKEN_SECTION || k->kind == TOKEN_INVERTED)
            depth++;
    }
    arena_free(&arena);
}

/* Recursion is bounded: template_tree_check has refused what is deeper than TEMPLATE_DEPTH_MAX. */
static void check_tree(struct reader *t, const json_t *v, const char *at)
{
    json_t *o = (json_t *)(uintptr_t)v; /* jansson iterates over non-const objects only */

    if (json_is_string(v) && strstr(json_string_value(v), "{{") != NULL)
        check_text(t, (struct str){json_string_value(v), json_string_length(v)}, at);
    for (size_t i = 0; i < json_array_size(v); i++)
        check_tree(t, json_array_get(v, i), rule_check_join_index(t->c, at, i));
    for (void *it = json_object_iter(o); it != NULL; it = json_object_iter_next(o, it))
        check_tree(t, json_object_iter_value(it), rule_check_join(t->c, at, json_object_iter_key(it)));
}

void rule_lint_templates(struct rule_check *c, const struct rule *r, const struct step *s)
{
    struct reader t = {c, r, s};

    if (s->params != NULL && vocab_action_effect(s->type) != EFFECT_CONTROL)
        check_tree(&t, s->params, rule_check_join(c, s->pointer, "params"));
}

void rule_lint_template_missing(const struct rule *r, struct str name, struct rule_errors *errors)
{
    for (int i = 0; i < r->program.n; i++) {
        const struct step *s = &r->program.steps[i];
        const char *used = json_string_value(json_object_get(s->params, "template"));
        char at[256];

        if (used == NULL || !str_is(name, used))
            continue;
        (void)snprintf(at, sizeof(at), "%s/params/template", s->pointer);
        rule_errors_warn(errors, at, "there is no message template \"%s\" yet: its steps will end as dead letters", used);
    }
}
