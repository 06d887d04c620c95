/* approval: steps that a person must approve. The first attempt renders the step, leaves its content in automation.approvals and
 * parks the row; a decision comes back with the job (job->wake), and what was approved, or edited, is what goes out. */
#ifndef WORKERS_APPROVAL_H
#define WORKERS_APPROVAL_H

#include <stdbool.h>

#include "workers/job.h"

/* Ends the job when its approval was refused or has expired: its step is skipped and the run goes on. False: go on. */
bool approval_refused(struct job *job);

/* True when the step must be approved and is not yet: the action renders, and calls approval_request instead of acting. */
bool approval_wanted(const struct job *job);

/* Parks the job with this content, of which the reference is taken. */
void approval_request(struct job *job, json_t *content);

/* A text of the approved content; NULL: there is none, or the step needs no approval. Borrowed from the job. */
const char *approval_text(const struct job *job, const char *key);

#endif
