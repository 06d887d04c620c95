/* admit: hands due ledger jobs to their streams.
 *
 * PostgreSQL is not marked: the leader remembers what it added as (job, claim number, entry). Whatever is due, unclaimed and not
 * remembered at its present claim number is added; the memory forgets an entry that is neither undelivered nor pending any more, so
 * that a job whose entry was lost is added again (model: P1), and everything after a takeover or a loss of Redis.
 *
 * What if this process dies
 *  - before XADD: the row is due and unclaimed; the next leader's memory is empty, so it adds it;
 *  - after XADD, reply seen or not: the next leader adds it a second time. The entry that comes second finds the row claimed or gone
 *    and is only acknowledged;
 *  - stopped for a while and then goes on as a leader of the past: a late XADD is such a second entry. That is why XADD needs no term.
 * A reply that never came (connection lost) is remembered as not added: at worst a second entry. */
#ifndef SCHEDULER_ADMIT_H
#define SCHEDULER_ADMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/io/queue.h"
#include "common/io/settings.h"
#include "scheduler/admitted.h"

#define ADMIT_QUEUES_MAX 64

/* A queue's first window, and its smallest. While several tenants wait, none gets more than half of the window. */
#define ADMIT_WINDOW_FIRST 64
/* The leader comes back so soon while there is a backlog. */
#define ADMIT_HURRY_MS 25

struct admit_queue {
    char name[SETTINGS_QUEUE_NAME_MAX + 1];
    char key[QUEUE_KEY_SIZE]; /* of the ledger stream */
    char bare_key[QUEUE_KEY_SIZE];
    struct admitted memory;
    bool served;      /* workers read it, or the settings name it: it never gives way to another one */
    bool ensured;     /* both groups were made or seen by this leader */
    bool failed;      /* XADD was refused; logged */
    int64_t retry_ms; /* not before */
    int64_t delay_ms;
    int64_t review_ms;   /* when the memory is compared with the stream next */
    int64_t read_before; /* entries read by the group, at read_at_ms */
    int64_t read_at_ms;
    int64_t drain_per_s; /* the most that was measured lately */
    size_t window;       /* entries that may be ahead of the workers; see admit_review.h */
    bool backlog;        /* more was due than the window took */
};

struct admit {
    struct admit_queue *queues;
    size_t n;
    int64_t list_ms; /* when queues are looked for next */
    bool hurry;      /* some queue has a backlog: its window is refilled soon */
};

struct lead;

void admit_init(struct admit *a);
void admit_fini(struct admit *a);
/* The duty. */
enum err admit_run(struct lead *l, bool *more, struct err_info *info) MUST_USE;
/* Reads the queues' names: the settings', the workers', the kinds', the ledger's. Also done by admit_run now and then. */
enum err admit_list_queues(struct lead *l, struct err_info *info) MUST_USE;
/* Makes the groups of both streams where they are missing. ERR_OK at once when this leader has seen them. */
enum err admit_ensure(struct lead *l, struct admit_queue *q, struct err_info *info) MUST_USE;
/* Redis lost something: forgets all that was added. */
void admit_forget(struct admit *a, const char *why);
void admit_forget_queue(struct admit_queue *q);

#endif
