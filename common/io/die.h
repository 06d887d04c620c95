/* die: places where kill tests make a process end as if by SIGKILL: no flush, no farewell to servers.
 *
 * USHER_TEST_DIE=<point> ends the process with status 137 when it first passes the named point, <point>:<n> at the n-th pass.
 * USHER_TEST_STOP, likewise, freezes it as SIGSTOP does, until SIGCONT. Both are heeded in development only. */
#ifndef COMMON_IO_DIE_H
#define COMMON_IO_DIE_H

#include <stdbool.h>

#define DIE_STATUS 137 /* 128 + SIGKILL, what a shell reports */

/* Reads both; called once, before threads start. Without `development` it is ignored. */
void die_init(bool development);

/* Passes a point. Any thread. */
void die_at(const char *point);

#endif
