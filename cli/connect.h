/* connect: sessions of a command to PostgreSQL and Redis as the settings say. A failure is printed on standard error, and the
 * command ends with the code that was returned. */
#ifndef CLI_CONNECT_H
#define CLI_CONNECT_H

#include "cli/cmd.h"
#include "common/io/db.h"
#include "common/io/rconn.h"

/* EXIT_OK and an open session, or EXIT_UNAVAILABLE (EXIT_CONFLICT: a transaction pooler is in between) and NULL. The caller closes it.
 * With DATABASE_POOLED it may be another server process in each transaction: nothing of a session is to be used. */
int connect_db(const struct cmd_run *run, struct db_session **out) MUST_USE;
/* The direct connection of the maintenance login where one is set; never pooled. */
int connect_maint_db(const struct cmd_run *run, struct db_session **out) MUST_USE;
int connect_redis(const struct cmd_run *run, struct rsession **out) MUST_USE;

#endif
