/* tenants: who exists, as of the last beat. A bare entry of a tenant that is not among them is adopted first: the database decides.
 * The set is only ever replaced whole by what the database said, never added to by what came in. */
#ifndef WORKERS_TENANTS_H
#define WORKERS_TENANTS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/id.h"
#include "common/base/str.h"

struct tenants {
    struct id *ids; /* ascending */
    size_t n;
    struct id digest; /* of the set; zero: none was loaded yet */
};

/* `ids`: 16 bytes each, ascending; copied. */
void tenants_load(struct tenants *t, struct str ids, const struct id *digest);
bool tenants_has(const struct tenants *t, const struct id *tenant);
void tenants_free(struct tenants *t);

#endif
