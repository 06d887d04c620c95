/* record: steps that write to the tenant's own tables. They only describe the effect; the settling transaction
 * applies it, so it happens
 * exactly once (automation_priv.apply_effect). */
#include <string.h>

#include "common/core/template_tree.h"
#include "workers/action.h"
#include "workers/approval.h"
#include "workers/exec.h"

/* The step's parameters with their templates rendered and `op` added. */
static json_t *effect_of(struct job *job)
{
    struct err_info info;
    json_t *effect = NULL;
    enum err err = template_tree_render(job->step->params, job->context, &effect, &info);
    if (err != ERR_OK) {
        exec_dead(job, err == ERR_NOTFOUND ? "missing_variable" : "template", info.text);
        return NULL;
    }
    json_object_set_new(effect, "op", json_string(job->kind_name));
    return effect;
}

static void succeed(struct job *job, json_t *effect)
{
    if (approval_wanted(job)) {
        approval_request(job, effect);
        return;
    }
    job->result.effect = effect;
    exec_success(job, NULL, job->step->next);
}

static void start_plain(struct job *job)
{
    json_t *effect = effect_of(job);
    if (effect)
        succeed(job, effect);
}

/* "due": "P2D" becomes the specification that SQL resolves in the wedding's zone. */
static void start_task(struct job *job)
{
    json_t *effect = effect_of(job);
    struct offset offset;
    if (!effect)
        return;
    const char *due = json_string_value(json_object_get(effect, "due"));
    if (due) {
        struct err_info info;
        if (offset_parse(str_of(due), &offset, &info) != ERR_OK) {
            json_decref(effect);
            exec_dead(job, "bad_duration", info.text);
            return;
        }
        json_object_set_new(effect, "due",
                            json_pack("{s:i,s:i,s:I}", "months", (int)offset.months, "days", (int)offset.days,
                                      "seconds", (json_int_t)offset.seconds));
    }
    succeed(job, effect);
}

static void start_note(struct job *job)
{
    json_t *effect = effect_of(job);
    if (!effect)
        return;
    json_object_set(effect, "body", json_object_get(effect, "text"));
    succeed(job, effect);
}

/* "wedding.guest_count" names a column, "wedding.attributes.x" a key of the attributes: SQL allows what is in its
 * list. */
static void start_field(struct job *job)
{
    static const char prefix[] = "wedding.";
    json_t *effect = effect_of(job);
    if (!effect)
        return;
    const char *path = json_string_value(json_object_get(effect, "path"));
    if (path && strncmp(path, prefix, sizeof(prefix) - 1) == 0)
        path += sizeof(prefix) - 1;
    json_object_set_new(effect, "field", json_string(path ? path : ""));
    succeed(job, effect);
}

const struct action action_create_task = {"create_task", start_task};
const struct action action_create_note = {"create_note", start_note};
const struct action action_set_field = {"set_field", start_field};
const struct action action_move_stage = {"move_stage", start_plain};
const struct action action_add_tag = {"add_tag", start_plain};
const struct action action_remove_tag = {"remove_tag", start_plain};
const struct action action_start_rule = {"start_rule", start_plain};
const struct action action_stop_rule = {"stop_rule", start_plain};
const struct action action_emit_event = {"emit_event", start_plain};
