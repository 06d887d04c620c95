/* waking: event waits that an event ends, collected and handed to automation_priv.wake_waits. */
#ifndef SCHEDULER_WAKING_H
#define SCHEDULER_WAKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/base/id.h"
#include "common/base/str.h"
#include "scheduler/facts.h"
#include "scheduler/rulesets.h"

struct db_session;

/* Zero-initialise ({0}). */
struct waking {
    struct id *jobs;
    size_t n;
    size_t cap;
    struct buf events; /* a JSON array without its last bracket */
};

/* A parked step: its rule's pinned revision and definition say what it waits for. */
struct waking_step {
    struct id job_id, tenant_id, rule_id;
    int64_t revision;
    int step;
    struct str definition;
};

/* Does the event in `facts` (of the type the step waits for) end the wait? An unknown `where` does not. */
bool waking_matches(struct rulesets *rules, const struct waking_step *step, const struct facts *facts);
/* Notes it; the first event of a job counts. */
void waking_add(struct waking *w, const struct id *job, const struct facts *facts);
/* Wakes what was noted, in the transaction that runs. */
enum err waking_flush(struct waking *w, struct db_session *s, int64_t term, int64_t *woken,
                      struct err_info *info) MUST_USE;
void waking_free(struct waking *w);

#endif
