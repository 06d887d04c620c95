/* worker: see worker.h. */
#include "workers/worker.h"

#include <stdio.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/io/db.h"
#include "common/io/loop.h"
#include "common/io/outbound.h"
#include "common/io/rconn.h"
#include "common/io/store_jobs.h"
#include "workers/bare.h"
#include "workers/claim.h"
#include "workers/exec.h"
#include "workers/lane.h"
#include "workers/reader.h"

#define JANITOR_MS 250
#define CONTROL_MS 10000  /* statements of the control connection */
#define READ_AHEAD_MS 100 /* entries are read ahead for about so much work */
#define REDIS_BLOCK_SLACK_MS 5000

static void on_kick(void *arg);

/* ---- room
 * ------------------------------------------------------------------------------------------------------------------------
 * */

bool worker_reads(const struct worker *w)
{
    return w->phase == WORKER_RUNNING && w->registered && w->kinds_ready;
}

/* Entries that the memory has room for, if they are as large as those before. */
static size_t room_in_memory(struct worker *w)
{
    const bool full = w->bytes >= WORKER_BYTES_MAX;
    if (full && !w->full)
        log_info("worker.full", L_INT("bytes", w->bytes),
                 L_INT("unsettled", w->n_jobs[JOB_EXECUTED] + w->n_jobs[JOB_SETTLING]));
    w->full = full;
    return full ? 0 : 1 + (size_t)((double)(WORKER_BYTES_MAX - w->bytes) / (w->mean_bytes + 1));
}

/* Fast jobs are read in batches, slow ones only as far as slots are free: what waits here ages and is claimed for
 * nobody else. */
size_t worker_room(struct worker *w)
{
    size_t most = (size_t)w->settings->concurrency;
    if (w->suspects) /* what is read now would wait until it has run */
        return 0;
    double mean_ms = w->mean_ms > 0.01 ? w->mean_ms : 0.01;
    double ahead = (double)w->settings->concurrency * READ_AHEAD_MS / mean_ms;
    if (ahead > (double)w->settings->batch)
        ahead = (double)w->settings->batch;
    if (ahead > (double)most)
        most = (size_t)ahead;
    size_t taken = w->n_jobs[JOB_READY] + w->n_jobs[JOB_RUNNING] + claim_waiting(w->claimer);
    size_t unsettled = w->n_jobs[JOB_EXECUTED] + w->n_jobs[JOB_SETTLING];
    if (unsettled + taken >= WORKER_UNSETTLED_MAX || taken >= most)
        return 0;
    const size_t in_memory = room_in_memory(w);
    return most - taken < in_memory ? most - taken : in_memory;
}

/* ---- beats
 * ------------------------------------------------------------------------------------------------------------------------
 * */

static void start_beat(struct worker *w);

static void on_registered(void *arg, enum err err, const struct db_result *res, const struct err_info *info)
{
    struct worker *w = arg;
    (void)res;
    w->beat_busy = false;
    if (err == ERR_CANCELED)
        return;
    if (err != ERR_OK) {
        log_warn("worker.register", L_ERR(err), L_STR("detail", info ? info->text : NULL));
        return;
    }
    w->registered = true;
    w->beat_ok_ms = clock_mono_ms();
    if (w->phase == WORKER_STARTING || w->phase == WORKER_FENCED)
        w->phase = WORKER_RUNNING;
    log_info("worker.ready", L_STR("worker", w->id_text), L_INT("concurrency", w->settings->concurrency),
             L_STR("queues", w->settings->queues));
    worker_kick(w);
}

static void on_tenants(void *arg, enum err err, const struct db_result *res, const struct err_info *info)
{
    struct worker *w = arg;
    if (err != ERR_OK) {
        if (err != ERR_CANCELED)
            log_warn("worker.tenants", L_ERR(err), L_STR("detail", info ? info->text : NULL));
    } else if (db_rows(res)) {
        struct id digest = db_id(res, 0, 0);
        tenants_load(&w->tenants, db_text(res, 0, 1), &digest);
    }
}

static void on_kinds(void *arg, enum err err, const struct db_result *res, const struct err_info *info)
{
    struct worker *w = arg;
    if (err != ERR_OK) {
        if (err != ERR_CANCELED)
            log_warn("worker.kinds", L_ERR(err), L_STR("detail", info ? info->text : NULL));
        return;
    }
    kinds_load(&w->kinds, res);
    w->kinds_ready = true;
    worker_kick(w);
}

/* Not a sign of life for 15 s: others may take our jobs over at 20 s. What has not acted is dropped (its rows are
 * swept or claimed by others); what
 * has acted is kept and settled, and hits its row only if nobody took it. */
static void fence(struct worker *w)
{
    log_warn("worker.fenced", L_STR("worker", w->id_text), L_INT("ready", w->n_jobs[JOB_READY]),
             L_INT("running", w->n_jobs[JOB_RUNNING]));
    if (w->phase == WORKER_RUNNING)
        w->phase = WORKER_FENCED;
    w->registered = false;
    LIST_FOR_SAFE (node, &w->jobs[JOB_READY])
        job_free(LIST_OWNER(node, struct job, node));
    id_new(&w->id);
    id_format(&w->id, w->id_text);
}

static void on_beat(void *arg, enum err err, const struct db_result *res, const struct err_info *info)
{
    struct worker *w = arg;
    w->beat_busy = false;
    if (err != ERR_OK) {
        if (err != ERR_CANCELED)
            log_warn("worker.beat", L_ERR(err), L_STR("detail", info ? info->text : NULL));
        return;
    }
    if (!db_bool(res, 0, 0)) {
        fence(w);
        start_beat(w);
        return;
    }
    w->beat_ok_ms = clock_mono_ms();
}

static void start_beat(struct worker *w)
{
    if (w->beat_busy || !db_conn_up(w->control))
        return;
    w->beat_busy = true;
    if (!w->registered) {
        store_worker_register(w->control, &w->id, w->name, w->settings->queues, on_registered, w);
    } else {
        store_worker_beat(w->control, &w->id, on_beat, w);
    }
    if (w->phase == WORKER_CLOSING)
        return;
    /* The tenants first: nothing is read before the kinds are there, so that the first entries need not be adopted. */
    store_tenants(w->control, &w->tenants.digest, on_tenants, w);
    store_kinds(w->control, on_kinds, w);
}

static void on_beat_timer(void *arg)
{
    start_beat(arg);
}

static void on_control(void *arg, bool up, const struct err_info *info)
{
    struct worker *w = arg;
    if (up) {
        if (w->phase != WORKER_CLOSING)
            start_beat(w);
    } else {
        w->beat_busy = false;
        log_warn("worker.database", L_STR("detail", info ? info->text : NULL));
    }
}

static void on_redis(void *arg, bool up, const struct err_info *info)
{
    struct worker *w = arg;
    if (up)
        w->groups_ready = false; /* another or an emptied Redis: make sure of the groups */
    else if (w->phase != WORKER_CLOSING)
        log_warn("worker.redis", L_STR("detail", info ? info->text : NULL));
    worker_kick(w);
}

/* ---- draining
 * ------------------------------------------------------------------------------------------------------------------------
 * */

static void part_closed(void *arg)
{
    struct worker *w = arg;
    if (--w->open_parts == 0)
        loop_stop(w->loop);
}

static void close_parts(struct worker *w)
{
    w->phase = WORKER_CLOSING;
    timer_stop(w->beat);
    timer_stop(w->janitor);
    w->open_parts = 4 + WORKER_LANES;
    for (int i = 0; i < WORKER_LANES; i++)
        lane_close(w->lanes[i], part_closed, w);
    db_conn_close(w->control, part_closed, w);
    rconn_close(w->read_conn, part_closed, w);
    rconn_close(w->redis, part_closed, w);
    outbound_close(w->outbound, part_closed, w);
}

static void on_left(void *arg, enum err err, const struct db_result *res, const struct err_info *info)
{
    (void)err, (void)res, (void)info; /* the sweep removes what we could not */
    close_parts(arg);
}

static void leave(struct worker *w)
{
    w->phase = WORKER_CLOSING;
    log_info("worker.drained", L_STR("worker", w->id_text),
             L_INT("left", w->n_jobs[JOB_RUNNING] + w->n_jobs[JOB_EXECUTED] + w->n_jobs[JOB_SETTLING]));
    if (db_conn_up(w->control))
        store_worker_leave(w->control, &w->id, on_left, w);
    else
        close_parts(w);
}

static bool lanes_idle(const struct worker *w)
{
    for (int i = 0; i < WORKER_LANES; i++)
        if (!lane_idle(w->lanes[i]))
            return false;
    return true;
}

/* A read that was under way may bring entries until it ends: nobody else is given these before they are idle. */
static void drain_step(struct worker *w)
{
    claim_give_up(w->claimer);
    LIST_FOR_SAFE (node, &w->jobs[JOB_READY]) {
        struct job *job = LIST_OWNER(node, struct job, node);
        if (job->bare)
            bare_hand_back(job);
        else
            exec_release(job);
    }
    bool late = clock_mono_ms() >= w->drain_until_ms;
    bool done = w->n_jobs[JOB_RUNNING] + w->n_jobs[JOB_EXECUTED] + w->n_jobs[JOB_SETTLING] == 0 && lanes_idle(w) &&
                !claim_busy(w->claimer) && !reader_awaits(w->reader);
    if (done || late)
        leave(w);
}

void worker_drain(struct worker *w)
{
    if (w->phase == WORKER_DRAINING || w->phase == WORKER_CLOSING)
        return;
    log_info("worker.draining", L_STR("worker", w->id_text), L_INT("ready", w->n_jobs[JOB_READY]),
             L_INT("running", w->n_jobs[JOB_RUNNING]));
    w->phase = WORKER_DRAINING;
    w->drain_until_ms = clock_mono_ms() + w->settings->drain_timeout_ms;
    worker_kick(w);
}

void worker_immediate(struct worker *w)
{
    w->exit_code = 1;
    if (w->phase != WORKER_CLOSING)
        close_parts(w);
}

/* ---- the round
 * ------------------------------------------------------------------------------------------------------------------------
 * */

static void start_jobs(struct worker *w)
{
    while (w->n_jobs[JOB_RUNNING] < (size_t)w->settings->concurrency && !w->alone) {
        struct list *node = list_first(&w->jobs[JOB_READY]);
        struct job *job = node ? LIST_OWNER(node, struct job, node) : NULL;
        if (!job || w->n_jobs[JOB_EXECUTED] + w->n_jobs[JOB_SETTLING] >= WORKER_UNSETTLED_MAX)
            return;
        /* What is claimed and not settled is charged with a crash: a suspect goes last, when everything else is settled. */
        if (job->crashes >= JOB_SUSPECT_CRASHES && w->n_jobs[JOB_READY] > 1) {
            job_move(job, JOB_READY);
            continue;
        }
        if (job->crashes >= JOB_SUSPECT_CRASHES &&
            w->n_jobs[JOB_RUNNING] + w->n_jobs[JOB_EXECUTED] + w->n_jobs[JOB_SETTLING])
            return;
        if (!exec_may_start(job))
            return;
        exec_start(job);
    }
}

static void on_kick(void *arg)
{
    struct worker *w = arg;
    if (w->phase == WORKER_CLOSING)
        return;
    if (w->phase == WORKER_RUNNING)
        start_jobs(w);
    if (w->phase == WORKER_DRAINING)
        drain_step(w);
    if (w->phase == WORKER_CLOSING)
        return;
    for (int i = 0; i < WORKER_LANES; i++)
        lane_kick(w->lanes[i]);
    if (w->wake_wanted && rconn_up(w->redis))
        queue_wake(w->redis, STR("worker"));
    w->wake_wanted = false;
    claim_kick(w->claimer);
    reader_kick(w->reader);
}

void worker_kick(struct worker *w)
{
    if (!timer_active(w->kick))
        timer_start(w->kick, 0, 0);
}

static void on_janitor(void *arg)
{
    struct worker *w = arg;
    if (w->registered && clock_mono_ms() - w->beat_ok_ms > WORKER_FENCE_MS && w->phase == WORKER_RUNNING)
        fence(w);
    bare_watch(w);
    worker_kick(w);
}

/* ---- life
 * ------------------------------------------------------------------------------------------------------------------------------
 * */

static enum err name_streams(struct worker *w, struct err_info *info)
{
    size_t n;
    enum err err = settings_queues(w->settings->queues, w->queue_names, &n, info);
    for (size_t i = 0; err == ERR_OK && i < n; i++) {
        err = queue_key(QUEUE_LEDGER, str_of(w->queue_names[i]), w->keys[2 * i], info);
        if (err == ERR_OK)
            err = queue_key(QUEUE_BARE, str_of(w->queue_names[i]), w->keys[2 * i + 1], info);
        w->key_list[2 * i] = w->keys[2 * i];
        w->key_list[2 * i + 1] = w->keys[2 * i + 1];
        w->n_keys = 2 * i + 2;
    }
    return err;
}

static struct outbound *open_outbound(struct worker *w, struct err_info *info)
{
    const struct worker_settings *s = w->settings;
    struct outbound_config config = {.smtp_url = s->smtp_url,
                                     .smtp_user = s->smtp_user,
                                     .smtp_password = s->smtp_password,
                                     .smtp_tls = settings_smtp_tls[s->smtp_tls],
                                     .egress_allow = s->egress_allow,
                                     .egress_http = s->egress_http,
                                     .max_total = (int)s->concurrency};
    return outbound_open(w->loop, &config, info);
}

static void open_connections(struct worker *w)
{
    const struct settings *s = &w->settings->common;
    struct db_conn_config db = {
        .url = s->database_url, .name = w->name, .statement_ms = CONTROL_MS, .on_state = on_control, .arg = w};
    struct rconn_config read = {.url = s->redis_url, .name = "usher-worker-read"};
    struct rconn_config redis = {.url = s->redis_url, .name = "usher-worker", .on_state = on_redis, .arg = w};
    w->control = db_conn_open(w->loop, &db);
    w->read_conn = rconn_open(w->loop, &read);
    w->redis = rconn_open(w->loop, &redis);
    for (int i = 0; i < WORKER_LANES; i++)
        w->lanes[i] = lane_new(w, i + 1);
}

struct worker *worker_new(struct loop *loop, const struct worker_settings *settings, struct err_info *info)
{
    char host[64] = "localhost";
    struct worker *w = mem_zalloc(sizeof(*w));
    w->settings = settings;
    w->loop = loop;
    w->started_ms = w->beat_ok_ms = clock_mono_ms();
    w->mean_ms = READ_AHEAD_MS; /* not known yet: no more is read than can run */
    gethostname(host, sizeof(host) - 1);
    snprintf(w->name, sizeof(w->name), "usher-worker %s %d", host, (int)getpid());
    id_new(&w->id);
    id_format(&w->id, w->id_text);
    for (int i = 0; i < JOB_STATES; i++)
        list_init(&w->jobs[i]);
    list_init(&w->spare_jobs);
    w->outbound = open_outbound(w, info);
    if (!w->outbound || name_streams(w, info) != ERR_OK) {
        mem_free(w);
        return NULL;
    }
    w->kick = timer_new(loop, on_kick, w);
    w->beat = timer_new(loop, on_beat_timer, w);
    w->janitor = timer_new(loop, on_janitor, w);
    w->reader = reader_new(w);
    w->claimer = claim_new(w);
    open_connections(w);
    timer_start(w->beat, WORKER_BEAT_MS, WORKER_BEAT_MS);
    timer_start(w->janitor, JANITOR_MS, JANITOR_MS);
    return w;
}

void worker_free(struct worker *w)
{
    if (!w)
        return;
    for (int i = 0; i < JOB_STATES; i++)
        LIST_FOR_SAFE (node, &w->jobs[i])
            job_free(LIST_OWNER(node, struct job, node));
    job_free_spares(w);
    for (int i = 0; i < WORKER_LANES; i++)
        lane_free(w->lanes[i]);
    claim_free(w->claimer);
    reader_free(w->reader);
    timer_free(w->kick);
    timer_free(w->beat);
    timer_free(w->janitor);
    rules_free(&w->rules);
    kinds_free(&w->kinds);
    tenants_free(&w->tenants);
    map_free(&w->held);
    map_free(&w->slow);
    mem_free(w);
}
