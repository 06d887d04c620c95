/* control: steps that steer the run itself: wait, branch, for_each, stop. */
#include "common/core/context.h"
#include "common/core/each.h"
#include "workers/action.h"
#include "workers/exec.h"
#include "workers/rules.h"

/* A wait's row becomes due when the wait is over: at its instant or time-out, or sooner when the leader matched an
 * event (job->wake). */
static void start_wait(struct job *job)
{
    json_t *output = json_object();
    if (job->step->wait.kind == WAIT_EVENT) {
        json_object_set_new(output, "timed_out", json_boolean(!job->wake));
        if (job->wake)
            json_object_set(output, "event", job->wake);
    }
    exec_success(job, output, job->step->next);
}

static void start_branch(struct job *job)
{
    struct logic_change changes[CONTEXT_CHANGES_MAX];
    struct logic_env env;
    struct logic_reason reason;
    char why[LOGIC_REASON_SIZE];
    context_env(job->context, job->now_us, changes, &env);
    logic_facts_set(job->rule->facts, job->context, &env);
    enum logic_truth truth = logic_eval(job->step->condition, job->rule->facts, &reason);
    logic_reason_text(&reason, why);
    logic_facts_set(job->rule->facts, NULL, NULL);
    json_t *output = json_pack("{s:b}", "taken", truth == LOGIC_TRUE);
    if (truth == LOGIC_UNKNOWN)
        json_object_set_new(output, "unknown", json_string(why));
    exec_success(job, output, program_next(job->step, truth));
}

static void start_each(struct job *job)
{
    struct logic_change changes[CONTEXT_CHANGES_MAX];
    struct logic_env env;
    struct err_info info = {0};
    bool more = false;
    json_t *list = NULL, *state;
    context_env(job->context, job->now_us, changes, &env);
    logic_facts_set(job->rule->facts, job->context, &env);
    if (!each_begun(job->step, job->context))
        list = logic_value(job->step->list, job->rule->facts, NULL, NULL);
    logic_facts_set(job->rule->facts, NULL, NULL);
    state = each_step(job->step, job->context, list, &more, &info);
    json_decref(list);
    if (state && more)
        json_object_set_new(state, "since", json_integer(job->now_us));
    if (state)
        exec_success(job, state, program_next(job->step, more ? LOGIC_TRUE : LOGIC_FALSE));
    else
        exec_dead(job, "bad_list", info.text);
}

static void start_stop(struct job *job)
{
    exec_success(job, NULL, PROGRAM_END);
}

const struct action action_wait = {"wait", start_wait};
const struct action action_branch = {"branch", start_branch};
const struct action action_for_each = {"for_each", start_each};
const struct action action_stop = {"stop", start_stop};
