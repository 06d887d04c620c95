/* system: real usher-worker and usher-scheduler processes against a database and a Redis of the test's own, what they are
 * given to do, and the judge: whatever was killed, broken or flooded, at the end every accepted job has exactly one final
 * log row and nothing is unaccounted for.
 *
 * Processes die with the test (parent-death signal); their logs lie in the test's folder and are printed when a wait fails.
 * Nothing here sleeps to let something happen: system_until asks until it is so, or fails the test. Leases and idle times
 * are not waited for: the test says that they have passed (system_lease_passes, system_idle_passes). */
#ifndef TESTS_SUPPORT_SYSTEM_H
#define TESTS_SUPPORT_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/buf.h"
#include "common/base/id.h"
#include "tests/support/pg.h"
#include "tests/support/postgres.h"
#include "tests/support/redis.h"

#define SYSTEM_TENANT "00000000-0000-0000-0000-0000000000a1"
#define SYSTEM_WEDDING "00000000-0000-0000-0000-0000000000b1" /* booked, a year ahead */
#define SYSTEM_Q "usher:{0}:q:default"
#define SYSTEM_IN "usher:{0}:in:default"

#define SYSTEM_PROCESSES_MAX 48
#define SYSTEM_PATIENCE_S 60 /* for what takes a second on an idle machine */

struct system {
    bool open;
    struct postgres postgres; /* running when the test asked for one of its own */
    struct test_pg pg;
    struct redis_server redis;
    char dir[64];
    char urls[2][512]; /* by login: worker, scheduler */
    struct {
        pid_t pid; /* 0: ended, and waited for */
        char log[32];
    } processes[SYSTEM_PROCESSES_MAX];
    int n_processes;
    struct buf accepted; /* ids of accepted jobs, comma-separated */
    int n_accepted;
    int n_enqueued;
    int n_events;
};
/* One per test process; suites that use it have .fini = system_close. */
extern struct system sys;

/* False when there are no servers: the test returns. With own_postgres the database's server is the test's own. */
bool system_open(bool own_postgres);
bool system_open_tcp(void); /* both servers its own, and everything goes to them over TCP */
void system_close(void);

/* ---- processes: numbers count from 0 in the order of their starts ---- */
/* `env` holds further settings ("USHER_TEST_DIE=after_xadd"), NULL-terminated; NULL: none. */
int system_worker(const char *const *env);
int system_scheduler(const char *const *env);
void system_die_env(char env[64], const char *point, int nth);
void system_signal(int process, int signo);
/* Waits for the end: the exit status, or 128 + the signal that ended it. Fails the test after SYSTEM_PATIENCE_S. */
int system_wait(int process);
void system_kill(int process);          /* SIGKILL, and waits */
void system_until_stopped(int process); /* by itself, see USHER_TEST_STOP */
/* Lines of a process's log that hold the text. */
size_t system_logged(int process, const char *holding);

void system_show_logs(void);

/* Machine time that tests do not wait for: every registered worker's last beat becomes older than the lease; every pending bare entry has
 * been idle for a minute. */
void system_lease_passes(void);
void system_idle_passes(void);

/* ---- work ---- */
/* An entry with the given fields (names and values in turn, NULL-terminated; `id` "*" as producers do). Accepted, and given its key. */
struct id system_entry(const char *id, const char *const *fields);
/* The same with one payload for many: `n` noop entries with payloads {"n":1} … */
void system_entries(int n);
/* `n` ledger jobs of one kind, due now. */
void system_enqueue(const char *kind, const char *payload, int n);
struct id system_enqueue_one(const char *kind, const char *payload);
/* An active rule with these actions (a JSON array), and `n` events that fire it, each at a wedding of its own. The runs' jobs are not in
 * the judge's list of accepted ones. */
void system_rule(const char *actions);
void system_events(int n);

/* Another session in the middle of its transaction, for as long as it takes, until it says `how` it ends ("commit", "rollback"). */
struct db_session *system_hold(const char *sql);
void system_let_go(struct db_session *s, const char *how);

/* ---- questions ---- */
bool system_ask(const char *sql, int64_t *out);             /* false: the database does not answer */
int64_t system_i64(const char *fmt, ...) PRINTF_LIKE(1, 2); /* fails the test when the database does not answer */
void system_sql(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Until it holds; fails the test, with the processes' logs, after SYSTEM_PATIENCE_S. */
void system_until_holds(bool (*holds)(void *arg), void *arg, const char *what);
/* Until the query's first value is not 0; a database that does not answer is asked again. */
void system_until(const char *fmt, ...) PRINTF_LIKE(1, 2);
void system_until_logged(int process, const char *holding);
/* A Redis command as text; its integer. */
int64_t system_redis(const char *command);
/* Pending and not yet delivered entries of a stream; -1: it has entries, and no group yet. */
int64_t system_backlog(const char *key);
/* Until outbox, ledger and both streams are empty and no run is running. */
void system_until_done(void);
bool system_until_done_or_ended(int process); /* true: the process has ended first */
int64_t system_outcomes(const char *word);    /* log rows of an outcome */
int64_t system_dead(const char *reason);

/* Every accepted job has exactly one final log row (or is quarantined, once); nothing is unaccounted for, waits, or is in flight; the
 * rollups count every log row once. */
void system_judge(void);

#endif
