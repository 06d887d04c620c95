/* activate: rules go live and expire when their window or season begins and ends (automation_priv.activate_rules). The database decides and
 * notes why; a change raises the version of the tenant's rule set, so that matching goes by it at once. */
#include "scheduler/lead.h"

#include "common/base/log.h"
#include "common/io/store_lead.h"

#define BATCH 500

enum err activate_run(struct lead *l, bool *more, struct err_info *info)
{
    int64_t n = 0;
    enum err err = store_lead_activate(l->db, l->term, BATCH, &n, info);

    if (n > 0)
        log_info("rules.activation", L_INT("rules", n));
    *more = n == BATCH;
    return err;
}
