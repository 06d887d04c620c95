/* adoption: the JSON of automation_priv.adopt_entries. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/core/adoption.h"

static json_t *put(const struct adoption *a)
{
    struct buf out = {0};
    json_error_t where;
    adoption_put(&out, a);
    json_t *got = json_loadb(out.data, out.len, 0, &where);
    cr_assert_not_null(got, "%s: %s", where.text, buf_text(&out));
    buf_free(&out);
    return got;
}

static const char *text(const json_t *got, const char *key)
{
    const char *s = json_string_value(json_object_get(got, key));
    return s ? s : "";
}

static struct adoption base(const struct envelope *env)
{
    return (struct adoption){.at_us = INT64_C(1767225600123000),
                             .stream = "usher:{0}:in:bulk",
                             .entry_id = "1767225600123-4",
                             .kind = "photo.render",
                             .queue = "bulk",
                             .payload = {"\x80\xff", 2},
                             .attempt = 1,
                             .in_ms = -1,
                             .envelope = env};
}

Test(adoption, a_job_carries_the_entry_and_its_fields)
{
    struct envelope env = {.key = STR("photo \"7\""), .max_attempts = 3, .timeout_ms = 60000, .at_us = 1000000};
    struct adoption a = base(&env);
    json_t *got = put(&a);
    cr_expect_str_eq(text(got, "entry"), "usher:{0}:in:bulk 1767225600123-4");
    cr_expect_str_eq(text(got, "at"), "2026-01-01T00:00:00.123Z");
    cr_expect_str_eq(text(got, "payload"), "80ff");
    cr_expect_str_eq(text(got, "key"), "photo \"7\"");
    cr_expect_str_eq(text(got, "due"), "1970-01-01T00:00:01.000Z");
    cr_expect_eq(json_integer_value(json_object_get(got, "max")), 3);
    cr_expect_eq(json_integer_value(json_object_get(got, "timeout")), 60000);
    static const char *const absent[] = {"in_ms", "owner",   "dead",     "error",
                                         "raw",   "wedding", "deadline", "traceparent"};
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
        cr_expect_null(json_object_get(got, absent[i]), "%s", absent[i]);
    json_decref(got);
}

Test(adoption, a_claimed_or_delayed_job_says_so)
{
    struct envelope env = {0};
    struct adoption a = base(&env);
    struct id owner = {{1}};
    a.owner = &owner;
    a.in_ms = 0;
    a.attempt = 2;
    json_t *got = put(&a);
    cr_expect_str_eq(text(got, "owner"), "01000000-0000-0000-0000-000000000000");
    cr_expect(json_is_integer(json_object_get(got, "in_ms")));
    cr_expect_eq(json_integer_value(json_object_get(got, "attempt")), 2);
    json_decref(got);
}

Test(adoption, a_dead_letter_carries_reason_and_bytes_instead_of_fields)
{
    struct envelope env = {.max_attempts = 3};
    struct adoption a = base(&env);
    a.payload = (struct str){0};
    a.dead = "malformed";
    a.error = "no payload";
    a.raw = STR("\x01");
    json_t *got = put(&a);
    cr_expect_str_eq(text(got, "dead"), "malformed");
    cr_expect_str_eq(text(got, "error"), "no payload");
    cr_expect_str_eq(text(got, "raw"), "01");
    cr_expect_null(json_object_get(got, "payload"));
    cr_expect_null(json_object_get(got, "max"));
    json_decref(got);
}

Test(adoption, raw_bytes_are_an_array_of_binary_values_and_bounded)
{
    static const char expected[] = "\xdd\0\0\0\2\xc6\0\0\0\1k\xc6\0\0\0\2\0\xff";
    struct str fields[] = {STR("k"), {"\0\xff", 2}};
    struct buf out = {0};
    adoption_raw(&out, fields, 2);
    cr_assert_eq(out.len, sizeof(expected) - 1);
    cr_expect_arr_eq(out.data, expected, sizeof(expected) - 1);
    buf_free(&out);

    char *large = mem_zalloc(ADOPTION_RAW_MAX_BYTES);
    struct str many[] = {{large, ADOPTION_RAW_MAX_BYTES}, {large, ADOPTION_RAW_MAX_BYTES}};
    adoption_raw(&out, many, 2);
    cr_expect_leq(out.len, ADOPTION_RAW_MAX_BYTES + 10);
    cr_expect_arr_eq(out.data, "\xdd\0\0\0\1\xc6", 6, "the header counts what follows");
    buf_free(&out);
    mem_free(large);
}

Test(adoption, absurd_entry_ids_are_kept_at_the_end_of_time)
{
    cr_expect_eq(adoption_time_us(0), 0);
    cr_expect_eq(adoption_time_us(1767225600123), INT64_C(1767225600123000));
    cr_expect_eq(adoption_time_us(UINT64_MAX), INT64_C(253402300799000000));
}
