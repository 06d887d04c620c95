/* job: see job.h. */
#include "workers/job.h"

#include "common/base/clock.h"
#include "common/io/db.h"
#include "common/io/loop.h"
#include "workers/rules.h"
#include "workers/worker.h"

struct job *job_new(struct worker *w)
{
    struct job *job = mem_zalloc(sizeof(*job));
    job->worker = w;
    job->state = JOB_READY;
    job->verdict = "run";
    job->claimed_ms = clock_mono_ms();
    job->due_at_us = DB_NULL_TIME;
    job->result.next = PROGRAM_END;
    list_append(&w->jobs[JOB_READY], &job->node);
    w->n_jobs[JOB_READY]++;
    return job;
}

void job_move(struct job *job, enum job_state to)
{
    struct worker *w = job->worker;
    list_remove(&job->node);
    w->n_jobs[job->state]--;
    job->state = to;
    list_append(&w->jobs[to], &job->node);
    w->n_jobs[to]++;
}

void job_free(struct job *job)
{
    struct worker *w = job->worker;
    list_remove(&job->node);
    w->n_jobs[job->state]--;
    if (map_get(&w->held, &job->job_id, sizeof(job->job_id)) == job)
        map_remove(&w->held, &job->job_id, sizeof(job->job_id));
    if (job->crashes >= JOB_SUSPECT_CRASHES)
        w->suspects--;
    timer_free(job->timer);
    rules_put(job->rule);
    json_decref(job->context);
    json_decref(job->wake);
    json_decref(job->result.effect);
    json_decref(job->result.output);
    arena_free(&job->arena);
    mem_free(job);
}
