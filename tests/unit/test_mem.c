/* mem: allocation, the failure hook, arenas. */
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <criterion/criterion.h>

#include "common/base/mem.h"

static bool all_bytes(const char *p, char c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != c)
            return false;
    }
    return true;
}

Test(mem, zero_bytes_are_a_valid_request)
{
    void *a = mem_alloc(0);
    void *b = mem_zalloc(0);
    void *c = mem_try_alloc(0);

    cr_assert(a != NULL && b != NULL && c != NULL);
    a = mem_realloc(a, 0);
    cr_assert_not_null(a);
    mem_free(a);
    mem_free(b);
    mem_free(c);
    mem_free(NULL);
}

Test(mem, zalloc_zeroes_and_realloc_keeps)
{
    char *p = mem_zalloc(64);

    cr_assert(all_bytes(p, 0, 64));
    memset(p, 'a', 64);
    p = mem_realloc(p, 4096);
    cr_assert(all_bytes(p, 'a', 64));
    mem_free(p);
}

Test(mem, copies_of_text_are_terminated)
{
    char *a = mem_strdup("abc");
    char *b = mem_strndup("abcdef", 2);
    char *c = mem_strndup(NULL, 0);

    cr_assert_str_eq(a, "abc");
    cr_assert_str_eq(b, "ab");
    cr_assert_str_eq(c, "");
    mem_free(a);
    mem_free(b);
    mem_free(c);
}

Test(mem, the_hook_fails_exactly_the_nth_try)
{
    mem_fail_nth(2);
    void *first = mem_try_alloc(8);
    void *second = mem_try_alloc(8);
    void *third = mem_try_alloc(8);

    cr_assert(first != NULL && second == NULL && third != NULL);
    mem_free(first);
    mem_free(third);
    mem_fail_nth(1);
    mem_fail_nth(0);
    first = mem_try_alloc(8);
    cr_assert_not_null(first, "0 turns the hook off");
    mem_free(first);
}

Test(mem, a_request_that_can_not_be_met_aborts, .signal = SIGABRT)
{
    struct arena a = {0};

    (void)arena_alloc(&a, SIZE_MAX - 1);
}

Test(mem, a_copy_whose_size_overflows_aborts, .signal = SIGABRT)
{
    (void)mem_strndup("x", SIZE_MAX);
}

Test(arena, memory_is_aligned_and_does_not_overlap)
{
    struct arena a = {0};
    char *p[200];
    size_t n[200];

    for (size_t i = 0; i < 200; i++) {
        n[i] = i * 7 % 300;
        p[i] = arena_alloc(&a, n[i]);
        cr_assert_eq((uintptr_t)p[i] % 16, 0);
        memset(p[i], (int)i, n[i]);
    }
    for (size_t i = 0; i < 200; i++)
        cr_assert(all_bytes(p[i], (char)i, n[i]), "piece %zu", i);
    cr_assert_geq(a.used_bytes, 200 * 149);
    arena_free(&a);
    cr_assert(a.head == NULL && a.used_bytes == 0);
}

Test(arena, a_large_request_leaves_the_current_block_in_use)
{
    struct arena a = {0};
    char *before = arena_alloc(&a, 16);
    char *large = arena_zalloc(&a, 1024 * 1024);
    char *after = arena_alloc(&a, 16);

    cr_assert(all_bytes(large, 0, 1024 * 1024));
    cr_assert_eq(after, before + 16);
    arena_free(&a);
}

Test(arena, reset_reuses_the_first_block)
{
    struct arena a = {0};
    char *first = arena_alloc(&a, 100);

    for (int i = 0; i < 1000; i++)
        (void)arena_alloc(&a, 1000);
    arena_reset(&a);
    cr_assert_eq(a.used_bytes, 0);
    cr_assert_eq((char *)arena_alloc(&a, 100), first);
    arena_free(&a);
}

Test(arena, reset_gives_an_oversized_first_block_back)
{
    struct arena a = {0};

    (void)arena_alloc(&a, 1024 * 1024);
    arena_reset(&a);
    cr_assert_null(a.head);
    arena_free(&a);
}

Test(arena, text_helpers_copy_and_format)
{
    struct arena a = {0};
    char longer[3000];

    memset(longer, 'y', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    cr_assert_str_eq(arena_strdup(&a, "abc"), "abc");
    cr_assert_str_eq(arena_strndup(&a, "abcdef", 3), "abc");
    cr_assert_str_eq(arena_strndup(&a, NULL, 0), "");
    cr_assert_str_eq(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
    cr_assert_str_eq(arena_printf(&a, "%s", longer), longer);
    cr_assert(all_bytes(arena_zalloc(&a, 500), 0, 500));
    arena_free(&a);
}
