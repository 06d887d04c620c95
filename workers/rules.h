/* rules: compiled rule versions, by (rule, revision). A version never changes, so an entry is never stale; jobs hold
 * references. */
#ifndef WORKERS_RULES_H
#define WORKERS_RULES_H

#include <stdint.h>

#include "common/base/err.h"
#include "common/base/id.h"
#include "common/base/map.h"
#include "common/base/str.h"
#include "common/core/logic.h"
#include "common/core/rule.h"

/* Beyond this the whole cache is dropped: a refill costs microseconds a rule, bookkeeping of use would cost at every
 * job. */
#define RULES_MAX 4096

struct rule_ref {
    struct rule *rule;
    struct logic_fields *fields;
    struct logic_facts *facts;
    int refs;
};

struct rules {
    struct map by_version;
};

/* A reference to the compiled version, from the cache or from `definition`. NULL with `info` when the document is
 * refused (a version that an
 * older engine accepted). */
struct rule_ref *rules_get(struct rules *r, const struct id *rule, int64_t revision, struct str definition,
                           struct err_info *info);
void rules_put(struct rule_ref *ref); /* gives the reference back; NULL is fine */
void rules_free(struct rules *r);

#endif
