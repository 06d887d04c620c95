/* store_wedding: the statements of the commands about weddings. Times are the domain clock's. */
#ifndef CLI_STORE_WEDDING_H
#define CLI_STORE_WEDDING_H

#include <stdbool.h>

#include "common/base/err.h"
#include "common/base/id.h"

struct db_session;
struct db_result;

/* The tenant of that wedding; ERR_NOTFOUND without one, ERR_INVALID when several tenants have a wedding of that id. */
enum err store_wedding_tenant(struct db_session *db, const struct id *wedding, struct id *tenant,
                              struct err_info *info) MUST_USE;

/* One row: title, status, ceremony_date, ceremony_time, time_zone, revision (all text). */
enum err store_wedding_find(struct db_session *db, const struct id *tenant, const struct id *wedding,
                            struct db_result **out, struct err_info *info) MUST_USE;

/* automation.wedding_timeline: local_at, rule, rule_revision, what, state, reason, run_id, at. */
enum err store_wedding_timeline(struct db_session *db, const struct id *tenant, const struct id *wedding,
                                struct db_result **out, struct err_info *info) MUST_USE;

struct store_wedding_move {
    struct id tenant, wedding;
    const char *date; /* NULL: postponed without one */
    const char *time; /* NULL: as it was; likewise the zone */
    const char *zone;
    bool dry_run;
};
/* automation.move_wedding: change, rule, what, from_at, to_at. */
enum err store_wedding_move(struct db_session *db, const struct store_wedding_move *move, struct db_result **out,
                            struct err_info *info) MUST_USE;

/* automation_priv.refresh_zones: the zones whose rules have changed, a text column. */
enum err store_wedding_zones(struct db_session *db, struct db_result **out, struct err_info *info) MUST_USE;

#endif
