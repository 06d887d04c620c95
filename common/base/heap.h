/* heap: binary min-heap of pointers whose elements know their own place, so that any can be removed in O(log n). */
#ifndef COMMON_BASE_HEAP_H
#define COMMON_BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>

struct heap {
    void **items;
    size_t n;
    size_t cap;
    bool (*less)(const void *a, const void *b);
    void (*set_pos)(void *item, size_t pos); /* called at every move; may be NULL when nothing is removed from inside */
};

void heap_init(struct heap *h, bool (*less)(const void *, const void *), void (*set_pos)(void *, size_t));
void heap_free(struct heap *h); /* elements are not freed */
void heap_push(struct heap *h, void *item);
void *heap_top(const struct heap *h); /* NULL when empty */
void *heap_pop(struct heap *h);       /* NULL when empty */
void *heap_remove(struct heap *h, size_t pos);

#endif
