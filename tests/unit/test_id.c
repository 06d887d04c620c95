/* id: version 7 layout, text form, order. */
#include <string.h>

#include <criterion/criterion.h>

#include "common/base/clock.h"
#include "common/base/id.h"

/* The µs since 1970 that an id carries: 48 bits of milliseconds, then their fraction in 4096ths, rounded down. */
static int64_t time_of(const struct id *id)
{
    int64_t ms = 0;

    for (int i = 0; i < 6; i++)
        ms = ms << 8 | id->b[i];
    return ms * 1000 + (((id->b[6] & 0xf) << 8 | id->b[7]) * 1000 + 4095) / 4096;
}

Test(id, new_ids_are_version_7_and_carry_the_time)
{
    for (int i = 0; i < 1000; i++) {
        struct id id;
        int64_t before = clock_wall_us();
        id_new(&id);
        int64_t after = clock_wall_us();
        cr_assert(time_of(&id) >= before && time_of(&id) <= after, "%lld", (long long)time_of(&id));
        cr_assert_eq(id.b[6] >> 4, 7);
        cr_assert_eq(id.b[8] >> 6, 2);
    }
}

Test(id, new_ids_differ_and_sort_by_time)
{
    enum { N = 1000 };
    static struct id ids[N];

    for (int i = 0; i < N; i++)
        id_new(&ids[i]);
    for (int i = 1; i < N; i++) {
        cr_assert_not(id_eq(&ids[i - 1], &ids[i]));
        /* Eight bytes hold the time and its fraction; behind them is chance. */
        cr_assert_leq(memcmp(ids[i - 1].b, ids[i].b, 8), 0, "id %d", i);
    }
}

Test(id, text_goes_there_and_back)
{
    static const char text[] = "018f3c2e-9a4b-7def-8123-456789abcdef";
    char out[ID_TEXT_SIZE];
    struct id id;
    struct id upper;

    cr_assert_eq(id_parse(str_of(text), &id), ERR_OK);
    cr_assert_eq(id.b[0], 0x01);
    cr_assert_eq(id.b[15], 0xef);
    cr_assert_str_eq(id_format(&id, out), text);
    cr_assert_eq(id_parse(str_of("018F3C2E-9A4B-7DEF-8123-456789ABCDEF"), &upper), ERR_OK);
    cr_assert(id_eq(&id, &upper));
}

Test(id, anything_else_is_refused_and_leaves_the_output)
{
    static const char *const bad[] = {
        "",
        "018f3c2e",
        "018f3c2e9a4b7def8123456789abcdef",
        "018f3c2e-9a4b-7def-8123-456789abcde",
        "018f3c2e-9a4b-7def-8123-456789abcdef0",
        "018f3c2e-9a4b-7def-8123-456789abcdeg",
        "018f3c2e_9a4b-7def-8123-456789abcdef",
        "018f3c2-e9a4b-7def-8123-456789abcdef",
        "{18f3c2e-9a4b-7def-8123-456789abcde}",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct id id = {{7}};
        cr_assert_eq(id_parse(str_of(bad[i]), &id), ERR_INVALID, "%s", bad[i]);
        cr_assert_eq(id.b[0], 7);
    }
}

Test(id, compares_as_bytes)
{
    struct id a = {{0, 1}};
    struct id b = {{0, 0xff}};
    struct id zero = ID_ZERO;

    cr_assert_lt(id_cmp(&a, &b), 0);
    cr_assert_gt(id_cmp(&b, &a), 0);
    cr_assert_eq(id_cmp(&a, &a), 0);
    cr_assert(id_is_zero(&zero));
    cr_assert_not(id_is_zero(&a));
}
