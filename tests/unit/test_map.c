/* map: against a plain array, with short and long keys, growth, removal and iteration. */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "common/base/map.h"

#define KEYS 2000

static int values[KEYS];

/* Every third key is longer than what a slot holds itself; key 0 is empty. */
static size_t key_of(int i, char out[64])
{
    if (i == 0)
        return 0;
    return (size_t)snprintf(out, 64, i % 3 == 0 ? "a-long-key-that-lies-outside-%d" : "k%d", i);
}

static void put_all(struct map *m)
{
    char key[64];

    for (int i = 0; i < KEYS; i++) {
        size_t n = key_of(i, key);
        cr_assert_null(map_put(m, key, n, &values[i]), "key %d", i);
    }
}

Test(map, an_empty_map_gives_nothing)
{
    struct map m = {0};
    size_t at = 0;
    const void *key = NULL;
    size_t n = 0;
    void *value = NULL;

    cr_assert_null(map_get(&m, "a", 1));
    cr_assert_null(map_remove(&m, "a", 1));
    cr_assert_not(map_next(&m, &at, &key, &n, &value));
    map_free(&m);
}

Test(map, keeps_what_was_put)
{
    struct map m = {0};
    char key[64];

    put_all(&m);
    cr_assert_eq(m.n, KEYS);
    for (int i = 0; i < KEYS; i++) {
        size_t n = key_of(i, key);
        cr_assert_eq(map_get(&m, key, n), &values[i], "key %d", i);
    }
    cr_assert_null(map_get(&m, "absent", 6));
    map_free(&m);
    cr_assert(m.n == 0 && m.slots == NULL);
}

Test(map, put_returns_the_value_replaced)
{
    struct map m = {0};

    cr_assert_null(map_put(&m, "a", 1, &values[0]));
    cr_assert_eq(map_put(&m, "a", 1, &values[1]), &values[0]);
    cr_assert_eq(map_get(&m, "a", 1), &values[1]);
    cr_assert_eq(m.n, 1);
    map_free(&m);
}

Test(map, keys_are_bytes_and_copied)
{
    struct map m = {0};
    char key[] = "a\0b";

    (void)map_put(&m, key, 3, &values[0]);
    (void)map_put(&m, "a", 1, &values[1]);
    key[0] = 'z';
    cr_assert_eq(map_get(&m, "a\0b", 3), &values[0]);
    cr_assert_eq(map_get(&m, "a", 1), &values[1]);
    cr_assert_null(map_get(&m, "a\0c", 3));
    map_free(&m);
}

Test(map, removal_keeps_the_others_reachable)
{
    struct map m = {0};
    char key[64];

    put_all(&m);
    for (int i = 0; i < KEYS; i += 2) {
        size_t n = key_of(i, key);
        cr_assert_eq(map_remove(&m, key, n), &values[i]);
        cr_assert_null(map_remove(&m, key, n));
    }
    cr_assert_eq(m.n, KEYS / 2);
    for (int i = 0; i < KEYS; i++) {
        size_t n = key_of(i, key);
        cr_assert_eq(map_get(&m, key, n), i % 2 == 0 ? NULL : &values[i], "key %d", i);
    }
    map_free(&m);
}

Test(map, does_not_grow_when_keys_come_and_go)
{
    struct map m = {0};
    char key[64];

    for (int i = 0; i < 100 * KEYS; i++) {
        size_t n = (size_t)snprintf(key, sizeof(key), "%d", i);
        (void)map_put(&m, key, n, &values[0]);
        if (i >= 8) {
            n = (size_t)snprintf(key, sizeof(key), "%d", i - 8);
            cr_assert_eq(map_remove(&m, key, n), &values[0]);
        }
    }
    cr_assert_eq(m.n, 8);
    cr_assert_leq(m.cap, 64);
    map_free(&m);
}

Test(map, iteration_visits_each_once_also_when_it_removes)
{
    struct map m = {0};
    bool seen[KEYS] = {false};
    size_t at = 0;
    size_t count = 0;
    const void *key = NULL;
    size_t n = 0;
    void *value = NULL;

    put_all(&m);
    while (map_next(&m, &at, &key, &n, &value)) {
        size_t i = (size_t)((int *)value - values);
        char want[64];
        cr_assert_not(seen[i], "key %zu twice", i);
        seen[i] = true;
        count++;
        cr_assert_eq(n, key_of((int)i, want));
        cr_assert_eq(memcmp(key, want, n), 0);
        if (i % 2 == 0)
            cr_assert_eq(map_remove(&m, key, n), value);
    }
    cr_assert_eq(count, KEYS);
    cr_assert_eq(m.n, KEYS / 2);
    map_free(&m);
}
