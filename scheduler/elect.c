/* elect: see elect.h.
 *
 * Failures:
 *  - The leader dies: its session ends, the lock is free, a standby's next try gets it.
 *  - The leader hangs (SIGSTOP, a stalled host): its session lives on and holds the lock. When its beat is older than 15 s by the
 *    server's clock, at two looks in turn, the standby terminates the backend that holds the lock. A duty transaction of it that is
 *    open is ended by the server after 8 s idle (lead.c), so raising the term does not wait long. All within 20 s. When the old leader
 *    goes on, its sessions are gone or its term has ended, and what it still adds to streams are second entries.
 *  - The leader's session is lost: it steps down at the next beat. The duty thread's transactions fail with the term. */
#include "scheduler/elect.h"

#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/io/store_lead.h"
#include "scheduler/lead.h"

#define LOOK_MS 1000
#define CONNECT_MS 3000
#define STATEMENT_MS 5000
#define BEAT_STALE_MS 15000
#define NAME_SIZE 96

/* What the thread keeps to itself. */
struct candidate {
    struct elect *e;
    struct db_session *db;
    enum err failed; /* what was logged */
    int stale_pid;   /* the holder whose beat was too old at the last look */
    bool leading;
    int64_t term;
    struct lead lead;
    pthread_t duties;
    char name[NAME_SIZE]; /* host:pid */
};

static void note(struct candidate *c, const char *what, enum err err, const struct err_info *info)
{
    if (err != c->failed)
        log_error("election.failed", L_STR("at", what), L_ERR(err), L_STR("reason", info->text));
    c->failed = err;
}

static void disconnect(struct candidate *c)
{
    db_close(c->db);
    c->db = NULL;
}

static enum err connect_db(struct candidate *c)
{
    const struct db_session_config config = {
        .url = c->e->settings->common.database_url ? c->e->settings->common.database_url : "",
        .name = "usher-scheduler leader",
        .connect_ms = CONNECT_MS,
        .statement_ms = STATEMENT_MS,
    };
    struct err_info info = {0};
    enum err err = ERR_OK;

    if (c->db != NULL)
        return ERR_OK;
    err = db_open(&config, &c->db, &info);
    if (err != ERR_OK) {
        c->db = NULL;
        note(c, "connect", err, &info);
        atomic_store(&c->e->refused, err == ERR_STATE); /* a transaction pooler: waiting does not help */
    }
    return err;
}

/* A stepped clock belongs to development: on a production database it would hold everything still. */
static enum err check_clock(struct candidate *c, struct err_info *info)
{
    struct store_clock clock;
    enum err err = store_lead_clock(c->db, &clock, info);

    if (err == ERR_OK && clock.stepped && c->e->settings->common.environment != SETTINGS_DEVELOPMENT) {
        log_error("clock.stepped",
                  L_STR("reason", "the database's domain clock is stepped; only environment=development runs on it"));
        atomic_store(&c->e->refused, true);
        return err_set(info, ERR_STATE, "stepped clock");
    }
    return err;
}

static enum err take_lead(struct candidate *c, struct err_info *info)
{
    enum err err = store_lead_take(c->db, c->name, &c->term, info);

    if (err != ERR_OK)
        return err;
    lead_init(&c->lead, c->e->settings, c->e->work, c->term);
    if (pthread_create(&c->duties, NULL, lead_main, &c->lead) != 0) {
        lead_fini(&c->lead);
        return err_set(info, ERR_NOMEM, "no thread for the duties");
    }
    c->leading = true;
    c->stale_pid = 0;
    atomic_store(&c->e->leading, true);
    log_info("leader.took", L_INT("term", c->term), L_STR("name", c->name));
    return ERR_OK;
}

/* The session goes first where leadership was lost, so that nobody waits for us; last when we leave in good order. */
static void step_down(struct candidate *c, const char *why, bool orderly)
{
    if (!orderly)
        disconnect(c);
    lead_stop(&c->lead);
    pthread_join(c->duties, NULL);
    lead_fini(&c->lead);
    if (orderly)
        disconnect(c);
    c->leading = false;
    atomic_store(&c->e->leading, false);
    if (orderly)
        log_info("leader.left", L_INT("term", c->term));
    else
        log_warn("leader.lost", L_INT("term", c->term), L_STR("reason", why));
}

static enum err watch_holder(struct candidate *c, struct err_info *info)
{
    struct store_holder holder;
    enum err err = store_lead_holder(c->db, &holder, info);
    const bool stale = err == ERR_OK && holder.pid != 0 && holder.beat_age_ms > BEAT_STALE_MS;

    if (!stale) {
        c->stale_pid = 0;
        return err;
    }
    /* Twice in turn: between the lock and the first beat the beat is still the former leader's. */
    if (c->stale_pid != holder.pid) {
        c->stale_pid = holder.pid;
        return ERR_OK;
    }
    log_warn("leader.terminated", L_INT("backend", holder.pid), L_MS("silent", holder.beat_age_ms));
    return store_lead_terminate(c->db, holder.pid, info);
}

static enum err stand_by(struct candidate *c)
{
    struct err_info info = {0};
    bool got = false;
    enum err err = check_clock(c, &info);

    if (err == ERR_OK)
        err = dispatch_unmark(&c->lead, c->db, &info); /* another may lead by now, and find it */
    if (err == ERR_OK)
        err = store_lead_lock(c->db, &got, &info);
    if (err == ERR_OK)
        err = got ? take_lead(c, &info) : watch_holder(c, &info);
    if (err != ERR_OK && !atomic_load(&c->e->refused))
        note(c, "stand by", err, &info);
    /* Taking the lead failed half-way: closing releases the lock. */
    if (err != ERR_OK && (got || !db_alive(c->db)))
        disconnect(c);
    return err;
}

static void beat(struct candidate *c)
{
    struct err_info info = {0};
    bool valid = false;
    enum err err = store_lead_beat(c->db, c->term, &valid, &info);

    if (err != ERR_OK)
        step_down(c, info.text, false);
    else if (!valid || atomic_load(&c->lead.ended))
        step_down(c, "another leader has taken the term", false);
}

static void *elect_main(void *arg)
{
    struct elect *e = arg;
    struct candidate *c = mem_zalloc(sizeof(*c));
    char host[NAME_SIZE / 2] = "";

    c->e = e;
    (void)gethostname(host, sizeof(host) - 1);
    (void)snprintf(c->name, sizeof(c->name), "%s:%d", host, (int)getpid());
    while (!atomic_load(&e->stop) && !atomic_load(&e->refused)) {
        if (c->leading)
            beat(c);
        else if (connect_db(c) == ERR_OK && stand_by(c) == ERR_OK)
            c->failed = ERR_OK;
        if (!atomic_load(&e->stop) && !atomic_load(&e->refused))
            (void)wake_wait(&e->pause, LOOK_MS);
    }
    if (c->leading)
        step_down(c, NULL, true);
    disconnect(c);
    mem_free(c);
    if (atomic_load(&e->refused) && e->on_refused != NULL)
        e->on_refused(e->arg);
    return NULL;
}

void elect_start(struct elect *e, const struct scheduler_settings *settings, struct wake *work,
                 void (*on_refused)(void *arg), void *arg)
{
    memset(e, 0, sizeof(*e));
    e->settings = settings;
    e->work = work;
    e->on_refused = on_refused;
    e->arg = arg;
    wake_init(&e->pause);
    e->started = pthread_create(&e->thread, NULL, elect_main, e) == 0;
}

void elect_stop(struct elect *e)
{
    atomic_store(&e->stop, true);
    wake_ring(&e->pause);
    wake_ring(e->work);
    if (e->started)
        pthread_join(e->thread, NULL);
    e->started = false;
    wake_fini(&e->pause);
}
