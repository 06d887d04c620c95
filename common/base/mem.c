/* mem: malloc that aborts, malloc that may fail, and arenas.
 *
 * An arena is a list of blocks, newest first; memory is cut from the newest. A request too large for a normal block gets
 * one of its own behind the newest, whose room stays in use. Under AddressSanitizer what an arena has not handed out is
 * poisoned, so that a pointer kept over arena_reset is caught.
 *
 * Failure: memory gone means abort with one line on standard error, except in mem_try_alloc. */
#include "common/base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if MEM_CHECKED
#include <sanitizer/asan_interface.h>
#define POISON(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define POISON(p, n) ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
#endif

#define ARENA_ALIGN ((size_t)16)
#define ARENA_MIN_BYTES ((size_t)1024)
#define ARENA_MAX_BYTES ((size_t)64 * 1024)

struct arena_block {
    struct arena_block *older;
    size_t cap;
    size_t used;
    _Alignas(16) char data[];
};

static _Thread_local unsigned fail_countdown;

static void die(size_t n)
{
    (void)fprintf(stderr, "out of memory: %zu bytes refused\n", n);
    abort();
}

void *mem_alloc(size_t n)
{
    void *p = malloc(n > 0 ? n : 1);

    if (p == NULL)
        die(n);
    return p;
}

void *mem_zalloc(size_t n)
{
    void *p = calloc(1, n > 0 ? n : 1);

    if (p == NULL)
        die(n);
    return p;
}

void *mem_realloc(void *p, size_t n)
{
    void *q = realloc(p, n > 0 ? n : 1);

    if (q == NULL)
        die(n);
    return q;
}

void *mem_try_alloc(size_t n)
{
    if (fail_countdown > 0 && --fail_countdown == 0)
        return NULL;
    return malloc(n > 0 ? n : 1);
}

void mem_fail_nth(unsigned n)
{
    fail_countdown = n;
}

void mem_free(void *p)
{
    free(p);
}

char *mem_strndup(const char *s, size_t n)
{
    if (n == SIZE_MAX)
        die(n);
    char *p = mem_alloc(n + 1);

    if (n > 0)
        memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

char *mem_strdup(const char *s)
{
    return mem_strndup(s, strlen(s));
}

static struct arena_block *block_new(size_t cap)
{
    struct arena_block *b = mem_alloc(sizeof(*b) + cap);

    b->older = NULL;
    b->cap = cap;
    b->used = 0;
    POISON(b->data, cap);
    return b;
}

static void block_free(struct arena_block *b)
{
    UNPOISON(b->data, b->cap);
    mem_free(b);
}

static struct arena_block *block_for(struct arena *a, size_t need)
{
    struct arena_block *head = a->head;
    struct arena_block *b;

    if (head != NULL && head->cap - head->used >= need)
        return head;
    if (head != NULL && need > ARENA_MAX_BYTES) {
        b = block_new(need);
        b->older = head->older;
        head->older = b;
        return b;
    }
    size_t cap = head == NULL ? ARENA_MIN_BYTES : head->cap * 2;
    if (cap > ARENA_MAX_BYTES)
        cap = ARENA_MAX_BYTES;
    b = block_new(cap > need ? cap : need);
    b->older = head;
    a->head = b;
    return b;
}

void *arena_alloc(struct arena *a, size_t n)
{
    if (n > SIZE_MAX / 2)
        die(n);
    size_t need = n > 0 ? (n + ARENA_ALIGN - 1) & ~(ARENA_ALIGN - 1) : ARENA_ALIGN;
    struct arena_block *b = block_for(a, need);
    char *p = b->data + b->used;

    b->used += need;
    a->used_bytes += need;
    UNPOISON(p, n);
    return p;
}

void *arena_zalloc(struct arena *a, size_t n)
{
    void *p = arena_alloc(a, n);

    memset(p, 0, n);
    return p;
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    if (n == SIZE_MAX)
        die(n);
    char *p = arena_alloc(a, n + 1);

    if (n > 0)
        memcpy(p, s, n);
    p[n] = '\0';
    return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return arena_strndup(a, s, strlen(s));
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_list again;
    char *p = NULL;

    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    if (n < 0)
        abort(); /* a bad format string is our mistake */
    p = arena_alloc(a, (size_t)n + 1);
    (void)vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(ap);
    return p;
}

void arena_reset(struct arena *a)
{
    struct arena_block *b = a->head;

    while (b != NULL && b->older != NULL) {
        struct arena_block *older = b->older;
        block_free(b);
        b = older;
    }
    /* An oversized first block would keep one huge request's memory for good. */
    if (b != NULL && b->cap > ARENA_MAX_BYTES) {
        block_free(b);
        b = NULL;
    }
    if (b != NULL) {
        b->used = 0;
        POISON(b->data, b->cap);
    }
    a->head = b;
    a->used_bytes = 0;
}

void arena_free(struct arena *a)
{
    arena_reset(a);
    if (a->head != NULL)
        block_free(a->head);
    *a = (struct arena){0};
}
