/* job: see job.h. */
#include "workers/job.h"

#include "common/base/clock.h"
#include "common/io/db.h"
#include "common/io/loop.h"
#include "workers/rules.h"
#include "workers/worker.h"

/* Of a fast job making and freeing its memory is a good part. Under AddressSanitizer each is made and freed, so that one that is used
 * too late is seen. */
#define SPARES_MAX (MEM_CHECKED ? 0 : 1024)
#define SPARE_BYTES_MAX 4096

static struct job *take_memory(struct worker *w)
{
    struct list *node = list_take(&w->spare_jobs);
    struct job *job = node ? LIST_OWNER(node, struct job, node) : NULL;
    if (!job)
        return mem_zalloc(sizeof(*job));
    w->n_spare_jobs--;
    *job = (struct job){.arena = job->arena};
    return job;
}

static void put_memory(struct worker *w, struct job *job)
{
    if (w->n_spare_jobs < SPARES_MAX && job->arena.used_bytes <= SPARE_BYTES_MAX) {
        arena_reset(&job->arena);
        list_prepend(&w->spare_jobs, &job->node); /* what is still in the processor's cache is used first */
        w->n_spare_jobs++;
        return;
    }
    arena_free(&job->arena);
    mem_free(job);
}

void job_free_spares(struct worker *w)
{
    for (struct list *node; (node = list_take(&w->spare_jobs)) != NULL;) {
        struct job *job = LIST_OWNER(node, struct job, node);
        arena_free(&job->arena);
        mem_free(job);
    }
    w->n_spare_jobs = 0;
}

struct job *job_new(struct worker *w)
{
    struct job *job = take_memory(w);
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

void job_weigh(struct job *job, size_t bytes)
{
    struct worker *w = job->worker;
    job->bytes = bytes;
    w->bytes += bytes;
    w->mean_bytes = 0.9 * w->mean_bytes + 0.1 * (double)bytes;
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
    w->bytes -= job->bytes;
    timer_free(job->timer);
    rules_put(job->rule);
    json_decref(job->context);
    json_decref(job->wake);
    json_decref(job->result.effect);
    json_decref(job->result.output);
    put_memory(w, job);
}
