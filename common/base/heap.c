/* heap: an array in heap order; the children of i are 2i + 1 and 2i + 2. */
#include "common/base/heap.h"

#include <assert.h>
#include <stdint.h>

#include "common/base/mem.h"

#define FIRST_CAP ((size_t)16)

void heap_init(struct heap *h, bool (*less)(const void *, const void *), void (*set_pos)(void *, size_t))
{
    *h = (struct heap){.less = less, .set_pos = set_pos};
}

void heap_free(struct heap *h)
{
    mem_free(h->items);
    h->items = NULL;
    h->n = 0;
    h->cap = 0;
}

static void place(struct heap *h, size_t pos, void *item)
{
    h->items[pos] = item;
    if (h->set_pos != NULL)
        h->set_pos(item, pos);
}

static void sift_up(struct heap *h, size_t pos, void *item)
{
    while (pos > 0) {
        size_t parent = (pos - 1) / 2;
        if (!h->less(item, h->items[parent]))
            break;
        place(h, pos, h->items[parent]);
        pos = parent;
    }
    place(h, pos, item);
}

static void sift_down(struct heap *h, size_t pos, void *item)
{
    for (;;) {
        size_t child = 2 * pos + 1;
        if (child >= h->n)
            break;
        if (child + 1 < h->n && h->less(h->items[child + 1], h->items[child]))
            child++;
        if (!h->less(h->items[child], item))
            break;
        place(h, pos, h->items[child]);
        pos = child;
    }
    place(h, pos, item);
}

void heap_push(struct heap *h, void *item)
{
    if (h->n == h->cap) {
        h->cap = h->cap == 0 ? FIRST_CAP : h->cap * 2;
        assert(h->cap <= SIZE_MAX / sizeof(void *));
        h->items = mem_realloc(h->items, h->cap * sizeof(void *));
    }
    sift_up(h, h->n++, item);
}

void *heap_top(const struct heap *h)
{
    return h->n > 0 ? h->items[0] : NULL;
}

void *heap_pop(struct heap *h)
{
    return h->n > 0 ? heap_remove(h, 0) : NULL;
}

void *heap_remove(struct heap *h, size_t pos)
{
    assert(pos < h->n);
    void *removed = h->items[pos];
    void *last = h->items[--h->n];

    if (pos == h->n)
        return removed;
    /* The last element comes from another subtree: it may belong above or below the hole. */
    if (pos > 0 && h->less(last, h->items[(pos - 1) / 2]))
        sift_up(h, pos, last);
    else
        sift_down(h, pos, last);
    return removed;
}
