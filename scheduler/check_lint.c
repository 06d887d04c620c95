/* check_lint: see check_lint.h. The other rules are loaded only for a rule that may start some and is started by an event or by hand: at
 * most 200, which bounds what one stamp may cost. In a tenant with more, chains over the rest are not seen; the guards against loops (a
 * chain of 8 events, 16 runs an hour) hold for all. Rules that a milestone starts can be named by start_rule and are not followed. */
#include "scheduler/check_lint.h"

#include "common/base/mem.h"
#include "common/core/message.h"
#include "common/core/rule_lint_chain.h"
#include "common/core/rule_lint_template.h"

#define BESIDE_MAX 200

struct beside {
    struct rule_lint_peer *peers; /* the first is the rule itself */
    struct rule **rules;
    struct id *ids;
    size_t n;
};

static void parse_beside(struct beside *b, const struct db_result *rows, struct logic_fields *fields)
{
    for (int i = 0; i < db_rows(rows); i++) {
        struct rule_errors ignored = {0};
        struct store_rule row;

        if (!store_lead_ruleset_rule(rows, i, &row))
            continue;
        b->rules[b->n] = rule_parse_text(row.definition, fields, &ignored);
        rule_errors_free(&ignored);
        if (b->rules[b->n] == NULL)
            continue;
        b->ids[b->n] = row.rule_id;
        b->peers[b->n] = (struct rule_lint_peer){b->rules[b->n], &b->ids[b->n]};
        b->n++;
    }
}

static void lint_beside(const struct store_rule *row, const struct rule *r, const struct db_result *rows,
                        struct logic_fields *fields, struct rule_errors *errors)
{
    size_t room = (size_t)db_rows(rows) + 1;
    struct beside b = {.n = 1};

    b.peers = mem_zalloc(room * sizeof(*b.peers));
    b.rules = mem_zalloc(room * sizeof(struct rule *));
    b.ids = mem_zalloc(room * sizeof(*b.ids));
    b.peers[0] = (struct rule_lint_peer){r, &row->rule_id};
    parse_beside(&b, rows, fields);
    rule_lint_chain(b.peers, b.n, 0, fields, errors);
    for (size_t i = 1; i < b.n; i++)
        rule_free(b.rules[i]);
    mem_free(b.ids);
    mem_free(b.rules);
    mem_free(b.peers);
}

static enum err lint_messages(struct lead *l, const struct store_rule *row, const struct rule *r,
                              struct rule_errors *errors, struct err_info *info)
{
    struct str names[PROGRAM_STEPS_MAX];
    json_t *used = message_names(&r->program);
    struct db_result *missing = NULL;
    enum err err = ERR_OK;
    size_t n = 0;

    for (; n < json_array_size(used) && n < PROGRAM_STEPS_MAX; n++)
        names[n] = str_of(json_string_value(json_array_get(used, n)));
    if (n > 0)
        err = store_lead_missing_messages(l->db, &row->tenant_id, names, n, &missing, info);
    for (int i = 0; err == ERR_OK && n > 0 && i < db_rows(missing); i++)
        rule_lint_template_missing(r, db_text(missing, i, 0), errors);
    db_result_free(missing);
    json_decref(used);
    return err;
}

enum err check_lint(struct lead *l, const struct store_rule *row, const struct rule *r, struct logic_fields *fields,
                    struct rule_errors *errors, struct err_info *info)
{
    struct db_result *rows = NULL;
    enum err err = lint_messages(l, row, r, errors, info);

    if (err == ERR_OK && rule_lint_chain_possible(r))
        err = store_lead_rules_beside(l->db, row, BESIDE_MAX, &rows, info);
    if (err == ERR_OK && rows != NULL)
        lint_beside(row, r, rows, fields, errors);
    db_result_free(rows);
    return err;
}
