/* rules: see rules.h. */
#include "workers/rules.h"

#include <string.h>

#include "common/base/mem.h"

struct version_key {
    struct id rule;
    int64_t revision;
};

static struct rule_ref *compile(struct str definition, struct err_info *info)
{
    struct rule_errors errors = {0};
    struct rule_ref *ref = mem_zalloc(sizeof(*ref));
    ref->fields = logic_fields_new();
    ref->rule = rule_parse_text(definition, ref->fields, &errors);
    if (!ref->rule) {
        err_set(info, ERR_INVALID, "rule version refused at \"%s\": %s", errors.items[0].pointer,
                errors.items[0].message);
        logic_fields_free(ref->fields);
        mem_free(ref);
        ref = NULL;
    } else {
        ref->facts = logic_facts_new(ref->fields);
    }
    rule_errors_free(&errors);
    return ref;
}

struct rule_ref *rules_get(struct rules *r, const struct id *rule, int64_t revision, struct str definition,
                           struct err_info *info)
{
    struct version_key key;
    memset(&key, 0, sizeof(key));
    key.rule = *rule;
    key.revision = revision;
    struct rule_ref *ref = map_get(&r->by_version, &key, sizeof(key));
    if (!ref) {
        if (!definition.p) {
            err_set(info, ERR_NOTFOUND, "the rule's version %lld is gone", (long long)revision);
            return NULL;
        }
        ref = compile(definition, info);
        if (!ref)
            return NULL;
        if (r->by_version.n >= RULES_MAX)
            rules_free(r);
        ref->refs = 1; /* the cache's */
        map_put(&r->by_version, &key, sizeof(key), ref);
    }
    ref->refs++;
    return ref;
}

void rules_put(struct rule_ref *ref)
{
    if (!ref || --ref->refs)
        return;
    logic_facts_free(ref->facts);
    rule_free(ref->rule);
    logic_fields_free(ref->fields);
    mem_free(ref);
}

void rules_free(struct rules *r)
{
    const void *key;
    void *value;
    size_t at = 0, n;
    while (map_next(&r->by_version, &at, &key, &n, &value))
        rules_put(value);
    map_free(&r->by_version);
}
