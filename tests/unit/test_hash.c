#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "common/core/hash.h"

static const char *hex(const uint8_t d[HASH_SIZE], char out[2 * HASH_SIZE + 1])
{
    for (size_t i = 0; i < HASH_SIZE; i++)
        snprintf(out + 2 * i, 3, "%02x", d[i]);
    return out;
}

Test(hash, matches_the_vectors_of_fips_180)
{
    char text[2 * HASH_SIZE + 1];
    uint8_t d[HASH_SIZE];
    hash_done(hash_new(), d);
    cr_expect_str_eq(hex(d, text), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    struct hash *h = hash_new();
    hash_put(h, "a", 1);
    hash_put(h, NULL, 0);
    hash_put(h, "bc", 2);
    hash_done(h, d);
    cr_expect_str_eq(hex(d, text), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

Test(hash, matches_the_hmac_vectors_of_rfc_4231)
{
    char text[2 * HASH_SIZE + 1];
    uint8_t d[HASH_SIZE];
    hash_hmac(d, "Jefe", 4, "what do ya want for nothing?", 28);
    cr_expect_str_eq(hex(d, text), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    char key[131];
    memset(key, 0xaa, sizeof(key));
    static const char data[] = "Test Using Larger Than Block-Size Key - Hash Key First";
    hash_hmac(d, key, sizeof(key), data, sizeof(data) - 1);
    cr_expect_str_eq(hex(d, text), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

Test(hash, takes_an_empty_hmac_key)
{
    char text[2 * HASH_SIZE + 1];
    uint8_t d[HASH_SIZE];
    hash_hmac(d, "Jefe", 4, "x", 1);
    hash_hmac(d, NULL, 0, "", 0);
    cr_expect_str_eq(hex(d, text), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

Test(hash, compares)
{
    cr_expect(hash_equal("abc", "abc", 3));
    cr_expect_not(hash_equal("abc", "abd", 3));
    cr_expect(hash_equal("abc", "abd", 2));
}
