/* store_demo: the demo's statements. */
#ifndef CLI_DEMO_STORE_DEMO_H
#define CLI_DEMO_STORE_DEMO_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"

struct db_session;

/* Before the season: the stepped clock stands at `start`, and the log has partitions until `until` (both RFC 3339). */
enum err store_demo_begin(struct db_session *db, const char *start, const char *until, struct err_info *info) MUST_USE;
/* The season's rules call https://hooks.season.example: from now on that is `url`, as is the handler of its free
 * kinds. */
enum err store_demo_receiver(struct db_session *db, const char *url, struct err_info *info) MUST_USE;

/* Plays the next due line of the script; *played is false when none was due. */
enum err store_demo_play(struct db_session *db, bool *played, struct err_info *info) MUST_USE;

struct store_step {
    int64_t at_us;
    bool stepped;
    bool finished; /* nothing is due ever again, or `until` is reached */
    char busy[32]; /* what the clock waits for; "" when it moved or nothing is left */
};
enum err store_demo_step(struct db_session *db, const char *until, struct store_step *out,
                         struct err_info *info) MUST_USE;

struct store_progress {
    int64_t runs, accepted, done, dead, waiting, in_flight, retries;
};
enum err store_demo_progress(struct db_session *db, struct store_progress *out, struct err_info *info) MUST_USE;

/* The closing summary as one JSON object; see the statement. New reference. */
enum err store_demo_summary(struct db_session *db, json_t **out, struct err_info *info) MUST_USE;

/* What became of each wedding that was moved, postponed or cancelled: a list by time, see season.changes_told. New
 * reference. */
enum err store_demo_changes(struct db_session *db, json_t **out, struct err_info *info) MUST_USE;

/* What keeps the clock from moving, for the message when nothing moves any more. New reference. */
enum err store_demo_stuck(struct db_session *db, json_t **out, struct err_info *info) MUST_USE;

#endif
