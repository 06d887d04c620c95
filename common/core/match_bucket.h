/* match_bucket: the rules on one trigger, in order, with the lists that let most of them be passed over (private to match*.c). */
#ifndef COMMON_CORE_MATCH_BUCKET_H
#define COMMON_CORE_MATCH_BUCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/id.h"
#include "common/core/logic.h"
#include "common/core/logic_flat.h"
#include "common/core/rule.h"

struct match_entry {
    struct id rule_id;
    int64_t revision;
    struct rule *rule;           /* owned */
    size_t bytes;                /* rule_bytes at the time it came */
    unsigned parts;              /* of the facts, that its conditions read */
    struct match_bucket *bucket; /* NULL for manual rules */
};

struct match_posting;
struct match_group;

struct match_bucket {
    struct match_entry **entries; /* borrowed */
    size_t n;
    size_t cap;
    size_t listed;           /* the first so many are by (priority, id) and in what follows, at their places */
    size_t changes;          /* since that was made */
    bool dirty;              /* entries changed since it was prepared */
    struct logic_flat *flat; /* their conditions; NULL: nothing is made */
    /* Necessary equalities, one leaf per rule that has one, grouped by field. */
    struct match_posting *postings;
    size_t n_postings;
    size_t cap_postings;
    struct match_group *groups;
    size_t n_groups;
    uint64_t *marks; /* one bit per entry; `always` holds the rules without such a leaf */
    uint64_t *always;
};

void match_bucket_add(struct match_bucket *b, struct match_entry *e);
/* Before e->rule is freed, which may lose its conditions to the bucket. */
void match_bucket_remove(struct match_bucket *b, struct match_entry *e);
void match_bucket_free(struct match_bucket *b); /* the bucket itself too; NULL is fine */
size_t match_bucket_bytes(const struct match_bucket *b);

/* Brings order and lists up to date when something changed. */
void match_bucket_prepare(struct match_bucket *b);

/* Sets the marks of the entries to evaluate for these facts. The bucket is prepared. */
void match_bucket_mark(struct match_bucket *b, struct logic_facts *facts);

#endif
