/* job: one attempt of one unit of work in this process. What it is doing is the list it is on; job_move is the only
 * mover.
 *
 *   READY ──slot──► RUNNING ──result──► EXECUTED ──batch──► SETTLING ──COMMIT──► freed
 *     │                                    ▲                    │
 *     └── fenced, released, expired ───────┘◄── busy, effect ───┘
 *
 * A job comes from a claimed ledger row, or, with `bare` set, from a fresh stream entry that has no row. */
#ifndef WORKERS_JOB_H
#define WORKERS_JOB_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/id.h"
#include "common/base/list.h"
#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/core/outcome.h"
#include "common/core/program.h"
#include "common/io/queue_id.h"

struct worker;
struct envelope;
struct kind;
struct rule_ref;

/* A job whose claims crashed so often may be what kills workers: it runs by itself. */
#define JOB_SUSPECT_CRASHES 2

enum job_state { JOB_READY, JOB_RUNNING, JOB_EXECUTED, JOB_SETTLING, JOB_STATES };

/* What the settling transaction does to the row. */
enum job_settle {
    SETTLE_FINAL,  /* DELETE */
    SETTLE_RETRY,  /* due again after delay_ms, attempt + 1 */
    SETTLE_SNOOZE, /* due again after delay_ms, not charged */
    SETTLE_PARK,   /* waits for a person */
    SETTLE_RELEASE /* handed back untouched */
};

/* What became of it in a settling transaction. */
enum job_settled {
    SETTLED_HIT,       /* applied and to be logged */
    SETTLED_LOST,      /* another worker has the row: nothing applied */
    SETTLED_WITHDRAWN, /* its entry was logged directly meanwhile: the row is gone, nothing applied */
    SETTLED_BUSY,      /* a tenant's row was locked: again later, never run again */
    SETTLED_REFUSED    /* its effect failed: nothing of it applied */
};

struct job_result {
    enum job_settle settle;
    enum outcome outcome;
    int64_t delay_ms;
    const char *reason;    /* a short word, in the arena or static; NULL: none */
    const char *error;     /* for people, in the arena; NULL: none */
    json_t *effect;        /* applied in the settling transaction; NULL: none */
    json_t *output;        /* becomes steps.<id> of the run; NULL: none */
    int next;              /* step that follows, or PROGRAM_END */
    bool failed_step;      /* the run counts a failed step */
    const char *run_state; /* the run ends so; NULL: it goes on with `next` */
    const char *run_reason;
};

struct job {
    struct list node;
    enum job_state state;
    struct worker *worker;
    struct arena arena;

    struct id job_id, tenant, run, wedding, rule_id, effect_key;
    struct id owner; /* the worker id it was claimed under */
    int64_t rule_revision;
    int claim_no, generation, attempt, max_attempts, crashes, snoozes;
    int step_no;
    int iteration;           /* of the for_each around the step (each.h) */
    const struct kind *kind; /* NULL: unknown here */
    const char *kind_name;
    const char *queue;
    struct str payload;
    size_t bytes;         /* see job_weigh */
    int64_t queued_at_us; /* the log key's time: the claim's, or the bare entry's */
    int64_t due_at_us;
    int64_t now_us;          /* domain time at the claim */
    int64_t timeout_ms;      /* 0: the action minds its own */
    const char *traceparent; /* NULL: none */
    const char *verdict;     /* "run", or how it ends without running */
    json_t *wake;            /* what ended a wait: the event's payload with type and id; NULL: nothing */

    struct rule_ref *rule; /* steps of rules: the pinned version */
    const struct step *step;
    json_t *context;

    bool bare;                       /* runs without a row */
    const struct envelope *envelope; /* bare: the entry's fields */
    const struct str *fields;        /* the same as they stood, alternating names and values */
    size_t n_fields;
    struct str raw;    /* bare and unreadable: the entry's fields as a MessagePack array of binary values */
    bool adopting;     /* bare, and its adoption as claimed by us is under way */
    bool unadoptable;  /* the database refuses that: it is settled as a fresh one */
    bool given_up;     /* bare: adopted or logged by another meanwhile; its result is dropped */
    bool has_bare_key; /* the log row carries the entry's key */
    struct id bare_id;
    int64_t bare_at_us;
    size_t stream; /* bare: index of the in: stream */
    struct queue_id entry;
    char entry_id[48]; /* the same as text */

    int64_t claimed_ms; /* machine time, monotonic */
    int64_t started_us; /* machine time, monotonic */
    int64_t duration_us;
    enum job_settled settled; /* what the settling transaction said */
    const char *settled_text;
    bool maybe_settled;      /* a COMMIT that held it was not answered */
    int64_t settle_after_ms; /* not before: a tenant's row was locked, or it failed alone */
    int busy_times;          /* a tenant's row or key was locked; since then it settles among such jobs */
    int settle_failures;     /* by itself; since then it settles by itself, and others do not wait for it */
    bool stripped;           /* the database refused its result: it goes without */
    bool log_refused;        /* and its log row: that goes to quarantine */
    bool acted;              /* something may have left our database */
    void *handle;            /* outbound request */
    void *timer;
    struct job_result result;
};

struct job *job_new(struct worker *w);
void job_free(struct job *job);
void job_free_spares(struct worker *w); /* with the worker */

/* What it brought along, of payload or fields: counts against the worker's memory until it is freed. */
void job_weigh(struct job *job, size_t bytes);

/* Moves between the worker's lists. */
void job_move(struct job *job, enum job_state to);

#endif
