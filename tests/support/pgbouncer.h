/* pgbouncer: a private pooler before the tests' PostgreSQL, on a unix socket in a folder of its own. It dies with this process.
 * Failures here are none of the code under test: they print and abort. */
#ifndef TESTS_SUPPORT_PGBOUNCER_H
#define TESTS_SUPPORT_PGBOUNCER_H

#include <stddef.h>
#include <sys/types.h>

struct pgbouncer {
    pid_t pid; /* 0: not running */
    char dir[64];
    char url[512]; /* the same database and user, through the pooler */
};

/* `url` is the database's as in tests/support/pg.h; `mode` "transaction" or "session"; `size` the most server connections of a user;
 * `more` further lines of the configuration, or NULL.
 * Returns when it answers. */
void pgbouncer_start(struct pgbouncer *b, const char *url, const char *mode, int size, const char *more);
/* The pooler's address for another URL of the same server. */
void pgbouncer_url(const struct pgbouncer *b, const char *url, char *out, size_t size);
void pgbouncer_stop(struct pgbouncer *b); /* and removes the folder; {0} is fine */

#endif
