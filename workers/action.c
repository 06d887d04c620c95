/* action: see action.h. */
#include "workers/action.h"

#include <string.h>

#include "common/base/buf.h"
#include "common/core/template.h"
#include "workers/exec.h"

static const struct action *const actions[] = {
    &action_send_email,  &action_notify_team, &action_notify_vendor, &action_call_webhook, &action_create_task,
    &action_create_note, &action_set_field,   &action_move_stage,    &action_add_tag,      &action_remove_tag,
    &action_emit_event,  &action_start_rule,  &action_stop_rule,     &action_wait,         &action_branch,
    &action_for_each,    &action_stop,        &action_noop,          &action_http,         &action_drill,
};

const struct action *action_find(const char *name)
{
    for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
        if (strcmp(actions[i]->name, name) == 0)
            return actions[i];
    return NULL;
}

const char *action_render(struct job *job, const char *text, bool html)
{
    struct buf out = {0};
    struct err_info info;
    const char *rendered = NULL;
    enum err err = template_render(str_of(text), job->context, html ? TEMPLATE_HTML : TEMPLATE_TEXT, &out, &info);
    if (err == ERR_OK)
        rendered = arena_strndup(&job->arena, buf_text(&out), out.len);
    else
        exec_dead(job, err == ERR_NOTFOUND ? "missing_variable" : "template", info.text);
    buf_free(&out);
    return rendered;
}
