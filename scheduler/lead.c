/* lead: see lead.h. */
#include "scheduler/lead.h"

#include <string.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/io/store_lead.h"

#define POLL_MS 1000 /* the wake-ups are optimisations: without any this is what finds work */
#define DELAY_FIRST_MS 100
#define DELAY_MAX_MS 5000
#define DB_CONNECT_MS 5000
#define DB_STATEMENT_MS 30000
#define REDIS_CONNECT_MS 3000
#define REDIS_COMMAND_MS 5000
#define CAREFUL_EVENTS 5 /* taken one by one after a takeover */
#define US_PER_MS 1000

/* A leader that is stopped (SIGSTOP, a hung host) in the middle of a transaction holds the term; the server ends that transaction, well
 * before the standby's patience does. The lock time-out bounds what a tenant's open transaction can hold up. */
#define SESSION_LIMITS "set idle_in_transaction_session_timeout = '8s'; set lock_timeout = '5s'"

struct duty {
    const char *name;
    enum err (*run)(struct lead *l, bool *more, struct err_info *info);
    bool (*due)(const struct lead *l, const struct store_work *w); /* NULL: always */
    int64_t every_ms;
    bool needs_redis;
    bool breeds; /* what it did may be work for others, which the next look finds: a stamped rule's timings, a moved wedding */
    bool outward; /* not while PostgreSQL is behind Redis's beacon */
    bool admits;  /* likewise, and not before what was due has been planned */
    bool yields;  /* housekeeping: what was said meanwhile is looked at before the next duty */
};

static bool has_rules(const struct lead *l, const struct store_work *w)
{
    (void)l;
    return w->rules;
}

static bool has_events(const struct lead *l, const struct store_work *w)
{
    (void)l;
    return w->events;
}

static bool has_waits(const struct lead *l, const struct store_work *w)
{
    (void)l;
    return w->waits;
}

static bool has_weddings(const struct lead *l, const struct store_work *w)
{
    (void)l;
    return w->weddings;
}

static bool has_timings(const struct lead *l, const struct store_work *w)
{
    return w->timings && !l->clocks_apart;
}

/* In this order: what decides whether the stores can be trusted, then rules before the events and timings that they match, events
 * before timings of the same instant (so that plays repeat), and admission after all that plans. */
static const struct duty duties[] = {
    {"beacon", beacon_run, NULL, POLL_MS, .needs_redis = true},
    {"maintain", maintain_run, NULL, .every_ms = POLL_MS},
    {"activate", activate_run, has_rules, 0, .breeds = true},
    {"check", check_run, has_rules, 0, .breeds = true},
    {"dispatch", dispatch_run, has_events, 0, .breeds = true, .outward = true},
    {"waits", waits_run, has_waits, 0, .outward = true},
    {"replan", replan_run, has_weddings, 0, .outward = true},
    {"tick", tick_run, has_timings, 0, .breeds = true, .outward = true},
    {"admit", admit_run, NULL, 0, .needs_redis = true, .admits = true},
    {"relieve", relieve_run, NULL, .every_ms = POLL_MS, .needs_redis = true, .admits = true, .yields = true},
    {"sweep", sweep_run, NULL, .every_ms = 2 * POLL_MS, .yields = true},
    {"fold", fold_run, NULL, .every_ms = POLL_MS, .yields = true},
    {"rollup", rollup_run, NULL, .every_ms = 5 * POLL_MS, .yields = true},
    {"count", count_run, NULL, .every_ms = 5 * POLL_MS, .yields = true},
    {"purge", purge_run, NULL, .every_ms = POLL_MS, .yields = true},
    {"trim", trim_run, NULL, POLL_MS, .needs_redis = true, .yields = true},
    {"feed", feed_run, NULL, POLL_MS, .needs_redis = true, .yields = true},
};
#define N_DUTIES (sizeof(duties) / sizeof(duties[0]))
_Static_assert(N_DUTIES <= LEAD_DUTIES_MAX, "struct lead has room for every duty");

void lead_init(struct lead *l, const struct scheduler_settings *settings, struct wake *wake, int64_t term)
{
    memset(l, 0, sizeof(*l));
    l->settings = settings;
    l->wake = wake;
    l->term = term;
    l->singles = CAREFUL_EVENTS;
    l->rules = rulesets_new(RULESETS_BYTES);
    l->cache = cache_new(&(struct cache_config){.url = settings->common.redis_url});
    rulesets_use_cache(l->rules, l->cache);
    admit_init(&l->admit);
}

static void close_db(struct lead *l)
{
    plan_drop(&l->plan);
    db_close(l->db);
    l->db = NULL;
    l->plan.session = NULL;
    l->in_transaction = false;
}

static void close_redis(struct lead *l)
{
    rsession_close(l->redis);
    l->redis = NULL;
}

void lead_fini(struct lead *l)
{
    close_db(l);
    close_redis(l);
    plan_free(&l->plan);
    admit_fini(&l->admit);
    rulesets_free(l->rules);
    l->rules = NULL;
    cache_free(l->cache);
    l->cache = NULL;
}

void lead_stop(struct lead *l)
{
    atomic_store(&l->stop, true);
    wake_ring(l->wake);
}

/* ---- sessions -------------------------------------------------------------------------------------------------------------- */

static int64_t longer(int64_t delay_ms)
{
    return delay_ms == 0 ? DELAY_FIRST_MS : delay_ms * 2 > DELAY_MAX_MS ? DELAY_MAX_MS : delay_ms * 2;
}

static enum err open_db(struct lead *l, struct err_info *info)
{
    const struct db_session_config config = {
        .url = l->settings->common.database_url ? l->settings->common.database_url : "",
        .name = "usher-scheduler duties",
        .connect_ms = DB_CONNECT_MS,
        .statement_ms = DB_STATEMENT_MS,
    };
    enum err err = db_open(&config, &l->db, info);

    if (err == ERR_OK)
        err = db_exec(l->db, SESSION_LIMITS, NULL, info);
    if (err != ERR_OK) {
        close_db(l);
        if (l->db_failed != err)
            log_error("postgres.unreachable", L_ERR(err), L_STR("reason", info->text));
        l->db_failed = err;
        l->db_delay_ms = longer(l->db_delay_ms);
        l->db_retry_ms = clock_mono_ms() + l->db_delay_ms;
        return err;
    }
    if (l->db_failed != ERR_OK)
        log_info("postgres.connected", L_INT("backend", db_backend_pid(l->db)));
    l->db_failed = ERR_OK;
    l->db_delay_ms = 0;
    l->duties[0].next_ms = 0; /* the beacon: it may be a restored one */
    l->plan.session = l->db;
    l->plan.term = l->term;
    rulesets_clear(l->rules);
    return ERR_OK;
}

static void open_redis(struct lead *l)
{
    const struct rconn_config config = {
        .url = l->settings->common.redis_url,
        .name = "usher-scheduler",
        .connect_ms = REDIS_CONNECT_MS,
        .command_ms = REDIS_COMMAND_MS,
    };
    struct err_info info = {0};
    enum err err = rsession_open(&config, &l->redis, &info);

    if (err != ERR_OK) {
        l->redis = NULL;
        if (l->redis_failed != err)
            log_error("redis.unreachable", L_ERR(err), L_STR("reason", info.text), L_STR("effect", "admission waits"));
        l->redis_failed = err;
        l->redis_delay_ms = longer(l->redis_delay_ms);
        l->redis_retry_ms = clock_mono_ms() + l->redis_delay_ms;
        return;
    }
    if (l->redis_failed != ERR_OK)
        log_info("redis.connected", L_INT("term", l->term));
    l->redis_failed = ERR_OK;
    l->redis_delay_ms = 0;
    l->sweep_all_ms = 0;
}

/* A session that died while it served is opened again at once; one that can not be opened is tried with growing delays. */
enum err lead_connect(struct lead *l, struct err_info *info)
{
    const int64_t now_ms = clock_mono_ms();

    if (l->db != NULL && !db_alive(l->db))
        close_db(l);
    if (l->redis != NULL && !rsession_alive(l->redis))
        close_redis(l);
    if (l->redis == NULL && l->settings->common.redis_url != NULL && now_ms >= l->redis_retry_ms)
        open_redis(l);
    if (l->redis != NULL)
        cache_connect(l->cache);
    if (l->db != NULL)
        return ERR_OK;
    if (now_ms < l->db_retry_ms)
        return err_set(info, ERR_CONN_LOST, "PostgreSQL is not connected");
    return open_db(l, info);
}

/* ---- transactions ------------------------------------------------------------------------------------------------------------ */

enum err lead_begin(struct lead *l, struct err_info *info)
{
    enum err err = db_exec(l->db, "begin", NULL, info);

    l->in_transaction = err == ERR_OK;
    plan_begin(&l->plan);
    return err;
}

/* A COMMIT without an answer may have happened. Nothing is kept here that would have to know: the next round asks the database. */
enum err lead_end(struct lead *l, enum err err, struct err_info *info)
{
    struct err_info ignored = {0};

    if (!l->in_transaction)
        return err;
    l->in_transaction = false;
    plan_drop(&l->plan);
    if (err == ERR_OK)
        return db_exec(l->db, "commit", NULL, info);
    if (db_alive(l->db) && db_exec(l->db, "rollback", NULL, &ignored) != ERR_OK)
        close_db(l); /* in an unknown state */
    return err;
}

/* ---- the rounds ---------------------------------------------------------------------------------------------------------------- */

static void note_failure(struct lead *l, size_t i, enum err err, const struct err_info *info)
{
    struct lead_duty *d = &l->duties[i];

    if (d->failed != err)
        log_error("duty.failed", L_STR("duty", duties[i].name), L_ERR(err), L_STR("reason", info->text));
    d->failed = err;
    d->delay_ms = longer(d->delay_ms);
    d->next_ms = clock_mono_ms() + d->delay_ms;
}

static void note_success(struct lead *l, size_t i)
{
    struct lead_duty *d = &l->duties[i];

    if (d->failed != ERR_OK)
        log_info("duty.recovered", L_STR("duty", duties[i].name));
    d->failed = ERR_OK;
    d->delay_ms = 0;
    d->next_ms = duties[i].every_ms > 0 ? clock_mono_ms() + duties[i].every_ms : 0;
}

static bool is_due(const struct lead *l, size_t i, const struct store_work *work)
{
    const struct duty *d = &duties[i];

    return clock_mono_ms() >= l->duties[i].next_ms && (!d->needs_redis || l->redis != NULL) &&
           (!d->outward || !l->behind || l->resuming) && (!d->admits || !l->behind) &&
           (d->due == NULL || d->due(l, work));
}

static enum err run_duty(struct lead *l, size_t i, bool *more)
{
    struct err_info info = {0};
    bool again = false;
    enum err err = duties[i].run(l, &again, &info);

    if (err == ERR_STATE)
        return err;
    if (err != ERR_OK)
        note_failure(l, i, err, &info);
    else
        note_success(l, i);
    *more = *more || (err == ERR_OK && (again || duties[i].breeds));
    return ERR_OK;
}

/* Taken once a round. */
static enum err look(struct lead *l, struct store_work *work)
{
    struct err_info info = {0};
    enum err err = store_lead_work(l->db, work, &info);

    if (err != ERR_OK && l->db_failed != err)
        log_error("duty.failed", L_STR("duty", "look"), L_ERR(err), L_STR("reason", info.text));
    l->db_failed = err;
    l->wake_due_us = work->next_us;
    if (err == ERR_OK)
        rulesets_epoch(l->rules, &work->epoch);
    return err;
}

enum err lead_round(struct lead *l, bool *more)
{
    struct store_work work;
    enum err err = ERR_OK;

    *more = false;
    rulesets_report(l->rules, clock_mono_ms());
    if (look(l, &work) != ERR_OK)
        return ERR_OK;
    for (size_t i = 0; i < N_DUTIES && err == ERR_OK && !atomic_load(&l->stop); i++) {
        if (l->db == NULL || !db_alive(l->db))
            break;
        if (l->redis != NULL && !rsession_alive(l->redis))
            close_redis(l);
        if (!is_due(l, i, &work))
            continue;
        err = run_duty(l, i, more);
        if (duties[i].yields && wake_wait(l->wake, 0)) {
            *more = true; /* the next round takes up the rest */
            break;
        }
    }
    return err;
}

/* Until something falls due, but not in a rush while a duty waits for its next try: what is due may be what it fails at. */
static int64_t idle_ms(const struct lead *l)
{
    int64_t ms = l->settings->tick_ms < POLL_MS ? l->settings->tick_ms : POLL_MS;
    bool failing = l->db_failed != ERR_OK;

    if (!l->clock_stepped && l->wake_due_us < ms * US_PER_MS)
        ms = l->wake_due_us / US_PER_MS + 1;
    if (l->admit.hurry && ms > ADMIT_HURRY_MS)
        ms = ADMIT_HURRY_MS;
    for (size_t i = 0; i < N_DUTIES; i++)
        failing = failing || l->duties[i].failed != ERR_OK;
    return failing && ms < DELAY_FIRST_MS ? DELAY_FIRST_MS : ms;
}

void *lead_main(void *lead)
{
    struct lead *l = lead;
    struct err_info info = {0};
    enum err err = ERR_OK;

    upkeep_start(&l->upkeep, l->settings);
    while (err == ERR_OK && !atomic_load(&l->stop)) {
        bool more = false;
        if (lead_connect(l, &info) == ERR_OK)
            err = lead_round(l, &more);
        if (err == ERR_OK && !atomic_load(&l->stop) && !more)
            (void)wake_wait(l->wake, idle_ms(l));
    }
    if (err == ERR_STATE)
        log_warn("leader.term_ended", L_INT("term", l->term));
    upkeep_stop(&l->upkeep);
    atomic_store(&l->ended, true);
    return NULL;
}
