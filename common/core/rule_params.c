/* rule_params: what each action takes, as one table, and the check against it. All texts are templates, rendered when the step runs;
 * here their syntax is checked, and whatever can be known without rendering. */
#include <string.h>

#include "common/base/id.h"
#include "common/core/rule_check.h"
#include "common/core/template.h"
#include "common/core/template_tree.h"

/* RFC 5321 4.5.3.1.3: a path has at most 256 octets, less the brackets. */
#define ADDRESS_MAX_BYTES ((size_t)254)
/* RFC 5322 2.1.1: a line has at most 998 characters; the header's name takes its share. */
#define SUBJECT_MAX_BYTES ((size_t)900)
#define URL_MAX_BYTES ((size_t)2048)
#define WORD_MAX_BYTES ((size_t)64)      /* roles, tags, stages, assignees: one line of a list */
#define ATTRIBUTE_MAX_BYTES ((size_t)63) /* as long as a column's name may be */

enum param_kind {
    PARAM_RECIPIENT,
    PARAM_SUBJECT,
    PARAM_BODY,
    PARAM_TEMPLATE, /* a message template's name, in place of subject and bodies */
    PARAM_WORD,
    PARAM_LINE,
    PARAM_URL,
    PARAM_TREE,
    PARAM_DURATION,
    PARAM_EVENT_TYPE,
    PARAM_FIELD,
    PARAM_RULE,
    PARAM_VALUE
};

struct param {
    const char *name;
    enum param_kind kind;
    bool required;
};

#define PARAMS_MAX 5

struct params {
    enum action_type type;
    struct param list[PARAMS_MAX]; /* ends with a NULL name */
};

static const struct params table[] = {
    {ACTION_SEND_EMAIL,
     {{"to", PARAM_RECIPIENT, true},
      {"subject", PARAM_SUBJECT, true},
      {"text", PARAM_BODY, true},
      {"html", PARAM_BODY, false},
      {"template", PARAM_TEMPLATE, false}}},
    {ACTION_NOTIFY_TEAM,
     {{"subject", PARAM_SUBJECT, true}, {"text", PARAM_BODY, true}, {"template", PARAM_TEMPLATE, false}}},
    {ACTION_NOTIFY_VENDOR,
     {{"role", PARAM_WORD, true},
      {"subject", PARAM_SUBJECT, true},
      {"text", PARAM_BODY, true},
      {"template", PARAM_TEMPLATE, false}}},
    {ACTION_CALL_WEBHOOK, {{"url", PARAM_URL, true}, {"event", PARAM_EVENT_TYPE, false}, {"payload", PARAM_TREE, false}}},
    {ACTION_CREATE_TASK,
     {{"title", PARAM_LINE, true},
      {"due", PARAM_DURATION, false},
      {"assignee", PARAM_WORD, false},
      {"notes", PARAM_BODY, false}}},
    {ACTION_SET_FIELD, {{"path", PARAM_FIELD, true}, {"value", PARAM_VALUE, true}}},
    {ACTION_MOVE_STAGE, {{"stage", PARAM_WORD, true}}},
    {ACTION_ADD_TAG, {{"tag", PARAM_WORD, true}}},
    {ACTION_REMOVE_TAG, {{"tag", PARAM_WORD, true}}},
    {ACTION_START_RULE, {{"rule", PARAM_RULE, true}}},
    {ACTION_STOP_RULE, {{"rule", PARAM_RULE, true}}},
    {ACTION_CREATE_NOTE, {{"text", PARAM_BODY, true}}},
    {ACTION_EMIT_EVENT, {{"type", PARAM_EVENT_TYPE, true}, {"payload", PARAM_TREE, false}}},
};

static const char *line(struct rule_check *c, const json_t *obj, const char *at, const char *key, size_t max)
{
    struct rule_check_text rules = {.min = 1, .max = max, .required = true, .is_template = true};

    return rule_check_string(c, obj, at, key, &rules);
}

static void check_body(struct rule_check *c, const json_t *obj, const char *at, const char *key)
{
    struct rule_check_text rules = {
        .min = 1, .max = TEMPLATE_MAX_BYTES, .required = true, .lines = true, .is_template = true};

    (void)rule_check_string(c, obj, at, key, &rules);
}

static void check_recipient(struct rule_check *c, const json_t *obj, const char *at, const char *key)
{
    static const char vendor[] = "vendor:";
    static const char *const words[] = {"client", "team"};
    const char *to = line(c, obj, at, key, ADDRESS_MAX_BYTES);
    const char *nearest;

    if (to == NULL || strcmp(to, words[0]) == 0 || strcmp(to, words[1]) == 0)
        return;
    if (str_starts(str_of(to), vendor)) {
        if (to[sizeof(vendor) - 1] == '\0')
            rule_check_error(c, at, key, "found \"vendor:\" without a role; write it like \"vendor:florist\"");
        return;
    }
    if (strstr(to, "{{") != NULL)
        return;
    if (strchr(to, '@') != NULL && strpbrk(to, " ,;<>\"") == NULL && to[0] != '@' && to[strlen(to) - 1] != '@')
        return;
    nearest = vocab_nearest(words, 2, str_of(to));
    rule_check_error(c, at, key,
                     "found \"%s\"; allowed: \"client\", \"team\", \"vendor:<role>\", one mail address, or a template "
                     "such as \"{{client.email}}\"%s%s%s",
                     to, nearest == NULL ? "" : "; did you mean \"", nearest == NULL ? "" : nearest,
                     nearest == NULL ? "" : "\"?");
}

/* The host is fixed when the rule is approved: a value from a form must not choose where requests go. */
static void check_url(struct rule_check *c, const json_t *obj, const char *at, const char *key)
{
    const char *url = line(c, obj, at, key, URL_MAX_BYTES);
    const char *host;
    size_t n;

    if (url == NULL)
        return;
    if (str_starts(str_of(url), "https://")) {
        host = url + strlen("https://");
    } else if (str_starts(str_of(url), "http://")) {
        host = url + strlen("http://");
    } else {
        rule_check_error(c, at, key, "found \"%.60s\"; it must begin with https:// or http://", url);
        return;
    }
    n = strcspn(host, "/?#");
    if (n == 0 || memchr(host, '{', n) != NULL || memchr(host, '@', n) != NULL || memchr(host, ' ', n) != NULL)
        rule_check_error(c, at, key,
                         "found \"%.60s\"; the host must be written out, without user name, password or template", url);
}

static void check_tree(struct rule_check *c, const json_t *obj, const char *at, const char *key)
{
    const json_t *tree = rule_check_object(c, obj, at, key, true);
    struct err_info why = {0};

    if (tree != NULL && template_tree_check(tree, &why) != ERR_OK)
        rule_check_error(c, at, key, "template: %s", why.text);
}

static bool is_attribute(struct str s)
{
    if (s.n == 0 || s.n > ATTRIBUTE_MAX_BYTES || s.p[0] < 'a' || s.p[0] > 'z')
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!(s.p[i] >= 'a' && s.p[i] <= 'z') && !(s.p[i] >= '0' && s.p[i] <= '9') && s.p[i] != '_')
            return false;
    }
    return true;
}

static void check_rule_id(struct rule_check *c, const json_t *obj, const char *at, const char *key)
{
    const char *text = json_string_value(json_object_get(obj, key));
    char shown[RULE_CHECK_SHOW_SIZE];
    struct id id;

    if (text == NULL || id_parse(str_of(text), &id) != ERR_OK)
        rule_check_error(c, at, key, "found %s; it must be the id of a rule",
                         rule_check_show(json_object_get(obj, key), shown));
}

static void check_field(struct rule_check *c, const json_t *obj, const char *at, const char *key)
{
    static const char wedding[] = "wedding.", attributes[] = "wedding.attributes.";
    struct rule_check_text rules = {.min = 1, .max = RULE_STRING_MAX_BYTES, .required = true};
    const char *path = rule_check_string(c, obj, at, key, &rules);
    struct buf list = {0};

    if (path == NULL)
        return;
    if (str_starts(str_of(path), attributes) && is_attribute(str_of(path + sizeof(attributes) - 1)))
        return;
    if (str_starts(str_of(path), wedding) && vocab_find(VOCAB_SETTABLE, str_of(path + sizeof(wedding) - 1)) >= 0)
        return;
    vocab_list(VOCAB_SETTABLE, &list);
    rule_check_error(c, at, key,
                     "found \"%.80s\"; allowed: \"wedding.attributes.<key>\" in lower-case letters, digits and _, or "
                     "\"wedding.\" with %s",
                     path, buf_text(&list));
    buf_free(&list);
}

static void check_value(struct rule_check *c, const json_t *obj, const char *at, const char *key)
{
    const json_t *v = json_object_get(obj, key);
    struct err_info why = {0};

    if (v == NULL)
        rule_check_error(c, at, key, "missing; it may be any JSON value, also null");
    else if (template_tree_check(v, &why) != ERR_OK)
        rule_check_error(c, at, key, "template: %s", why.text);
}

static void check_template(struct rule_check *c, const json_t *obj, const char *at, const char *key)
{
    struct rule_check_text rules = {.min = 1, .max = WORD_MAX_BYTES, .required = true};
    const char *name = rule_check_string(c, obj, at, key, &rules);

    if (name != NULL && !is_attribute(str_of(name)))
        rule_check_error(c, at, key,
                         "found \"%.80s\"; the name of a message template is in lower-case letters, digits and _", name);
}

/* A template brings subject and bodies of its own. */
static bool is_from_template(struct rule_check *c, const struct param *p, const json_t *params, const char *at)
{
    if (p->kind != PARAM_SUBJECT && p->kind != PARAM_BODY)
        return false;
    if (json_object_get(params, p->name) != NULL)
        rule_check_error(c, at, p->name, "stands beside \"template\", which has a %s of its own; only one is allowed",
                         p->name);
    return true;
}

static bool takes_template(const struct params *row)
{
    bool takes = false;

    for (size_t i = 0; i < PARAMS_MAX && row->list[i].name != NULL; i++)
        takes = takes || row->list[i].kind == PARAM_TEMPLATE;
    return takes;
}

static void check_param(struct rule_check *c, const struct param *p, const json_t *params, const char *at)
{
    struct offset ignored;

    if (!p->required && json_object_get(params, p->name) == NULL)
        return;
    switch (p->kind) {
    case PARAM_RECIPIENT: check_recipient(c, params, at, p->name); break;
    case PARAM_SUBJECT: (void)line(c, params, at, p->name, SUBJECT_MAX_BYTES); break;
    case PARAM_BODY: check_body(c, params, at, p->name); break;
    case PARAM_TEMPLATE: check_template(c, params, at, p->name); break;
    case PARAM_WORD: (void)line(c, params, at, p->name, WORD_MAX_BYTES); break;
    case PARAM_LINE: (void)line(c, params, at, p->name, RULE_STRING_MAX_BYTES); break;
    case PARAM_URL: check_url(c, params, at, p->name); break;
    case PARAM_TREE: check_tree(c, params, at, p->name); break;
    case PARAM_DURATION: rule_check_offset(c, params, at, p->name, true, SIGN_NOT_NEGATIVE, &ignored); break;
    case PARAM_EVENT_TYPE: (void)rule_check_event_type(c, params, at, p->name); break;
    case PARAM_FIELD: check_field(c, params, at, p->name); break;
    case PARAM_RULE: check_rule_id(c, params, at, p->name); break;
    case PARAM_VALUE: check_value(c, params, at, p->name); break;
    }
}

void rule_params_check(struct rule_check *c, enum action_type type, const json_t *params, const char *at)
{
    const struct params *row = NULL;
    const char *names[PARAMS_MAX];
    bool templated;
    size_t n = 0;

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]) && row == NULL; i++)
        row = table[i].type == type ? &table[i] : NULL;
    if (row == NULL)
        return;
    templated = takes_template(row) && json_object_get(params, "template") != NULL;
    for (; n < PARAMS_MAX && row->list[n].name != NULL; n++) {
        names[n] = row->list[n].name;
        if (!templated || !is_from_template(c, &row->list[n], params, at))
            check_param(c, &row->list[n], params, at);
    }
    rule_check_keys(c, params, at, names, n);
}
