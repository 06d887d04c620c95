/* tick: due timings become runs.
 *
 * One transaction: mark a batch of due timings as fired, look the rules of each up, evaluate their conditions on the wedding as it
 * is now, plan the runs, COMMIT. A rule whose conditions do not hold, or can not be decided, leaves a run in state skipped with
 * the reason, so that a person can see why nothing happened.
 *
 * Where more is due in a minute than the settings allow, the first steps of its runs are spread (store_lead_herds, spread.h).
 *
 * A failure puts the timings back. If it is one that will come again, the next batch puts a savepoint before each timing, so that
 * the guilty one alone is left out, with an error in the log. */
#include "scheduler/lead.h"

#include "common/base/log.h"
#include "common/core/fire.h"
#include "common/core/late.h"
#include "common/core/vocab.h"
#include "common/io/die.h"
#include "common/io/store_lead.h"
#include "scheduler/due.h"

#define US_PER_MINUTE INT64_C(60000000)

struct tick {
    struct lead *lead;
    const struct store_timing *timing;
    json_t *context;
    struct err_info *info;
    enum err err;
};

static enum err is_outrun(struct tick *t, const struct rule *rule, bool *outrun)
{
    enum lateness late = late_judge(&rule->settings, t->timing->due_us, t->timing->now_us);

    *outrun = late == LATENESS_PASSED;
    return late == LATENESS_UNLESS_LATER ? store_lead_later_timing(t->lead->db, t->timing, outrun, t->info) : ERR_OK;
}

static bool on_hit(const struct match_hit *hit, void *ctx)
{
    struct tick *t = ctx;
    bool outrun = false;
    struct plan_run run = {
        .tenant_id = t->timing->tenant_id,
        .wedding_id = t->timing->wedding_id,
        .rule_id = hit->rule_id,
        .rule_revision = hit->revision,
        .rule = hit->rule,
        .ref = t->timing->timing_id,
        .occurrence = t->timing->occurrence,
        .due_us = t->timing->due_us,
        .herd_s = t->timing->herd_s,
        .wedding_revision = t->timing->wedding_revision,
        .wedding_status = t->timing->wedding_status,
        .context = t->context,
    };

    t->err = is_outrun(t, hit->rule, &outrun);
    run.skipped = fire_skip(outrun, hit->truth, hit->reason);
    (void)json_object_set_new(t->context, "milestone",
                              json_string(vocab_text(VOCAB_MILESTONE, (int)hit->rule->trigger.milestone)));
    if (t->err == ERR_OK)
        t->err = plan_add(&t->lead->plan, &run, t->info);
    return t->err == ERR_OK;
}

static enum err fire(struct lead *l, const struct store_timing *timing, const struct facts *facts, struct match *rules,
                     struct err_info *info)
{
    struct tick t = {.lead = l, .timing = timing, .info = info};
    const struct match_question question = {.context = facts->root, .env = &facts->env, .all = true};
    char due[STR_TIME_SIZE];
    enum err err;

    str_from_time(due, timing->due_us);
    t.context = json_pack("{s:s}", "due", due);
    err = match_timing(rules, &timing->timing_id, &question, on_hit, &t, NULL);
    json_decref(t.context);
    return t.err != ERR_OK ? t.err : err;
}

static enum err tick_timing(struct lead *l, struct due *due, int i, const struct store_timing *t, struct err_info *info)
{
    struct match *rules = NULL;
    struct facts *facts = NULL;
    enum err err = ERR_OK;

    /* SQL suspends the timings of such weddings in the transaction that ends or postpones them; this is for those of before. */
    if (fire_is_off(t->wedding_status) || t->ruleset_version == 0)
        return ERR_OK;
    err = rulesets_get(l->rules, l->db, &t->tenant_id, t->ruleset_version, &rules, info);
    if (err != ERR_OK || !match_has_timing(rules, &t->timing_id))
        return err;
    err = due_facts(due, i, &facts, info);
    return err == ERR_OK ? fire(l, t, facts, rules, info) : err;
}

static bool comes_again(enum err err)
{
    return err != ERR_OK && err != ERR_STATE && err != ERR_DENIED && !err_retryable(err);
}

static enum err tick_carefully(struct lead *l, struct due *due, int i, const struct store_timing *t,
                               struct err_info *info)
{
    enum err err = db_exec(l->db, "savepoint one_timing", NULL, info);

    if (err != ERR_OK)
        return err;
    err = tick_timing(l, due, i, t, info);
    if (err == ERR_OK)
        err = plan_flush(&l->plan, info);
    if (!comes_again(err))
        return err;
    log_error("timing.failed", L_ID("tenant", &t->tenant_id), L_ID("wedding", &t->wedding_id),
              L_ID("timing", &t->timing_id), L_STR("reason", info->text));
    plan_drop(&l->plan);
    return db_exec(l->db, "rollback to savepoint one_timing", NULL, info);
}

static int64_t herd_s(const struct db_result *herds, int64_t due_us)
{
    for (int i = 0; herds != NULL && i < db_rows(herds); i++) {
        int64_t minute_us = db_time(herds, i, 0);
        if (due_us >= minute_us && due_us - minute_us < US_PER_MINUTE)
            return db_i64(herds, i, 1);
    }
    return 0;
}

enum err tick_run(struct lead *l, bool *more, struct err_info *info)
{
    struct db_result *herds = NULL;
    struct due due = {0};
    enum err err = lead_begin(l, info);

    if (err == ERR_OK && l->settings->smear_above > 0)
        err = store_lead_herds(l->db, l->term, DUE_BATCH, &herds, info);
    if (err == ERR_OK)
        err = due_take(&due, l, info);
    for (int i = 0; i < due.n && err == ERR_OK; i++) {
        struct store_timing t;
        due_timing(&due, i, &t);
        t.herd_s = herd_s(herds, t.due_us);
        err = l->careful ? tick_carefully(l, &due, i, &t, info) : tick_timing(l, &due, i, &t, info);
    }
    if (err == ERR_OK)
        err = plan_flush(&l->plan, info);
    die_at("before_plan_commit");
    err = lead_end(l, err, info);
    die_at("after_plan_commit");
    l->careful = comes_again(err);
    if (err == ERR_OK && due.n > 0)
        log_debug("timings.fired", L_INT("timings", due.n), L_INT("runs", l->plan.started));
    *more = err == ERR_OK && due.n == DUE_BATCH;
    db_result_free(herds);
    due_free(&due);
    return err;
}
