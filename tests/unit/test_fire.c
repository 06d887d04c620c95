/* fire: the fire key and the order of refusals. The text of the key is part of the protocol: SQL makes the same id. */
#include <criterion/criterion.h>

#include "common/core/fire.h"
#include "common/core/key.h"

#define TENANT "00000000-0000-0000-0000-0000000000a1"
#define RULE "00000000-0000-0000-0000-0000000000c1"
#define WEDDING "00000000-0000-0000-0000-0000000000b1"
#define REF "00000000-0000-0000-0000-0000000000e1"

static struct id id_of(const char *text)
{
    struct id id;

    cr_assert_eq(id_parse(str_of(text), &id), ERR_OK);
    return id;
}

static bool named(const struct fire *f, const struct rule *rule, const char *wedding, const char *occurrence)
{
    const struct str parts[] = {str_of(TENANT), str_of(RULE), str_of(wedding), str_of(REF), str_of(occurrence)};
    struct id expected, found;

    key_derive(&expected, "run", parts, 5);
    fire_run_id(f, rule, &found);
    return id_eq(&expected, &found);
}

Test(fire, the_run_is_named_by_tenant_rule_wedding_timing_and_occurrence)
{
    static const struct {
        int yearly, occurrence;
        enum date_change change;
        const char *expected;
    } samples[] = {
        {0, 0, DATE_CHANGE_RESCHEDULE_PENDING, "1"},
        {0, 3, DATE_CHANGE_RESCHEDULE_PENDING, "1"},
        {0, 3, DATE_CHANGE_KEEP, "1"},
        {0, 3, DATE_CHANGE_REFIRE, "3"},
        {5, 3, DATE_CHANGE_RESCHEDULE_PENDING, "3"},
        {5, 0, DATE_CHANGE_REFIRE, "1"},
    };

    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        struct fire f = {id_of(TENANT), id_of(RULE), id_of(WEDDING), id_of(REF), samples[i].occurrence};
        const struct rule rule = {.trigger.yearly = samples[i].yearly, .settings.on_date_change = samples[i].change};
        cr_expect(named(&f, &rule, WEDDING, samples[i].expected), "%zu", i);
        f.wedding_id = ID_ZERO;
        cr_expect(named(&f, &rule, "", samples[i].expected), "%zu without a wedding", i);
    }
}

Test(fire, is_refused_for_its_lateness_before_its_conditions)
{
    static const struct {
        bool outrun;
        enum logic_truth truth;
        const char *expected;
    } samples[] = {
        {true, LOGIC_TRUE, "past_due"},    {true, LOGIC_FALSE, "past_due"},
        {true, LOGIC_UNKNOWN, "past_due"}, {false, LOGIC_FALSE, "conditions_not_met"},
        {false, LOGIC_UNKNOWN, "why"},
    };

    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
        cr_expect_str_eq(fire_skip(samples[i].outrun, samples[i].truth, "why"), samples[i].expected, "%zu", i);
    cr_expect_null(fire_skip(false, LOGIC_TRUE, "why"));
}

Test(fire, weddings_that_are_off_do_not_fire)
{
    static const char *const off[] = {"postponed", "cancelled", "archived"};
    static const char *const on[] = {"inquiry", "booked", "planning", "completed", ""};

    for (size_t i = 0; i < sizeof(off) / sizeof(off[0]); i++)
        cr_expect(fire_is_off(str_of(off[i])), "%s", off[i]);
    for (size_t i = 0; i < sizeof(on) / sizeof(on[0]); i++)
        cr_expect_not(fire_is_off(str_of(on[i])), "%s", on[i]);
}
