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
#define BUSY_MAX_MS 2000 /* between two tries of what waits for a tenant's row or key, which was locked for 300 ms */
/* Pauses after failures in a row, doubling. */
#define AGAIN_MIN_MS 50
#define AGAIN_MAX_MS 500    /* while smaller and smaller batches are tried */
#define TROUBLE_MAX_MS 5000 /* while the server has no room */
#define HOLD_MAX_MS 60000   /* of one job that fails by itself */
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
    bool staged;            /* this batch goes through the staging table */
    size_t limit;           /* batch size; halved while batches fail */
    int failures;           /* in a row */
    int64_t again_ms;       /* pause after the present one */
    struct err_info unseen; /* of a statement of this transaction whose failure shows at the commit behind it */
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

static void on_rollback(void *arg, enum err err, const struct db_result *res, const struct err_info *info)
{
    struct lane *l = arg;
    (void)res, (void)info;
    /* A connection whose transaction state is not known is not used again. */
    if (err != ERR_OK && err != ERR_CONN_LOST && err != ERR_CANCELED)
        db_conn_drop(l->conn);
    requeue(l);
    if (!l->closing)
        timer_start(l->again, l->again_ms, 0);
}

/* A value that the database would refuse again, however often it is asked. */
static bool is_refused(enum err err)
{
    return err == ERR_DB_DATA || err == ERR_DB_UNIQUE;
}

/* The server has no room or is away: that is no job's fault. */
static bool is_trouble(enum err err)
{
    return err == ERR_CONN_LOST || err == ERR_BUSY;
}

static bool halve(struct lane *l)
{
    if (l->n < 2)
        return false;
    l->limit = l->n / 2;
    return true;
}

static int64_t growing_ms(int failures, int64_t most_ms)
{
    int64_t ms = AGAIN_MIN_MS;
    for (int i = 1; i < failures && ms < most_ms; i++)
        ms *= 2;
    return ms < most_ms ? ms : most_ms;
}

static void hold_back(const struct lane *l, struct job *job)
{
    job->settle_failures++;
    job->settle_after_ms = loop_now_ms(l->w->loop) + growing_ms(job->settle_failures, HOLD_MAX_MS);
}

static void wait_for_lock(const struct lane *l, struct job *job)
{
    job->busy_times++;
    job->settle_after_ms = loop_now_ms(l->w->loop) + growing_ms(job->busy_times, BUSY_MAX_MS);
    job_move(job, JOB_EXECUTED);
}

/* The transaction failed as a whole; nothing of it happened (but for a COMMIT whose reply was lost, which the repetition finds out).
 * `mended`: the repetition is another one, and need not wait. Otherwise halves again, so that one job that can not be settled now does
 * not stop the others, down to that one, which waits. */
static void fail(struct lane *l, enum err err, const struct err_info *info, const char *where, bool mended)
{
    if (err == ERR_CANCELED) {
        requeue(l);
        return;
    }
    l->failures++;
    if ((l->failures & (l->failures - 1)) == 0) /* the 1st, 2nd, 4th …: a long trouble is told briefly */
        log_warn("settle.failed", L_STR("where", where), L_ERR(err), L_STR("detail", info ? info->text : NULL),
                 L_INT("jobs", l->n), L_INT("failures", l->failures));
    if (!mended && !is_trouble(err) && !halve(l))
        hold_back(l, l->jobs[0]);
    l->again_ms = mended ? 0 : growing_ms(l->failures, is_trouble(err) ? TROUBLE_MAX_MS : AGAIN_MAX_MS);
    db_conn_exec(l->conn, "rollback", on_rollback, l);
}

/* Other ways for what the log refuses: staging, then halves, then the one row goes to quarantine. */
static bool mend_log(struct lane *l, enum err err)
{
    if (err == ERR_DB_FEATURE && !l->w->no_copy) {
        l->w->no_copy = true;
        log_info("settle.staging", L_STR("why", "this role may not COPY into the log (no BYPASSRLS)"));
        return true;
    }
    if (!is_refused(err))
        return false;
    if (!l->staged) {
        l->staged = true;
        return true;
    }
    if (halve(l))
        return true;
    if (l->jobs[0]->log_refused)
        return false;
    l->jobs[0]->settle_failures++;
    l->jobs[0]->log_refused = true;
    return true;
}

static void log_failed(struct lane *l, enum err err, const struct err_info *info)
{
    fail(l, err, info, "log", mend_log(l, err));
}

/* The same for what the tables refuse: halves, down to the one job, which goes without its result. */
static bool mend_rows(struct lane *l, enum err err, const struct err_info *info)
{
    struct job *job = l->jobs[0];
    if (!is_refused(err))
        return false;
    if (halve(l))
        return true;
    if (job->stripped)
        return false;
    job->settle_failures++;
    job->stripped = true;
    if (l->class == CLASS_ADOPT)
        bare_strip(job, info->text);
    else
        settle_strip(job, info->text);
    return true;
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
    case SETTLED_BUSY: wait_for_lock(l, job); return;
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
    if (l->failures > 0)
        log_info("settle.works_again", L_INT("failures", l->failures));
    l->failures = 0;
    const size_t most = (size_t)l->w->settings->batch;
    l->limit = 2 * l->limit < most ? 2 * l->limit : most;
    worker_kick(l->w);
}

static void on_counted(void *arg, enum err err, const struct db_result *res, const struct err_info *info)
{
    struct lane *l = arg;
    (void)res;
    if (err != ERR_OK)
        l->unseen = *info;
}

static void commit(struct lane *l)
{
    die_at("before_settle_commit");
    l->unseen.code = ERR_OK;
    store_rollup_write(l->conn, &l->rollup, on_counted, l);
    db_conn_exec(l->conn, "commit", on_commit, l);
}

static void on_commit(void *arg, enum err err, const struct db_result *res, const struct err_info *info)
{
    struct lane *l = arg;
    (void)res;
    if (err == ERR_OK) {
        die_at("after_settle_commit");
        finish_batch(l);
        return;
    }
    if (err == ERR_CONN_LOST || err == ERR_TIMEOUT) {
        l->staged = true; /* it may have happened: then the rows are not hit, and their log rows stand */
        for (size_t i = 0; i < l->n; i++)
            l->jobs[i]->maybe_settled = true;
    } else if (l->unseen.code != ERR_OK) {
        err = l->unseen.code;
        info = &l->unseen;
    }
    fail(l, err, info, "commit", false);
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
    if (n && l->jobs[0]->log_refused) {
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
        fail(l, err, info, "settle", mend_rows(l, err, info));
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

static void on_begun(void *arg, enum err err, const struct db_result *res, const struct err_info *info)
{
    struct lane *l = arg;
    (void)res;
    if (err != ERR_OK) {
        fail(l, err, info, "begin", false);
        return;
    }
    for (size_t i = 0; i < l->n; i++)
        l->jobs[i]->settled = SETTLED_HIT;
    write_log(l);
}

static void begin(struct lane *l)
{
    struct buf json = {0};
    l->busy = true;
    switch (l->class) {
    case CLASS_DONE:
        db_conn_begin(l->conn);
        settle_done(l->conn, l->jobs, l->n, on_settled, l);
        break;
    case CLASS_PLAIN:
    case CLASS_EFFECT:
        settle_json(l->jobs, l->n, &json);
        db_conn_begin(l->conn);
        store_settle(l->conn, &l->jobs[0]->owner, (struct str){json.data, json.len}, on_settled, l);
        break;
    case CLASS_ADOPT:
        bare_json(l->jobs, l->n, &json);
        db_conn_begin(l->conn);
        store_adopt(l->conn, (struct str){json.data, json.len}, on_settled, l);
        break;
    case CLASS_BARE: db_conn_exec(l->conn, "begin", on_begun, l); break;
    }
    buf_free(&json);
}

/* A job that failed by itself settles by itself; those that waited for a lock among themselves, so that nobody else waits with them. */
static bool may_join(const struct lane *l, const struct job *job)
{
    const struct job *first = l->jobs[0];
    return class_of(job) == l->class && id_eq(&job->owner, &first->owner) && first->settle_failures == 0 &&
           job->settle_failures == 0 && (first->busy_times > 0) == (job->busy_times > 0);
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
        else if (!may_join(l, job))
            continue;
        l->jobs[l->n++] = job;
        job_move(job, JOB_SETTLING);
    }
}

/* At something that may take as long as others hold a lock? */
static bool may_wait(const struct lane *l)
{
    return l->n > 0 && l->jobs[0]->busy_times > 0;
}

static bool other_lane_works(const struct lane *l)
{
    for (int i = 0; i < WORKER_LANES; i++) {
        const struct lane *other = l->w->lanes[i];
        if (other != l && other && other->busy && !may_wait(other))
            return true;
    }
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
