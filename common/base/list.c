/* list: the head is an element of its own ring, so no operation has a special case. */
#include "common/base/list.h"

void list_init(struct list *head)
{
    head->prev = head;
    head->next = head;
}

static void link_between(struct list *prev, struct list *node, struct list *next)
{
    node->prev = prev;
    node->next = next;
    prev->next = node;
    next->prev = node;
}

void list_append(struct list *head, struct list *node)
{
    link_between(head->prev, node, head);
}

void list_prepend(struct list *head, struct list *node)
{
    link_between(head, node, head->next);
}

void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

bool list_empty(const struct list *head)
{
    return head->next == head;
}

struct list *list_first(const struct list *head)
{
    return list_empty(head) ? NULL : head->next;
}

struct list *list_take(struct list *head)
{
    struct list *node = list_first(head);

    if (node != NULL)
        list_remove(node);
    return node;
}

size_t list_length(const struct list *head)
{
    size_t n = 0;

    for (const struct list *it = head->next; it != head; it = it->next)
        n++;
    return n;
}
