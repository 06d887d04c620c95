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

/* Entries removed by XTRIM do no harm. Those removed by XDEL make Redis call the lag of a group at 0
 * unknown, until max-deleted-entry-id is before the first entry again. XSETID takes 0-0 as "leave it",
 * hence 0-1. */
enum queue_repair queue_args_repair(const struct queue_group *group, const struct queue_stream *stream)
{
    static const struct queue_id repaired = {0, 1};

    if (group->exists)
        return QUEUE_REPAIR_NOTHING;
    if (stream != NULL && stream->length > 0 && queue_id_cmp(&stream->max_deleted, &repaired) > 0)
        return QUEUE_REPAIR_COUNTERS;
    return QUEUE_REPAIR_CREATE;
}

void queue_args_create(struct queue_args *a, const char *key)
{
    queue_args_put(a, "XGROUP");
    queue_args_put(a, "CREATE");
    queue_args_put(a, key);
    queue_args_put(a, QUEUE_GROUP);
    queue_args_put(a, "0");
    queue_args_put(a, "MKSTREAM");
}

/* The counter of added entries keeps its value, so that the lag of other groups on the stream stays what it
 * is, and so that two processes that repair at once, or one that comes too late, do no harm. */
void queue_args_counters(struct queue_args *a, const char *key, const struct queue_stream *stream)
{
    queue_args_put(a, "XSETID");
    queue_args_put(a, key);
    queue_args_put_id(a, &stream->last_generated);
    queue_args_put(a, "ENTRIESADDED");
    queue_args_put_i64(a, stream->entries_added);
    queue_args_put(a, "MAXDELETEDID");
    queue_args_put(a, "0-1");
}
