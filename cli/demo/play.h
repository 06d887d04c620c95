/* play: the season on the stepped clock: plays what is due, lets the system finish it, jumps to the next due instant,
 * until nothing is left or
 * the season's end is reached. */
#ifndef CLI_DEMO_PLAY_H
#define CLI_DEMO_PLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"

struct db_session;
struct dev;

struct play_config {
    const char *until;      /* RFC 3339 */
    double days_per_second; /* 0: as fast as the machine can */
    bool chaos;             /* kills workers and the scheduler at random while it plays */
    uint64_t seed;
    bool progress; /* lines or a live line on standard error */
};

struct play_result {
    int64_t steps;
    int kills;
};

/* ERR_CANCELED: interrupted. ERR_TIMEOUT: nothing moved for two minutes; `info` says what the clock waits for. */
enum err play_season(struct dev *dev, struct db_session *db, const struct play_config *config,
                     struct play_result *result, struct err_info *info) MUST_USE;

#endif
