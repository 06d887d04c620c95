/* store_dead: the statements of `usher dead show`, `retry` and `discard`. */
#ifndef CLI_STORE_DEAD_H
#define CLI_STORE_DEAD_H

#include <stddef.h>
#include <stdint.h>

#include "cli/input.h"
#include "common/base/err.h"
#include "common/base/id.h"
#include "common/base/str.h"

struct db_session;
struct db_result;

#define STORE_DEAD_MAX 5000 /* of one call: automation_priv.dead_limit */

/* job_id, tenant_id, kind, queue, reason, error, attempt, crashes, run_id, step, wedding_id, effect_key, source_entry, accepted_at,
 * died_at, ended_run, replays, replayed_as, discarded_at, payload, source_raw. No row: unknown. */
enum err store_dead_show(struct db_session *db, const struct id *tenant, const struct id *job, struct db_result **out,
                         struct err_info *info) MUST_USE;

struct store_dead_pick {
    struct id tenant; /* zero: all; likewise NULL texts */
    const char *kind;
    const char *reason;
    const char *like; /* somewhere in the error, case ignored */
    struct input_when since;
    struct input_when until;
    int64_t limit;
};
/* The ids of open dead letters (neither replayed nor discarded), longest dead first. */
enum err store_dead_pick(struct db_session *db, const struct store_dead_pick *pick, struct db_result **out,
                         struct err_info *info) MUST_USE;

struct store_dead_act {
    struct id tenant; /* zero: all */
    const struct id *jobs;
    size_t n;
    const char *by;
    struct str filter;    /* JSON, for the audit trail */
    int64_t spread_us;    /* of replays */
    int32_t most_replays; /* 0: no limit */
};
/* job_id, tenant_id, replay, result (automation_priv.replay_dead, discard_dead): one row for each id, in their order. */
enum err store_dead_replay(struct db_session *db, const struct store_dead_act *act, struct db_result **out,
                           struct err_info *info) MUST_USE;
enum err store_dead_discard(struct db_session *db, const struct store_dead_act *act, struct db_result **out,
                            struct err_info *info) MUST_USE;

#endif
