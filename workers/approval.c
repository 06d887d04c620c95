/* approval: see approval.h. */
#include "workers/approval.h"

#include <string.h>

#include "common/core/advance.h"
#include "workers/exec.h"
#include "workers/rules.h"

static const char *decision_of(const struct job *job)
{
    return json_string_value(json_object_get(job->wake, "approval"));
}

bool approval_refused(struct job *job)
{
    const char *decision = job->step != NULL && job->step->requires_approval ? decision_of(job) : NULL;

    if (decision == NULL || strcmp(decision, "approved") == 0)
        return false;
    exec_skip(job, strcmp(decision, "expired") == 0 ? "approval_expired" : "approval_rejected");
    return true;
}

bool approval_wanted(const struct job *job)
{
    return job->step->requires_approval && decision_of(job) == NULL;
}

void approval_request(struct job *job, json_t *content)
{
    job->result.effect = json_pack("{s:s,s:o}", "op", "request_approval", "content", content);
    advance_put_limit(&job->rule->rule->trigger, job->result.effect);
    exec_park(job, "approval", NULL);
}

const char *approval_text(const struct job *job, const char *key)
{
    return job->step->requires_approval ? json_string_value(json_object_get(json_object_get(job->wake, "content"), key))
                                        : NULL;
}
