#include <criterion/criterion.h>

#include <string.h>

#include "common/core/base64.h"

/* RFC 4648 §10. */
static const char *const vectors[][2] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
};

Test(base64, encodes_and_decodes_the_vectors_of_the_rfc)
{
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        struct buf b = {0};
        char out[16] = "";
        size_t n;
        base64_encode(&b, vectors[i][0], strlen(vectors[i][0]));
        cr_expect_str_eq(buf_text(&b), vectors[i][1]);
        cr_expect_eq(base64_decode(str_of(vectors[i][1]), out, sizeof(out), &n), ERR_OK);
        cr_expect_eq(n, strlen(vectors[i][0]));
        cr_expect_arr_eq(out, vectors[i][0], n);
        buf_free(&b);
    }
}

Test(base64, carries_all_bytes)
{
    uint8_t all[256];
    uint8_t back[256];
    struct buf b = {0};
    size_t n;
    for (int i = 0; i < 256; i++)
        all[i] = (uint8_t)i;
    base64_encode(&b, all, sizeof(all));
    cr_expect_eq(base64_decode((struct str){b.data, b.len}, back, sizeof(back), &n), ERR_OK);
    cr_expect_eq(n, sizeof(all));
    cr_expect_arr_eq(all, back, sizeof(all));
    buf_free(&b);
}

Test(base64, refuses_everything_but_the_canonical_form)
{
    static const char *const bad[] = {"Z",    "Zg",   "Zg=",  "Zh==",  "Zm9=", "Zm8=Zm8=", "Zg==Zg==",   "=Zg=",
                                      "Z=g=", "====", "Zm 9", "Zm9\n", "Zm9-", "Zm9_",     "\xc3\xa9Zg", "Zg=g"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char out[16];
        size_t n;
        cr_expect_eq(base64_decode(str_of(bad[i]), out, sizeof(out), &n), ERR_MALFORMED, "%s", bad[i]);
    }
}

Test(base64, writes_no_more_than_fits)
{
    char out[4] = {1, 1, 1, 77};
    size_t n;
    cr_expect_eq(base64_decode(STR("Zm9vYg=="), out, 3, &n), ERR_LIMIT);
    cr_expect_eq(out[3], 77);
    cr_expect_eq(base64_decode(STR("Zm9v"), out, 3, &n), ERR_OK);
}
