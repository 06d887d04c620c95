/* rule: see rule.h.
 *
 * The document is read top-down into the rule's arena, the trigger first because it decides what conditions may use. Everything
 * goes on after an error, so that one call reports all of them; a rule with errors is freed at the end. */
#include "common/core/rule.h"

#include <string.h>

#include "common/core/rule_check.h"

static void check_version(struct rule_check *c, const json_t *document)
{
    const json_t *v = json_object_get(document, "schema_version");
    char shown[RULE_CHECK_SHOW_SIZE];

    if (!json_is_integer(v) || json_integer_value(v) != RULE_SCHEMA_VERSION)
        rule_check_error(c, "", "schema_version", "found %s; it must be %d", rule_check_show(v, shown),
                         RULE_SCHEMA_VERSION);
}

/* `steps.<id>.…` must name a step: a reference to none would leave its condition unknown for ever, and so would one
 * where events are matched: before a rule starts, or for a wait (`p` NULL). */
static void check_references(struct rule_check *c, const struct program *p, const struct logic *logic, const char *at)
{
    static const char steps[] = "steps.";
    const uint32_t *slots;
    size_t n = 0;

    if (logic == NULL)
        return;
    slots = logic_slots(logic, &n);
    for (size_t i = 0; i < n; i++) {
        const char *path = logic_fields_path(c->fields, slots[i]);
        struct str id;

        if (!str_starts(str_of(path), steps))
            continue;
        id.p = path + sizeof(steps) - 1;
        id.n = strcspn(id.p, ".");
        if (p == NULL)
            rule_check_error(c, at, NULL, "uses \"%.80s\", but results of steps are not known where events are matched",
                             path);
        else if (program_find(p, id) == NULL)
            rule_check_error(c, at, NULL, "uses \"%.80s\", but no action has the id \"%.*s\"", path, (int)id.n, id.p);
    }
}

static void check_all_references(struct rule_check *c, const struct rule *r)
{
    const struct program *p = &r->program;

    check_references(c, NULL, r->conditions, "/conditions");
    check_references(c, p, r->settings.exit_when, "/settings/exit_when");
    for (int i = 0; i < p->n; i++) {
        check_references(c, p, p->steps[i].condition, p->steps[i].pointer);
        check_references(c, NULL, p->steps[i].wait.where, p->steps[i].pointer);
    }
}

static const char *read_string(struct rule_check *c, const json_t *document, const char *key, bool required)
{
    struct rule_check_text rules = {.min = 1, .max = RULE_NAME_MAX_BYTES, .required = required};
    const char *s = rule_check_string(c, document, "", key, &rules);

    return s == NULL ? NULL : arena_strdup(c->arena, s);
}

/* A run that does nothing before its first mail begins when that may be sent; `skip` and urgent steps need the instant itself. */
static void set_trigger_window(struct rule *r)
{
    if (r->trigger.type != TRIGGER_MILESTONE || r->settings.window.outside == OUTSIDE_SKIP)
        return;
    for (int i = 0; i < r->program.n; i++) {
        if (r->program.steps[i].urgent)
            return;
    }
    r->trigger.window = r->settings.window;
}

static void read_document(struct rule_check *c, struct rule *r, const json_t *document)
{
    static const char *const keys[] = {"$schema", "schema_version", "name",    "template_key",
                                       "trigger", "conditions",     "actions", "settings"};
    const json_t *trigger, *settings;

    rule_check_keys(c, document, "", keys, sizeof(keys) / sizeof(keys[0]));
    check_version(c, document);
    r->name = read_string(c, document, "name", true);
    r->template_key = read_string(c, document, "template_key", false);
    trigger = rule_check_object(c, document, "", "trigger", true);
    if (trigger != NULL)
        rule_trigger_read(c, trigger, "/trigger", &r->trigger);
    if (!json_is_null(json_object_get(document, "conditions")))
        r->conditions = rule_check_condition(c, document, "", "conditions", false);
    program_build(&r->program, json_object_get(document, "actions"), "/actions", c);
    settings = rule_check_object(c, document, "", "settings", false);
    rule_settings_read(c, settings, "/settings", &r->settings);
    set_trigger_window(r);
    if (c->errors->n == 0)
        check_all_references(c, r);
    if (c->errors->n == 0)
        rule_lint(c, r);
}

static bool size_is_good(const json_t *document, struct rule_errors *errors)
{
    size_t n = json_dumpb(document, NULL, 0, JSON_COMPACT);

    if (n > 0 && n <= RULE_JSON_MAX_BYTES)
        return true;
    rule_errors_add(errors, "", "the document has %zu bytes; allowed are %zu", n, RULE_JSON_MAX_BYTES);
    return false;
}

struct rule *rule_parse(json_t *document, struct logic_fields *fields, struct rule_errors *errors)
{
    struct rule *r;
    struct rule_check c = {.errors = errors, .fields = fields};

    rule_errors_free(errors);
    if (!json_is_object(document)) {
        char shown[RULE_CHECK_SHOW_SIZE];

        rule_errors_add(errors, "", "found %s; a rule is an object", rule_check_show(document, shown));
        return NULL;
    }
    if (!size_is_good(document, errors))
        return NULL;
    r = mem_zalloc(sizeof(*r));
    c.arena = &r->arena;
    c.trigger = &r->trigger;
    read_document(&c, r, document);
    if (errors->n == 0)
        return r;
    rule_free(r);
    return NULL;
}

struct rule *rule_parse_text(struct str text, struct logic_fields *fields, struct rule_errors *errors)
{
    json_error_t why;
    json_t *document;
    struct rule *r;

    rule_errors_free(errors);
    if (text.n > RULE_TEXT_MAX_BYTES) {
        rule_errors_add(errors, "", "the text has %zu bytes; allowed are %zu", text.n, RULE_TEXT_MAX_BYTES);
        return NULL;
    }
    document = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &why);
    if (document == NULL) {
        rule_errors_add(errors, "", "not JSON: line %d, column %d: %s", why.line, why.column, why.text);
        return NULL;
    }
    r = rule_parse(document, fields, errors);
    json_decref(document);
    return r;
}

void rule_free(struct rule *r)
{
    if (r == NULL)
        return;
    logic_free(r->conditions);
    logic_free(r->settings.exit_when);
    program_fini(&r->program);
    arena_free(&r->arena);
    mem_free(r);
}

/* An arena's first block, with malloc's overhead: most rules need no other. */
#define ARENA_BLOCK_BYTES ((size_t)1024 + 32)

size_t rule_bytes(const struct rule *r)
{
    size_t blocks = r->arena.used_bytes / 1024 + 1;
    size_t n = sizeof(*r) + blocks * ARENA_BLOCK_BYTES + program_bytes(&r->program);

    if (r->conditions != NULL)
        n += logic_bytes(r->conditions);
    if (r->settings.exit_when != NULL)
        n += logic_bytes(r->settings.exit_when);
    return n;
}
