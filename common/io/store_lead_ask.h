/* store_lead_ask: asking one statement (private to store_lead*.c). Each frees the arguments' arena. */
#ifndef COMMON_IO_STORE_LEAD_ASK_H
#define COMMON_IO_STORE_LEAD_ASK_H

#include "common/base/mem.h"
#include "common/io/db.h"

/* The first column of the first row; no row reads as 0 or false. */
enum err store_lead_ask_i64(struct db_session *s, const struct db_stmt *stmt, struct db_args *a, int64_t *out,
                            struct err_info *info) MUST_USE;
enum err store_lead_ask_bool(struct db_session *s, const struct db_stmt *stmt, struct db_args *a, bool *out,
                             struct err_info *info) MUST_USE;
/* All rows, the caller's to free. */
enum err store_lead_ask_rows(struct db_session *s, const struct db_stmt *stmt, struct db_args *a,
                             struct db_result **out, struct err_info *info) MUST_USE;
/* The same for statements that take the term and a limit. */
enum err store_lead_ask_batch(struct db_session *s, const struct db_stmt *stmt, int64_t term, int limit,
                              struct db_result **out, struct err_info *info) MUST_USE;

#endif
