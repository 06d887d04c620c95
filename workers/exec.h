/* exec: executing a job, from its claim to its result.
 *
 * Happy path: exec_start looks at the verdict, finds kind and step, takes the second look when the claim is older
 * than 2 s, starts the
 * action; the action calls exactly one of the exec_… endings; the job moves to EXECUTED with its result.
 * Failures: fenced (ends with what the claim said), unknown kind (snoozed for 10 minutes, dead after a day of that),
 * time-out (the action is
 * cancelled; what it means depends on whether anything was sent), lost worker (nothing here: the row is swept or
 * claimed again). */
#ifndef WORKERS_EXEC_H
#define WORKERS_EXEC_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "workers/job.h"

struct outbound_result;

/* Builds what conditions and templates see: facts, the run's event, earlier steps' outputs, rule and run. */
void exec_context(struct job *job, struct str facts, const json_t *run);

/* False while too many second looks are under way: the job stays READY. */
bool exec_may_start(const struct job *job);
/* Starts a READY job; it may be EXECUTED when this returns. */
void exec_start(struct job *job);

/* ---- endings, called by actions exactly once ---- */
/* The step succeeded; `output` (may be NULL, reference stolen) becomes steps.<id>; the run goes on with `next`. */
void exec_success(struct job *job, json_t *output, int next);
/* Try again after the kind's backoff, not before lower_bound_ms; dead when attempts are used up. Text is copied. */
void exec_retry(struct job *job, const char *reason, const char *error, int64_t lower_bound_ms);
/* Never again: a dead letter; the run goes on or ends as its rule says. */
void exec_dead(struct job *job, const char *reason, const char *error);
/* Ends the job and its run without an error (cancelled, superseded, skipped). */
void exec_end(struct job *job, enum outcome outcome, const char *reason);
/* The step is not done and the run goes on behind it. */
void exec_skip(struct job *job, const char *reason);
/* Waits for a person. An effect in job->result is applied. */
void exec_park(struct job *job, const char *reason, const char *error);
void exec_snooze(struct job *job, int64_t delay_ms, const char *reason);
/* The other side's answer, by verdict and the kind's policy for unknown outcomes. `next` as in exec_success. */
void exec_outbound(struct job *job, const struct outbound_result *result, int next);

/* Hands a READY job back untouched (drain). */
void exec_release(struct job *job);

/* Cancels what a RUNNING job does (immediate shutdown, fence). */
void exec_cancel(struct job *job);

#endif
