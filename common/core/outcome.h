/* outcome: how attempts and jobs end. One table: PROTOCOL.md's, the codes in execution_logs.outcome, the words in SQL
 * and the labels of metrics
 * are made from it or checked against it. */
#ifndef COMMON_CORE_OUTCOME_H
#define COMMON_CORE_OUTCOME_H

#include <stdbool.h>

/* X(enum, code, word, final, meaning). Codes are stored: never renumber. */
#define OUTCOME_MAP(X)                                                                                                 \
    X(OUTCOME_DONE, 0, "done", true, "the step or job succeeded")                                                      \
    X(OUTCOME_FAILED, 1, "failed", false, "the attempt failed; the job will be tried again")                           \
    X(OUTCOME_DEAD, 2, "dead", true, "the job will not be tried again by itself: a dead letter")                       \
    X(OUTCOME_CANCELLED, 3, "cancelled", true, "its wedding, rule or run ended before it acted")                       \
    X(OUTCOME_SUPERSEDED, 4, "superseded", true, "its wedding moved before it acted")                                  \
    X(OUTCOME_SKIPPED, 5, "skipped", true, "its time had passed, or its rule's conditions said so")                    \
    X(OUTCOME_SNOOZED, 6, "snoozed", false, "put off without charge: the kind is unknown here, or the provider asked") \
    X(OUTCOME_PARKED, 7, "parked", false, "waits for a person: its outward outcome is unknown")                        \
    X(OUTCOME_LOST_LEASE, 8, "lost_lease", false, "acted, but another worker had taken the job over: nothing applied")

#define OUTCOME_ENUM(name, code, word, final, meaning) name = code,
enum outcome { OUTCOME_MAP(OUTCOME_ENUM) OUTCOME_COUNT };
#undef OUTCOME_ENUM

const char *outcome_word(enum outcome o);
bool outcome_final(enum outcome o);

#endif
