#include "common/io/queue_args.h"

#include <assert.h>
#include <inttypes.h>

#include "common/io/queue.h"

void queue_args_init(struct queue_args *a, struct arena *arena, size_t most)
{
    a->arena = arena;
    a->v = arena_alloc(arena, most * sizeof(*a->v));
    a->n = 0;
    a->cap = most;
}

void queue_args_put_str(struct queue_args *a, struct str s)
{
    assert(a->n < a->cap);
    a->v[a->n++] = s;
}

void queue_args_put(struct queue_args *a, const char *text)
{
    queue_args_put_str(a, str_of(text));
}

void queue_args_put_i64(struct queue_args *a, int64_t v)
{
    queue_args_put(a, arena_printf(a->arena, "%" PRId64, v));
}

void queue_args_put_id(struct queue_args *a, const struct queue_id *id)
{
    queue_args_put(a, queue_id_format(id, arena_alloc(a->arena, QUEUE_ID_SIZE)));
}
