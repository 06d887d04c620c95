/* str: bounded text, numbers, durations, sizes, UTF-8, times. */
#include <math.h>
#include <string.h>

#include <criterion/criterion.h>

#include "common/base/str.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

Test(str, compares_by_length_and_bytes)
{
    cr_assert(str_eq(STR("ab"), str_of("ab")));
    cr_assert_not(str_eq(STR("ab"), STR("abc")));
    cr_assert_not(str_eq(STR("ab"), STR("ac")));
    cr_assert(str_eq(str_of(NULL), STR("")));
    cr_assert(str_eq((struct str){NULL, 0}, STR("")));
    cr_assert(str_is(STR("x"), "x"));
    cr_assert_not(str_is(STR("x\0y"), "x"));
    cr_assert(str_starts(STR("USHER_X"), "USHER_"));
    cr_assert(str_starts(STR("a"), ""));
    cr_assert_not(str_starts(STR("USH"), "USHER_"));
}

Test(str, copy_terminates_and_tells_when_it_cut)
{
    char out[4] = "zzz";

    cr_assert(str_copy(out, sizeof(out), "abc"));
    cr_assert_str_eq(out, "abc");
    cr_assert_not(str_copy(out, sizeof(out), "abcd"));
    cr_assert_str_eq(out, "abc");
    cr_assert(str_copy_n(out, sizeof(out), "abcdef", 1));
    cr_assert_str_eq(out, "a");
    cr_assert(str_copy_n(out, sizeof(out), NULL, 0));
    cr_assert_str_eq(out, "");
    cr_assert_not(str_copy(out, 0, "a"));
}

Test(str, integers_are_whole_and_in_range)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t want;
    } rows[] = {
        {"0", true, 0},
        {"007", true, 7},
        {"-1", true, -1},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"18446744073709551616", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"--1", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1x", false, 0},
        {"0x10", false, 0},
        {"1.0", false, 0},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t v = 42;
        cr_assert_eq(str_to_i64(str_of(rows[i].text), &v), rows[i].ok ? ERR_OK : ERR_INVALID, "%s", rows[i].text);
        cr_assert_eq(v, rows[i].ok ? rows[i].want : 42, "%s", rows[i].text);
    }
}

Test(str, unsigned_integers_take_no_sign)
{
    uint64_t v = 42;

    cr_assert_eq(str_to_u64(STR("18446744073709551615"), &v), ERR_OK);
    cr_assert_eq(v, UINT64_MAX);
    cr_assert_eq(str_to_u64(STR("18446744073709551616"), &v), ERR_INVALID);
    cr_assert_eq(str_to_u64(STR("99999999999999999999999"), &v), ERR_INVALID);
    cr_assert_eq(str_to_u64(STR("-1"), &v), ERR_INVALID);
    cr_assert_eq(v, UINT64_MAX);
}

Test(str, numbers_stop_at_the_length)
{
    int64_t v = 0;

    cr_assert_eq(str_to_i64((struct str){"12345", 3}, &v), ERR_OK);
    cr_assert_eq(v, 123);
    cr_assert_eq(str_to_ms((struct str){"15ms", 3}, &v), ERR_OK);
    cr_assert_eq(v, 15 * 60000);
}

Test(str, doubles_follow_the_grammar_of_json)
{
    static const struct {
        const char *text;
        double want;
    } good[] = {{"0", 0},         {"-1.5", -1.5}, {"1e3", 1000},
                {"2.5E-1", 0.25}, {"1e+2", 100},  {"12345678901234567890", 12345678901234567890.0}};
    static const char *const bad[] = {"",    "-",     ".5", "1.", "1e",  "1e+",   "inf",
                                      "nan", "0x1p3", " 1", "1 ", "1,5", "1e999", "+1"};
    char longer[500];
    double v = 0;

    for (size_t i = 0; i < COUNT(good); i++) {
        cr_assert_eq(str_to_double(str_of(good[i].text), &v), ERR_OK, "%s", good[i].text);
        cr_assert_eq(v, good[i].want, "%s", good[i].text);
    }
    for (size_t i = 0; i < COUNT(bad); i++)
        cr_assert_eq(str_to_double(str_of(bad[i]), &v), ERR_INVALID, "%s", bad[i]);
    memset(longer, '1', sizeof(longer));
    cr_assert_eq(str_to_double((struct str){longer, sizeof(longer)}, &v), ERR_INVALID);
    cr_assert_eq(str_to_double(STR("1\0"), &v), ERR_INVALID);
}

Test(str, durations)
{
    static const struct {
        const char *text;
        int64_t want; /* -1: refused */
    } rows[] = {{"250ms", 250},
                {"30s", 30000},
                {"5m", 300000},
                {"2h", 7200000},
                {"1d", 86400000},
                {"17", 17},
                {"0", 0},
                {"", -1},
                {"s", -1},
                {"-5s", -1},
                {"1.5s", -1},
                {"5 s", -1},
                {"5S", -1},
                {"5sec", -1},
                {"1w", -1},
                {"106751991168d", -1},
                {"106751991167d", INT64_C(106751991167) * 86400000}};

    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t v = -1;
        cr_assert_eq(str_to_ms(str_of(rows[i].text), &v), rows[i].want < 0 ? ERR_INVALID : ERR_OK, "%s", rows[i].text);
        cr_assert_eq(v, rows[i].want, "%s", rows[i].text);
    }
}

Test(str, sizes)
{
    static const struct {
        const char *text;
        int64_t want;
    } rows[] = {{"64KiB", 65536},
                {"1MiB", 1048576},
                {"2GiB", INT64_C(2147483648)},
                {"100kB", 100000},
                {"5MB", 5000000},
                {"3GB", INT64_C(3000000000)},
                {"10B", 10},
                {"0", 0},
                {"12", 12},
                {"64kib", -1},
                {"1K", -1},
                {"MiB", -1},
                {"-1B", -1},
                {"8589934592GiB", -1}};

    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t v = -1;
        cr_assert_eq(str_to_bytes(str_of(rows[i].text), &v), rows[i].want < 0 ? ERR_INVALID : ERR_OK, "%s", rows[i].text);
        cr_assert_eq(v, rows[i].want, "%s", rows[i].text);
    }
}

Test(str, utf8_accepts_the_edges_of_each_length)
{
    static const char *const good[] = {"",
                                       "a",
                                       "\x7f",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "Zoë & José 💍"};
    static const struct str bad[] = {
        STR("\x80"),
        STR("\xc1\xbf"),
        STR("\xc2"),
        STR("\xc2g"),
        STR("\xe0\x9f\xbf"),
        STR("\xed\xa0\x80"),
        STR("\xe2\x82"),
        STR("\xf0\x8f\xbf\xbf"),
        STR("\xf0\x90\x80"),
        STR("\xf4\x90\x80\x80"),
        STR("\xf5\x80\x80\x80"),
        STR("\xff"),
        STR("a\0b"),
        STR("ok\xfe"),
        STR("\xe2\x28\xa1"),
        STR("\xf0\x90\x28\x80"),
    };

    for (size_t i = 0; i < COUNT(good); i++)
        cr_assert(str_is_utf8(str_of(good[i])), "good %zu", i);
    for (size_t i = 0; i < COUNT(bad); i++)
        cr_assert_not(str_is_utf8(bad[i]), "bad %zu", i);
}

Test(str, utf8_len_is_the_length_of_the_first_sequence)
{
    cr_assert_eq(str_utf8_len(STR("")), 0);
    cr_assert_eq(str_utf8_len(STR("ab")), 1);
    cr_assert_eq(str_utf8_len(STR("ë!")), 2);
    cr_assert_eq(str_utf8_len(STR("€!")), 3);
    cr_assert_eq(str_utf8_len(STR("💍!")), 4);
    cr_assert_eq(str_utf8_len(STR("\0")), 1);
    cr_assert_eq(str_utf8_len((struct str){"€", 2}), 0);
}

Test(str, times_go_there_and_back)
{
    static const struct {
        const char *text;
        int64_t us;
    } rows[] = {
        {"1970-01-01T00:00:00.000Z", 0},
        {"2026-05-02T09:00:00.000Z", INT64_C(1777712400000000)},
        {"2000-02-29T23:59:59.999Z", INT64_C(951868799999000)},
        {"1969-12-31T23:59:59.999Z", -1000},
        {"1900-03-01T00:00:00.000Z", INT64_C(-2203891200000000)},
        {"0000-01-01T00:00:00.000Z", INT64_C(-62167219200000000)},
        {"9999-12-31T23:59:59.999Z", INT64_C(253402300799999000)},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        char out[STR_TIME_SIZE];
        int64_t us = 0;
        cr_assert_eq(str_to_time(str_of(rows[i].text), &us), ERR_OK, "%s", rows[i].text);
        cr_assert_eq(us, rows[i].us, "%s is %lld", rows[i].text, (long long)us);
        str_from_time(out, us);
        cr_assert_str_eq(out, rows[i].text);
    }
}

Test(str, every_day_of_four_centuries_round_trips)
{
    char out[STR_TIME_SIZE];
    int64_t us = 0;

    for (int64_t day = -200 * 366; day < 200 * 366; day++) {
        int64_t want = (day * 86400 + 3661) * 1000000 + 5000;
        str_from_time(out, want);
        cr_assert_eq(str_to_time(str_of(out), &us), ERR_OK, "%s", out);
        cr_assert_eq(us, want, "%s", out);
    }
}

Test(str, times_take_any_offset_and_fraction)
{
    static const struct {
        const char *text;
        int64_t us;
    } rows[] = {
        {"2026-05-02T11:00:00+02:00", INT64_C(1777712400000000)},
        {"2026-05-01T23:30:00-09:30", INT64_C(1777712400000000)},
        {"2026-05-02t09:00:00z", INT64_C(1777712400000000)},
        {"2026-05-02T09:00:00.5Z", INT64_C(1777712400500000)},
        {"2026-05-02T09:00:00.000001Z", INT64_C(1777712400000001)},
    };

    for (size_t i = 0; i < COUNT(rows); i++) {
        int64_t us = 0;
        cr_assert_eq(str_to_time(str_of(rows[i].text), &us), ERR_OK, "%s", rows[i].text);
        cr_assert_eq(us, rows[i].us, "%s is %lld", rows[i].text, (long long)us);
    }
}

Test(str, impossible_times_are_refused)
{
    static const char *const bad[] = {
        "",
        "2026-05-02",
        "2026-05-02T09:00:00",
        "2026-05-02 09:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-05-00T00:00:00Z",
        "2026-05-02T24:00:00Z",
        "2026-05-02T09:60:00Z",
        "2026-05-02T09:00:60Z",
        "2026-05-02T09:00:00.Z",
        "2026-05-02T09:00:00.1234567Z",
        "2026-05-02T09:00:00+0200",
        "2026-05-02T09:00:00+24:00",
        "2026-05-02T09:00:00+02:60",
        "2026-05-02T09:00:00Zx",
        "26-05-02T09:00:00Z",
        "-026-05-02T09:00:00Z",
    };

    for (size_t i = 0; i < COUNT(bad); i++) {
        int64_t us = 42;
        cr_assert_eq(str_to_time(str_of(bad[i]), &us), ERR_INVALID, "%s", bad[i]);
        cr_assert_eq(us, 42);
    }
}

Test(str, the_ends_of_time_fit_the_buffer)
{
    char out[STR_TIME_SIZE];

    str_from_time(out, INT64_MAX);
    cr_assert_str_eq(out, "294247-01-10T04:00:54.775Z");
    str_from_time(out, INT64_MIN);
    cr_assert_str_eq(out, "-290308-12-21T19:59:05.224Z");
}
