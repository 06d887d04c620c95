/* preview: what a rule would do for a wedding, and why, without doing anything (design §7, rules §8 "Dry run").
 *
 * Whatever is decided live is decided here by the same functions: rule_parse, context_*, logic_*, template_*, recipient_find,
 * advance_due, advance_timing, late_judge, fire_run_id, fire_skip, and in SQL facts, timing_instant and resolve_due. All reads are
 * of one snapshot, in a READ ONLY transaction. Conditions and texts use the wedding's facts as they stand, dated at the instant when
 * the rule would be decided: its fire instant, or as_of when that has passed or the trigger is no milestone. */
#ifndef COMMON_IO_PREVIEW_H
#define COMMON_IO_PREVIEW_H

#include <jansson.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/id.h"
#include "common/base/str.h"
#include "common/io/db.h"

#define PREVIEW_WEDDINGS_MAX 5000 /* examined for "how many would match": about two seconds of facts */

struct preview_request {
    struct id tenant_id, wedding_id;
    struct id rule_id;   /* a stored rule; zero: none, `document` is a new draft */
    struct str document; /* a draft of it; p == NULL: the stored rule's newest revision */
    int64_t as_of_us;    /* DB_NULL_TIME: the domain clock's now */
    const json_t *event; /* payload of the event that triggers it, an object; NULL: not known */
};

/* *out is a new reference, also with ERR_INVALID (the document is no valid rule): then it is {"errors": [{"pointer",
 * "message"}]}; NULL with other errors. ERR_NOTFOUND: no such wedding or rule of that tenant. Else:
 *   rule        {id, name, revision, status, trigger}                    id, revision, status null for a new draft
 *   wedding     {id, title, status, date, time_zone, revision}
 *   as_of
 *   fire        {due_utc, due_local, zone, derivation: {milestone, local_date, local_time, offset, at, zone_mode, fire_date,
 *               shift: "gap"|"ambiguous"|null}, state: "future"|"past_due"|"unscheduled:<reason>"}
 *               window: what the send window did to the instant, or null; occurrence of the timing; occurrences of a yearly
 *               trigger: [{occurrence, due_utc, due_local, state: "fired"|"past_due"|"future"}]
 *               reasons: anchor_missing, zone_unknown, wedding_<status>, event:<type>, manual
 *               a window: {from_utc, from_local, to_utc, to_local, open, why: "closed_day"|"before_it_opens"|
 *               "after_it_closes", moved: "next_open"|"back_from_the_milestone"}
 *   verdict     {starts, reason}: what planning would do, with the reason that a skipped run would carry; also already_fired
 *               and not_live:<why>, where there is no run at all. A rule that is not active is judged as if it were activated at as_of
 *   standing    {mode, mode_effect, running, max_runs, runs, runs_last_hour, loop_guard, live, live_reason, live_changes,
 *               activated_at, dependencies: [{rule_id, name, met}], on_date_change, after_move}: what the verdict rests on.
 *               after_move: "moves", "moves_until_planned", "fires_again", "stays_fired"
 *   conditions  as explain_conditions, and "evaluated_at"
 *   steps       as explain_steps, each with "when": {due_utc, due_local, spec, note}; note: at_once, wait, window, spread, approval,
 *               at_latest, at_earliest, about (neither), parked:anchor_missing, unknown; with "window" as above or null, and
 *               "approval": null or {approved_by: who did so ahead, or null, expires_utc}
 *   conflicts   [{rule_id, name, due_utc, due_local, minutes, state}]: other active rules within 24 hours
 *   warnings    [{code, text}]
 *   matches_next_12_months  {matches, unknown, unscheduled, examined, cut}: weddings whose conditions hold, each at the instant
 *               when it would be decided; cut: more than PREVIEW_WEDDINGS_MAX were there */
enum err preview_rule(struct db_session *db, const struct preview_request *request, json_t **out,
                      struct err_info *info) MUST_USE;

#endif
