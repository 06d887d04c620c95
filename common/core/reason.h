/* reason: why something planned did not happen, or waits. One table: the words that the engine and the SQL functions store,
 * and what people read beside them. Other reasons are of jobs that died, which say themselves what was wrong; OPERATIONS.md
 * has them all. */
#ifndef COMMON_CORE_REASON_H
#define COMMON_CORE_REASON_H

#include "common/base/str.h"

/* X(enum, word, label). What stands behind a colon in a stored reason, a field or a milestone, is no part of the word. */
#define REASON_MAP(X)                                                                                                  \
    X(REASON_CONDITIONS_NOT_MET, "conditions_not_met", "the rule's conditions did not hold")                           \
    X(REASON_MISSING_FIELD, "missing_field", "the conditions ask for what the wedding does not have")                  \
    X(REASON_PAST_DUE, "past_due", "later than the rule's grace")                                                      \
    X(REASON_BEFORE_ACTIVATION, "before_activation", "due before the rule was activated")                              \
    X(REASON_OUTSIDE_WINDOW, "outside_window", "outside the rule's send window")                                       \
    X(REASON_DEPENDENCY, "dependency", "a rule that this one needs has not succeeded")                                 \
    X(REASON_LOOP_GUARD, "loop_guard", "ran too often within an hour; the rule is paused")                             \
    X(REASON_NOT_BOOKED, "not_booked", "the rule is for booked weddings")                                              \
    X(REASON_RAN_BEFORE, "ran_before", "it had run before its trigger was edited")                                     \
    X(REASON_ALREADY_RUNNING, "already_running", "an earlier run was still under way")                                 \
    X(REASON_MAX_RUNS, "max_runs", "the rule's limit for one wedding was reached")                                     \
    X(REASON_EXPIRED, "expired", "its deadline had passed")                                                            \
    X(REASON_RESTORED, "restored", "the database was restored; not done again")                                        \
    X(REASON_WEDDING_MOVED, "wedding_moved", "the wedding moved first")                                                \
    X(REASON_WEDDING_POSTPONED, "wedding_postponed", "the wedding is postponed")                                       \
    X(REASON_WEDDING_CANCELLED, "wedding_cancelled", "the wedding was cancelled")                                      \
    X(REASON_WEDDING_ARCHIVED, "wedding_archived", "the wedding was archived")                                         \
    X(REASON_WEDDING_DELETED, "wedding_deleted", "the wedding was deleted")                                            \
    X(REASON_RULE_PAUSED, "rule_paused", "the rule was paused")                                                        \
    X(REASON_RULE_ARCHIVED, "rule_archived", "the rule was archived")                                                  \
    X(REASON_RULE_DELETED, "rule_deleted", "the rule was deleted")                                                     \
    X(REASON_RUN_ENDED, "run_ended", "its run had ended")                                                              \
    X(REASON_EXIT_WHEN, "exit_when", "the rule's exit condition held")                                                 \
    X(REASON_RESTARTED, "restarted", "a newer run took its place")                                                     \
    X(REASON_STOPPED_BY_RULE, "stopped_by_rule", "another rule stopped it")                                            \
    X(REASON_APPROVAL, "approval", "waits for a person's approval")                                                    \
    X(REASON_APPROVAL_REJECTED, "approval_rejected", "a person said no")                                               \
    X(REASON_APPROVAL_EXPIRED, "approval_expired", "nobody approved it in time")                                       \
    X(REASON_QUEUED, "queued", "waits for an earlier run of its rule")                                                 \
    X(REASON_ANCHOR_MISSING, "anchor_missing", "its milestone has no date")                                            \
    X(REASON_NOT_ACTIVE_THEN, "not_active_then", "the rule was not active at that instant")

#define REASON_ENUM(name, word, label) name,
enum reason { REASON_MAP(REASON_ENUM) REASON_COUNT };
#undef REASON_ENUM

const char *reason_word(enum reason r);

/* For people: of a stored reason, whatever stands behind its colon; "" for one that is not in the table. Static. */
const char *reason_label(struct str stored);

#endif
