/* store_restore: the statement of `usher restore resume`. */
#ifndef CLI_STORE_RESTORE_H
#define CLI_STORE_RESTORE_H

#include "cli/input.h"
#include "common/base/err.h"

struct db_session;
struct db_result;

/* One row: epoch, freed (rows that had an owner), doubtful (rows that the decision is about, as far as known by now). ERR_STATE: the
 * database is not behind. */
enum err store_restore_resume(struct db_session *db, const struct input_when *since, const char *outward,
                              const char *by, struct db_result **out, struct err_info *info) MUST_USE;

#endif
