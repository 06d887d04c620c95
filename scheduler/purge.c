/* purge: rows that are older than the retention list (031) keeps them. One batch a second, table by table, so that a purge of
 * many rows never holds up the other duties; when all tables are done the next round begins an hour later. */
#include "scheduler/lead.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/str.h"

#define ROUND_EVERY_MS 3600000

enum err purge_run(struct lead *l, bool *more, struct err_info *info)
{
    struct store_purged purged;
    char table[STORE_TABLE_SIZE];
    enum err err = ERR_OK;

    *more = false;
    if (clock_mono_ms() < l->purge_ms)
        return ERR_OK;
    (void)str_copy(table, sizeof(table), l->purge_after);
    err = store_lead_purge(l->db, l->term, table, &purged, info);
    if (err != ERR_OK)
        return err;
    if (purged.rows > 0)
        log_info("purge.done", L_STR("table", table), L_INT("rows", purged.rows));
    if (table[0] == '\0')
        l->purge_ms = clock_mono_ms() + ROUND_EVERY_MS;
    if (!purged.more)
        (void)str_copy(l->purge_after, sizeof(l->purge_after), table);
    return ERR_OK;
}
