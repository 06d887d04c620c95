/* store_approval: the statements of the commands about approvals. */
#ifndef CLI_STORE_APPROVAL_H
#define CLI_STORE_APPROVAL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/id.h"
#include "common/base/str.h"

struct db_session;
struct db_result;

#define STORE_APPROVAL_MAX 1000

/* Pending ones whose step still waits, oldest first: approval_id, tenant_id, wedding, rule, kind, content, requested_at, expires_at. A zero
 * tenant: of any. */
enum err store_approval_list(struct db_session *db, const struct id *tenant, int64_t limit, struct db_result **out,
                             struct err_info *info) MUST_USE;

/* The words given ahead that hold, oldest first: tenant_id, rule_id, rule, wedding_id, wedding (both null: for all), granted_by,
 * granted_at. A zero tenant: of any. */
enum err store_approval_list_ahead(struct db_session *db, const struct id *tenant, int64_t limit,
                                   struct db_result **out, struct err_info *info) MUST_USE;

/* One row, or none: tenant_id, wedding_id, wedding, rule_id, rule, kind, state, requested_at, expires_at, decided_at, decided_by,
 * edited_by, note, content. */
enum err store_approval_show(struct db_session *db, const struct id *approval, struct db_result **out,
                             struct err_info *info) MUST_USE;

struct store_decision {
    struct id approval;
    const char *word;   /* approved, rejected, edited */
    const char *by;     /* who */
    const char *note;   /* NULL: none */
    struct str content; /* a JSON object of what changes; p == NULL: nothing */
};
/* *found: there is such an item; *done: it was still to be decided. */
enum err store_approval_decide(struct db_session *db, const struct store_decision *d, bool *found, bool *done,
                               struct err_info *info) MUST_USE;

struct store_preapproval {
    struct id tenant, rule;
    struct id wedding; /* zero: the word for all */
    const char *by;    /* who */
    bool grant;        /* give the word, or take it back */
};
/* *done: it was not so before. */
enum err store_approval_ahead(struct db_session *db, const struct store_preapproval *p, bool *done,
                              struct err_info *info) MUST_USE;

#endif
