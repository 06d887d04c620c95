/* queue_env: what bench_queue runs on: a private PostgreSQL (fsync on) and a private Redis (AOF everysec) on unix sockets, tenants and
 * kinds, the programs as children. Nothing here is measured. */
#ifndef TESTS_BENCH_QUEUE_ENV_H
#define TESTS_BENCH_QUEUE_ENV_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/id.h"
#include "tests/support/pg.h"
#include "tests/support/postgres.h"
#include "tests/support/redis.h"

#define QUEUE_ENV_TENANTS 200
#define QUEUE_ENV_KINDS 2000
#define QUEUE_ENV_PAYLOAD_BYTES 299
#define QUEUE_ENV_IN "usher:{0}:in:default"
#define QUEUE_ENV_Q "usher:{0}:q:default"
#define QUEUE_ENV_DIR "build/bench/queue"

struct queue_env {
    double scale; /* of the numbers of jobs; 1: a whole run */
    struct postgres postgres;
    struct redis_server redis;
    struct test_pg pg;
    char worker_url[512], scheduler_url[512];
    struct rsession *session;
    char why[256]; /* the last failure of a measurement */
};
extern struct queue_env queue_env;

void queue_env_open(void);
void queue_env_close(void);
/* Empties streams, ledger and log, and waits for a checkpoint: every run begins alike. */
void queue_env_clean(void);

/* n of a whole run, by the scale, at least `least`. */
size_t queue_env_n(size_t whole, size_t least);

/* Job i's tenant, kind and payload. */
struct id queue_env_tenant(size_t i);
void queue_env_kind(size_t i, char out[16]);
void queue_env_payload(size_t i, char out[QUEUE_ENV_PAYLOAD_BYTES + 1]);

/* A child from build/release, logging into QUEUE_ENV_DIR; `args` ended by NULL. Ends with us. */
pid_t queue_env_worker(const char *const *args);
pid_t queue_env_scheduler(const char *const *args);
/* Until so many workers are registered; when they are not in time that is noted, and the measurement will fail. */
void queue_env_ready(int workers);
void queue_env_signal(const pid_t *pids, size_t n, int signo);
/* SIGTERM, SIGCONT, and waits. */
void queue_env_stop(const pid_t *pids, size_t n);
void queue_env_kill(const pid_t *pids, size_t n);

struct queue_use {
    double cpu_us; /* user and system time so far */
    double rss_mb; /* the most it has ever had */
};
struct queue_use queue_env_use(pid_t pid);
/* The same of PostgreSQL's processes: those that live and those that have ended. */
double queue_env_postgres_cpu_us(void);

/* A measurement failed: its value is 0, the reason is kept for its line, and the benchmark goes on. */
void queue_env_fail(const char *where, const char *why);
/* Nothing can be measured any more. */
_Noreturn void queue_env_die(const char *where, const char *why);

#endif
