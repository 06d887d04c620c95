/* dev: a whole Usher on this machine in one folder: private PostgreSQL and Redis on unix sockets, the scheduler and the
 * workers, as children that can not outlive this process. `usher dev`, its demo and the tests use it.
 *
 *     dev_start(&config, &dev, &info)       stores are up, migrated, and have their logins
 *     dev_add_programs(dev, …)              scheduler and workers, restarted when they die
 *     while (dev_turn(dev, 200, &report) == DEV_RUNNING) …
 *     dev_stop(dev)                         workers drain, then scheduler, helpers, Redis, PostgreSQL
 *
 * At most one per process; see dev_super.h for what it does to signals. */
#ifndef CLI_DEV_DEV_H
#define CLI_DEV_DEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/err.h"

struct dev;

struct dev_config {
    const char *data;       /* the folder; made if it is not there */
    const char *log_dir;    /* NULL: data/log; "-": the programs log to standard error */
    const char *migrations; /* folder; NULL: the database stays empty */
};

/* Stops in this order. */
enum dev_stage { DEV_COMMAND, DEV_WORKER, DEV_SCHEDULER, DEV_HELPER, DEV_REDIS, DEV_POSTGRES, DEV_STAGES };

struct dev_urls {
    const char *admin;  /* the cluster's superuser: maintenance, migrations, tests, command line */
    const char *worker; /* logins of the programs; the same as admin where nothing was migrated */
    const char *scheduler;
    const char *redis;
};

/* ERR_BUSY: the folder is in use · ERR_NOTFOUND: a server's program is not installed · ERR_CANCELED: SIGINT or SIGTERM meanwhile ·
 * ERR_TIMEOUT, ERR_IO, …: `info` says what, with the end of the server's log. On error nothing is left running. */
enum err dev_start(const struct dev_config *config, struct dev **out, struct err_info *info) MUST_USE;

const struct dev_urls *dev_urls(const struct dev *d);
const char *dev_data(const struct dev *d); /* absolute path */

struct dev_programs {
    int workers;
    char *const *worker_args; /* NULL-terminated; may be NULL */
    char *const *env; /* "NAME=value" over our own environment and the addresses; NULL-terminated; may be NULL */
};
/* Are usher-scheduler and usher-worker beside our own executable? ERR_NOTFOUND when one is not. */
enum err dev_check_programs(struct err_info *info) MUST_USE;
/* One scheduler and the workers, as "scheduler", "worker-1", "worker-2" … */
enum err dev_add_programs(struct dev *d, const struct dev_programs *programs, struct err_info *info) MUST_USE;

/* Any other helper (a mail server for the demo): argv[0] is looked for in PATH; restarted when it dies. */
enum err dev_add_helper(struct dev *d, const char *name, char *const *argv, char *const *env,
                        struct err_info *info) MUST_USE;

/* A program in the foreground that owns the terminal; its end is an event of dev_turn. It has DATABASE_URL and
 * USHER_MAINT_DATABASE_URL (superuser), REDIS_URL, USHER_ENV=development, WORKER_DATABASE_URL and SCHEDULER_DATABASE_URL (the
 * programs' logins), and PGHOST, PGPORT, PGUSER, PGDATABASE for psql. */
enum err dev_run_command(struct dev *d, char *const *argv, char *const *env, struct err_info *info) MUST_USE;

enum dev_event {
    DEV_RUNNING,       /* nothing of note */
    DEV_INTERRUPTED,   /* SIGINT, SIGTERM or SIGHUP: call dev_stop */
    DEV_COMMAND_ENDED, /* report.code is its exit code, 128 + signal where one ended it */
    DEV_FAILED         /* a program can not run (its exit code says that its settings are wrong): report.text */
};
struct dev_report {
    int code;
    char text[200];
};
/* Restarts what died and waits for events, at most timeout_ms. `report` may be NULL. */
enum dev_event dev_turn(struct dev *d, int64_t timeout_ms, struct dev_report *report);

/* Present process number of "worker-1", "scheduler", "redis", "postgres" …; 0 while it is down. */
pid_t dev_pid(const struct dev *d, const char *name);
/* How often a program was started again. */
size_t dev_restarts(const struct dev *d);

/* Stops everything in order, frees `d`; a second SIGINT or SIGTERM makes it immediate. NULL is fine. */
void dev_stop(struct dev *d);

#endif
