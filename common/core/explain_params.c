/* explain_params: the parameters of a step as it would use them (explain.h). Every parameter is rendered, also after one
 * that can not be, so that a person sees all that is missing at once. */
#include "common/core/explain.h"

#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/core/message.h"
#include "common/core/recipient.h"
#include "common/core/template.h"
#include "common/core/template_tree.h"

struct params {
    const json_t *context;
    json_t *out;
    json_t *errors;
};

/* The template's error quotes the variable's name. */
static bool is_result(const char *message)
{
    return strstr(message, "\"steps.") != NULL;
}

static void put_error(struct params *p, const char *param, const char *reason, const char *message)
{
    if (strcmp(reason, "missing_variable") == 0 && is_result(message))
        reason = "known_when_run";
    json_array_append_new(p->errors, json_pack("{s:s,s:s,s:s}", "param", param, "reason", reason, "message", message));
}

static const char *reason_of(enum err err)
{
    return err == ERR_NOTFOUND ? "missing_variable" : "template";
}

static void put_text(struct params *p, const char *key, const char *template, enum template_mode mode)
{
    struct buf text = {0};
    struct err_info info = {0};

    if (template == NULL)
        return;
    enum err err = template_render(str_of(template), p->context, mode, &text, &info);
    if (err == ERR_OK)
        json_object_set_new(p->out, key, json_string(buf_text(&text)));
    else
        put_error(p, key, reason_of(err), info.text);
    buf_free(&text);
}

static void put_tree(struct params *p, const char *key, const json_t *value, const char *as)
{
    struct err_info info = {0};
    json_t *rendered = NULL;
    enum err err = template_tree_render(value, p->context, &rendered, &info);

    if (err == ERR_OK)
        json_object_set_new(p->out, as, rendered);
    else
        put_error(p, key, reason_of(err), info.text);
}

static void put_mail(struct params *p, const struct step *step)
{
    struct buf to = {0};
    struct err_info info = {0};
    struct message texts;
    const char *reason;

    if (recipient_find(step->type, step->params, p->context, &to, &reason, &info) == ERR_OK)
        json_object_set_new(p->out, "to", json_string(buf_text(&to)));
    else
        put_error(p, step->type == ACTION_NOTIFY_VENDOR ? "role" : "to", reason, info.text);
    if (message_find(step->params, p->context, &texts, &info) != ERR_OK)
        put_error(p, "template", "missing_template", info.text);
    put_text(p, "subject", texts.subject, TEMPLATE_TEXT);
    put_text(p, "text", texts.text, TEMPLATE_TEXT);
    put_text(p, "html", texts.html, TEMPLATE_HTML);
    buf_free(&to);
}

static void put_webhook(struct params *p, const struct step *step)
{
    const json_t *payload = json_object_get(step->params, "payload");
    json_t *event = json_object_get(step->params, "event");

    put_text(p, "url", json_string_value(json_object_get(step->params, "url")), TEMPLATE_TEXT);
    json_object_set_new(p->out, "event", event != NULL ? json_incref(event) : json_string("rule.action"));
    if (payload != NULL)
        put_tree(p, "payload", payload, "data");
    else if (json_object_get(p->context, "wedding") != NULL)
        json_object_set_new(p->out, "data", json_deep_copy(json_object_get(p->context, "wedding")));
}

static void put_all(struct params *p, const struct step *step)
{
    const char *key;
    json_t *value;

    json_object_foreach(step->params, key, value)
    {
        put_tree(p, key, value, key);
    }
}

/* A stop keeps its whole document, and its reason is no template. */
static void put_stop(struct params *p, const struct step *step)
{
    json_t *reason = json_object_get(step->params, "reason");

    if (reason != NULL)
        json_object_set(p->out, "reason", reason);
}

json_t *explain_params(const struct step *step, const json_t *context)
{
    struct params p = {.context = context, .out = json_object(), .errors = json_array()};

    if (step->type == ACTION_SEND_EMAIL || step->type == ACTION_NOTIFY_TEAM || step->type == ACTION_NOTIFY_VENDOR)
        put_mail(&p, step);
    else if (step->type == ACTION_CALL_WEBHOOK)
        put_webhook(&p, step);
    else if (step->type == ACTION_STOP)
        put_stop(&p, step);
    else if (step->params != NULL)
        put_all(&p, step);
    return json_pack("{s:o,s:o}", "params", p.out, "errors", p.errors);
}
