/* plan: see plan.h. */
#include "scheduler/plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/core/advance.h"
#include "common/core/fire.h"
#include "common/core/message.h"
#include "common/core/spread.h"
#include "common/core/vocab.h"
#include "common/io/store_lead.h"

/* One event may start thousands of runs with its payload in each, and what is matched here while the server plans costs no time: they
 * are handed over in parts. */
#define FLUSH_RUNS 500
#define FLUSH_BYTES ((size_t)4 * 1024 * 1024)

#define FIRST_GENERATION 1 /* SQL derives the job's id anew for a run that fires again */
#define US_PER_S INT64_C(1000000)
#define TIME_SECONDS_LENGTH 19 /* "2026-05-02T09:00:00" */

static void put_id(struct buf *b, const char *key, const struct id *id)
{
    char text[ID_TEXT_SIZE];

    if (!id_is_zero(id))
        buf_printf(b, ",\"%s\":\"%s\"", key, id_format(id, text));
}

/* To the microsecond, unlike str_from_time. */
static void put_time(struct buf *b, const char *key, int64_t us)
{
    char text[STR_TIME_SIZE];
    int64_t fraction = (us % US_PER_S + US_PER_S) % US_PER_S;

    str_from_time(text, us);
    buf_printf(b, ",\"%s\":\"%.*s.%06" PRId64 "Z\"", key, TIME_SECONDS_LENGTH, text, fraction);
}

static void put_json(struct buf *b, const char *key, const json_t *value)
{
    char *text = value != NULL ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;

    if (text != NULL)
        buf_printf(b, ",\"%s\":%s", key, text);
    free(text);
}

static void put_str(struct buf *b, const char *key, struct str s)
{
    if (s.p == NULL)
        return;
    buf_printf(b, ",\"%s\":", key);
    buf_put_json(b, s.p, s.n);
}

static enum trigger_type trigger_of(const struct plan_run *run)
{
    return run->by_hand ? TRIGGER_MANUAL : run->rule->trigger.type;
}

static void put_first_step(struct buf *b, const struct plan_run *run, const struct id *id)
{
    const struct rule *rule = run->rule;
    const struct step *step = &rule->program.steps[0];
    struct id job;
    json_t *due = advance_due(rule, step), *templates = message_names(&rule->program);
    json_t *spread = trigger_of(run) == TRIGGER_MILESTONE
                         ? spread_spec(rule, &run->tenant_id, &run->wedding_id, run->due_us, run->herd_s)
                         : NULL;

    advance_job_id(id, step->index, 0, FIRST_GENERATION, &job);
    put_json(b, "templates", templates);
    put_id(b, "job", &job);
    put_str(b, "kind", str_of(vocab_text(VOCAB_ACTION, (int)step->type)));
    buf_printf(b, ",\"step\":%d", step->index);
    put_json(b, "spec", due);
    put_json(b, "spread", spread);
    if (step->type == ACTION_WAIT && step->wait.kind == WAIT_EVENT)
        put_str(b, "event", str_of(step->wait.event_type));
    json_decref(due);
    json_decref(spread);
    json_decref(templates);
}

/* A run whose instant derives from the wedding's date is bound to the wedding's revision, unless its rule keeps planned runs. */
static bool is_bound(const struct plan_run *run)
{
    return trigger_of(run) == TRIGGER_MILESTONE && run->rule->settings.on_date_change != DATE_CHANGE_KEEP;
}

/* What it has run for at another hour, before it was edited, it does not run for again. */
static void put_once(struct buf *b, const struct plan_run *run)
{
    const struct rule *rule = run->rule;

    if (trigger_of(run) == TRIGGER_MILESTONE && rule->settings.on_date_change != DATE_CHANGE_REFIRE)
        buf_printf(b, ",\"once\":\"%s\",\"yearly\":%s", vocab_text(VOCAB_MILESTONE, (int)rule->trigger.milestone),
                   rule->trigger.yearly > 0 ? "true" : "false");
}

static void put_wedding(struct buf *b, const struct plan_run *run)
{
    if (id_is_zero(&run->wedding_id))
        return;
    put_id(b, "wedding", &run->wedding_id);
    buf_printf(b, ",\"wedding_revision\":%" PRId64, run->wedding_revision);
    put_str(b, "wedding_status", run->wedding_status);
}

static void put_run(struct buf *b, const struct plan_run *run)
{
    const struct rule_settings *settings = &run->rule->settings;
    const struct fire fire = {run->tenant_id, run->rule_id, run->wedding_id, run->ref, run->occurrence};
    struct id id;
    char text[ID_TEXT_SIZE];

    fire_run_id(&fire, run->rule, &id);
    buf_printf(b, "{\"run\":\"%s\"", id_format(&id, text));
    buf_printf(b, ",\"tenant\":\"%s\"", id_format(&run->tenant_id, text)); /* the platform's is all zeros */
    put_id(b, "rule", &run->rule_id);
    put_id(b, "ref", &run->ref);
    put_once(b, run);
    buf_printf(b, ",\"revision\":%" PRId64, run->rule_revision);
    put_wedding(b, run);
    put_str(b, "type", str_of(vocab_text(VOCAB_TRIGGER, (int)trigger_of(run))));
    if (run->seq > 0)
        buf_printf(b, ",\"seq\":%" PRId64, run->seq);
    put_time(b, "due", run->due_us);
    put_str(b, "state", run->skipped != NULL ? STR("skipped") : STR("running"));
    put_str(b, "reason", (struct str){run->skipped, run->skipped != NULL ? str_of(run->skipped).n : 0});
    buf_printf(b, ",\"bound\":%s,\"hops\":%d,\"mode\":\"%s\",\"priority\":%d", is_bound(run) ? "true" : "false",
               run->hops, vocab_text(VOCAB_MODE, (int)settings->mode), (int)settings->priority);
    if (settings->max_runs_per_wedding > 0)
        buf_printf(b, ",\"max_runs\":%" PRId64, settings->max_runs_per_wedding);
    put_json(b, "context", run->context);
    if (run->skipped == NULL)
        put_first_step(b, run, &id);
    buf_put_char(b, '}');
}

/* Of the part that is under way. */
static enum err take_answer(struct plan *p, struct err_info *info)
{
    int64_t started = 0;
    enum err err = ERR_OK;

    if (p->sent) {
        p->sent = false;
        err = store_lead_planned(p->session, &started, info);
        p->started += started;
    }
    return err;
}

static void forget(struct plan *p)
{
    buf_reset(&p->runs);
    map_free(&p->pairs);
    p->n = 0;
}

void plan_drop(struct plan *p)
{
    struct err_info ignored = {0};

    (void)take_answer(p, &ignored); /* else it would be the ROLLBACK's */
    forget(p);
}

void plan_begin(struct plan *p)
{
    plan_drop(p);
    p->started = 0;
}

static enum err hand_over(struct plan *p, struct err_info *info)
{
    enum err err = take_answer(p, info);

    if (err == ERR_OK) {
        buf_put_char(&p->runs, ']');
        err = store_lead_plan(p->session, p->term, (struct str){p->runs.data, p->runs.len}, info);
    }
    p->sent = err == ERR_OK;
    forget(p);
    return err;
}

enum err plan_flush(struct plan *p, struct err_info *info)
{
    enum err err = p->n > 0 ? hand_over(p, info) : ERR_OK;

    return err == ERR_OK ? take_answer(p, info) : err;
}

/* A run's fate may hang on an earlier one of its rule and wedding, which has to stand before it is asked for. */
static enum err plan_apart(struct plan *p, const struct plan_run *run, struct err_info *info)
{
    const struct id pair[] = {run->tenant_id, run->rule_id, run->wedding_id};
    enum err err = ERR_OK;

    if (map_get(&p->pairs, pair, sizeof(pair)) != NULL)
        err = hand_over(p, info);
    (void)map_put(&p->pairs, pair, sizeof(pair), p);
    return err;
}

enum err plan_add(struct plan *p, const struct plan_run *run, struct err_info *info)
{
    enum err err = plan_apart(p, run, info);

    if (err != ERR_OK)
        return err;
    buf_put_char(&p->runs, p->n == 0 ? '[' : ',');
    put_run(&p->runs, run);
    p->n++;
    if (p->n >= FLUSH_RUNS || p->runs.len >= FLUSH_BYTES)
        return hand_over(p, info);
    return ERR_OK;
}

void plan_free(struct plan *p)
{
    buf_free(&p->runs);
    map_free(&p->pairs);
}
