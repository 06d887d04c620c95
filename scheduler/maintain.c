/* maintain: what keeps the tables and streams in shape: counters folded, partitions made ahead, streams trimmed, clocks compared. */
#include "scheduler/lead.h"

#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/io/queue_admin.h"
#include "common/io/store_lead.h"

#define FOLD_BATCH 20000 /* of automation_priv.fold_deltas */
/* Groups of the rollups a transaction and transactions a round: more than two workers log. The pause between rounds, of 5 s, lets more
 * of them fall together. */
#define ROLLUP_GROUPS 50000
#define ROLLUP_FOLDS 6
#define PARTITIONS_EVERY_MS 60000
#define CLOCKS_EVERY_MS 10000
#define ZONES_EVERY_MS 3600000
#define MS_PER_S 1000
#define RUNWAY_LEAST_US (INT64_C(45) * 86400 * 1000000)
/* Clocks that are further apart: a warning; ticking stops, since nobody knows which of them is right. */
#define CLOCKS_WARN_US INT64_C(5000000)
#define CLOCKS_STOP_US INT64_C(60000000)

enum err fold_run(struct lead *l, bool *more, struct err_info *info)
{
    int64_t folded = 0;
    enum err err = store_lead_fold(l->db, &folded, info);

    *more = folded == FOLD_BATCH;
    return err;
}

enum err rollup_run(struct lead *l, bool *more, struct err_info *info)
{
    int64_t folded = ROLLUP_GROUPS;
    enum err err = ERR_OK;

    *more = false;
    for (int i = 0; i < ROLLUP_FOLDS && err == ERR_OK && folded >= ROLLUP_GROUPS; i++)
        err = store_lead_fold_rollups(l->db, ROLLUP_GROUPS, &folded, info);
    return err;
}

static void judge_clocks(struct lead *l, int64_t apart_us)
{
    const bool warn = apart_us > CLOCKS_WARN_US;
    const bool stop = apart_us > CLOCKS_STOP_US;

    if (stop && !l->clocks_apart)
        log_error("clocks.apart", L_MS("by", apart_us / 1000), L_STR("effect", "no ticking until they agree"));
    else if (warn && !l->clocks_warned)
        log_warn("clocks.apart", L_MS("by", apart_us / 1000));
    else if (!warn && l->clocks_warned)
        log_info("clocks.agree", L_MS("by", apart_us / 1000));
    l->clocks_apart = stop;
    l->clocks_warned = warn;
}

static int64_t distance(int64_t a, int64_t b)
{
    return a > b ? a - b : b - a;
}

/* Ours is read after each answer: the way there and back counts as difference, which the limits allow for. */
static enum err compare_clocks(struct lead *l, const struct store_clock *clock, int64_t own_us, struct err_info *info)
{
    int64_t redis_us = 0, apart_us = distance(own_us, clock->machine_us);
    enum err err = ERR_OK;

    if (l->redis != NULL)
        err = queue_admin_time(l->redis, &redis_us, info);
    if (err == ERR_OK && l->redis != NULL) {
        int64_t redis_apart_us = distance(clock_wall_us(), redis_us);
        apart_us = redis_apart_us > apart_us ? redis_apart_us : apart_us;
    }
    judge_clocks(l, apart_us);
    return err;
}

/* What the log's last partition leaves: rows beyond go to quarantine. */
static enum err watch_runway(struct lead *l, struct err_info *info)
{
    int64_t runway_us = 0;
    enum err err = store_lead_runway(l->db, &runway_us, info);
    const bool is_short = runway_us < RUNWAY_LEAST_US;

    if (err != ERR_OK)
        return err;
    if (is_short && !l->runway_short)
        log_error("partitions.runway_short", L_INT("days", runway_us / 86400 / 1000000),
                  L_STR("effect", "log rows beyond go to quarantine"));
    else if (!is_short && l->runway_short)
        log_info("partitions.runway_long", L_INT("days", runway_us / 86400 / 1000000));
    l->runway_short = is_short;
    return ERR_OK;
}

/* The alarm is judged also when making fails: that is when it matters. */
static enum err make_partitions(struct lead *l, const struct store_clock *clock, struct err_info *info)
{
    struct err_info ignored = {0};
    int64_t made = 0;
    enum err err = store_lead_partitions(l->db, clock, &made, info);

    if (made > 0)
        log_info("partitions.made", L_INT("partitions", made));
    if (err == ERR_OK)
        l->partitions_ms = clock_mono_ms() + PARTITIONS_EVERY_MS;
    enum err watched = db_alive(l->db) ? watch_runway(l, err == ERR_OK ? info : &ignored) : ERR_OK;
    return err != ERR_OK ? err : watched;
}

/* The time zone database may have been updated under the server. */
static enum err watch_zones(struct lead *l, struct err_info *info)
{
    int64_t changed = 0;
    enum err err = store_lead_zones(l->db, &changed, info);

    if (changed > 0)
        log_warn("zones.changed", L_INT("zones", changed), L_STR("effect", "instants in them are derived anew"));
    if (err == ERR_OK)
        l->zones_ms = clock_mono_ms() + ZONES_EVERY_MS;
    return err;
}

/* Previews, in other processes, answer by the leader's settings. */
static enum err tell_shape(struct lead *l, struct err_info *info)
{
    enum err err = store_lead_shape(l->db, l->term, (int)l->settings->smear_above,
                                    (int)(l->settings->smear_within_ms / MS_PER_S), info);

    l->shaped = err == ERR_OK;
    return err;
}

enum err maintain_run(struct lead *l, bool *more, struct err_info *info)
{
    struct store_clock clock;
    int64_t own_us = 0;
    const int64_t now_ms = clock_mono_ms();
    enum err err = ERR_OK;

    *more = false;
    if (now_ms < l->clocks_ms && now_ms < l->partitions_ms)
        return ERR_OK;
    err = store_lead_clock(l->db, &clock, info);
    own_us = clock_wall_us();
    if (err != ERR_OK)
        return err;
    l->clock_stepped = clock.stepped;
    if (!l->shaped)
        err = tell_shape(l, info);
    if (err != ERR_OK)
        return err;
    if (now_ms >= l->partitions_ms)
        err = make_partitions(l, &clock, info);
    if (err == ERR_OK && now_ms >= l->zones_ms)
        err = watch_zones(l, info);
    if (err == ERR_OK && now_ms >= l->clocks_ms) {
        err = compare_clocks(l, &clock, own_us, info);
        l->clocks_ms = now_ms + CLOCKS_EVERY_MS;
    }
    return err;
}

static enum err trim_queue(struct lead *l, struct admit_queue *q, struct err_info *info)
{
    int64_t removed = 0;
    enum err err = admit_ensure(l, q, info);

    if (err == ERR_OK)
        err = queue_admin_trim(l->redis, q->key, &removed, info);
    if (err == ERR_OK)
        err = queue_admin_trim(l->redis, q->bare_key, &removed, info);
    if (err == ERR_REDIS_NOGROUP) {
        admit_forget_queue(q);
        err = ERR_OK;
    }
    return err;
}

enum err trim_run(struct lead *l, bool *more, struct err_info *info)
{
    enum err err = ERR_OK;

    *more = false;
    for (size_t i = 0; i < l->admit.n && err == ERR_OK; i++)
        err = trim_queue(l, &l->admit.queues[i], info);
    return err;
}
