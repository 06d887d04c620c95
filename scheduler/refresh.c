/* refresh: see refresh.h. */
#include "scheduler/refresh.h"

#include "common/base/log.h"
#include "common/io/store_query.h"

#define LOOK_EVERY_MS 30000
#define REFRESH_MS 600000

static void look(void *arg);

static void on_refreshed(void *arg, enum err err, const struct db_result *res, const struct err_info *info)
{
    struct refresh *r = arg;

    r->busy = false;
    if (err == ERR_CANCELED)
        return;
    if (err != ERR_OK && !r->failed)
        log_error("stats.refresh", L_ERR(err), L_STR("reason", info->text));
    r->failed = err != ERR_OK;
    if (err != ERR_OK || db_null(res, 0, 0))
        return;
    log_debug("stats.refreshed", L_STR("view", db_text(res, 0, 0).p));
    look(r); /* what is made of it */
}

static void look(void *arg)
{
    struct refresh *r = arg;

    if (r->busy || !atomic_load(r->leading) || !db_conn_up(r->conn))
        return;
    r->busy = true;
    store_stats_refresh(r->conn, on_refreshed, r);
}

void refresh_start(struct refresh *r, struct loop *loop, const struct scheduler_settings *settings,
                   const atomic_bool *leading)
{
    const struct db_conn_config config = {
        .url = settings->common.database_url ? settings->common.database_url : "",
        .name = "usher-scheduler statistics",
        .statement_ms = REFRESH_MS,
    };

    *r = (struct refresh){.leading = leading};
    r->conn = db_conn_open(loop, &config);
    r->timer = timer_new(loop, look, r);
    timer_start(r->timer, LOOK_EVERY_MS, LOOK_EVERY_MS);
}

void refresh_stop(struct refresh *r, void (*closed)(void *arg), void *arg)
{
    timer_free(r->timer);
    db_conn_close(r->conn, closed, arg);
}
