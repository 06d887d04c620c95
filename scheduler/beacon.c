/* beacon: is one store behind the other?
 *
 * Every second the sequence is raised in PostgreSQL, then written to Redis, so Redis is never ahead by itself.
 *  - Redis below what this leader wrote: Redis lost something (restart, failover, FLUSHALL). All that was admitted is forgotten and
 *    what is due and unclaimed is added again.
 *  - Redis above PostgreSQL: PostgreSQL lost something (restored from a backup, lost its last commits). What is due there may have
 *    been done already, so dispatching, ticking and admission stop until an operator has decided (usher restore resume). Then what was
 *    due is planned, the decision is applied to it, and admission goes on. A Redis that is emptied ends the state as well. */
#include "scheduler/lead.h"

#include "common/base/log.h"
#include "common/io/queue_admin.h"
#include "common/io/store_lead.h"

enum { UNDECIDED, PLANNING, AGREED };

static enum err stay_behind(struct lead *l, int64_t redis, int64_t postgres, struct err_info *info)
{
    int64_t decided = UNDECIDED;
    enum err err = store_lead_beacon_raise(l->db, l->term, redis, &decided, info);

    if (err != ERR_OK)
        return err;
    if (decided == AGREED)
        log_warn("beacon.accepted", L_INT("postgres", postgres), L_INT("redis", redis));
    else if (decided == UNDECIDED && !l->behind)
        log_error("beacon.postgres_behind", L_INT("postgres", postgres), L_INT("redis", redis),
                  L_STR("effect", "no dispatching, ticking, admission"), L_STR("to_resume", "usher restore resume"));
    l->behind = decided != AGREED;
    l->resuming = decided == PLANNING;
    return ERR_OK;
}

static enum err advance(struct lead *l, struct err_info *info)
{
    int64_t next = 0;
    enum err err = store_lead_beacon_next(l->db, l->term, &next, info);

    if (err == ERR_OK)
        err = queue_admin_beacon_set(l->redis, next, info);
    if (err == ERR_OK)
        l->beacon_written = next;
    return err;
}

enum err beacon_run(struct lead *l, bool *more, struct err_info *info)
{
    int64_t redis = 0, postgres = 0;
    enum err err = queue_admin_beacon_get(l->redis, &redis, info);

    *more = false;
    if (err == ERR_NOTFOUND) /* an empty Redis */
        err = ERR_OK;
    if (err == ERR_OK)
        err = store_lead_beacon(l->db, &postgres, info);
    if (err != ERR_OK)
        return err;
    if (redis > postgres) {
        err = stay_behind(l, redis, postgres, info);
    } else {
        if (l->behind)
            log_info("beacon.agrees", L_INT("postgres", postgres), L_INT("redis", redis));
        l->behind = l->resuming = false;
    }
    if (redis < l->beacon_written)
        admit_forget(&l->admit, "Redis is behind its beacon");
    return err == ERR_OK && !l->behind ? advance(l, info) : err;
}
