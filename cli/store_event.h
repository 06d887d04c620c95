/* store_event: statements of `usher event …`, about events that could not be dispatched. */
#ifndef CLI_STORE_EVENT_H
#define CLI_STORE_EVENT_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/id.h"

struct db_session;
struct db_result;

/* Rows (the latest first): quarantined_at, event, tenant, type, wedding or null, occurred_at. `tenant` zero: of any. */
enum err store_event_list(struct db_session *db, const struct id *tenant, int64_t limit, struct db_result **out,
                          struct err_info *info) MUST_USE;
/* Puts these back into the outbox, all where n is 0. *done: how many there were. */
enum err store_event_retry(struct db_session *db, const struct id *events, size_t n, const char *by, int64_t *done,
                           struct err_info *info) MUST_USE;

#endif
