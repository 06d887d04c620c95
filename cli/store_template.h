/* store_template: statements of `usher template …`. Results are freed with db_result_free. Errors as in db.h; what the database refuses
 * (a wrong parameter, an unknown key) is ERR_DB_DATA with the database's words. */
#ifndef CLI_STORE_TEMPLATE_H
#define CLI_STORE_TEMPLATE_H

#include <stdint.h>

#include "common/base/err.h"
#include "common/base/id.h"
#include "common/base/str.h"
#include "common/io/db.h"

struct store_template {
    struct id tenant; /* zero: everybody's templates alone */
    const char *key;
    struct str params; /* a JSON object */
    int64_t version;   /* 0: the newest */
};

/* The newest published version of each key: key, version, category, name, vendors (written to), description. */
enum err store_template_list(struct db_session *db, const struct id *tenant, struct db_result **out,
                             struct err_info *info) MUST_USE;

/* One row: key, version, name, definition with the parameters in place, the parameters with their defaults. */
enum err store_template_show(struct db_session *db, const struct store_template *t, struct db_result **out,
                             struct err_info *info) MUST_USE;

/* The parameters of that version: name, expected, default (JSON), title. */
enum err store_template_params(struct db_session *db, const struct store_template *t, struct db_result **out,
                               struct err_info *info) MUST_USE;

/* One row: rule_id. `name` NULL: the template's. */
enum err store_template_instantiate(struct db_session *db, const struct store_template *t, const char *name,
                                    bool active, struct db_result **out, struct err_info *info) MUST_USE;

#endif
