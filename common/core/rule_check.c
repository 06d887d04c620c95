/* rule_check: see rule_check.h. Only reads and reports. */
#include "common/core/rule_check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/core/template.h"

enum {
    MESSAGE_SIZE = 768,
    POINTER_SIZE = 256,
    SHOWN_CHARS = 48 /* of a value in a message */
};

static void escape_key(char out[POINTER_SIZE], const char *key)
{
    size_t n = 0;

    for (; *key != '\0' && n + 3 < POINTER_SIZE; key++) {
        if (*key == '~' || *key == '/') {
            out[n++] = '~';
            out[n++] = *key == '~' ? '0' : '1';
        } else {
            out[n++] = *key;
        }
    }
    out[n] = '\0';
}

const char *rule_check_join(struct rule_check *c, const char *at, const char *key)
{
    char escaped[POINTER_SIZE];

    escape_key(escaped, key);
    return arena_printf(c->arena, "%s/%s", at, escaped);
}

const char *rule_check_join_index(struct rule_check *c, const char *at, size_t index)
{
    return arena_printf(c->arena, "%s/%zu", at, index);
}

void rule_check_error(struct rule_check *c, const char *at, const char *key, const char *fmt, ...)
{
    char message[MESSAGE_SIZE];
    va_list args;

    va_start(args, fmt);
    vsnprintf(message, sizeof(message), fmt, args);
    va_end(args);
    rule_errors_add(c->errors, key == NULL ? at : rule_check_join(c, at, key), "%s", message);
}

const char *rule_check_show(const json_t *v, char out[RULE_CHECK_SHOW_SIZE])
{
    const char *s = "nothing";

    if (v == NULL)
        goto word;
    switch (json_typeof(v)) {
    case JSON_OBJECT: s = "an object"; break;
    case JSON_ARRAY: s = "a list"; break;
    case JSON_NULL: s = "null"; break;
    case JSON_TRUE: s = "true"; break;
    case JSON_FALSE: s = "false"; break;
    case JSON_INTEGER: snprintf(out, RULE_CHECK_SHOW_SIZE, "%" JSON_INTEGER_FORMAT, json_integer_value(v)); return out;
    case JSON_REAL: snprintf(out, RULE_CHECK_SHOW_SIZE, "%g", json_real_value(v)); return out;
    case JSON_STRING:
        s = json_string_value(v);
        snprintf(out, RULE_CHECK_SHOW_SIZE, "\"%.*s%s\"", SHOWN_CHARS, s, strlen(s) > SHOWN_CHARS ? "…" : "");
        return out;
    }
word:
    snprintf(out, RULE_CHECK_SHOW_SIZE, "%s", s);
    return out;
}

static bool is_known(const char *key, const char *const *known, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(key, known[i]) == 0)
            return true;
    }
    return false;
}

static void unknown_key(struct rule_check *c, const char *at, const char *key, const char *const *known, size_t n)
{
    const char *nearest = vocab_nearest(known, n, str_of(key));
    struct buf list = {0};

    if (nearest != NULL) {
        rule_check_error(c, at, key, "unknown key \"%.*s\"; did you mean \"%s\"?", SHOWN_CHARS, key, nearest);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        buf_put_str(&list, i == 0 ? "" : ", ");
        buf_put_str(&list, known[i]);
    }
    rule_check_error(c, at, key, "unknown key \"%.*s\"; allowed here: %s", SHOWN_CHARS, key, buf_text(&list));
    buf_free(&list);
}

void rule_check_keys(struct rule_check *c, const json_t *obj, const char *at, const char *const *known, size_t n)
{
    /* jansson iterates over non-const objects only; nothing is changed. */
    json_t *o = (json_t *)(uintptr_t)obj;

    for (void *it = json_object_iter(o); it != NULL; it = json_object_iter_next(o, it)) {
        const char *key = json_object_iter_key(it);

        if (!is_known(key, known, n))
            unknown_key(c, at, key, known, n);
    }
}

const json_t *rule_check_object(struct rule_check *c, const json_t *obj, const char *at, const char *key, bool required)
{
    const json_t *v = json_object_get(obj, key);
    char shown[RULE_CHECK_SHOW_SIZE];

    if (v == NULL) {
        if (required)
            rule_check_error(c, at, key, "missing; it must be an object");
        return NULL;
    }
    if (json_is_object(v))
        return v;
    rule_check_error(c, at, key, "found %s; it must be an object", rule_check_show(v, shown));
    return NULL;
}

/* The offset of the first control character that is not allowed, or SIZE_MAX. */
static size_t find_control(const char *s, size_t n, bool lines)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char ch = (unsigned char)s[i];

        if ((ch < 0x20 || ch == 0x7f) && !(lines && (ch == '\n' || ch == '\r' || ch == '\t')))
            return i;
    }
    return SIZE_MAX;
}

const char *rule_check_string(struct rule_check *c, const json_t *obj, const char *at, const char *key,
                              const struct rule_check_text *rules)
{
    const json_t *v = json_object_get(obj, key);
    struct err_info why = {0};
    char shown[RULE_CHECK_SHOW_SIZE];
    size_t n, control;

    if (v == NULL && !rules->required)
        return NULL;
    if (v == NULL || !json_is_string(v)) {
        rule_check_error(c, at, key, "found %s; it must be a text", rule_check_show(v, shown));
        return NULL;
    }
    n = json_string_length(v);
    control = find_control(json_string_value(v), n, rules->lines);
    if (n < rules->min || n > rules->max)
        rule_check_error(c, at, key, "found %zu bytes; allowed are %zu to %zu", n, rules->min, rules->max);
    else if (control != SIZE_MAX)
        rule_check_error(c, at, key, "found the control character 0x%02x at byte %zu; allowed is text%s",
                         (unsigned)(unsigned char)json_string_value(v)[control], control,
                         rules->lines ? " with line ends and tabs" : " on one line");
    else if (rules->is_template && template_check((struct str){json_string_value(v), n}, &why) != ERR_OK)
        rule_check_error(c, at, key, "template: %s", why.text);
    else
        return json_string_value(v);
    return NULL;
}

int64_t rule_check_int(struct rule_check *c, const json_t *obj, const char *at, const char *key, int64_t min,
                       int64_t max, int64_t otherwise)
{
    const json_t *v = json_object_get(obj, key);
    char shown[RULE_CHECK_SHOW_SIZE];

    if (v == NULL)
        return otherwise;
    if (json_is_integer(v) && json_integer_value(v) >= min && json_integer_value(v) <= max)
        return json_integer_value(v);
    rule_check_error(c, at, key, "found %s; it must be a whole number from %lld to %lld", rule_check_show(v, shown),
                     (long long)min, (long long)max);
    return otherwise;
}

static void wrong_word(struct rule_check *c, const char *at, const char *key, enum vocab v, const json_t *found)
{
    char shown[RULE_CHECK_SHOW_SIZE];
    const char *nearest = NULL;
    struct buf list = {0};

    if (json_is_string(found))
        nearest = vocab_nearest_in(v, str_of(json_string_value(found)));
    vocab_list(v, &list);
    if (nearest != NULL)
        rule_check_error(c, at, key, "found %s; did you mean \"%s\"? Allowed: %s", rule_check_show(found, shown),
                         nearest, buf_text(&list));
    else
        rule_check_error(c, at, key, "found %s; allowed: %s", rule_check_show(found, shown), buf_text(&list));
    buf_free(&list);
}

int rule_check_word(struct rule_check *c, const json_t *obj, const char *at, const char *key, enum vocab v, int otherwise)
{
    const json_t *found = json_object_get(obj, key);
    struct buf list = {0};
    int code = -1;

    if (found == NULL && otherwise >= 0)
        return otherwise;
    if (json_is_string(found)) {
        struct str word = {json_string_value(found), json_string_length(found)};

        code = v == VOCAB_MILESTONE ? vocab_find_milestone(word) : vocab_find(v, word);
    }
    if (code >= 0 && vocab_available(v, code))
        return code;
    if (code >= 0) {
        vocab_list(v, &list);
        rule_check_error(c, at, key, "\"%s\" is not available in this version; available: %s", vocab_text(v, code),
                         buf_text(&list));
        buf_free(&list);
        return otherwise;
    }
    wrong_word(c, at, key, v, found);
    return otherwise;
}

bool rule_check_offset(struct rule_check *c, const json_t *obj, const char *at, const char *key, bool required,
                       enum rule_check_sign sign, struct offset *out)
{
    const json_t *v = json_object_get(obj, key);
    struct err_info why = {0};
    char shown[RULE_CHECK_SHOW_SIZE];
    struct offset o;

    if (v == NULL && !required)
        return false;
    if (v == NULL || !json_is_string(v)) {
        rule_check_error(c, at, key, "found %s; it must be a duration such as \"P3D\" or \"PT90M\"",
                         rule_check_show(v, shown));
        return false;
    }
    if (offset_parse((struct str){json_string_value(v), json_string_length(v)}, &o, &why) != ERR_OK) {
        rule_check_error(c, at, key, "%s", why.text);
        return false;
    }
    if (sign != SIGN_ANY && (offset_is_negative(&o) || (sign == SIGN_POSITIVE && offset_is_zero(&o)))) {
        rule_check_error(c, at, key, "found %s; it must %s", rule_check_show(v, shown),
                         sign == SIGN_POSITIVE ? "be longer than nothing" : "not be negative");
        return false;
    }
    *out = o;
    return true;
}

int32_t rule_check_minute(struct rule_check *c, const json_t *obj, const char *at, const char *key, bool end,
                          int32_t otherwise)
{
    const json_t *v = json_object_get(obj, key);
    char shown[RULE_CHECK_SHOW_SIZE];
    int32_t second;

    if (v == NULL && otherwise >= 0)
        return otherwise;
    if (json_is_string(v)) {
        struct str text = {json_string_value(v), json_string_length(v)};

        if (end && str_is(text, "24:00"))
            return CIVIL_SECONDS_PER_DAY / 60;
        if (civil_parse_time(text, &second) == ERR_OK && second % 60 == 0)
            return second / 60;
    }
    rule_check_error(c, at, key, "found %s; it must be a time of day such as \"09:00\", in whole minutes",
                     rule_check_show(v, shown));
    return otherwise;
}

void rule_check_anchor(struct rule_check *c, const json_t *obj, const char *at, enum milestone *milestone,
                       struct offset *offset, int32_t *at_minute)
{
    int code = rule_check_word(c, obj, at, "milestone", VOCAB_MILESTONE, -1);

    *offset = (struct offset){0};
    rule_check_offset(c, obj, at, "offset", false, SIGN_ANY, offset);
    *at_minute = rule_check_minute(c, obj, at, "at", false, RULE_AT_DEFAULT_MINUTE);
    if (code >= 0)
        *milestone = (enum milestone)code;
    if (!offset->exact)
        return;
    *at_minute = -1;
    if (json_object_get(obj, "at") != NULL)
        rule_check_error(c, at, "at",
                         "not allowed with an offset in hours, which counts from the milestone's own time; "
                         "use whole days with \"at\", or hours without it");
    if (code >= 0 && !vocab_milestone_has_time(*milestone))
        rule_check_error(c, at, "offset",
                         "the milestone \"%s\" has a date but no time, so hours can not count from it; "
                         "allowed are days, weeks, months and years",
                         vocab_text(VOCAB_MILESTONE, code));
}

const char *rule_check_event_type(struct rule_check *c, const json_t *obj, const char *at, const char *key)
{
    const json_t *v = json_object_get(obj, key);
    char shown[RULE_CHECK_SHOW_SIZE];

    if (json_is_string(v) && vocab_event_type_valid((struct str){json_string_value(v), json_string_length(v)}))
        return arena_strdup(c->arena, json_string_value(v));
    rule_check_error(c, at, key,
                     "found %s; it must be an event type: lower-case words with dots between, such as "
                     "\"contract.signed\", at most %d bytes",
                     rule_check_show(v, shown), VOCAB_EVENT_TYPE_MAX);
    return NULL;
}

/* The first parts of paths are mostly known, so a near miss is a typing error: the condition would be unknown for ever. Own
 * attributes are single values as a rule, so a path of one part is never held against the list. */
static void check_root(struct rule_check *c, const char *path, const char *at, const char *key, bool own_event)
{
    struct str root = {path, strcspn(path, ".")};
    int code = vocab_find(VOCAB_ROOT, root);
    const char *nearest = code >= 0 || path[root.n] == '\0' ? NULL : vocab_nearest_in(VOCAB_ROOT, root);

    if (code == ROOT_EVENT && !own_event && c->trigger->type == TRIGGER_MILESTONE)
        rule_check_error(c, at, key, "uses \"%.*s\", but a milestone comes without an event", SHOWN_CHARS, path);
    if (nearest != NULL)
        rule_check_error(c, at, key, "uses the unknown field \"%.*s\"; did you mean \"%s%.*s\"?", SHOWN_CHARS, path,
                         nearest, SHOWN_CHARS, path + root.n);
}

struct logic *rule_check_condition(struct rule_check *c, const json_t *obj, const char *at, const char *key,
                                   bool own_event)
{
    const json_t *v = json_object_get(obj, key);
    struct logic_options options = {.mode = LOGIC_STRICT};
    struct logic_error why;
    struct logic *logic = NULL;
    const uint32_t *slots;
    size_t n;

    if (v == NULL)
        return NULL;
    if (logic_compile(v, c->fields, &options, &logic, &why) != ERR_OK) {
        const char *here = rule_check_join(c, at, key);

        rule_check_error(c, arena_printf(c->arena, "%s%s", here, why.pointer), NULL, "%s: found %s; allowed: %s",
                         logic_code_name(why.code), why.found, why.allowed);
        return NULL;
    }
    slots = logic_slots(logic, &n);
    for (size_t i = 0; i < n; i++)
        check_root(c, logic_fields_path(c->fields, slots[i]), at, key, own_event);
    return logic;
}
