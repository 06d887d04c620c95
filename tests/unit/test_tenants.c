/* tenants: the set against what it was loaded from. */
#include <criterion/criterion.h>

#include "workers/tenants.h"

#define MANY 10000

static struct id id_of(int i)
{
    return (struct id){{(uint8_t)(i >> 8), (uint8_t)i, 7}};
}

/* The even ones of [0, 2n). */
static void load(struct tenants *t, int n, int digest)
{
    static struct id ids[MANY];
    const struct id d = id_of(digest);

    for (int i = 0; i < n; i++)
        ids[i] = id_of(2 * i);
    tenants_load(t, (struct str){(const char *)ids, (size_t)n * sizeof(*ids)}, &d);
}

Test(tenants, holds_what_was_loaded_and_nothing_else)
{
    static const int sizes[] = {0, 1, 2, 3, 200, MANY};
    struct tenants t = {0};

    cr_expect_not(tenants_has(&t, &ID_ZERO), "before anything was loaded nobody exists");
    for (size_t s = 0; s < sizeof(sizes) / sizeof(*sizes); s++) {
        load(&t, sizes[s], 1);
        for (int i = 0; i < 2 * sizes[s] + 2; i++) {
            struct id id = id_of(i);
            cr_assert_eq(tenants_has(&t, &id), i % 2 == 0 && i < 2 * sizes[s], "%d of %d", i, sizes[s]);
        }
        cr_expect_not(tenants_has(&t, &ID_ZERO));
    }
    tenants_free(&t);
}

Test(tenants, a_load_replaces_the_whole_set)
{
    struct tenants t = {0};
    struct id first = id_of(0), last = id_of(2 * (MANY - 1)), digest = id_of(5);

    load(&t, MANY, 4);
    load(&t, 1, 5);
    cr_expect(tenants_has(&t, &first));
    cr_expect_not(tenants_has(&t, &last));
    cr_expect(id_eq(&t.digest, &digest));
    tenants_free(&t);
    cr_expect_not(tenants_has(&t, &first));
    cr_expect(id_is_zero(&t.digest));
}
