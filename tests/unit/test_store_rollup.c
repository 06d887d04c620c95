/* store_rollup: rows of a batch counted by what they have in common. */
#include <criterion/criterion.h>
#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "common/io/store_jobs.h"
#include "common/io/store_rollup.h"

static struct store_log a_row(const char *kind)
{
    return (struct store_log){.tenant_id = {{1}},
                              .rule_id = {{2}},
                              .queued_at_us = INT64_C(7200000000),
                              .started_at_us = INT64_C(7200000000),
                              .due_at_us = DB_NULL_TIME,
                              .duration_us = 10,
                              .kind = kind};
}

static int32_t number(const struct db_args *a, int arg)
{
    uint32_t v;

    memcpy(&v, a->values[arg], sizeof(v));
    return (int32_t)be32toh(v);
}

/* A one-dimensional array's element of 4 bytes: dimensions, flags, type, length, lower bound, then (size, value) each. */
static int32_t element(const struct db_args *a, int arg, int i)
{
    uint32_t v;

    memcpy(&v, a->values[arg] + 20 + (size_t)i * 8 + 4, sizeof(v));
    return (int32_t)be32toh(v);
}

Test(store_rollup, counts_rows_that_are_alike_and_keeps_others_apart)
{
    struct store_log rows[] = {a_row("a"), a_row("a"), a_row("b"), a_row("a"),
                               a_row("a"), a_row("a"), a_row("a"), a_row("a")};
    struct store_rollup r = {0};
    struct arena arena = {0};
    struct db_args args;

    rows[3].tenant_id.b[15] = 9;
    rows[4].rule_id.b[15] = 9;
    rows[5].queued_at_us += INT64_C(3600000000);
    rows[6].outcome = OUTCOME_DEAD;
    rows[7].duration_us = 100000;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        store_rollup_add(&r, &rows[i]);
    store_rollup_args(&r, &arena, &args);
    cr_expect_eq(number(&args, 0), 7);
    cr_expect_eq(element(&args, 6, 0), 2);
    cr_expect_eq(element(&args, 6, 1), 1);
    store_rollup_clear(&r);
    cr_expect_eq(r.n, 0);
    store_rollup_free(&r);
    arena_free(&arena);
}

Test(store_rollup, finds_every_group_again_while_it_grows)
{
    enum { KINDS = 3000 };
    static char kinds[KINDS][16];
    struct store_rollup r = {0};
    struct arena arena = {0};
    struct db_args args;

    for (int batch = 0; batch < 2; batch++) {
        for (int i = 0; i < 3 * KINDS; i++) {
            (void)snprintf(kinds[i % KINDS], sizeof(kinds[0]), "kind.%d", i % KINDS);
            struct store_log row = a_row(kinds[i % KINDS]);
            store_rollup_add(&r, &row);
        }
        cr_expect_eq(r.n, KINDS, "batch %d: %zu groups", batch, r.n);
        store_rollup_args(&r, &arena, &args);
        for (int i = 0; i < KINDS; i++)
            cr_expect_eq(element(&args, 6, i), 3);
        store_rollup_clear(&r);
    }
    store_rollup_free(&r);
    arena_free(&arena);
}

Test(store_rollup, strange_kinds_share_a_name)
{
    char longest[66];
    memset(longest, 'k', 65);
    longest[65] = '\0';
    struct store_log rows[] = {a_row("\xff"), a_row(longest), a_row("?")};
    struct store_rollup r = {0};

    for (size_t i = 0; i < 3; i++)
        store_rollup_add(&r, &rows[i]);
    cr_expect_eq(r.n, 1);
    store_rollup_free(&r);
}
