/* logic: dates, instants, seasons and changes. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

#include "common/core/logic.h"

#define HOUR_S 3600

struct row {
    const char *rule;
    const char *data;
    enum logic_truth truth;
    const char *reason;
};

static json_t *parse(const char *text)
{
    json_error_t where;
    json_t *json = json_loads(text, JSON_DECODE_ANY, &where);

    cr_assert_not_null(json, "%s: %s", text, where.text);
    return json;
}

static void check(const struct row *row, const struct logic_env *env)
{
    struct logic_fields *fields = logic_fields_new();
    struct logic_facts *facts = logic_facts_new(fields);
    struct logic *rule = NULL;
    struct logic_error why;
    struct logic_reason reason;
    char text[LOGIC_REASON_SIZE];
    json_t *json = parse(row->rule);
    json_t *data = parse(row->data);
    enum err err = logic_compile(json, fields, &(struct logic_options){.mode = LOGIC_STRICT}, &rule, &why);

    cr_assert_eq(err, ERR_OK, "%s: %s", row->rule, why.found);
    logic_facts_set(facts, data, env);
    enum logic_truth truth = logic_eval(rule, facts, &reason);
    cr_expect_eq(truth, row->truth, "%s over %s: %d", row->rule, row->data, (int)truth);
    cr_expect_str_eq(logic_reason_text(&reason, text), row->reason, "%s over %s: %s", row->rule, row->data, text);
    json_decref(json);
    json_decref(data);
    logic_free(rule);
    logic_facts_free(facts);
    logic_fields_free(fields);
}

#define CHECK_ALL(rows, env)                                                                                           \
    for (size_t i = 0; i < sizeof(rows) / sizeof((rows)[0]); i++)                                                      \
    check(&(rows)[i], env)

#define T LOGIC_TRUE
#define F LOGIC_FALSE
#define U LOGIC_UNKNOWN

Test(logic_date, days_are_counted_on_the_local_calendar)
{
    static const struct row rows[] = {
        {"{\"==\":[{\"days_until\":[{\"var\":\"d\"}]},30]}", "{\"d\":\"2026-05-01\"}", T, ""},
        {"{\"==\":[{\"days_until\":[{\"var\":\"d\"}]},-1]}", "{\"d\":\"2026-03-31\"}", T, ""},
        {"{\"==\":[{\"days_since\":[{\"var\":\"d\"}]},1]}", "{\"d\":\"2026-03-31\"}", T, ""},
        {"{\"==\":[{\"days_until\":[{\"today\":[]}]},0]}", "{}", T, ""},
        {"{\"<\":[{\"days_until\":[{\"var\":\"d\"}]},30]}", "{}", U, "missing_field:d"},
        {"{\"<\":[{\"days_until\":[{\"var\":\"d\"}]},30]}", "{\"d\":\"2026-02-30\"}", U, "bad_date:d"},
        {"{\"<\":[{\"days_until\":[{\"var\":\"d\"}]},30]}", "{\"d\":20260501}", U, "type_mismatch:d"},
        /* As written, when the offset is. */
        {"{\"==\":[{\"days_until\":[{\"var\":\"d\"}]},1]}", "{\"d\":\"2026-04-02T23:30:00-07:00\"}", T, ""},
        {"{\"==\":[{\"days_until\":[{\"var\":\"d\"}]},1]}", "{\"d\":\"2026-04-03T06:30:00Z\"}", U, "zone_missing:d"},
    };
    const struct logic_env env = {.today = {2026, 4, 1}};

    CHECK_ALL(rows, &env);
}

Test(logic_date, instants_fall_on_the_day_of_the_weddings_zone)
{
    static const struct row rows[] = {
        {"{\"==\":[{\"days_until\":[{\"var\":\"d\"}]},1]}", "{\"d\":\"2026-03-30T22:30:00Z\"}", T, ""},
        {"{\"==\":[{\"days_until\":[{\"var\":\"d\"}]},0]}", "{\"d\":\"2026-03-30T21:59:59Z\"}", T, ""},
        {"{\"==\":[{\"days_until\":[{\"var\":\"d\"}]},0]}", "{\"d\":\"2026-03-30T23:30:00+02:00\"}", T, ""},
        /* Before the clocks change the offset is one hour. */
        {"{\"==\":[{\"days_since\":[{\"var\":\"d\"}]},2]}", "{\"d\":\"2026-03-28T22:59:00Z\"}", T, ""},
        {"{\"==\":[{\"days_since\":[{\"var\":\"d\"}]},1]}", "{\"d\":\"2026-03-28T23:00:00Z\"}", T, ""},
        {"{\"after\":[{\"var\":\"d\"},{\"today\":[]}]}", "{\"d\":\"2026-03-30T22:30:00Z\"}", T, ""},
        {"{\"after\":[{\"var\":\"d\"},{\"today\":[]}]}", "{\"d\":\"2026-03-30T20:30:00Z\"}", F, ""},
    };
    const struct logic_zone_span zone[] = {{0, HOUR_S}, {INT64_C(1774746000000000), 2 * HOUR_S}}; /* 2026-03-29T01:00Z */
    const struct logic_env env = {.today = {2026, 3, 30}, .zone = zone, .n_zone = 2};

    CHECK_ALL(rows, &env);
}

Test(logic_date, dates_and_instants_compare)
{
    static const struct row rows[] = {
        {"{\"before\":[{\"var\":\"a\"},{\"var\":\"b\"}]}", "{\"a\":\"2026-05-01\",\"b\":\"2026-05-02\"}", T, ""},
        {"{\"after\":[{\"var\":\"a\"},{\"var\":\"b\"}]}", "{\"a\":\"2026-05-01\",\"b\":\"2026-05-02\"}", F, ""},
        {"{\"not-before\":[{\"var\":\"a\"},\"2026-05-01\"]}", "{\"a\":\"2026-05-01\"}", T, ""},
        {"{\"not-after\":[\"2026-05-01\",{\"var\":\"a\"},\"2026-05-31\"]}", "{\"a\":\"2026-05-31\"}", T, ""},
        {"{\"not-after\":[\"2026-05-01\",{\"var\":\"a\"},\"2026-05-31\"]}", "{\"a\":\"2026-06-01\"}", F, ""},
        {"{\"not-after\":[{\"var\":\"u\"},{\"var\":\"a\"},\"2026-05-31\"]}", "{\"a\":\"2026-06-01\"}", F, ""},
        {"{\"not-after\":[{\"var\":\"u\"},{\"var\":\"a\"},\"2026-05-31\"]}", "{\"a\":\"2026-05-01\"}", U,
         "missing_field:u"},
        {"{\"before\":[{\"var\":\"a\"},{\"var\":\"b\"}]}",
         "{\"a\":\"2026-05-01T10:00:00+02:00\",\"b\":\"2026-05-01T08:30:00Z\"}", T, ""},
        {"{\"before\":[{\"var\":\"a\"},\"2026-05-02\"]}", "{\"a\":\"2026-05-01T23:30:00-07:00\"}", T, ""},
        {"{\"before\":[{\"var\":\"a\"},\"2026-05-02\"]}", "{\"a\":\"soon\"}", U, "bad_date:a"},
        {"{\"before\":[{\"var\":\"a\"},\"2026-05-02\"]}", "{\"a\":5}", U, "type_mismatch:a"},
        {"{\"before\":[{\"var\":\"a\"},\"2026-05-02\"]}", "{}", U, "missing_field:a"},
        {"{\"<\":[{\"var\":\"a\"},{\"today\":[]}]}", "{\"a\":\"2026-03-31\"}", T, ""},
        {"{\"==\":[{\"today\":[]},{\"var\":\"a\"}]}", "{\"a\":\"2026-04-01\"}", T, ""},
        {"{\"==\":[{\"today\":[]},{\"var\":\"a\"}]}", "{\"a\":\"April\"}", U, "bad_date:a"},
        {"{\"==\":[{\"today\":[]},{\"var\":\"a\"}]}", "{\"a\":5}", U, "type_mismatch:a"},
    };
    const struct logic_env env = {.today = {2026, 4, 1}};

    CHECK_ALL(rows, &env);
}

Test(logic_date, plus_time_rolls_over)
{
    static const struct row rows[] = {
        {"{\"==\":[{\"plusTime\":[{\"var\":\"d\"},1,\"day\"]},\"2020-03-01\"]}", "{\"d\":\"2020-02-29\"}", T, ""},
        {"{\"==\":[{\"plusTime\":[{\"var\":\"d\"},1,\"month\"]},\"2020-03-29\"]}", "{\"d\":\"2020-02-29\"}", T, ""},
        {"{\"==\":[{\"plusTime\":[{\"var\":\"d\"},1,\"year\"]},\"2021-03-01\"]}", "{\"d\":\"2020-02-29\"}", T, ""},
        {"{\"==\":[{\"plusTime\":[{\"var\":\"d\"},1,\"month\"]},\"2021-03-03\"]}", "{\"d\":\"2021-01-31\"}", T, ""},
        {"{\"==\":[{\"plusTime\":[{\"var\":\"d\"},-1,\"month\"]},\"2020-12-31\"]}", "{\"d\":\"2021-01-31\"}", T, ""},
        {"{\"==\":[{\"plusTime\":[{\"var\":\"d\"},-13,\"month\"]},\"2019-12-15\"]}", "{\"d\":\"2021-01-15\"}", T, ""},
        {"{\"==\":[{\"plusTime\":[{\"var\":\"d\"},2,\"hour\"]},\"2021-02-01T01:00:00Z\"]}",
         "{\"d\":\"2021-01-31T23:00:00Z\"}", T, ""},
        {"{\"==\":[{\"plusTime\":[{\"var\":\"d\"},2,\"hour\"]},\"2021-02-01\"]}", "{\"d\":\"2021-01-31\"}", U,
         "type_mismatch:d"},
        {"{\"==\":[{\"plusTime\":[{\"var\":\"d\"},0,\"hour\"]},\"2021-01-31\"]}", "{\"d\":\"2021-01-31\"}", T, ""},
        {"{\"<\":[{\"plusTime\":[{\"var\":\"d\"},9000,\"year\"]},\"2021-01-31\"]}", "{\"d\":\"2021-01-31\"}", U,
         "not_a_number:d"},
        {"{\"<\":[{\"plusTime\":[{\"var\":\"d\"},-900000,\"day\"]},\"2021-01-31\"]}", "{\"d\":\"2021-01-31\"}", U,
         "not_a_number:d"},
        {"{\"<\":[{\"plusTime\":[{\"var\":\"d\"},1,\"week\"]},\"2021-01-31\"]}", "{\"d\":\"2021-01-31\"}", U,
         "type_mismatch:d"},
        {"{\"<\":[{\"plusTime\":[\"2021-01-31\",{\"var\":\"n\"},\"day\"]},\"2021-01-31\"]}", "{\"n\":1.5}", U,
         "not_a_number:n"},
        {"{\"<\":[{\"plusTime\":[\"2021-01-31\",{\"var\":\"n\"},\"day\"]},\"2021-01-31\"]}", "{\"n\":\"1\"}", U,
         "type_mismatch:n"},
        {"{\"<\":[{\"plusTime\":[\"2021-01-31\",{\"var\":\"n\"},\"day\"]},\"2021-01-31\"]}", "{\"n\":1e300}", U,
         "not_a_number:n"},
        {"{\"before\":[{\"dccDateOfBirth\":[{\"var\":\"d\"}]},\"2005-01-01\"]}", "{\"d\":\"2004-02\"}", T, ""},
    };

    CHECK_ALL(rows, NULL);
}

Test(logic_date, seasons_are_months)
{
    static const struct row rows[] = {
        {"{\"in_season\":[{\"var\":\"d\"}]}", "{\"d\":\"2026-06-13\"}", T, ""},
        {"{\"in_season\":[{\"var\":\"d\"}]}", "{\"d\":\"2026-12-13\"}", F, ""},
        {"{\"in_season\":[{\"var\":\"d\"},[12,1]]}", "{\"d\":\"2026-12-13\"}", T, ""},
        {"{\"in_season\":[{\"var\":\"d\"},[99,\"6\"]]}", "{\"d\":\"2026-06-13\"}", F, ""},
        {"{\"in_season\":[{\"var\":\"d\"}]}", "{}", U, "missing_field:d"},
        {"{\"in_season\":[{\"today\":[]}]}", "{}", U, "zone_missing"},
    };
    const struct logic_env env = {.season_months = 1 << 5 | 1 << 6 | 1 << 9};

    CHECK_ALL(rows, &env);
}

Test(logic_date, changes_are_seen_at_above_and_below_the_path)
{
    static const struct row rows[] = {
        {"{\"changed\":[\"wedding.date\"]}", "{}", T, ""},
        {"{\"changed\":\"wedding\"}", "{}", T, ""},
        {"{\"changed\":[\"wedding.date.x\"]}", "{}", F, ""},
        {"{\"changed\":[\"wedding.dat\"]}", "{}", F, ""},
        {"{\"changed\":[\"venue\"]}", "{}", F, ""},
        {"{\"changed\":[\"client.name\"]}", "{\"client\":{\"name\":\"Bo\",\"mail\":\"m\"}}", T, ""},
        {"{\"changed\":[\"client.mail\"]}", "{\"client\":{\"name\":\"Bo\",\"mail\":\"m\"}}", F, ""},
        {"{\"changed_to\":[\"wedding.date\",\"2026-05-02\"]}", "{\"wedding\":{\"date\":\"2026-05-02\"}}", T, ""},
        {"{\"changed_to\":[\"wedding.date\",\"2026-05-03\"]}", "{\"wedding\":{\"date\":\"2026-05-02\"}}", F, ""},
        {"{\"changed_to\":[\"wedding.date\",null]}", "{\"wedding\":{}}", T, ""},
        {"{\"changed_to\":[\"wedding.date\",null]}", "{\"wedding\":{\"date\":\"2026-05-02\"}}", F, ""},
        {"{\"changed_to\":[\"wedding.date\",5]}", "{\"wedding\":{\"date\":\"2026-05-02\"}}", U,
         "type_mismatch:wedding.date"},
        {"{\"changed_to\":[\"venue\",5]}", "{\"venue\":5}", F, ""},
        {"{\"changed_to\":[\"wedding.date\",{\"var\":\"u\"}]}", "{}", U, "missing_field:u"},
    };
    json_t *old_date = json_string("2026-05-01");
    json_t *old_client = parse("{\"name\":\"Al\",\"mail\":\"m\"}");
    const struct logic_change changes[] = {{"wedding.date", old_date}, {"client", old_client}};
    const struct logic_env env = {.changes = changes, .n_changes = 2};

    CHECK_ALL(rows, &env);
    json_decref(old_date);
    json_decref(old_client);
}
