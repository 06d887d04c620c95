/* message: the texts of a step that writes to somebody: its own `subject`, `text` and `html`, or those of the message template
 * that its `template` names. Templates are read when the run is planned and stay with it (automation_priv.message_snapshot): an
 * edit never changes what a run that has begun will say. */
#ifndef COMMON_CORE_MESSAGE_H
#define COMMON_CORE_MESSAGE_H

#include <jansson.h>

#include "common/base/err.h"
#include "common/core/program.h"

/* Member of a run's context, and of the context that steps see: {"<name>": {"subject", "text", "html", "version"}}. */
#define MESSAGE_TEMPLATES "message_templates"

/* Borrowed from the parameters or the context; html NULL: none. */
struct message {
    const char *subject;
    const char *text;
    const char *html;
};

/* ERR_NOTFOUND: the template named is not among the run's. */
enum err message_find(const json_t *params, const json_t *context, struct message *out, struct err_info *info) MUST_USE;

/* Gives a context the templates of its run; without any it loses those of that name. */
void message_keep(json_t *context, const json_t *templates);

/* Names of the templates that a program uses, each once: a new array, NULL when it uses none. */
json_t *message_names(const struct program *program);

#endif
