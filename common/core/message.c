/* message: see message.h. */
#include "common/core/message.h"

#include <stdint.h>
#include <string.h>

static const char *text_of(const json_t *texts, const char *key)
{
    return json_string_value(json_object_get(texts, key));
}

enum err message_find(const json_t *params, const json_t *context, struct message *out, struct err_info *info)
{
    const char *name = text_of(params, "template");
    const json_t *texts = params;

    if (name != NULL)
        texts = json_object_get(json_object_get(context, MESSAGE_TEMPLATES), name);
    *out = (struct message){text_of(texts, "subject"), text_of(texts, "text"), text_of(texts, "html")};
    if (out->subject != NULL && out->text != NULL)
        return ERR_OK;
    return err_set(info, ERR_NOTFOUND, "there is no message template \"%s\" for mail", name != NULL ? name : "");
}

void message_keep(json_t *context, const json_t *templates)
{
    (void)json_object_del(context, MESSAGE_TEMPLATES);
    if (templates != NULL)
        (void)json_object_set(context, MESSAGE_TEMPLATES, (json_t *)(uintptr_t)templates);
}

static bool is_in(const json_t *names, const char *name)
{
    for (size_t i = 0; i < json_array_size(names); i++) {
        if (strcmp(json_string_value(json_array_get(names, i)), name) == 0)
            return true;
    }
    return false;
}

json_t *message_names(const struct program *program)
{
    json_t *names = NULL;

    for (int i = 0; i < program->n; i++) {
        const char *name = text_of(program->steps[i].params, "template");

        if (name == NULL || vocab_action_effect(program->steps[i].type) != EFFECT_OUTWARD || is_in(names, name))
            continue;
        if (names == NULL)
            names = json_array();
        (void)json_array_append_new(names, json_string(name));
    }
    return names;
}
