/* replan: after a wedding moved or ended, its unclaimed jobs are superseded, derived anew or cancelled
 * (automation_priv.replan_weddings, one transaction). Rows that somebody has locked leave their wedding for the next round; what is
 * claimed meanwhile is fenced by the claim. Then runs that waited for an earlier one of their rule and wedding have their turn. */
#include "scheduler/lead.h"

#include "common/base/log.h"
#include "common/io/store_lead.h"

#define BATCH 100

enum err replan_run(struct lead *l, bool *more, struct err_info *info)
{
    int64_t handled = 0, released = 0;
    enum err err = store_lead_replan(l->db, l->term, BATCH, &handled, info);

    if (err == ERR_OK)
        err = store_lead_queued(l->db, l->term, BATCH, &released, info);
    if (handled > 0)
        log_debug("weddings.replanned", L_INT("weddings", handled));
    *more = handled == BATCH || released == BATCH;
    return err;
}
