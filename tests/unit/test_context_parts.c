/* context: which parts of a wedding's facts a condition reads. */
#include <criterion/criterion.h>

#include "common/core/context.h"
#include "common/core/match.h"
#include "common/core/rule.h"

#define HEAD                                                                                                           \
    "{\"schema_version\":1,\"name\":\"n\",\"trigger\":{\"type\":\"milestone\",\"milestone\":\"ceremony\",\"offset\":"  \
    "\"-P1D\",\"at\":\"09:00\"},\"actions\":[{\"type\":\"stop\"}]"
#define VAR(path) "{\"!\":[{\"var\":\"" path "\"}]}"

static unsigned parts_of(const char *condition)
{
    struct match *m = match_new();
    struct rule_errors errors = {0};
    char text[1024];
    struct rule *r;
    struct id rule_id = {.b = {1}}, timing;
    unsigned parts;

    (void)snprintf(text, sizeof(text), HEAD "%s%s}", condition[0] != '\0' ? ",\"conditions\":" : "", condition);
    r = rule_parse_text(str_of(text), match_fields(m), &errors);
    cr_assert_not_null(r, "%s", text);
    match_timing_id(&r->trigger, &timing);
    cr_assert_eq(match_put(m, &rule_id, 1, r), ERR_OK);
    parts = match_timing_parts(m, &timing);
    rule_errors_free(&errors);
    match_free(m);
    return parts;
}

Test(context, a_condition_reads_the_parts_that_it_names)
{
    static const struct {
        const char *condition;
        unsigned parts;
    } rows[] = {
        {"", 0},
        {VAR("wedding.guest_count"), 1U << CONTEXT_WEDDING},
        {VAR("wedding"), 1U << CONTEXT_WEDDING},
        {VAR("venue.indoor"), 1U << CONTEXT_VENUE},
        {VAR("project.stage"), 1U << CONTEXT_PROJECT},
        {VAR("client.email"), 1U << CONTEXT_CLIENT},
        {VAR("tenant.name"), 1U << CONTEXT_TENANT},
        {VAR("timeline.ceremony"), 1U << CONTEXT_TIMELINE},
        {VAR("today"), 1U << CONTEXT_TODAY},
        {VAR("now"), 1U << CONTEXT_TODAY},
        {VAR("forms.shots.at"), 1U << CONTEXT_ATTRIBUTES},
        {VAR(""), CONTEXT_ALL_PARTS},
        {"{\"some\":[{\"var\":\"vendors\"},{\"==\":[{\"var\":\"role\"},\"dj\"]}]}", 1U << CONTEXT_VENDORS},
        {"{\"in_season\":[{\"var\":\"wedding.date\"}]}",
         1U << CONTEXT_WEDDING | 1U << CONTEXT_TENANT | 1U << CONTEXT_TODAY},
        {"{\"and\":[" VAR("venue.indoor") "," VAR("client.name") "]}", 1U << CONTEXT_VENUE | 1U << CONTEXT_CLIENT},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const unsigned parts = parts_of(rows[i].condition);

        cr_expect_eq(parts, rows[i].parts, "%s: %x, expected %x", rows[i].condition, parts, rows[i].parts);
    }
}
