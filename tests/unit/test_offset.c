/* offset: durations in and out, with every refusal, limits, canonical forms and the round trip; and civil dates, on which months and
 * days act. */
#include <string.h>

#include <criterion/criterion.h>

#include "common/core/civil.h"
#include "common/core/offset.h"

Test(offset, reads_durations_and_writes_them_canonically)
{
    static const struct {
        const char *text;
        struct offset o;
        const char *canonical;
        const char *key;
    } rows[] = {
        {"-P30D", {0, -30, 0, false}, "-P30D", "-P0M30DT0S"},
        {"P1W", {0, 7, 0, false}, "P7D", "+P0M7DT0S"},
        {"+P1W", {0, 7, 0, false}, "P7D", "+P0M7DT0S"},
        {"P1W2D", {0, 9, 0, false}, "P9D", "+P0M9DT0S"},
        {"-P6M", {-6, 0, 0, false}, "-P6M", "-P6M0DT0S"},
        {"P12M", {12, 0, 0, false}, "P1Y", "+P12M0DT0S"},
        {"P1Y2M3DT4H", {14, 3, 14400, true}, "P1Y2M3DT4H", "+P14M3DT14400S"},
        {"PT90M", {0, 0, 5400, true}, "PT1H30M", "+P0M0DT5400S"},
        {"-PT1H", {0, 0, -3600, true}, "-PT1H", "-P0M0DT3600S"},
        {"PT24H", {0, 0, 86400, true}, "PT24H", "+P0M0DT86400S"},
        {"PT1H0M1S", {0, 0, 3601, true}, "PT1H1S", "+P0M0DT3601S"},
        {"P0D", {0, 0, 0, false}, "P0D", "+P0M0DT0S"},
        {"-P0D", {0, 0, 0, false}, "P0D", "+P0M0DT0S"},
        {"PT0S", {0, 0, 0, true}, "PT0S", "+P0M0DT0S"},
        {"P1DT0H", {0, 1, 0, true}, "P1DT0S", "+P0M1DT0S"},
        {"P007D", {0, 7, 0, false}, "P7D", "+P0M7DT0S"},
        {"P100Y", {1200, 0, 0, false}, "P100Y", "+P1200M0DT0S"},
        {"-P36525D", {0, -36525, 0, false}, "-P36525D", "-P0M36525DT0S"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct offset o, again;
        char text[OFFSET_TEXT_SIZE];

        cr_assert_eq(offset_parse(str_of(rows[i].text), &o, NULL), ERR_OK, "%s", rows[i].text);
        cr_assert(offset_eq(&o, &rows[i].o), "%s", rows[i].text);
        cr_assert(offset_valid(&o), "%s", rows[i].text);
        cr_assert_str_eq(offset_format_key(&o, text), rows[i].key);
        cr_assert_str_eq(offset_format(&o, text), rows[i].canonical);
        cr_assert_eq(offset_parse(str_of(text), &again, NULL), ERR_OK, "%s", text);
        cr_assert(offset_eq(&o, &again), "%s", text);
    }
}

Test(offset, refuses_what_is_no_duration)
{
    static const char *const bad[] = {
        "",
        "P",
        "-",
        "-P",
        "PT",
        "P1",
        "1D",
        "30D",
        "P1.5D",
        "P1,5D",
        "P-1D",
        "--P1D",
        "P1DT",
        "P1H",
        "PT1D",
        "P1D2M",
        "P1M1M",
        "PT1M1H",
        "p1d",
        "P1d",
        " P1D",
        "P1D ",
        "P1S",
        "PT1S1S",
        "PTT1S",
        "P1DT1HT1M",
        "P1X",
        "+-P1D",
        "1",
        "P 1D",
        "P\xc3\xa9",
        "P1234567890D",
        "P0000000000000000000000000000000000000000000000001D",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct offset o;
        struct err_info info = {0};

        cr_assert_eq(offset_parse(str_of(bad[i]), &o, &info), ERR_INVALID, "%s", bad[i]);
        cr_assert_neq(info.text[0], '\0', "%s", bad[i]);
    }
}

Test(offset, refuses_more_than_a_hundred_years)
{
    static const char *const bad[] = {"P101Y",       "P100Y1M",      "P36526D",    "P5218W",
                                      "P999999999Y", "PT999999999H", "-PT876601H", "P999999999Y999999999M"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct offset o;

        cr_assert_eq(offset_parse(str_of(bad[i]), &o, NULL), ERR_LIMIT, "%s", bad[i]);
    }
}

Test(offset, never_reads_past_its_text)
{
    struct offset o;

    cr_assert_eq(offset_parse((struct str){"P1D2M", 3}, &o, NULL), ERR_OK);
    cr_assert_eq(o.days, 1);
    cr_assert_eq(offset_parse((struct str){"P12D", 3}, &o, NULL), ERR_INVALID);
}

Test(offset, mixed_signs_and_hidden_seconds_are_not_valid)
{
    cr_assert_not(offset_valid(&(struct offset){.months = 1, .days = -1}));
    cr_assert_not(offset_valid(&(struct offset){.days = 1, .seconds = -1, .exact = true}));
    cr_assert_not(offset_valid(&(struct offset){.seconds = 5}));
    cr_assert_not(offset_valid(&(struct offset){.months = OFFSET_MONTHS_MAX + 1}));
    cr_assert_not(offset_valid(&(struct offset){.months = INT32_MIN, .days = -1}));
    cr_assert(offset_valid(&(struct offset){.months = -1, .days = -1}));
    cr_assert(offset_is_negative(&(struct offset){.seconds = -1, .exact = true}));
    cr_assert_not(offset_is_negative(&(struct offset){0}));
    cr_assert(offset_is_zero(&(struct offset){.exact = true}));
    cr_assert_not(offset_eq(&(struct offset){.exact = true}, &(struct offset){0}));
}

Test(offset, orders_by_length)
{
    static const char *const ascending[] = {"-P100Y", "-P1M", "-P30D", "-PT1S", "P0D", "PT1S",
                                            "P1D",    "P30D", "P1M",   "P31D",  "P1Y"};

    for (size_t i = 1; i < sizeof(ascending) / sizeof(ascending[0]); i++) {
        struct offset a, b;

        cr_assert_eq(offset_parse(str_of(ascending[i - 1]), &a, NULL), ERR_OK);
        cr_assert_eq(offset_parse(str_of(ascending[i]), &b, NULL), ERR_OK);
        cr_assert_lt(offset_cmp(&a, &b), 0, "%s %s", ascending[i - 1], ascending[i]);
        cr_assert_gt(offset_cmp(&b, &a), 0);
        cr_assert_eq(offset_cmp(&a, &a), 0);
    }
}

Test(civil, every_day_goes_to_its_number_and_back)
{
    struct civil expected = {1, 1, 1};

    for (int32_t n = CIVIL_DAYS_MIN; n <= CIVIL_DAYS_MAX; n++) {
        struct civil c = civil_of_days(n);

        cr_assert(c.year == expected.year && c.month == expected.month && c.day == expected.day, "day %d", n);
        cr_assert_eq(civil_to_days(c), n);
        if (++expected.day > civil_month_days(expected.year, expected.month)) {
            expected.day = 1;
            expected.year += expected.month == 12 ? 1 : 0;
            expected.month = expected.month % 12 + 1;
        }
    }
    cr_assert_eq(civil_to_days((struct civil){1970, 1, 1}), 0);
    cr_assert_eq(civil_to_days((struct civil){2000, 3, 1}), 11017);
}

Test(civil, reads_only_dates_that_exist)
{
    static const char *const bad[] = {"",           "2026-02-29", "2026-13-01",  "2026-00-10",
                                      "2026-01-00", "2026-04-31", "0000-01-01",  "26-01-01",
                                      "2026-1-1",   "2026/01/01", "2026-01-01T", " 2026-01-1",
                                      "1900-02-29", "20a6-01-01", "-026-01-01"};
    struct civil c;
    char text[CIVIL_DATE_SIZE];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_eq(civil_parse_date(str_of(bad[i]), &c), ERR_INVALID, "%s", bad[i]);
    cr_assert_eq(civil_parse_date(STR("2000-02-29"), &c), ERR_OK);
    cr_assert_str_eq(civil_format_date(c, text), "2000-02-29");
    cr_assert_eq(civil_parse_date(STR("0001-01-01"), &c), ERR_OK);
    cr_assert_str_eq(civil_format_date(c, text), "0001-01-01");
}

Test(civil, reads_times_of_day)
{
    static const struct {
        const char *text;
        int32_t second; /* -1: refused */
    } rows[] = {{"00:00", 0},    {"09:00", 32400}, {"23:59:59", 86399}, {"24:00", -1}, {"9:00", -1},
                {"09:60", -1},   {"09:00:60", -1}, {"09:00:", -1},      {"0900", -1},  {"09-00", -1},
                {"09:00:0", -1}, {"", -1},         {"09:00Z", -1},      {"09:0a", -1}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int32_t s = -1;

        cr_assert_eq(civil_parse_time(str_of(rows[i].text), &s), rows[i].second < 0 ? ERR_INVALID : ERR_OK, "%s",
                     rows[i].text);
        cr_assert_eq(s, rows[i].second);
    }
}

Test(civil, adding_months_clamps_to_the_end_of_the_month)
{
    static const struct {
        struct civil from;
        int32_t months;
        int32_t days;
        const char *to;
    } rows[] = {{{2026, 3, 31}, -1, 0, "2026-02-28"}, {{2024, 3, 31}, -1, 0, "2024-02-29"},
                {{2024, 2, 29}, 12, 0, "2025-02-28"}, {{2026, 1, 31}, 1, 1, "2026-03-01"},
                {{2026, 1, 15}, -1, 0, "2025-12-15"}, {{2026, 12, 1}, 1, 0, "2027-01-01"},
                {{2026, 9, 5}, 0, -90, "2026-06-07"}, {{2026, 1, 1}, -13, -1, "2024-11-30"}};
    struct civil out;
    char text[CIVIL_DATE_SIZE];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cr_assert_eq(civil_add(rows[i].from, rows[i].months, rows[i].days, &out), ERR_OK);
        cr_assert_str_eq(civil_format_date(out, text), rows[i].to);
    }
    cr_assert_eq(civil_add((struct civil){1, 1, 1}, -1, 0, &out), ERR_LIMIT);
    cr_assert_eq(civil_add((struct civil){9999, 12, 31}, 0, 1, &out), ERR_LIMIT);
    cr_assert_eq(civil_add((struct civil){9999, 12, 31}, INT32_MAX, INT32_MAX, &out), ERR_LIMIT);
    cr_assert_eq(civil_add((struct civil){1, 1, 1}, 0, -1, &out), ERR_LIMIT);
}

Test(civil, knows_weekdays)
{
    cr_assert_eq(civil_weekday(0), 4);
    cr_assert_eq(civil_weekday(-1), 3);
    cr_assert_eq(civil_weekday(-4), 7);
    cr_assert_eq(civil_weekday(civil_to_days((struct civil){2026, 5, 2})), 6);
    cr_assert_eq(civil_weekday(CIVIL_DAYS_MIN), 1);
}
