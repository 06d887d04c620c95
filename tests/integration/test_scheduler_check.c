/* check and the cache of rule sets on real servers: what the engine stamps is what runs. */
#include <criterion/criterion.h>

#include "common/base/log.h"
#include "common/io/store_lead.h"
#include "tests/support/leader.h"

#define ON_SIGNED "\"trigger\":{\"type\":\"event\",\"event\":\"contract.signed\"}"
#define RULES "select count(*) from automation.rules where "

Test(scheduler_check, a_good_rule_is_stamped_with_its_trigger)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_rule(&t, "c1", ON_SIGNED "," LEADER_TASK);
    leader_rule(&t, "c2",
                "\"trigger\":{\"type\":\"milestone\",\"milestone\":\"ceremony\",\"offset\":\"-P1M2D\",\"at\":\"10:30\","
                "\"time_zone\":\"tenant\"}," LEADER_TASK);
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RULES "validated_revision = 1 and rejection is null"), 2);
    cr_expect_eq(leader_i64(&t, RULES "event_type = 'contract.signed' and trigger_type = 'event'"), 1);
    cr_expect_eq(
        leader_i64(&t,
                   "select count(*) from automation.timing_keys k join automation.rules r using (tenant_id, timing_id)"
                   " where k.months = -1 and k.days = -2 and k.at_time = '10:30' and k.zone_mode = 'tenant'"
                   " and k.timing_id = automation_priv.derive('timing', 'ceremony|-P1M2DT0S|10:30|tenant')"),
        1);
    leader_close(&t);
}

Test(scheduler_check, a_bad_rule_is_rejected_with_pointers)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_rule(&t, "c1", ON_SIGNED ",\"actions\":[{\"type\":\"create_task\",\"params\":{\"titel\":\"x\"}}]");
    leader_rule(&t, "c2",
                "\"trigger\":{\"type\":\"milestone\",\"milestone\":\"ceremony\",\"offset\":\"-P1D\",\"time_zone\":"
                "\"Mars/Olympus\"}," LEADER_TASK);
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RULES "rejected_revision = 1 and validated_revision is null and rejection::text like "
                                      "'%%/actions/0/params/titel%%'"
                                      " and rejection::text like '%%titel%%title%%'"),
                 1);
    /* Only the database knows which zones there are. */
    cr_expect_eq(leader_i64(&t, RULES "rejected_revision = 1 and rejection -> 0 ->> 'pointer' like '/trigger%%'"
                                      " and rejection::text like '%%Mars/Olympus%%'"),
                 1);
    leader_close(&t);
}

Test(scheduler_check, warnings_of_a_good_rule_are_kept_beside_it)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_rule(&t, "c1", ON_SIGNED ",\"actions\":[{\"type\":\"emit_event\",\"params\":{\"type\":\"crew.wanted\"}}]");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RULES "validated_revision = 1 and warnings is null"), 1, "nothing leads back yet");
    leader_rule(&t, "c2",
                "\"trigger\":{\"type\":\"event\",\"event\":\"crew.wanted\"},"
                "\"actions\":[{\"type\":\"emit_event\",\"params\":{\"type\":\"contract.signed\"}}]");
    leader_rule(&t, "c3",
                ON_SIGNED ",\"actions\":[{\"type\":\"notify_team\",\"params\":{\"template\":\"no_such_text\"}}]");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RULES "validated_revision = 1"), 3);
    cr_expect_eq(leader_i64(&t, RULES "rule_id::text like '%%c2' and jsonb_array_length(warnings) = 1"
                                      " and warnings -> 0 ->> 'pointer' = '/actions/0'"
                                      " and warnings -> 0 ->> 'message' like '%%contract.signed%%crew.wanted%%'"),
                 1);
    cr_expect_eq(leader_i64(&t, RULES "rule_id::text like '%%c3' and jsonb_array_length(warnings) = 1"
                                      " and warnings -> 0 ->> 'pointer' = '/actions/0/params/template'"
                                      " and warnings -> 0 ->> 'message' like '%%no_such_text%%'"),
                 1);
    leader_sql(
        &t, "update automation.rules set definition = jsonb_set(definition, '{actions,0,params,type}', '\"done.done\"')"
            " where rule_id::text like '%%c2'");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RULES "rule_id::text like '%%c2' and validated_revision = 2 and warnings is null"), 1);
    leader_close(&t);
}

Test(scheduler_check, the_revision_before_goes_on_while_the_new_one_is_bad)
{
    struct leader t;
    if (!leader_open(&t))
        return;
    leader_rule(&t, "c1", ON_SIGNED "," LEADER_TASK);
    leader_work(&t);
    leader_sql(&t, "update automation.rules set definition = definition || "
                   "'{\"actions\":[{\"type\":\"create_task\",\"params\":{}}]}'");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, RULES "revision = 2 and rejected_revision = 2 and validated_revision = 1"), 1);
    leader_event(&t, "e1", "contract.signed", "{}");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation.runs where rule_revision = 1"), 1);
    leader_sql(&t, "update automation.rules set definition = definition || "
                   "'{\"actions\":[{\"type\":\"create_task\",\"params\":{\"title\":\"new\"}}]}'");
    leader_event(&t, "e2", "contract.signed", "{}");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation.runs where rule_revision = 3"), 1);
    leader_sql(&t, "update automation.rules set status = 'paused'");
    leader_event(&t, "e3", "contract.signed", "{}");
    leader_work(&t);
    cr_expect_eq(leader_i64(&t, "select count(*) from automation.runs"), 2);
    leader_close(&t);
}

Test(scheduler_check, a_rule_set_is_kept_until_its_version_or_the_room_ends)
{
    struct leader t;
    struct rulesets *c = rulesets_new(RULESETS_BYTES);
    struct rulesets *small = rulesets_new(1);
    struct match *first = NULL, *again = NULL;
    struct id tenant, other;
    if (!leader_open(&t))
        return;
    cr_assert_eq(id_parse(str_of(LEADER_TENANT), &tenant), ERR_OK);
    cr_assert_eq(id_parse(str_of(LEADER_OTHER), &other), ERR_OK);
    leader_rule(&t, "c1", ON_SIGNED "," LEADER_TASK);
    leader_rule(&t, "c2", ON_SIGNED "," LEADER_TASK);
    leader_work(&t);
    int64_t version = leader_i64(&t, "select version from automation.ruleset_state");
    cr_assert_eq(rulesets_get(c, t.lead.db, &tenant, version, &first, NULL), ERR_OK);
    cr_expect_eq(match_count(first), 2);
    leader_sql(&t, "delete from automation.rules where rule_id::text like '%%c2'");
    cr_assert_eq(rulesets_get(c, t.lead.db, &tenant, version, &again, NULL), ERR_OK);
    cr_expect_eq(match_count(again), 2, "not asked for again at the same version");
    cr_assert_eq(rulesets_get(c, t.lead.db, &tenant, version + 1, &again, NULL), ERR_OK);
    cr_expect_eq(match_count(again), 1);
    cr_expect(rulesets_bytes(c) > 0);
    cr_assert_eq(rulesets_get(small, t.lead.db, &tenant, version, &first, NULL), ERR_OK);
    cr_assert_eq(rulesets_get(small, t.lead.db, &other, 0, &first, NULL), ERR_OK);
    cr_expect_eq(rulesets_count(small), 1, "the one in use stays, whatever its size");
    rulesets_free(c);
    rulesets_free(small);
    leader_close(&t);
}
