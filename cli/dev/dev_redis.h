/* dev_redis: the private Redis: append-only file synced every second, no snapshots, writes refused rather than keys evicted,
 * on a unix socket in data/run alone. */
#ifndef CLI_DEV_DEV_REDIS_H
#define CLI_DEV_DEV_REDIS_H

#include "cli/dev/dev_child.h"
#include "cli/dev/dev_folder.h"
#include "common/base/err.h"
#include "common/base/mem.h"

/* How to start the server, after removing a stale socket; what `spec` points to is in the arena. */
void dev_redis_spec(const struct dev_folder *f, struct arena *arena, struct dev_child_spec *spec);

const char *dev_redis_url(const struct dev_folder *f, struct arena *arena);

/* One try: ERR_OK when the server takes commands; ERR_DB_FEATURE when it is older than version 7. */
enum err dev_redis_ping(const struct dev_folder *f, struct err_info *info) MUST_USE;

#endif
