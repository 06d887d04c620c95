/* list: order, removal, iteration. */
#include <criterion/criterion.h>

#include "common/base/list.h"

struct thing {
    int n;
    struct list link;
};

static void check_order(struct list *head, const int *want, size_t n)
{
    size_t i = 0;

    LIST_FOR (it, head) {
        cr_assert_lt(i, n);
        cr_assert_eq(LIST_OWNER(it, struct thing, link)->n, want[i], "at %zu", i);
        i++;
    }
    cr_assert_eq(i, n);
    cr_assert_eq(list_length(head), n);
}

Test(list, an_empty_list_gives_nothing)
{
    struct list head;

    list_init(&head);
    cr_assert(list_empty(&head));
    cr_assert_null(list_first(&head));
    cr_assert_null(list_take(&head));
    cr_assert_eq(list_length(&head), 0);
}

Test(list, append_and_prepend_keep_order)
{
    struct thing t[4] = {{.n = 0}, {.n = 1}, {.n = 2}, {.n = 3}};
    struct list head;

    list_init(&head);
    list_append(&head, &t[1].link);
    list_append(&head, &t[2].link);
    list_prepend(&head, &t[0].link);
    list_append(&head, &t[3].link);
    check_order(&head, (int[]){0, 1, 2, 3}, 4);
    cr_assert_eq(list_first(&head), &t[0].link);
}

Test(list, take_removes_from_the_front)
{
    struct thing t[2] = {{.n = 0}, {.n = 1}};
    struct list head;

    list_init(&head);
    list_append(&head, &t[0].link);
    list_append(&head, &t[1].link);
    cr_assert_eq(list_take(&head), &t[0].link);
    check_order(&head, (int[]){1}, 1);
    cr_assert_eq(list_take(&head), &t[1].link);
    cr_assert(list_empty(&head));
}

Test(list, removing_twice_is_harmless)
{
    struct thing t[3] = {{.n = 0}, {.n = 1}, {.n = 2}};
    struct list head;

    list_init(&head);
    for (int i = 0; i < 3; i++)
        list_append(&head, &t[i].link);
    list_remove(&t[1].link);
    list_remove(&t[1].link);
    cr_assert(list_empty(&t[1].link));
    check_order(&head, (int[]){0, 2}, 2);
    list_prepend(&head, &t[1].link);
    check_order(&head, (int[]){1, 0, 2}, 3);
}

Test(list, safe_iteration_survives_removal)
{
    struct thing t[6];
    struct list head;

    list_init(&head);
    for (int i = 0; i < 6; i++) {
        t[i].n = i;
        list_append(&head, &t[i].link);
    }
    LIST_FOR_SAFE (it, &head) {
        if (LIST_OWNER(it, struct thing, link)->n % 2 == 0)
            list_remove(it);
    }
    check_order(&head, (int[]){1, 3, 5}, 3);
}
