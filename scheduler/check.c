/* check: the engine's stamp on rules. A new or edited revision is parsed by the full validator; what it accepts becomes the revision
 * that runs, with its trigger's columns and, for milestones, its timing; what it refuses keeps the errors, each with a JSON pointer.
 * Either way the revision before goes on until then. Warnings of an accepted one are kept beside it.
 *
 * One transaction a rule. A stamp that the database refuses (a time zone it does not know) is a refusal of the rule as well. */
#include "scheduler/lead.h"

#include "scheduler/check_lint.h"

#include <stdlib.h>

#include "common/base/log.h"
#include "common/core/advance.h"
#include "common/core/rule.h"
#include "common/core/vocab.h"
#include "common/io/store_lead.h"

#define BATCH 50

static json_t *acceptance(const struct rule *r, const struct rule_errors *errors)
{
    json_t *stamp = json_pack("{s:s}", "trigger_type", vocab_text(VOCAB_TRIGGER, (int)r->trigger.type));
    json_t *warnings = rule_errors_warnings_json(errors);

    if (r->trigger.type == TRIGGER_EVENT)
        (void)json_object_set_new(stamp, "event_type", json_string(r->trigger.event_type));
    if (r->trigger.type == TRIGGER_MILESTONE)
        (void)json_object_set_new(stamp, "timing", advance_timing(&r->trigger));
    if (warnings != NULL)
        (void)json_object_set_new(stamp, "warnings", warnings);
    return stamp;
}

static json_t *rejection(const struct rule_errors *errors)
{
    return json_pack("{s:o}", "rejection", rule_errors_json(errors));
}

static enum err stamp(struct lead *l, const struct store_rule *row, json_t *what, struct err_info *info)
{
    char *text = json_dumps(what, JSON_COMPACT);
    enum err err = store_lead_stamp(l->db, l->term, row, str_of(text), info);

    free(text);
    json_decref(what);
    return err;
}

static void log_rejected(const struct store_rule *row, const struct rule_errors *errors)
{
    log_warn("rule.rejected", L_ID("tenant", &row->tenant_id), L_ID("rule", &row->rule_id),
             L_INT("revision", row->revision), L_STR("pointer", errors->items[0].pointer),
             L_STR("reason", errors->items[0].message));
}

static enum err check_rule(struct lead *l, const struct store_rule *row, struct err_info *info)
{
    struct logic_fields *fields = logic_fields_new();
    struct rule_errors errors = {0};
    struct rule *r = rule_parse_text(row->definition, fields, &errors);
    enum err err = r != NULL ? check_lint(l, row, r, fields, &errors, info) : ERR_OK;

    if (err == ERR_OK)
        err = stamp(l, row, r != NULL ? acceptance(r, &errors) : rejection(&errors), info);
    if (r != NULL && (err == ERR_DB_DATA || err == ERR_DB)) {
        rule_errors_add(&errors, "/trigger", "the database refuses it: %s", info->text);
        err = stamp(l, row, rejection(&errors), info);
    }
    if (err == ERR_OK && errors.n > 0)
        log_rejected(row, &errors);
    else if (err == ERR_OK)
        log_debug("rule.accepted", L_ID("tenant", &row->tenant_id), L_ID("rule", &row->rule_id),
                  L_INT("revision", row->revision));
    rule_free(r);
    rule_errors_free(&errors);
    logic_fields_free(fields);
    return err;
}

enum err check_run(struct lead *l, bool *more, struct err_info *info)
{
    struct db_result *r = NULL;
    int64_t settled = 0;
    enum err err = store_lead_unchecked_rules(l->db, BATCH, &r, info);

    for (int i = 0; err == ERR_OK && i < db_rows(r) && !atomic_load(&l->stop); i++) {
        struct store_rule row;
        store_lead_unchecked_rule(r, i, &row);
        err = check_rule(l, &row, info);
    }
    if (err == ERR_OK)
        err = store_lead_timing_keys(l->db, l->term, BATCH, &settled, info);
    *more = err == ERR_OK && (db_rows(r) == BATCH || settled == BATCH);
    db_result_free(r);
    return err;
}
