/* list: intrusive doubly linked list. It never owns its elements: what a thing is doing is which list it is on. */
#ifndef COMMON_BASE_LIST_H
#define COMMON_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
    struct list *prev;
    struct list *next;
};

#define LIST_OWNER(node, type, member) ((type *)((char *)(node)-offsetof(type, member)))
#define LIST_FOR(it, head) for (struct list *it = (head)->next; it != (head); it = it->next)
/* Safe against removal of `it` (and of nothing else) in the body. */
#define LIST_FOR_SAFE(it, head)                                                                                        \
    for (struct list *it = (head)->next, *it##_n = it->next; it != (head); it = it##_n, it##_n = it->next)

void list_init(struct list *head);
void list_append(struct list *head, struct list *node);
void list_prepend(struct list *head, struct list *node);
void list_remove(struct list *node); /* the node is then an empty list of its own: removing twice is harmless */
bool list_empty(const struct list *head);
struct list *list_first(const struct list *head); /* NULL when empty */
struct list *list_take(struct list *head);        /* removes and returns the first; NULL when empty */
size_t list_length(const struct list *head);      /* O(n) */

#endif
