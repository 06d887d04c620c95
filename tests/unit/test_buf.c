/* buf: appending, big-endian numbers, JSON strings. */
#include <string.h>

#include <criterion/criterion.h>

#include "common/base/buf.h"
#include "common/base/str.h"

Test(buf, an_empty_buffer_is_empty_text)
{
    struct buf b = {0};

    cr_assert_str_eq(buf_text(&b), "");
    buf_put(&b, NULL, 0);
    cr_assert_eq(b.len, 0);
    cr_assert_str_eq(buf_text(&b), "");
    buf_reset(&b);
    buf_free(&b);
    buf_free(&b);
}

Test(buf, appends_grow_and_stay_terminated)
{
    struct buf b = {0};

    for (size_t i = 0; i < 10000; i++) {
        buf_put_char(&b, (char)('a' + i % 26));
        cr_assert_lt(b.len, b.cap);
        cr_assert_eq(b.data[b.len], '\0');
    }
    for (size_t i = 0; i < 10000; i++)
        cr_assert_eq(b.data[i], (char)('a' + i % 26));
    buf_free(&b);
    cr_assert(b.data == NULL && b.len == 0 && b.cap == 0);
}

Test(buf, reserve_keeps_content_and_makes_room)
{
    struct buf b = {0};

    buf_put_str(&b, "abc");
    buf_reserve(&b, 100000);
    cr_assert_str_eq(buf_text(&b), "abc");
    cr_assert_gt(b.cap, 100003);
    const char *before = b.data;
    for (int i = 0; i < 100000; i++)
        buf_put_char(&b, 'x');
    cr_assert_eq(b.data, before, "no growth after a sufficient reserve");
    buf_free(&b);
}

Test(buf, reset_keeps_memory)
{
    struct buf b = {0};

    buf_put_str(&b, "abc");
    const char *before = b.data;
    buf_reset(&b);
    cr_assert_str_eq(buf_text(&b), "");
    buf_put_str(&b, "d");
    cr_assert_eq(b.data, before);
    cr_assert_str_eq(buf_text(&b), "d");
    buf_free(&b);
}

Test(buf, numbers_are_big_endian)
{
    static const unsigned char want[] = {0xfe, 0x01, 0x02, 0x01, 0x02, 0x03, 0x04, 1, 2, 3, 4, 5, 6, 7, 0x88};
    struct buf b = {0};

    buf_put_u8(&b, 0xfe);
    buf_put_be16(&b, 0x0102);
    buf_put_be32(&b, 0x01020304);
    buf_put_be64(&b, 0x0102030405060788);
    cr_assert_eq(b.len, sizeof(want));
    cr_assert_eq(memcmp(b.data, want, sizeof(want)), 0);
    buf_set_be32(&b, 3, 0xa0b0c0d0);
    cr_assert_eq(memcmp(b.data + 2, "\x02\xa0\xb0\xc0\xd0\x01", 6), 0);
    cr_assert_eq(b.len, sizeof(want));
    buf_free(&b);
}

Test(buf, printf_appends_text_of_any_length)
{
    struct buf b = {0};

    buf_printf(&b, "%d+", 1);
    buf_printf(&b, "%s", "");
    buf_printf(&b, "%0500d", 7);
    cr_assert_eq(b.len, 502);
    cr_assert_eq(b.data[501], '7');
    cr_assert_eq(b.data[0], '1');
    buf_free(&b);
}

Test(buf, json_strings_are_escaped_and_valid_utf8)
{
    static const struct {
        struct str in;
        const char *want;
    } rows[] = {
        {STR(""), "\"\""},
        {STR("plain"), "\"plain\""},
        {STR("a\"b\\c/"), "\"a\\\"b\\\\c/\""},
        {STR("\b\t\n\f\r"), "\"\\b\\t\\n\\f\\r\""},
        {STR("\0\x01\x1f\x7f"), "\"\\u0000\\u0001\\u001f\\u007f\""},
        {STR("\v"), "\"\\u000b\""},
        {STR("Zoë 💍"), "\"Zoë 💍\""},
        {STR("a\xff\xc2"), "\"a\xef\xbf\xbd\xef\xbf\xbd\""},
        {STR("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf b = {0};
        buf_put_json(&b, rows[i].in.p, rows[i].in.n);
        cr_assert_str_eq(buf_text(&b), rows[i].want, "row %zu: %s", i, buf_text(&b));
        buf_free(&b);
    }
}
