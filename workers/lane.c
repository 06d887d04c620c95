/* lane: see lane.h. */
#include "workers/lane.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/io/db.h"
#include "common/io/die.h"
#include "common/io/loop.h"
#include "common/io/store_jobs.h"
#include "common/io/store_rollup.h"
#include "workers/bare.h"
#include "workers/exec.h"
#include "workers/settle.h"
#include "workers/worker.h"

#define AGAIN_MS 200
#define BUSY_AGAIN_MS 500 /* a tenant's row was locked for 300 ms */
#define COMMIT_MS 30000

enum lane_class { CLASS_DONE, CLASS_PLAIN, CLASS_EFFECT, CLASS_BARE, CLASS_ADOPT };

struct lane {
    struct worker *w;
    struct db_conn *conn;
    struct job **jobs;
    size_t n;
    enum lane_class class;
    bool busy;
    bool closing;
    bool staged;     /* this batch goes through the staging table */
    bool quarantine; /* this single job's log row goes to quarantine */
    size_t limit;    /* batch size; halved while a value in the batch is refused */
    struct id batch_id;
    struct buf copy;
    struct store_rollup rollup; /* of the rows in `copy` */
    struct timer *again;
};

static void on_commit(void *arg, enum err err, const struct db_result *res, const struct err_info *info);

static enum lane_class class_of(const struct job *job)
{
    if (job->bare)
        return job->result.settle == SETTLE_FINAL && job->result.outcome == OUTCOME_DONE ? CLASS_BARE : CLASS_ADOPT;
    if (settle_is_done(job))
        return CLASS_DONE;
    return job->result.effect ? CLASS_EFFECT : CLASS_PLAIN;
}

/* ---- giving jobs back
 * ------------------------------------------------------------------------------------------------------- */

static void requeue(struct lane *l)
{
    for (size_t i = l->n; i-- > 0;)
        job_move(l->jobs[i], JOB_EXECUTED);
    l->n = 0;
    l->busy = false;
}

static void again(struct lane *l, int64_t after_ms)
{
    requeue(l);
    if (l->closing)
        return;
    timer_start(l->again, after_ms, 0);
}

static void on_rollback(void *arg, enum err err, const struct db_result *res, const struct err_info *info)
{
    struct lane *l = arg;
    (void)res, (void)info;
    /* A connection whose transaction state is not known is not used again. */
    if (err != ERR_OK && err != ERR_CONN_LOST && err != ERR_CANCELED)
        db_conn_drop(l->conn);
    again(l, err == ERR_OK ? 0 : AGAIN_MS);
}

/* The transaction failed as a whole; nothing of it happened (but for a COMMIT whose reply was lost, which the
 * repetition finds out). */
static void fail(struct lane *l, enum err err, const struct err_info *info, const char *where)
{
    if (err == ERR_CANCELED) {
        requeue(l);
        return;
    }
    log_warn("settle.failed", L_STR("where", where), L_ERR(err), L_STR("detail", info ? info->text : NULL),
             L_INT("jobs", l->n));
    if (err == ERR_CONN_LOST || err == ERR_TIMEOUT) {
        again(l, AGAIN_MS);
        return;
    }
    db_conn_exec(l->conn, "rollback", on_rollback, l);
}

static void log_failed(struct lane *l, enum err err, const struct err_info *info)
{
    if (err == ERR_DB_FEATURE && !l->w->no_copy) {
        l->w->no_copy = true;
        log_info("settle.staging", L_STR("why", "this role may not COPY into the log (no BYPASSRLS)"));
    }
    if (l->staged && err == ERR_DB_DATA) {
        if (l->n > 1)
            l->limit = l->n / 2;
        else
            l->quarantine = true;
    }
    l->staged = true;
    fail(l, err, info, "log");
}

/* ---- after COMMIT
 * -----------------------------------------------------------------------------------------------------------------
 * */

static void finish_job(struct lane *l, struct job *job)
{
    struct worker *w = l->w;
    switch (job->settled) {
    case SETTLED_HIT:
        if (job->result.next != PROGRAM_END || job->result.effect || !id_is_zero(&job->wedding))
            w->wake_wanted = true;
        job_free(job);
        return;
    case SETTLED_LOST:
        log_info("job.lost_lease", L_ID("job", &job->job_id), L_INT("claim", job->claim_no), L_BOOL("acted", job->acted));
        job_free(job);
        return;
    case SETTLED_WITHDRAWN: job_free(job); return;
    case SETTLED_BUSY:
        job->settle_after_ms = loop_now_ms(w->loop) + BUSY_AGAIN_MS;
        job_move(job, JOB_EXECUTED);
        return;
    case SETTLED_REFUSED: settle_refused(job); return;
    }
}

static void finish_batch(struct lane *l)
{
    size_t n = l->n;
    if (l->class == CLASS_BARE || l->class == CLASS_ADOPT) {
        die_at("before_ack");
        bare_acknowledge(l->w, l->jobs, n);
    }
    l->n = 0;
    for (size_t i = 0; i < n; i++)
        finish_job(l, l->jobs[i]);
    l->busy = false;
    l->staged = false;
    l->quarantine = false;
    if (l->limit < (size_t)l->w->settings->batch)
        l->limit *= 2;
    worker_kick(l->w);
}

static void on_counted(void *arg, enum err err, const struct db_result *res, const struct err_info *info)
{
    (void)arg, (void)err, (void)res, (void)info; /* a failure shows at the commit behind it */
}

static void commit(struct lane *l)
{
    die_at("before_settle_commit");
    store_rollup_write(l->conn, &l->rollup, on_counted, l);
    db_conn_exec(l->conn, "commit", on_commit, l);
}

static void on_commit(void *arg, enum err err, const struct db_result *res, const struct err_info *info)
{
    struct lane *l = arg;
    (void)res;
    if (err != ERR_OK) {
        l->staged = true; /* it may have happened: then the rows are not hit, and their log rows stand */
        for (size_t i = 0; i < l->n; i++)
            l->jobs[i]->maybe_settled = true;
        fail(l, err, info, "commit");
        return;
    }
    die_at("after_settle_commit");
    finish_batch(l);
}

/* ---- the log
 * --------------------------------------------------------------------------------------------------------------------------
 * */

static void on_merged(void *arg, enum err err, const struct db_result *res, const struct err_info *info)
{
    struct lane *l = arg;
    (void)res;
    if (err != ERR_OK)
        log_failed(l, err, info);
    else
        commit(l);
}

static void on_copied(void *arg, enum err err, const struct db_result *res, const struct err_info *info)
{
    struct lane *l = arg;
    (void)res;
    if (err != ERR_OK)
        log_failed(l, err, info);
    else if (l->staged)
        store_log_merge(l->conn, &l->batch_id, on_merged, l);
    else
        commit(l);
}

static int by_key(const void *a, const void *b)
{
    return store_log_cmp(a, b);
}

static void write_log(struct lane *l)
{
    struct store_log *rows = mem_alloc((l->n + 1) * sizeof(*rows));
    size_t n = 0;
    for (size_t i = 0; i < l->n; i++)
        if (settle_log(l->jobs[i], &rows[n]))
            n++;
    l->staged |= l->w->no_copy;
    store_rollup_clear(&l->rollup);
    if (n && l->quarantine) {
        store_log_quarantine(l->conn, &rows[0], "value refused by the log", on_merged, l);
    } else if (n) {
        qsort(rows, n, sizeof(*rows), by_key);
        if (l->staged)
            id_new(&l->batch_id);
        buf_reset(&l->copy);
        db_copy_begin(&l->copy);
        for (size_t i = 0; i < n; i++) {
            store_log_row(&l->copy, &rows[i], l->staged ? &l->batch_id : NULL);
            if (!l->staged)
                store_rollup_add(&l->rollup, &rows[i]);
        }
        db_copy_end(&l->copy);
        if (l->staged)
            store_log_stage(l->conn, &l->copy, on_copied, l);
        else
            store_log_copy(l->conn, &l->copy, on_copied, l);
    } else {
        commit(l);
    }
    mem_free(rows);
}

/* ---- rows
 * ------------------------------------------------------------------------------------------------------------------------------
 * */

static void on_settled(void *arg, enum err err, const struct db_result *res, const struct err_info *info)
{
    struct lane *l = arg;
    if (err != ERR_OK) {
        bool refused = err != ERR_CONN_LOST && err != ERR_TIMEOUT && err != ERR_DB_LOCK && err != ERR_CANCELED;
        /* A value of the batch is refused: halves, down to the one job, which goes without it. */
        if (refused && l->n > 1)
            l->limit = l->n / 2;
        else if (refused && l->class == CLASS_ADOPT)
            bare_strip(l->jobs[0]);
        else if (refused)
            settle_strip(l->jobs[0]);
        fail(l, err, info, "settle");
        return;
    }
    if (l->class == CLASS_ADOPT)
        bare_adopted(l->jobs, l->n, res);
    else if (l->class == CLASS_DONE)
        settle_done_results(l->jobs, l->n, res);
    else
        settle_results(l->jobs, l->n, res);
    write_log(l);
}

static void on_begin(void *arg, enum err err, const struct db_result *res, const struct err_info *info)
{
    (void)arg, (void)err, (void)res, (void)info; /* a failure shows at the statement behind it */
}

static void begin(struct lane *l)
{
    struct buf json = {0};
    l->busy = true;
    db_conn_exec(l->conn, "begin", on_begin, l);
    switch (l->class) {
    case CLASS_DONE: settle_done(l->conn, l->jobs, l->n, on_settled, l); break;
    case CLASS_PLAIN:
    case CLASS_EFFECT:
        settle_json(l->jobs, l->n, &json);
        store_settle(l->conn, &l->jobs[0]->owner, (struct str){json.data, json.len}, on_settled, l);
        break;
    case CLASS_ADOPT:
        bare_json(l->jobs, l->n, &json);
        store_adopt(l->conn, (struct str){json.data, json.len}, on_settled, l);
        break;
    case CLASS_BARE:
        for (size_t i = 0; i < l->n; i++)
            l->jobs[i]->settled = SETTLED_HIT;
        write_log(l);
        break;
    }
    buf_free(&json);
}

/* Executed jobs of one class and owner, in order. */
static void collect(struct lane *l)
{
    struct worker *w = l->w;
    int64_t now_ms = loop_now_ms(w->loop);
    LIST_FOR_SAFE (node, &w->jobs[JOB_EXECUTED]) {
        struct job *job = LIST_OWNER(node, struct job, node);
        if (l->n == l->limit)
            break;
        if (job->adopting || job->settle_after_ms > now_ms)
            continue;
        if (l->n == 0)
            l->class = class_of(job);
        else if (class_of(job) != l->class || !id_eq(&job->owner, &l->jobs[0]->owner))
            continue;
        l->jobs[l->n++] = job;
        job_move(job, JOB_SETTLING);
    }
}

static bool other_lane_works(const struct lane *l)
{
    for (int i = 0; i < WORKER_LANES; i++)
        if (l->w->lanes[i] != l && l->w->lanes[i] && l->w->lanes[i]->busy)
            return true;
    return false;
}

void lane_kick(struct lane *l)
{
    struct worker *w = l->w;
    if (l->busy || l->closing || timer_active(l->again) || w->n_jobs[JOB_EXECUTED] == 0)
        return;
    if (other_lane_works(l) && w->n_jobs[JOB_EXECUTED] < (size_t)w->settings->batch / 2)
        return;
    if (!db_conn_up(l->conn)) {
        timer_start(l->again, AGAIN_MS, 0);
        return;
    }
    collect(l);
    if (l->n)
        begin(l);
    else
        timer_start(l->again, AGAIN_MS, 0); /* what there is waits for a lock or an adoption */
}

bool lane_idle(const struct lane *l)
{
    return !l->busy;
}

static void on_again(void *arg)
{
    struct lane *l = arg;
    lane_kick(l);
}

struct lane *lane_new(struct worker *w, int number)
{
    struct lane *l = mem_zalloc(sizeof(*l));
    char name[160];
    l->w = w;
    l->limit = (size_t)w->settings->batch;
    l->jobs = mem_alloc((size_t)w->settings->batch * sizeof(struct job *));
    l->again = timer_new(w->loop, on_again, l);
    snprintf(name, sizeof(name), "%s settle %d", w->name, number);
    struct db_conn_config config = {.url = w->settings->common.database_url, .name = name, .statement_ms = COMMIT_MS};
    l->conn = db_conn_open(w->loop, &config);
    return l;
}

void lane_close(struct lane *l, void (*closed)(void *arg), void *arg)
{
    l->closing = true;
    db_conn_close(l->conn, closed, arg);
}

void lane_free(struct lane *l)
{
    if (!l)
        return;
    timer_free(l->again);
    buf_free(&l->copy);
    store_rollup_free(&l->rollup);
    mem_free(l->jobs);
    mem_free(l);
}
