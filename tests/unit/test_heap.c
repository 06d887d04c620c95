/* heap: order under random pushes, pops and removals, against a plain array. */
#include <stdint.h>

#include <criterion/criterion.h>

#include "common/base/heap.h"

struct item {
    int64_t at;
    size_t pos;
    bool in;
};

static bool earlier(const void *a, const void *b)
{
    return ((const struct item *)a)->at < ((const struct item *)b)->at;
}

static void set_pos(void *item, size_t pos)
{
    ((struct item *)item)->pos = pos;
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static int64_t least(const struct item *items, size_t n)
{
    int64_t min = INT64_MAX;

    for (size_t i = 0; i < n; i++) {
        if (items[i].in && items[i].at < min)
            min = items[i].at;
    }
    return min;
}

Test(heap, an_empty_heap_gives_nothing)
{
    struct heap h;

    heap_init(&h, earlier, NULL);
    cr_assert_null(heap_top(&h));
    cr_assert_null(heap_pop(&h));
    heap_free(&h);
    heap_free(&h);
}

Test(heap, pops_in_order_also_without_positions)
{
    struct item items[] = {{.at = 5}, {.at = 1}, {.at = 9}, {.at = 1}, {.at = -3}, {.at = 7}};
    static const int64_t want[] = {-3, 1, 1, 5, 7, 9};
    struct heap h;

    heap_init(&h, earlier, NULL);
    for (size_t i = 0; i < 6; i++)
        heap_push(&h, &items[i]);
    cr_assert_eq(heap_top(&h), &items[4]);
    for (size_t i = 0; i < 6; i++)
        cr_assert_eq(((struct item *)heap_pop(&h))->at, want[i], "pop %zu", i);
    cr_assert_null(heap_pop(&h));
    heap_free(&h);
}

/* One random step; `items` outside the heap are pushed, those inside are removed by position or popped. */
static void step(struct heap *h, struct item *items, size_t n, uint32_t *seed)
{
    struct item *it = &items[next_random(seed) % n];

    if (!it->in) {
        it->at = (int64_t)(next_random(seed) % 50);
        it->in = true;
        heap_push(h, it);
    } else if (next_random(seed) % 3 == 0) {
        int64_t want = least(items, n);
        struct item *popped = heap_pop(h);
        cr_assert_eq(popped->at, want);
        popped->in = false;
    } else {
        cr_assert_eq(heap_remove(h, it->pos), it);
        it->in = false;
    }
}

Test(heap, stays_ordered_and_knows_positions_under_random_use)
{
    static struct item items[64];
    uint32_t seed = 20260502;
    struct heap h;

    heap_init(&h, earlier, set_pos);
    for (int round = 0; round < 20000; round++) {
        step(&h, items, 64, &seed);
        for (size_t i = 0; i < h.n; i++) {
            cr_assert_eq(((struct item *)h.items[i])->pos, i, "round %d", round);
            cr_assert(i == 0 || !earlier(h.items[i], h.items[(i - 1) / 2]), "round %d", round);
        }
    }
    heap_free(&h);
}

/* The last leaf can be smaller than the parent of the hole only when both lie in different subtrees. */
Test(heap, removal_may_move_the_last_element_up)
{
    struct item items[] = {{.at = 0}, {.at = 10}, {.at = 1}, {.at = 11}, {.at = 12}, {.at = 2}, {.at = 3}};
    struct heap h;

    heap_init(&h, earlier, set_pos);
    for (size_t i = 0; i < 7; i++)
        heap_push(&h, &items[i]);
    cr_assert_eq(heap_remove(&h, items[3].pos), &items[3]);
    static const int64_t want[] = {0, 1, 2, 3, 10, 12};
    for (size_t i = 0; i < 6; i++)
        cr_assert_eq(((struct item *)heap_pop(&h))->at, want[i], "pop %zu", i);
    heap_free(&h);
}
