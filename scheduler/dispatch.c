/* dispatch: events become runs, and end waits.
 *
 * One transaction: take a batch of events out of the outbox, match each against its tenant's rules, plan the runs, wake the waits,
 * COMMIT. Dying anywhere before the COMMIT puts the events back; after it everything stands.
 *
 * Failures: after a takeover, and after a batch that failed for a reason of its own, events are taken one by one, each marked in a
 * transaction before: what kills two leaders in turn, or fails twice, is put into quarantine by automation_priv.mark_event, and the
 * others go on. A failure that is not the event's takes the mark back: at once, or when there is a session again (l->marked_event). */
#include "scheduler/lead.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/core/fire.h"
#include "common/io/die.h"
#include "common/io/store_lead.h"
#include "scheduler/facts.h"
#include "scheduler/waking.h"

/* One event's dispatch. */
struct dispatch {
    struct lead *lead;
    const struct store_event *event;
    struct facts facts;
    json_t *context; /* of its runs */
    struct waking *waking;
    struct err_info *info;
    bool by_hand; /* the rule was named, its trigger is not asked */
    enum err err;
};

#define START_EVENT "rule.start" /* automation.start_rule */

static bool on_hit(const struct match_hit *hit, void *ctx)
{
    struct dispatch *d = ctx;
    const struct plan_run run = {
        .tenant_id = d->event->tenant_id,
        .wedding_id = d->event->wedding_id,
        .rule_id = hit->rule_id,
        .rule_revision = hit->revision,
        .rule = hit->rule,
        .ref = d->event->event_id,
        .seq = d->event->seq,
        .due_us = d->event->occurred_us,
        .skipped = hit->truth == LOGIC_TRUE ? NULL : hit->reason,
        .wedding_revision = d->event->wedding_revision,
        .wedding_status = d->event->wedding_status,
        .hops = d->event->hops,
        .by_hand = d->by_hand,
        .context = d->context,
    };

    d->err = plan_add(&d->lead->plan, &run, d->info);
    return d->err == ERR_OK;
}

static enum err prepare(struct dispatch *d)
{
    char id[ID_TEXT_SIZE];
    json_error_t why;
    json_t *payload = json_loadb(d->event->payload.p, d->event->payload.n, 0, &why);
    enum err err = facts_init(&d->facts, d->event->facts, d->event->now_us, d->info);

    if (err == ERR_OK) {
        facts_set_event(&d->facts, payload, d->event->type, str_of(id_format(&d->event->event_id, id)));
        d->context = json_object();
        (void)json_object_set(d->context, "event", json_object_get(d->facts.root, "event"));
    }
    json_decref(payload);
    return err;
}

/* take_events gives the waits as JSON: [{"job", "rule", "revision", "step", "definition"}, …]. */
static void end_wait(struct dispatch *d, const json_t *wait)
{
    char *definition = json_dumps(json_object_get(wait, "definition"), JSON_COMPACT);
    struct waking_step step = {
        .tenant_id = d->event->tenant_id,
        .revision = json_integer_value(json_object_get(wait, "revision")),
        .step = (int)json_integer_value(json_object_get(wait, "step")),
        .definition = str_of(definition),
    };

    if (id_parse(str_of(json_string_value(json_object_get(wait, "job"))), &step.job_id) == ERR_OK &&
        id_parse(str_of(json_string_value(json_object_get(wait, "rule"))), &step.rule_id) == ERR_OK &&
        waking_matches(d->lead->rules, &step, &d->facts))
        waking_add(d->waking, &step.job_id, &d->facts);
    free(definition);
}

static void end_waits(struct dispatch *d)
{
    json_error_t why;
    json_t *waits = NULL;

    if (d->event->waits.p == NULL)
        return;
    waits = json_loadb(d->event->waits.p, d->event->waits.n, 0, &why);
    for (size_t i = 0; i < json_array_size(waits); i++)
        end_wait(d, json_array_get(waits, i));
    json_decref(waits);
}

static enum err start_runs(struct dispatch *d, struct match *rules)
{
    const struct match_question question = {.context = d->facts.root, .env = &d->facts.env};
    struct match_stats stats = {0};
    enum err err = match_event(rules, d->event->type, &question, on_hit, d, &stats);

    log_debug("event.matched", L_ID("event", &d->event->event_id), L_INT("candidates", stats.candidates),
              L_INT("evaluated", stats.evaluated), L_INT("matched", stats.matched));
    return d->err != ERR_OK ? d->err : err;
}

/* The event names the rule that it starts, whatever that rule's trigger is. */
static enum err start_named(struct dispatch *d, const struct match *rules)
{
    struct match_hit hit = {.reason = ""};
    char why[LOGIC_REASON_SIZE];
    const json_t *event = json_object_get(d->facts.root, "event");

    if (id_parse(str_of(json_string_value(json_object_get(event, "rule"))), &hit.rule_id) == ERR_OK)
        hit.rule = match_get(rules, &hit.rule_id, &hit.revision);
    if (hit.rule == NULL)
        return ERR_OK;
    struct logic_facts *facts = logic_facts_new(match_fields((struct match *)(uintptr_t)rules));
    logic_facts_set(facts, d->facts.root, &d->facts.env);
    hit.truth = hit.rule->conditions != NULL ? logic_eval(hit.rule->conditions, facts, &hit.why) : LOGIC_TRUE;
    if (hit.truth != LOGIC_TRUE)
        hit.reason = fire_skip(false, hit.truth, logic_reason_text(&hit.why, why));
    d->by_hand = true;
    (void)on_hit(&hit, d);
    logic_facts_free(facts);
    return d->err;
}

static enum err dispatch_event(struct lead *l, const struct store_event *e, struct waking *waking, struct err_info *info)
{
    struct dispatch d = {.lead = l, .event = e, .waking = waking, .info = info};
    struct match *rules = NULL;
    enum err err = ERR_OK;

    if (e->ruleset_version > 0)
        err = rulesets_get(l->rules, l->db, &e->tenant_id, e->ruleset_version, &rules, info);
    const bool named = str_is(e->type, START_EVENT);
    if (rules != NULL && !named && !match_has_event(rules, e->type))
        rules = NULL;
    if (err != ERR_OK || (rules == NULL && e->waits.p == NULL))
        return err;
    err = prepare(&d);
    if (err == ERR_OK && rules != NULL)
        err = named ? start_named(&d, rules) : start_runs(&d, rules);
    if (err == ERR_OK)
        end_waits(&d); /* last: it may drop the rule set from the cache */
    json_decref(d.context);
    facts_free(&d.facts);
    return err;
}

/* only = 0: a batch. *taken: events of it. */
static enum err dispatch_batch(struct lead *l, int64_t only, int *taken, struct err_info *info)
{
    struct db_result *r = NULL;
    struct waking waking = {0};
    int64_t woken = 0;
    enum err err = lead_begin(l, info);

    if (err == ERR_OK)
        err = store_lead_events(l->db, l->term, (int)l->settings->dispatch_batch, only, &r, info);
    *taken = r != NULL ? db_rows(r) : 0;
    for (int i = 0; i < *taken && err == ERR_OK; i++) {
        struct store_event e;
        store_lead_event(r, i, &e);
        err = dispatch_event(l, &e, &waking, info);
    }
    if (err == ERR_OK)
        err = plan_flush(&l->plan, info);
    if (err == ERR_OK)
        err = waking_flush(&waking, l->db, l->term, &woken, info);
    die_at("before_plan_commit");
    err = lead_end(l, err, info);
    die_at("after_plan_commit");
    if (err == ERR_OK && *taken > 0)
        log_debug("events.dispatched", L_INT("events", *taken), L_INT("runs", l->plan.started), L_INT("waits", woken));
    waking_free(&waking);
    db_result_free(r);
    return err;
}

/* Is it something about these events, that will be so the next time too? A function or a right that is missing in the database is not:
 * all events wait for it. */
static bool blames_events(enum err err)
{
    static const enum err ours[] = {ERR_OK, ERR_STATE, ERR_DENIED, ERR_CANCELED, ERR_DB_BROKEN, ERR_DB_FEATURE};

    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (err == ours[i])
            return false;
    }
    return !err_retryable(err);
}

enum err dispatch_unmark(struct lead *l, struct db_session *db, struct err_info *info)
{
    enum err err = ERR_OK;

    if (l->marked_event != 0)
        err = store_lead_unmark(db, l->marked_event, info);
    if (err == ERR_OK)
        l->marked_event = 0;
    return err;
}

static enum err dispatch_one(struct lead *l, bool *more, struct err_info *info)
{
    struct err_info ignored = {0};
    int64_t id = 0;
    int taken = 0;
    enum err err = dispatch_unmark(l, l->db, info);

    if (err == ERR_OK)
        err = store_lead_mark(l->db, l->term, &id, info);
    if (err != ERR_OK || id == 0)
        return err;
    err = dispatch_batch(l, id, &taken, info);
    if (err == ERR_OK) {
        l->singles--;
    } else if (blames_events(err)) {
        log_error("event.failed", L_INT("outbox", id), L_STR("reason", info->text));
    } else {
        l->marked_event = id;
        if (db_alive(l->db) && dispatch_unmark(l, l->db, &ignored) != ERR_OK)
            log_warn("event.still_marked", L_INT("outbox", id), L_STR("reason", ignored.text));
    }
    *more = err == ERR_OK;
    return err;
}

enum err dispatch_run(struct lead *l, bool *more, struct err_info *info)
{
    int taken = 0;
    enum err err;

    if (l->singles > 0)
        return dispatch_one(l, more, info);
    err = dispatch_batch(l, 0, &taken, info);
    if (blames_events(err))
        l->singles = (int)l->settings->dispatch_batch;
    *more = err == ERR_OK && taken == (int)l->settings->dispatch_batch;
    return err;
}
