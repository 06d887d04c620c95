/* queue_args: the arguments of one Redis command, appended in order; numbers are printed into the arena. */
#ifndef COMMON_IO_QUEUE_ARGS_H
#define COMMON_IO_QUEUE_ARGS_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/io/queue_id.h"

struct queue_args {
    struct arena *arena;
    struct str *v;
    size_t n;
    size_t cap;
};

/* `most` arguments will be appended. */
void queue_args_init(struct queue_args *a, struct arena *arena, size_t most);
void queue_args_put(struct queue_args *a, const char *text); /* borrowed, like the next */
void queue_args_put_str(struct queue_args *a, struct str s);
void queue_args_put_i64(struct queue_args *a, int64_t v);
void queue_args_put_id(struct queue_args *a, const struct queue_id *id);

#define QUEUE_ARGS_MAX 16 /* of a command of fixed length */

#endif
