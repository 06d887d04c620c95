/* kinds: the registered kinds of jobs, read at start and again with every beat. Rows are updated in place and never
 * freed, so that
 * jobs may hold them. */
#ifndef WORKERS_KINDS_H
#define WORKERS_KINDS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/map.h"
#include "common/base/str.h"
#include "common/core/retry.h"

struct action;
struct db_result;

struct kind {
    char name[72];
    char queue[40];
    char handler[16];            /* noop http drill rule */
    const struct action *action; /* NULL: this version can not do it */
    char *url;
    int64_t timeout_ms;
    int max_attempts;
    struct retry_policy retry;
    bool rule;
    bool ask_unknown;
};

struct kinds {
    struct map by_name;
};

void kinds_load(struct kinds *k, const struct db_result *rows);
const struct kind *kinds_find(const struct kinds *k, struct str name); /* NULL: unknown */
void kinds_free(struct kinds *k);

#endif
