/* action: one row per thing a worker can do. start() runs once, with kind, step and context in place, and leads to
 * exactly one exec_… ending,
 * at once or later. */
#ifndef WORKERS_ACTION_H
#define WORKERS_ACTION_H

#include "workers/job.h"

struct action {
    const char *name; /* a rule's action type, or a free kind's handler */
    void (*start)(struct job *job);
};

/* NULL: this version can not do it. */
const struct action *action_find(const char *name);

extern const struct action action_send_email, action_notify_team, action_notify_vendor;
extern const struct action action_call_webhook;
extern const struct action action_create_task, action_create_note, action_set_field, action_move_stage, action_add_tag,
    action_remove_tag, action_emit_event, action_start_rule, action_stop_rule;
extern const struct action action_wait, action_branch, action_for_each, action_stop;
extern const struct action action_noop, action_http, action_drill;

/* For actions on templates: renders text against the job's context into its arena. On error ends the job (a dead
 * letter naming the missing
 * variable) and returns NULL. */
const char *action_render(struct job *job, const char *text, bool html);

#endif
