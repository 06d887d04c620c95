/* match: a tenant's active rules, compiled and indexed, and the question "which of them does this fire?".
 *
 * A rule set is indexed by what triggers its rules: the event type, or the timing (anchor, offset, local time, zone). All its rules
 * share one table of fields, so that a value is looked up in the context once per question, whatever the number of rules
 * that use it. Rules with a condition of the form field == value that must hold for them to match ("necessary equality") are
 * kept in lists by that value; those whose value differs from the context's can only be false and are passed over without being
 * evaluated. The others run their conditions, also when the field is missing, so that answers are the same as without lists.
 * The order of reports is fixed: priority, then rule id.
 *
 * Nothing here does I/O or keeps time; memory is counted, for caches. */
#ifndef COMMON_CORE_MATCH_H
#define COMMON_CORE_MATCH_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/id.h"
#include "common/base/str.h"
#include "common/core/logic.h"
#include "common/core/rule.h"

/* The text that names a timing, and that its id is derived from; SQL makes the same text from the columns of a timing:
 *
 *   milestone|±PnMnDTnS|HH:MM|zone          ceremony|-P0M30DT0S|09:00|wedding
 *
 * the sign is '-' when any part of the offset is negative, else '+'; the three numbers are months, days and seconds without sign
 * or leading zeros; HH:MM is the local time of day, or "--:--" when the offset is exact (counts from the anchor's instant);
 * zone is "wedding", "tenant" or an IANA name,
 * followed by "|window DAYS FROM-TO" (bits, minutes) where a send window moves the instant, and "|yearly N". Without these in SQL:
 *
 *   format('%s|%sP%sM%sDT%sS|%s|%s', milestone, case when least(months, days, seconds) < 0 then '-' else '+' end,
 *          abs(months), abs(days), abs(seconds), coalesce(to_char(at_time, 'HH24:MI'), '--:--'), zone_mode)
 *
 * The id is key_derive("timing", that text as the only part): common/core/key.h; automation_priv.derive('timing', text). */
#define MATCH_TIMING_TEXT_SIZE 192
const char *match_timing_text(const struct rule_trigger *t, char out[MATCH_TIMING_TEXT_SIZE]); /* returns out */
void match_timing_id(const struct rule_trigger *t, struct id *out);

/* Rules of a tenant: above this a rule set refuses more (ERR_LIMIT). */
#define MATCH_RULES_MAX 100000

struct match; /* a rule set */

struct match *match_new(void);
void match_free(struct match *m);

/* The table rules must be compiled against (rule_parse) before they are added. It only grows, to LOGIC_FIELDS_MAX paths: when
 * rule_parse reports that limit, a new rule set has to be loaded. */
struct logic_fields *match_fields(struct match *m);

/* Adds a rule or replaces an older revision of it, taking ownership of `r`. ERR_EXISTS when the set has this or a newer revision,
 * ERR_LIMIT when the set is full; `r` stays the caller's then. Not while a callback of this set runs. */
enum err match_put(struct match *m, const struct id *rule_id, int64_t revision, struct rule *r) MUST_USE;

/* False when there was none. Frees the rule. */
bool match_remove(struct match *m, const struct id *rule_id);

/* The rule and its revision, or NULL. */
const struct rule *match_get(const struct match *m, const struct id *rule_id, int64_t *revision);

size_t match_count(const struct match *m);
size_t match_bytes(const struct match *m); /* rules, indexes and fields; an estimate on the high side */

/* One rule's answer. */
struct match_hit {
    struct id rule_id;
    int64_t revision;
    const struct rule *rule; /* borrowed, valid until the set changes */
    enum logic_truth truth;  /* true: it fires */
    struct logic_reason why; /* when unknown */
    const char *reason; /* the same as text ("missing_field:wedding.guest_count"), else ""; borrowed for the callback */
};

/* Called once per candidate; returning false ends the question. */
typedef bool match_cb(const struct match_hit *hit, void *ctx);

struct match_question {
    const json_t *context;       /* the document: {"wedding": …, "event": …, …} */
    const struct logic_env *env; /* now, today, changes: see logic.h; NULL is all zero */
    bool all;                    /* evaluate and report every rule on the trigger, whatever its truth: previews */
};

struct match_stats {
    size_t candidates; /* rules on that trigger */
    size_t evaluated;  /* not passed over */
    size_t matched;    /* true */
    size_t unknown;
};

/* Rules triggered by an event of that type. `stats` may be NULL. Without `all` those are reported whose truth is true or
 * unknown (the latter are logged as skipped, with the reason). ERR_STATE when asked from inside a callback of the same set. */
enum err match_event(struct match *m, struct str event_type, const struct match_question *q, match_cb *cb, void *ctx,
                     struct match_stats *stats) MUST_USE;

/* The same for a milestone's timing. */
enum err match_timing(struct match *m, const struct id *timing, const struct match_question *q, match_cb *cb, void *ctx,
                      struct match_stats *stats) MUST_USE;

/* True when some rule listens, before any context is fetched. */
bool match_has_event(const struct match *m, struct str event_type);
bool match_has_timing(const struct match *m, const struct id *timing);
/* The parts of the facts that their conditions read (context_parts_read). */
unsigned match_timing_parts(const struct match *m, const struct id *timing);

/* Iteration over the distinct timings in use (one row per wedding and timing is kept in PostgreSQL). Start with *at = 0; false at the
 * end. `t` is the trigger of one of its rules. */
bool match_next_timing(const struct match *m, size_t *at, struct id *timing, const struct rule_trigger **t);

#endif
