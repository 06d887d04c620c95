/* tenants: see tenants.h. */
#include "workers/tenants.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

void tenants_load(struct tenants *t, struct str ids, const struct id *digest)
{
    tenants_free(t);
    t->n = ids.n / sizeof(*t->ids);
    if (t->n) {
        t->ids = mem_alloc(t->n * sizeof(*t->ids));
        memcpy(t->ids, ids.p, t->n * sizeof(*t->ids));
    }
    t->digest = *digest;
}

static int by_id(const void *a, const void *b)
{
    return id_cmp(a, b);
}

bool tenants_has(const struct tenants *t, const struct id *tenant)
{
    return t->n && bsearch(tenant, t->ids, t->n, sizeof(*t->ids), by_id);
}

void tenants_free(struct tenants *t)
{
    mem_free(t->ids);
    *t = (struct tenants){0};
}
