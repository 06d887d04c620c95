/* clock: machine time. Domain time (what the season's calendar says) comes from PostgreSQL and is always passed in. */
#ifndef COMMON_BASE_CLOCK_H
#define COMMON_BASE_CLOCK_H

#include <stdint.h>

int64_t clock_mono_ms(void); /* CLOCK_MONOTONIC: for deadlines and durations */
int64_t clock_mono_us(void);
int64_t clock_wall_us(void); /* µs since 1970, CLOCK_REALTIME: for stamps only */

#endif
