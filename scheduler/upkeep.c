/* upkeep: see upkeep.h. */
#include "scheduler/upkeep.h"

#include <string.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/io/db.h"
#include "common/io/store_archive.h"
#include "common/io/store_lead.h"

#define ROUND_EVERY_MS 600000
#define CANCEL_EVERY_MS 200
#define STATEMENT_MS 600000 /* of ANALYZE, which reads a sample of every month */

void upkeep_init(struct upkeep *u, const struct scheduler_settings *settings)
{
    memset(u, 0, sizeof(*u));
    u->settings = settings;
    wake_init(&u->pause);
    wake_init(&u->done);
    pthread_mutex_init(&u->lock, NULL);
}

void upkeep_fini(struct upkeep *u)
{
    wake_fini(&u->pause);
    wake_fini(&u->done);
    pthread_mutex_destroy(&u->lock);
}

/* Loud in each round: what is lost does not come back by itself. */
static enum err audit(struct upkeep *u, struct db_session *db, struct err_info *info)
{
    enum err err = store_lead_unaccounted(db, &u->unaccounted, info);

    if (err == ERR_OK && u->unaccounted != 0)
        log_error("jobs.unaccounted", L_INT("usher_unaccounted_jobs", u->unaccounted),
                  L_STR("see", "usher audit tells tenants and days"));
    return err;
}

/* Host tables that are not as they should be: what their writes bring is missing until somebody repairs them. */
static enum err look_at_sources(struct upkeep *u, struct db_session *db, struct err_info *info)
{
    struct db_result *rows = NULL;
    enum err err = store_lead_sources(db, &rows, info);

    u->sources = err == ERR_OK ? db_rows(rows) : 0;
    for (int row = 0; row < u->sources; row++) {
        const struct str name = db_text(rows, row, 0);
        if (db_bool(rows, row, 1))
            log_error("source.off", L_BYTES("table", name.p, name.n), L_INT("errors", db_i64(rows, row, 3)));
        else
            log_warn("source.behind", L_BYTES("table", name.p, name.n), L_BOOL("backfilled", db_bool(rows, row, 2)),
                     L_INT("errors", db_i64(rows, row, 3)));
    }
    db_result_free(rows);
    return err;
}

static enum err look_after(struct upkeep *u, struct err_info *info)
{
    const char *url = u->settings->common.database_url;
    const struct db_session_config config = {.url = url != NULL ? url : "",
                                             .name = "usher-scheduler upkeep",
                                             .statement_ms = STATEMENT_MS};
    struct db_session *db = NULL;
    bool made = false;
    enum err err = db_open(&config, &db, info);

    if (err == ERR_OK)
        err = audit(u, db, info);
    if (err == ERR_OK)
        err = look_at_sources(u, db, info);
    if (err == ERR_OK)
        err = store_archive_analyze(db, &made, info);
    if (made)
        log_info("log.analyzed", L_BOOL("whole", true));
    db_close(db);
    return err;
}

static void set_archive(struct upkeep *u, struct archive *a)
{
    pthread_mutex_lock(&u->lock);
    u->archive = a;
    pthread_mutex_unlock(&u->lock);
}

/* A month that fails is logged and does not hold up the others, which may have nothing to do with why. */
static int take_steps(struct upkeep *u, struct archive *a, const struct archive_part *parts, size_t n)
{
    int done = 0;

    for (size_t i = 0; i < n && !atomic_load(&u->stop); i++) {
        struct err_info info = {0};
        enum err err = archive_step(a, &parts[i], &info);
        done += err == ERR_OK;
        if (err == ERR_OK)
            log_info("archive.done", L_STR("partition", parts[i].leaf), L_STR("step", parts[i].step));
        else if (!atomic_load(&u->stop))
            log_error("archive.failed", L_STR("partition", parts[i].leaf), L_STR("step", parts[i].step), L_ERR(err),
                      L_STR("reason", info.text));
        if (err == ERR_CONN_LOST)
            break;
    }
    return done;
}

static enum err archive(struct upkeep *u, int *archived, struct err_info *info)
{
    const struct settings *s = &u->settings->common;
    const char *url = s->maint_database_url != NULL ? s->maint_database_url : s->database_url;
    const struct archive_config config = {.url = url != NULL ? url : "",
                                          .dir = s->archive_dir,
                                          .after_months = s->archive_after_months,
                                          .grace_ms = s->archive_grace_ms,
                                          .stop = &u->stop};
    struct archive_part *parts = NULL;
    struct archive *a = NULL;
    size_t n = 0;
    enum err err = archive_open(&config, &a, info);

    if (err != ERR_OK)
        return err;
    set_archive(u, a);
    err = archive_due(a, &parts, &n, info);
    *archived = err == ERR_OK ? take_steps(u, a, parts, n) : 0;
    set_archive(u, NULL);
    mem_free(parts);
    archive_close(a);
    return err;
}

enum err upkeep_round(struct upkeep *u, int *archived, struct err_info *info)
{
    enum err err = look_after(u, info);

    *archived = 0;
    if (err == ERR_OK && u->settings->common.archive_dir != NULL && !atomic_load(&u->stop))
        err = archive(u, archived, info);
    return err;
}

static void *upkeep_main(void *arg)
{
    struct upkeep *u = arg;

    while (!atomic_load(&u->stop)) {
        struct err_info info = {0};
        int archived = 0;
        enum err err = upkeep_round(u, &archived, &info);
        if (err != ERR_OK && err != u->failed && !atomic_load(&u->stop))
            log_error("upkeep.failed", L_ERR(err), L_STR("reason", info.text));
        u->failed = err;
        if (!atomic_load(&u->stop))
            (void)wake_wait(&u->pause, ROUND_EVERY_MS);
    }
    atomic_store(&u->ended, true);
    wake_ring(&u->done);
    return NULL;
}

void upkeep_start(struct upkeep *u, const struct scheduler_settings *settings)
{
    upkeep_init(u, settings);
    u->started = pthread_create(&u->thread, NULL, upkeep_main, u) == 0;
    if (!u->started) {
        log_error("upkeep.failed", L_STR("reason", "no thread"));
        upkeep_fini(u);
    }
}

static void cancel(struct upkeep *u)
{
    pthread_mutex_lock(&u->lock);
    if (u->archive != NULL)
        archive_cancel(u->archive);
    pthread_mutex_unlock(&u->lock);
}

void upkeep_stop(struct upkeep *u)
{
    if (!u->started)
        return;
    atomic_store(&u->stop, true);
    wake_ring(&u->pause);
    /* Again until it has ended: the first may come just before a statement begins. */
    while (!atomic_load(&u->ended)) {
        cancel(u);
        (void)wake_wait(&u->done, CANCEL_EVERY_MS);
    }
    pthread_join(u->thread, NULL);
    upkeep_fini(u);
    u->started = false;
}
