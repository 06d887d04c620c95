/* mem: allocation. Small fixed allocations abort when memory is gone (a supervisor restarts the process and the ledger
 * makes that safe); allocations sized by outside input are bounded first by the caller and then use mem_try_alloc.
 * An arena hands out memory that is freed all at once: one per running job, per batch, per parsed document. */
#ifndef COMMON_BASE_MEM_H
#define COMMON_BASE_MEM_H

#include <stddef.h>

#include "common/base/err.h"

/* 1: AddressSanitizer watches; what keeps freed things for reuse then does not, and arenas poison what is not handed out. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MEM_CHECKED 1
#endif
#endif
#if !defined(MEM_CHECKED) && defined(__SANITIZE_ADDRESS__)
#define MEM_CHECKED 1
#endif
#ifndef MEM_CHECKED
#define MEM_CHECKED 0
#endif

void *mem_alloc(size_t n);              /* uninitialised; never NULL */
void *mem_zalloc(size_t n);             /* zeroed; never NULL */
void *mem_realloc(void *p, size_t n);   /* never NULL */
void *mem_try_alloc(size_t n) MUST_USE; /* NULL when memory is gone, or when the test hook says so */
void mem_free(void *p);                 /* NULL is fine */
char *mem_strdup(const char *s);
char *mem_strndup(const char *s, size_t n); /* copies n bytes and adds NUL */

/* Test hook: the n-th mem_try_alloc from now (1 = the next) returns NULL; 0 turns it off. */
void mem_fail_nth(unsigned n);

struct arena_block;
/* Zero-initialise ({0}) before use. Blocks start at 1 KiB and double up to 64 KiB. */
struct arena {
    struct arena_block *head;
    size_t used_bytes; /* handed out since the last reset */
};

void *arena_alloc(struct arena *a, size_t n); /* 16-byte aligned, uninitialised, never NULL */
void *arena_zalloc(struct arena *a, size_t n);
char *arena_strdup(struct arena *a, const char *s);
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
void arena_reset(struct arena *a); /* frees everything but the first block */
void arena_free(struct arena *a);  /* frees everything; the arena may be used again */

#endif
