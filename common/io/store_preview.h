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

/* definition, revision, validated_revision, rejected_revision, status, warnings, rejection (jsonb). No row when there is no such
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
    int64_t due_us;                     /* DB_NULL_TIME: no anchor, or the zone is unknown */
    int64_t nominal_us;                 /* before the send window moved it */
    int32_t offset_s, nominal_offset_s; /* local time is UTC + this */
    int occurrence;                     /* the next one, from 1; `fired`: the last one, that has fired */
    bool fired;
    bool gap;       /* that local time does not exist on that day: moved forward */
    bool ambiguous; /* it exists twice: the later one */
};
enum err store_preview_fire(struct db_session *s, const struct id *tenant, const struct id *wedding,
                            const struct rule_trigger *trigger, struct store_preview_fire *fire, struct db_result **out,
                            struct err_info *info) MUST_USE;

/* The instant a step with that specification (advance_due; NULL: at once) is due when it is planned at `at_us`, and the offset
 * of the wedding's zone then. *due_us is DB_NULL_TIME when a milestone is missing. */
enum err store_preview_due(struct db_session *s, const struct id *tenant, const struct id *wedding, const char *spec,
                           int64_t at_us, int64_t *due_us, int32_t *offset_s, struct err_info *info) MUST_USE;

/* Over how many seconds what is due in the minute of `due_us` is spread (automation_priv.herd_seconds). */
enum err store_preview_herd(struct db_session *s, int64_t due_us, int64_t *herd_s, struct err_info *info) MUST_USE;

/* Where a run begins whose first step is planned for `planned_us`: `spec` is spread_spec's as text (automation_priv.spread_due), and
 * the offset of the wedding's zone then. */
enum err store_preview_spread(struct db_session *s, const struct id *tenant, const struct id *wedding, const char *spec,
                              int64_t planned_us, int64_t *due_us, int32_t *offset_s, struct err_info *info) MUST_USE;

/* All firings of a yearly trigger, in order: occurrence, due_at, offset_s (of the wedding's zone). */
enum err store_preview_occurrences(struct db_session *s, const struct id *tenant, const struct id *wedding,
                                   const struct rule_trigger *trigger, struct db_result **out,
                                   struct err_info *info) MUST_USE;

struct store_preview_start {
    struct id tenant_id, rule_id, wedding_id;
    struct id run_id;  /* of the fire key; zero: not known */
    int64_t due_us;    /* the instant that fires, or of the event; DB_NULL_TIME: none */
    int64_t at_us;     /* when it is decided */
    int64_t as_of_us;  /* a rule that is not live goes live now */
    const char *limit; /* milestone (advance_limit), or NULL */
    struct id timing_id;
    const char *once; /* milestone for which it runs once, whenever its trigger was edited; or NULL */
    bool by_event, yearly;
};
/* What planning asks of the database (automation_priv.plan_runs), one row: run_id, state, reason, acted of the run that holds the fire
 * key (nulls: none); running runs of the rule and wedding; runs that max_runs counts; runs of the hour before at_us (these
 * three leave out the run of the fire key itself); live, live_reason, live_due; activated_at; due before activation; due before
 * the booking that booked_only asks for; ran for `once` at another timing; dependencies (jsonb: [{rule_id, name, met}]); who approved
 * ahead (null: nobody); instant of the limit that lies ahead at at_us. */
enum err store_preview_standing(struct db_session *s, const struct store_preview_start *start, struct db_result **out,
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
