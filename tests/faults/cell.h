/* cell: one fault, from fresh servers to a verdict. FAULT(name) gives work through both doors, breaks something in the middle, mends
 * it, and calls cell_recovers; the frame then waits until everything is done, judges, and prints one line of JSON.
 *
 * The verdict is made from outside. Accepted is what a producer was told: the commit of its transaction, the answer to its XADD.
 * Against that stand the ids that the webhook sink received, to which all jobs of these doors go but those that a cell wants
 * otherwise, the effects in tables, and the final rows of the log.
 *   lost             ledger jobs without an end, or whose request never reached the sink; events whose effects are missing
 *   lost_direct      bare entries, likewise; allowed are those that the cell's Redis had not persisted (cell_redis_loses)
 *   duplicate_*      effects and final log rows beyond one
 *   dead             dead letters; allowed are those that the cell's own work deserves (may_die): no fault of a server is a job's
 *   outward_repeats  requests beyond one an id; allowed are those in progress at a kill (cell_interrupts)
 * And no request is of an id that no producer was told of, but for offers that were not answered.
 *   recovery_seconds from the mending until every ledger job accepted by then, and one more, has ended */
#ifndef TESTS_FAULTS_CELL_H
#define TESTS_FAULTS_CELL_H

#include <criterion/criterion.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/base/id.h"
#include "tests/support/sink.h"
#include "tests/support/system.h"

#define CELL_RECOVERY_S 30 /* design, section 11 */
#define CELL_TAKEOVER_S 20 /* of the leader, from its last sign of life */
#define CELL_CONCURRENCY 8 /* of the workers that cells start */
#define CELL_TIMEOUT_S 400 /* of a whole cell, on a loaded machine */
#define CELL_SLOW_MS 25    /* how long the sink takes to answer */

struct cell_ids {
    struct id *v;
    size_t n, cap;
};

struct cell {
    const char *name;
    bool open;
    bool printed;
    uint64_t random;
    int64_t load; /* what cell_load is multiplied with, from the seed: 100 to 150 % */

    struct sink web;
    struct db_session *db; /* the producer's; NULL: to be opened */
    struct rsession *redis;
    struct cell_ids ledger, direct;         /* accepted */
    struct cell_ids ledger_out, direct_out; /* of these, the ones with a request to the sink */
    int64_t events;
    int64_t in_bulk;  /* accepted besides, and judged by the cell itself */
    int64_t in_doubt; /* offers without an answer, or taken back: they may have been accepted, nobody was told */
    int64_t may_lose_direct, may_repeat;
    int64_t may_die; /* dead letters, exactly */
    int64_t excused; /* accepted ledger jobs that PostgreSQL lost: restored to a time before */

    int64_t mended_ms;
    double recovery_s, recovery_limit_s;
    const char *broken; /* a further demand that was not met */
};
extern struct cell cell;

enum cell_servers { CELL_SHARED_POSTGRES, CELL_OWN_POSTGRES, CELL_TCP };

/* False: skipped, the reason is printed. */
bool cell_open(const char *name, enum cell_servers servers);
void cell_judge(void);
void cell_close(void); /* prints the line of a cell that did not come to its verdict */

/* A cell. It runs CYCLES times, each with another seed. */
#define FAULT_ON(name, servers)                                                                                        \
    static void name(void);                                                                                            \
    Test(faults, name, .fini = cell_close, .timeout = CELL_TIMEOUT_S)                                                  \
    {                                                                                                                  \
        cell_cycles(#name, servers, name);                                                                             \
    }                                                                                                                  \
    static void name(void)
#define FAULT(name) FAULT_ON(name, CELL_SHARED_POSTGRES)
#define FAULT_PG(name) FAULT_ON(name, CELL_OWN_POSTGRES)
#define FAULT_TCP(name) FAULT_ON(name, CELL_TCP)
void cell_cycles(const char *name, enum cell_servers servers, void (*run)(void));
void cell_skip(const char *why); /* ends the cell, not the program */

/* ---- work ---- */
/* One at a time, a request to the sink each; false: not accepted. */
bool cell_offer_ledger(void);
bool cell_offer_of(const char *tenant); /* the same, a tenant's */
bool cell_offer_at(int64_t run_at_us);  /* the same, for later */
bool cell_offer_direct(void);
/* Of a kind and payload of one's own; `outward`: it goes to the sink. */
bool cell_offer_job(const char *kind, const char *payload, bool outward);
bool cell_offer_entry(const char *id, const char *const *fields,
                      bool outward); /* NULL-terminated; with an id of one's own */
/* Of a producer of the cell's own that was told so; with a request to the sink. */
void cell_accepted(const struct id *id, bool direct);
/* About n jobs through each door, and n / 10 events of a rule with two steps. Waits for a door that is shut; fails the cell when it
 * stays so. */
void cell_load(int n);
void cell_goes_on(int n, int logged); /* the same, until so many more log rows stand than before */
void cell_ledger(int n);              /* through the SQL door alone: as many ledger jobs */
void cell_direct(int n);
int cell_random(int low, int high); /* both included */

/* ---- processes ---- */
int cell_worker(void); /* CELL_CONCURRENCY, small batches */
int cell_scheduler(void);
/* Until so many final log rows stand. */
void cell_until_logged(int64_t n);
int64_t cell_logged(void);

/* ---- what the fault allows ---- */
void cell_interrupts(int workers); /* workers were killed just now: what the sink has and the log has not may come again */
void cell_redis_loses(void); /* just before Redis loses what it holds: bare entries that are in no table may be lost */

/* Mended: measures until the system works again. */
void cell_mended(void);
void cell_recovers(void);
void cell_demand(bool holds, const char *what);

#endif
