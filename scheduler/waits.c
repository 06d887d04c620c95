/* waits: the look-back of new event waits.
 *
 * A wait's row is committed before anybody looks for its event, so an event may have come between the run's own trigger and that
 * commit. The leader takes the note of the new wait, evaluates its `where` over the events dispatched since the trigger, in their
 * order, and wakes it with the first that fits. Later events are dispatch's. Both run on this thread, one after the other, so none
 * is missed. A failure puts the notes back. */
#include "scheduler/lead.h"

#include "common/base/log.h"
#include "common/io/store_lead.h"
#include "scheduler/facts.h"
#include "scheduler/waking.h"

#define BATCH 200

/* One of the events as take_wait_checks gives them: {"id", "type", "payload"}. */
static bool fits(struct lead *l, const struct waking_step *step, struct facts *facts, const json_t *event)
{
    facts_set_event(facts, json_object_get(event, "payload"), str_of(json_string_value(json_object_get(event, "type"))),
                    str_of(json_string_value(json_object_get(event, "id"))));
    return waking_matches(l->rules, step, facts);
}

static enum err look_back(struct lead *l, const struct store_wait *w, struct waking *waking, struct err_info *info)
{
    const struct waking_step step = {w->job_id, w->tenant_id, w->rule_id, w->rule_revision, w->step, w->definition};
    struct facts facts;
    json_error_t why;
    json_t *events = NULL;
    enum err err = facts_init(&facts, w->facts, w->now_us, info);

    if (err != ERR_OK)
        return err;
    events = json_loadb(w->events.p, w->events.n, 0, &why);
    for (size_t i = 0; i < json_array_size(events); i++) {
        if (fits(l, &step, &facts, json_array_get(events, i))) {
            waking_add(waking, &w->job_id, &facts);
            break;
        }
    }
    json_decref(events);
    facts_free(&facts);
    return ERR_OK;
}

enum err waits_run(struct lead *l, bool *more, struct err_info *info)
{
    struct db_result *r = NULL;
    struct waking waking = {0};
    struct store_work left = {.waits = false};
    int64_t woken = 0;
    enum err err = lead_begin(l, info);

    if (err == ERR_OK)
        err = store_lead_wait_checks(l->db, l->term, BATCH, &r, info);
    for (int i = 0; err == ERR_OK && i < db_rows(r); i++) {
        struct store_wait w;
        store_lead_wait(r, i, &w);
        err = look_back(l, &w, &waking, info);
    }
    if (err == ERR_OK)
        err = waking_flush(&waking, l->db, l->term, &woken, info);
    err = lead_end(l, err, info);
    /* Waits without a past event are not among the rows: what is left can not be told from their number. */
    if (err == ERR_OK)
        err = store_lead_work(l->db, &left, info);
    *more = err == ERR_OK && left.waits;
    if (woken > 0)
        log_debug("waits.woken", L_INT("waits", woken));
    waking_free(&waking);
    db_result_free(r);
    return err;
}
