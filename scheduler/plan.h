/* plan: runs to be started, collected while rules are matched and handed to automation_priv.plan_runs in the transaction that
 * took their events or timings. The server plans one part while the next is matched. */
#ifndef SCHEDULER_PLAN_H
#define SCHEDULER_PLAN_H

#include <jansson.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/id.h"
#include "common/base/map.h"
#include "common/base/str.h"
#include "common/core/rule.h"
#include "common/io/db.h"

/* Zero-initialise ({0}) but for session and term. */
struct plan {
    struct db_session *session;
    int64_t term;
    struct buf runs;  /* a JSON array without its last bracket */
    struct map pairs; /* tenants, rules and weddings of the runs in it: each once */
    int n;            /* in it */
    bool sent;        /* the part before is under way */
    int64_t started;  /* since plan_begin: new, or fired again after they were superseded or skipped */
};

struct plan_run {
    struct id tenant_id, wedding_id, rule_id; /* wedding: zero for none */
    int64_t rule_revision;
    const struct rule *rule;
    struct id ref;  /* timing or event */
    int occurrence; /* of a yearly timing, or of one that fires again; 0: the first */
    bool by_hand;   /* started whatever its trigger is */
    int64_t seq;    /* of the event; 0: none, waits then count from now */
    int64_t due_us;
    int64_t herd_s;      /* over how many seconds what is due in its minute is spread; 0: at once (spread.h) */
    const char *skipped; /* why it does not run, or NULL: it runs */
    int64_t wedding_revision;
    struct str wedding_status;
    int hops;
    const json_t *context; /* borrowed */
};

void plan_begin(struct plan *p);
/* Hands over what has gathered when it is much; else only notes the run. */
enum err plan_add(struct plan *p, const struct plan_run *run, struct err_info *info) MUST_USE;
/* Hands over the rest and waits for what was handed over; inside the transaction, before its COMMIT. */
enum err plan_flush(struct plan *p, struct err_info *info) MUST_USE;
/* Forgets what has gathered or is under way: its part of the transaction is rolled back. */
void plan_drop(struct plan *p);
void plan_free(struct plan *p);

#endif
