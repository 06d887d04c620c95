/* store_preview: what a preview reads (preview.h). All statements run inside store_preview_begin's READ ONLY transaction, which
 * sees one snapshot; instants come from automation_priv.instant and resolve_due, facts from automation_priv.facts, as live.
 * Errors as in db.h. Results are freed with db_result_free. */
#ifndef COMMON_IO_STORE_PREVIEW_H
#define COMMON_IO_STORE_PREVIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/id.h"
#include "common/base/str.h"
#include "common/core/rule.h"
#include "common/io/db.h"

enum err store_preview_begin(struct db_session *s, struct err_info *info) MUST_USE;
/* Rolls back: nothing was written. */
void store_preview_end(struct db_session *s);

/* No row when the tenant has no such wedding: title, status, ceremony_date (text), time_zone, revision, tenant's time_zone, the
 * domain clock. */
enum err store_preview_wedding(struct db_session *s, const struct id *tenant, const struct id *wedding,
                               struct db_result **out, struct err_info *info) MUST_USE;

/* definition, revision, validated_revision, rejected_revision, status. No row when there is no such
 * rule. */
enum err store_preview_rule(struct db_session *s, const struct id *tenant, const struct id *rule,
                            struct db_result **out, struct err_info *info) MUST_USE;

/* The definition of one revision; no row when it is gone. */
enum err store_preview_version(struct db_session *s, const struct id *tenant, const struct id *rule, int64_t revision,
                               struct db_result **out, struct err_info *info) MUST_USE;

/* Facts of the wedding as they would be read at `at_us`: one jsonb. */
enum err store_preview_facts(struct db_session *s, const struct id *tenant, const struct id *wedding, int64_t at_us,
                             struct db_result **out, struct err_info *info) MUST_USE;

/* What a run planned now would keep of the message templates named (a JSON array): one jsonb object. */
enum err store_preview_messages(struct db_session *s, const struct id *tenant, const char *names,
                                struct db_result **out, struct err_info *info) MUST_USE;

/* A milestone trigger's instant for a wedding. Texts are borrowed from the result. */
struct store_preview_fire {
    struct str anchor_date, anchor_time; /* of the milestone; p == NULL: it has none */
    struct str zone;
    struct str fire_date; /* anchor_date moved by months and days */
    bool zone_known;
    int64_t due_us;   /* DB_NULL_TIME: no anchor, or the zone is unknown */
    int32_t offset_s; /* local time is UTC + this */
    bool gap;         /* that local time does not exist on that day: moved forward */
    bool ambiguous;   /* it exists twice: the later one */
};
enum err store_preview_fire(struct db_session *s, const struct id *tenant, const struct id *wedding,
                            const struct rule_trigger *trigger, struct store_preview_fire *fire, struct db_result **out,
                            struct err_info *info) MUST_USE;

/* The instant a step with that specification (advance_due; NULL: at once) is due when it is planned at `at_us`, and the offset
 * of the wedding's zone then. *due_us is DB_NULL_TIME when a milestone is missing. */
enum err store_preview_due(struct db_session *s, const struct id *tenant, const struct id *wedding, const char *spec,
                           int64_t at_us, int64_t *due_us, int32_t *offset_s, struct err_info *info) MUST_USE;

/* One row: run_id, state, reason, acted, due_at of the run that holds the fire key (nulls: none); state of the timing's row
 * (null: none); running runs of the rule and wedding; runs that max_runs counts; the fire key's run id. The last three leave out
 * the run of the fire key itself. `timing` zero: no fire key. */
enum err store_preview_standing(struct db_session *s, const struct id *tenant, const struct id *rule,
                                const struct id *wedding, const struct id *timing, struct db_result **out,
                                struct err_info *info) MUST_USE;

#define STORE_PREVIEW_CONFLICTS_MAX 50
/* Other active rules whose timings of the wedding lie within a day of due_us, nearest first: rule_id, name, due_at, state (of the
 * timing), offset_s (of the wedding's zone). At most STORE_PREVIEW_CONFLICTS_MAX + 1 rows. */
enum err store_preview_conflicts(struct db_session *s, const struct id *tenant, const struct id *wedding,
                                 const struct id *rule, int64_t due_us, struct db_result **out,
                                 struct err_info *info) MUST_USE;

/* The next weddings of the tenant in the order (ceremony date, id) after (`after_date`, `after`; "" and zero: from the first)
 * that lie within twelve months after as_of and are neither postponed, cancelled nor archived: wedding_id, ceremony date
 * (text), the instant the trigger fires but not before as_of (null: its milestone is missing), facts at that instant. */
enum err store_preview_season(struct db_session *s, const struct id *tenant, int64_t as_of_us,
                              const struct rule_trigger *trigger, struct str after_date, const struct id *after,
                              int limit, struct db_result **out, struct err_info *info) MUST_USE;

#endif
