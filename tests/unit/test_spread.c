/* spread: the share of a wedding is stable and even, and who takes no part. Zones and bounds are SQL's: tests/sql/spread.sql. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "common/core/spread.h"

#define DUE_US INT64_C(1777795200000000)
#define WEDDINGS 4096
#define TENTHS 10

static struct id id_of(int n)
{
    struct id id = {{0}};

    id.b[14] = (uint8_t)(n >> 8);
    id.b[15] = (uint8_t)n;
    return id;
}

/* The numbers are part of the protocol: a leader of another version moves a run to the same second. */
Test(spread, the_share_never_changes)
{
    const struct id tenant = id_of(1), wedding = id_of(2), other = id_of(3);

    cr_expect_eq(spread_share(&tenant, &wedding, DUE_US), 815610, "%u", spread_share(&tenant, &wedding, DUE_US));
    cr_expect_eq(spread_share(&tenant, &other, DUE_US), 264569, "%u", spread_share(&tenant, &other, DUE_US));
    cr_expect_eq(spread_share(&other, &wedding, DUE_US), 847030, "%u", spread_share(&other, &wedding, DUE_US));
    cr_expect_eq(spread_share(&tenant, &wedding, DUE_US + 1), 714865, "%u", spread_share(&tenant, &wedding, DUE_US + 1));
}

Test(spread, the_weddings_of_a_moment_fill_the_span_evenly)
{
    const struct id tenant = id_of(1);
    int counts[TENTHS] = {0};

    for (int i = 0; i < WEDDINGS; i++) {
        const struct id wedding = id_of(i);
        uint32_t share = spread_share(&tenant, &wedding, DUE_US);
        cr_assert_lt(share, SPREAD_PARTS);
        counts[share / (SPREAD_PARTS / TENTHS)]++;
    }
    for (int i = 0; i < TENTHS; i++)
        cr_expect(counts[i] > 330 && counts[i] < 490, "tenth %d: %d of %d", i, counts[i], WEDDINGS);
}

Test(spread, who_is_moved)
{
    static const struct {
        const char *what;
        enum trigger_type trigger;
        enum action_type first;
        int jitter_s, herd_s, days;
        bool no_smear, urgent, windowed;
        const char *expected; /* without its share; NULL: not moved */
    } cases[] = {
        {"plain", TRIGGER_MILESTONE, ACTION_SEND_EMAIL, .expected = NULL},
        {"jitter", TRIGGER_MILESTONE, ACTION_SEND_EMAIL, .jitter_s = 600,
         .expected = "{\"herd\":0,\"seconds\":600,\"until\":1440,\"zone\":\"tenant\"}"},
        {"jitter before a milestone, in a window", TRIGGER_MILESTONE, ACTION_SEND_EMAIL, .jitter_s = 600, .days = -3,
         .windowed = true,
         .expected = "{\"herd\":0,\"limit\":\"ceremony\",\"seconds\":600,\"until\":1140,\"zone\":\"tenant\"}"},
        {"a herd", TRIGGER_MILESTONE, ACTION_SEND_EMAIL, .herd_s = 900,
         .expected = "{\"herd\":900,\"seconds\":0,\"until\":1440,\"zone\":\"tenant\"}"},
        {"a herd without it", TRIGGER_MILESTONE, ACTION_SEND_EMAIL, .herd_s = 900, .no_smear = true, .expected = NULL},
        {"urgent in a herd", TRIGGER_MILESTONE, ACTION_SEND_EMAIL, .herd_s = 900, .urgent = true, .expected = NULL},
        {"urgent with jitter", TRIGGER_MILESTONE, ACTION_SEND_EMAIL, .herd_s = 900, .jitter_s = 60, .urgent = true,
         .expected = "{\"herd\":0,\"seconds\":60,\"until\":1440,\"zone\":\"tenant\"}"},
        {"a wait first", TRIGGER_MILESTONE, ACTION_WAIT, .jitter_s = 600, .herd_s = 900, .expected = NULL},
        {"an event", TRIGGER_EVENT, ACTION_SEND_EMAIL, .herd_s = 900, .expected = NULL},
    };
    const struct id tenant = id_of(1), wedding = id_of(2);

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct step step = {.type = cases[i].first, .urgent = cases[i].urgent};
        struct rule rule = {
            .trigger = {.type = cases[i].trigger, .milestone = MILESTONE_CEREMONY, .zone = "tenant"},
            .program = {.steps = &step, .n = 1},
            .settings = {.jitter_s = cases[i].jitter_s, .no_smear = cases[i].no_smear},
        };
        rule.trigger.offset.days = cases[i].days;
        if (cases[i].windowed)
            rule.settings.window = (struct rule_window){.set = true, .days = 31, .from_minute = 540, .to_minute = 1140};
        json_t *spec = spread_spec(&rule, &tenant, &wedding, DUE_US, cases[i].herd_s);
        json_object_del(spec, "share");
        char *text = spec != NULL ? json_dumps(spec, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
        if (cases[i].expected == NULL)
            cr_expect_null(text, "%s: %s", cases[i].what, text);
        else
            cr_expect_str_eq(text != NULL ? text : "(none)", cases[i].expected, "%s", cases[i].what);
        free(text);
        json_decref(spec);
    }
}
