/* program: a rule's actions, flattened into a linear array of steps.
 *
 * One job runs one step. A step is addressed by its index, which is stable for a version of a rule because flattening goes
 * through the document in order: an action, then (for a branch) its `then` list, then its `else` list, then what follows. Where a
 * list ends, `next` leads to what follows the enclosing branch, or to PROGRAM_END. A branch with an empty list leads
 * straight there.
 *
 * A for_each stands before its `do` list; where that list ends, `next` leads back to it, the only way backwards there is. Its list is
 * frozen in the run at entry and the items are taken one after another by a cursor there (each.h). */
#ifndef COMMON_CORE_PROGRAM_H
#define COMMON_CORE_PROGRAM_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/core/logic.h"
#include "common/core/offset.h"
#include "common/core/vocab.h"

#define PROGRAM_STEPS_MAX 50   /* actions of a rule, all lists together (rules.md 3d) */
#define PROGRAM_DEPTH_MAX 5    /* branches within branches */
#define PROGRAM_STEP_ID_MAX 32 /* bytes: [A-Za-z_][A-Za-z0-9_]*, usable in "steps.<id>.…" */
#define PROGRAM_END (-1)

enum wait_kind {
    WAIT_DURATION,  /* {"for": "P3D"} */
    WAIT_TIME,      /* {"until": {"time": "09:00"}}: the next such local time, now if it is that minute */
    WAIT_MILESTONE, /* {"until": {"milestone": …, "offset": …, "at": …}} */
    WAIT_EVENT      /* {"until": {"event": …, "where": …, "timeout": …}}; its result is steps.<id>.timed_out */
};

struct wait_spec {
    enum wait_kind kind;
    struct offset duration;   /* DURATION: how long; EVENT: the timeout, from the moment the wait is committed */
    enum milestone milestone; /* MILESTONE */
    struct offset offset;     /* MILESTONE */
    int32_t at_minute;        /* TIME, MILESTONE: minute of the local day; -1 when the offset is exact */
    const char *event_type;   /* EVENT */
    struct logic *where;      /* EVENT, or NULL: every event of the type ends the wait; may use event.* of that event */
};

struct step {
    int index;
    const char *id; /* unique in the rule; "s1", "s2", … in the order of the document when not given */
    enum action_type type;
    json_t *params;         /* object, an own reference, never to be changed; NULL for branch and wait */
    const char *pointer;    /* JSON pointer of the action in the document */
    bool requires_approval; /* a person must approve its rendered content first */
    bool urgent;            /* may run outside the rule's send window */
    int next; /* step that follows, or PROGRAM_END; for a branch: what follows after both lists; for stop: END; for for_each: what
                * follows after the last item */
    int depth;               /* 0 at the top level */
    struct logic *condition; /* branch only; unknown counts as false */
    int next_true;           /* branch; for_each: the first step for an item */
    int next_false;          /* branch; for_each: as next */
    struct logic *list;      /* for_each only: its value is the list */
    int loop;                /* index of the for_each around it, or PROGRAM_END */
    struct wait_spec wait;   /* wait only */
};

struct program {
    struct step *steps; /* in the rule's arena */
    int n;
    int depth; /* deepest branch nesting used, 0 without branches */
};

/* The step with that id, or NULL. */
const struct step *program_find(const struct program *p, struct str id);

/* The step, or NULL for PROGRAM_END and indexes out of range (a version that is gone must not crash a run). */
const struct step *program_step(const struct program *p, int index);

/* Where a run goes on after `s`. `truth` matters for branches only: unknown goes the way of false; for a for_each it tells
 * whether there is another item. */
int program_next(const struct step *s, enum logic_truth truth);

/* `next` of a step with the index `from`, but past the end of a for_each instead of back to it: always forward. */
int program_ahead(const struct program *p, int from, int next);

struct rule_check; /* the validator's state: rule_check.h */

/* Fills `p` from `actions` (an array; NULL is reported as missing) under `pointer`. Everything wrong is reported to `check`;
 * with errors reported `p` is still safe to pass to program_fini but must not be run. */
void program_build(struct program *p, const json_t *actions, const char *pointer, struct rule_check *check);

/* Frees the compiled conditions and lets go of the parameters; the rest belongs to the arena. */
void program_fini(struct program *p);

/* Bytes held outside the arena: compiled conditions, and an estimate for the parameters. */
size_t program_bytes(const struct program *p);

#endif
