/* refresh: statistics. While this process leads, the materialized views are refreshed one at a time over a connection of their own on the
 * loop, since a refresh may take many seconds and no duty waits for it. automation_priv.refresh_stats knows what is due. */
#ifndef SCHEDULER_REFRESH_H
#define SCHEDULER_REFRESH_H

#include <stdatomic.h>
#include <stdbool.h>

#include "common/io/db.h"
#include "common/io/loop.h"
#include "common/io/settings.h"

struct refresh {
    const atomic_bool *leading;
    struct db_conn *conn;
    struct timer *timer;
    bool busy;
    bool failed; /* the last one, and it was logged */
};

/* On the loop's thread, both. `leading` is read at each look. */
void refresh_start(struct refresh *r, struct loop *loop, const struct scheduler_settings *settings,
                   const atomic_bool *leading);
/* A refresh under way is abandoned. closed(arg) runs on the loop. */
void refresh_stop(struct refresh *r, void (*closed)(void *arg), void *arg);

#endif
