/* The rule templates of migration 033 with their defaults against the engine: each is accepted, without a remark, and its texts can be
 * rendered. */
#include <criterion/criterion.h>

#include "common/base/mem.h"
#include "common/core/rule.h"
#include "common/core/template.h"
#include "tests/support/leader.h"

Test(templates, every_one_with_its_defaults_goes_live)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    int64_t n = leader_i64(&t, "select count(automation.instantiate_template('" LEADER_TENANT
                               "', key, p_status => 'active')) from automation.rule_templates where tenant_id is null");
    cr_expect(n >= 24);
    leader_work(&t);
    cr_expect_eq(
        leader_i64(&t, "select count(*) from automation.rules where validated_revision = 1 and template_version = 1"), n);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation.rules where rejection is not null"), 0);
    leader_close(&t);
}

static void check_rule(struct str key, struct str definition)
{
    struct logic_fields *fields = logic_fields_new();
    struct rule_errors errors = {0};
    struct rule *rule = rule_parse_text(definition, fields, &errors);

    for (size_t i = 0; i < errors.n; i++)
        cr_expect(false, "%.*s %s: %s", (int)key.n, key.p, errors.items[i].pointer, errors.items[i].message);
    for (size_t i = 0; i < errors.n_warnings; i++)
        cr_expect(false, "%.*s %s: %s", (int)key.n, key.p, errors.warnings[i].pointer, errors.warnings[i].message);
    rule_free(rule);
    rule_errors_free(&errors);
    logic_fields_free(fields);
}

Test(templates, no_definition_has_an_error_or_a_warning)
{
    static const struct db_stmt stmt = {NULL,
                                        "select t.key, r.definition::text from automation.rule_templates t"
                                        " cross join lateral automation.render_template('" LEADER_TENANT "', t.key) r"};
    struct leader t;
    struct db_result *r = NULL;
    struct err_info info = {0};
    if (!leader_open(&t))
        return;
    cr_assert_eq(db_query(t.lead.db, &stmt, NULL, &r, &info), ERR_OK, "%s", info.text);
    for (int i = 0; i < db_rows(r); i++)
        check_rule(db_text(r, i, 0), db_text(r, i, 1));
    db_result_free(r);
    leader_close(&t);
}

/* A wedding that has what rules ask for; texts must not need more. */
static const char facts[] = "{\"client\":{\"name\":\"Ana\",\"email\":\"ana@example.org\"},\"tenant\":{\"name\":"
                            "\"Studio\"},\"wedding\":{\"title\":"
                            "\"Ana & Rui\",\"date_local\":\"Saturday, 14 June "
                            "2031\",\"guest_count\":90,\"ceremony_time\":\"15:00\",\"time_zone\":"
                            "\"Europe/Lisbon\"},\"invoice\":{\"balance_due\":1200},\"venue\":{},\"vendors\":[]}";

static void check_text(struct str name, struct str text, const json_t *context)
{
    struct buf out = {0};
    struct err_info info = {0};

    cr_expect_eq(template_render(text, context, TEMPLATE_TEXT, &out, &info), ERR_OK, "%.*s: %s", (int)name.n, name.p,
                 info.text);
    buf_free(&out);
}

Test(templates, every_text_can_be_rendered_without_optional_facts)
{
    static const struct db_stmt stmt = {NULL, "select name, subject, body from automation.message_templates"};
    struct leader t;
    struct db_result *r = NULL;
    json_t *context = json_loads(facts, 0, NULL);
    if (!leader_open(&t))
        return;
    cr_assert_eq(db_query(t.lead.db, &stmt, NULL, &r, NULL), ERR_OK);
    cr_expect(db_rows(r) >= 24);
    for (int i = 0; i < db_rows(r); i++) {
        check_text(db_text(r, i, 0), db_text(r, i, 1), context);
        check_text(db_text(r, i, 0), db_text(r, i, 2), context);
    }
    db_result_free(r);
    json_decref(context);
    leader_close(&t);
}

Test(templates, a_run_keeps_the_text_it_was_planned_with)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_rule(&t, "c1",
                "\"trigger\":{\"type\":\"event\",\"event\":\"contract.signed\"},\"actions\":[{\"type\":\"send_email\","
                "\"params\":"
                "{\"to\":\"client\",\"template\":\"booking_welcome\"}}]");
    leader_work(&t);
    leader_event(&t, "e1", "contract.signed", "{}");
    leader_work(&t);
    leader_sql(
        &t,
        "update automation.message_templates set subject = 'New', html = '<b>x</b>' where name = 'booking_welcome'");
    leader_event(&t, "e2", "contract.signed", "{}");
    leader_sql(&t, "update automation.runs set state = 'succeeded'");
    leader_work(&t);
    cr_expect_eq(
        leader_i64(
            &t, "select count(*) from automation.runs where context #>> '{message_templates,booking_welcome,subject}'"
                " like 'Welcome!%%' and context #>> '{message_templates,booking_welcome,version}' = '1'"),
        1);
    cr_expect_eq(
        leader_i64(
            &t, "select count(*) from automation.runs where context #>> '{message_templates,booking_welcome,subject}'"
                " = 'New' and context #>> '{message_templates,booking_welcome,version}' = '2'"
                " and context -> 'event' is not null"),
        1);
    leader_close(&t);
}
