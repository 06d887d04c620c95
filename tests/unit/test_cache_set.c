/* cache_set: what is written is read again; whatever else is read is refused, and never past its end. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/io/cache_set.h"

#define VERSION 1790000000123
#define N_RULES 20

static const struct id tenant = {{0xa1, 2, 3}};
static const struct id other = {{0xa2, 2, 3}};
static struct store_rule rules[N_RULES];
static char texts[N_RULES][700];
static struct buf whole;

/* Definitions of 0 to 665 bytes: each head that a text can have. Revisions likewise. */
static void make_rules(void)
{
    static const int64_t revisions[] = {1,        127, 128, 255, 256, 65535, 65536, UINT32_MAX, (int64_t)UINT32_MAX + 1,
                                        INT64_MAX};

    for (size_t i = 0; i < N_RULES; i++) {
        memset(texts[i], 'a' + (int)i, sizeof(texts[i]));
        memset(rules[i].rule_id.b, (int)i, sizeof(rules[i].rule_id.b));
        rules[i].revision = revisions[i % (sizeof(revisions) / sizeof(revisions[0]))];
        rules[i].definition = (struct str){texts[i], i * 35};
    }
    cr_assert_eq(cache_set_encode(&tenant, VERSION, rules, N_RULES, &whole), ERR_OK);
}

static void free_rules(void)
{
    buf_free(&whole);
}

TestSuite(cache_set, .init = make_rules, .fini = free_rules);

/* From a block of exactly that size, so that the sanitizer sees each byte read past it. */
static enum err decode(const char *p, size_t n, const struct id *whose, int64_t version)
{
    struct cache_set set = {.n = 99};
    char *copy = malloc(n > 0 ? n : 1);
    enum err err;

    if (copy == NULL)
        abort();
    if (n > 0)
        memcpy(copy, p, n);
    err = cache_set_decode((struct str){copy, n}, whose, version, &set);
    if (err != ERR_OK)
        cr_assert(set.n == 0 && set.rules == NULL);
    cache_set_free(&set);
    free(copy);
    return err;
}

Test(cache_set, reads_what_it_wrote)
{
    static const size_t counts[] = {0, 1, 15, 16, N_RULES};

    for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
        struct cache_set set;
        cr_assert_eq(cache_set_encode(&tenant, VERSION, rules, counts[c], &whole), ERR_OK);
        cr_assert_eq(cache_set_decode((struct str){whole.data, whole.len}, &tenant, VERSION, &set), ERR_OK);
        cr_assert_eq(set.n, counts[c]);
        for (size_t i = 0; i < set.n; i++) {
            cr_expect(id_eq(&set.rules[i].rule_id, &rules[i].rule_id));
            cr_expect_eq(set.rules[i].revision, rules[i].revision);
            cr_expect(str_eq(set.rules[i].definition, rules[i].definition));
        }
        cache_set_free(&set);
    }
}

Test(cache_set, another_tenant_or_version_is_refused)
{
    cr_expect_eq(decode(whole.data, whole.len, &tenant, VERSION), ERR_OK);
    cr_expect_eq(decode(whole.data, whole.len, &other, VERSION), ERR_INVALID);
    cr_expect_eq(decode(whole.data, whole.len, &tenant, VERSION + 1), ERR_INVALID);
    cr_expect_eq(decode(whole.data, whole.len, &tenant, VERSION - 1), ERR_INVALID);
    whole.data[1] = 2;
    cr_expect_eq(decode(whole.data, whole.len, &tenant, VERSION), ERR_INVALID, "another format");
}

Test(cache_set, a_piece_of_a_set_and_more_than_a_set_are_refused)
{
    for (size_t n = 0; n < whole.len; n++)
        cr_assert_eq(decode(whole.data, n, &tenant, VERSION), ERR_MALFORMED, "%zu bytes", n);
    buf_put_char(&whole, '\0');
    cr_expect_eq(decode(whole.data, whole.len, &tenant, VERSION), ERR_MALFORMED);
}

Test(cache_set, every_changed_bit_is_seen)
{
    for (size_t bit = 0; bit < whole.len * 8; bit++) {
        whole.data[bit / 8] = (char)(whole.data[bit / 8] ^ (1 << bit % 8));
        cr_assert_neq(decode(whole.data, whole.len, &tenant, VERSION), ERR_OK, "bit %zu", bit);
        whole.data[bit / 8] = (char)(whole.data[bit / 8] ^ (1 << bit % 8));
    }
    cr_expect_eq(decode(whole.data, whole.len, &tenant, VERSION), ERR_OK);
}

Test(cache_set, a_count_or_length_beyond_the_bytes_allocates_nothing)
{
    /* Format, tenant and version as they should be, then "four billion rules" and "one rule of four billion bytes". */
    static const char *const tails[] = {"\xdd\xff\xff\xff\xff",
                                        "\x91\x93\xc4\x10"
                                        "0123456789abcdef"
                                        "\x01\xdb\xff\xff\xff\xff",
                                        "\xcf\xff\xff\xff\xff\xff\xff\xff\xff", "\x91\x92\xc4"};
    const size_t sizes[] = {5, 26, 9, 3};
    const size_t head = 2 + 18 + 9;

    for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
        struct buf b = {0};
        buf_put(&b, whole.data, head);
        buf_put(&b, tails[i], sizes[i]);
        buf_put(&b, whole.data, 64);
        cr_expect_eq(decode(b.data, b.len, &tenant, VERSION), ERR_MALFORMED, "tail %zu", i);
        buf_free(&b);
    }
}

Test(cache_set, noise_is_refused)
{
    uint64_t seed = 88172645463325252u; /* xorshift64: the same noise in each run */
    char noise[256];

    for (int round = 0; round < 20000; round++) {
        size_t n = 0;
        for (; n < sizeof(noise); n++) {
            seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
            noise[n] = (char)seed;
        }
        /* Half of them begin well. */
        if (round % 2 == 0)
            memcpy(noise, whole.data, seed % 128);
        cr_assert_neq(decode(noise, seed % (sizeof(noise) + 1), &tenant, VERSION), ERR_OK, "round %d", round);
    }
}

Test(cache_set, a_set_that_is_too_large_is_not_written)
{
    char *big = mem_zalloc(CACHE_SET_MAX_BYTES);

    memset(big, 'x', CACHE_SET_MAX_BYTES);
    rules[0].definition = (struct str){big, CACHE_SET_MAX_BYTES - 1024};
    cr_expect_eq(cache_set_encode(&tenant, VERSION, rules, 1, &whole), ERR_OK);
    cr_expect_eq(decode(whole.data, whole.len, &tenant, VERSION), ERR_OK);
    rules[0].definition.n = CACHE_SET_MAX_BYTES;
    cr_expect_eq(cache_set_encode(&tenant, VERSION, rules, 1, &whole), ERR_LIMIT);
    cr_expect_eq(whole.len, 0);
    buf_reserve(&whole, CACHE_SET_MAX_BYTES + 1);
    cr_expect_eq(decode(big, CACHE_SET_MAX_BYTES, &tenant, VERSION), ERR_MALFORMED);
    mem_free(big);
}

Test(cache_set, running_out_of_memory_is_reported)
{
    mem_fail_nth(1);
    cr_expect_eq(decode(whole.data, whole.len, &tenant, VERSION), ERR_NOMEM);
    mem_fail_nth(0);
}
