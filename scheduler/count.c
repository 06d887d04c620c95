/* count: what the rule cache answered, for operators: its counters in memory begin at zero with each leader, those in
 * automation_priv.rule_cache go on. What was added by a statement without a reply is added again: these are statistics. */
#include "scheduler/lead.h"

static int64_t take_more(int64_t *counted, const int64_t *now, int64_t *more)
{
    int64_t any = 0;

    for (int i = 0; i < STORE_CACHE_LEVELS; i++) {
        more[i] = now[i] - counted[i];
        any |= more[i];
    }
    return any;
}

enum err count_run(struct lead *l, bool *more, struct err_info *info)
{
    const struct store_cache_counts now = rulesets_counts(l->rules);
    struct store_cache_counts added;
    int64_t any = take_more(l->counted.hits, now.hits, added.hits);
    enum err err;

    *more = false;
    any |= take_more(l->counted.misses, now.misses, added.misses);
    any |= take_more(l->counted.skipped, now.skipped, added.skipped);
    any |= take_more(l->counted.failed, now.failed, added.failed);
    if (any == 0)
        return ERR_OK;
    err = store_lead_count_cache(l->db, l->term, &added, info);
    if (err == ERR_OK)
        l->counted = now;
    return err;
}
