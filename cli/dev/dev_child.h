/* dev_child: starting one process that must not outlive us. The child gets a death signal from the kernel when this
 * process dies; it is asked for after the change of user (which clears it, prctl(2)), and the parent is looked at afterwards
 * for the case that it died in between. */
#ifndef CLI_DEV_DEV_CHILD_H
#define CLI_DEV_DEV_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/err.h"

struct dev_user {
    bool change; /* false: keep our own */
    uid_t uid;
    gid_t gid;
    char name[64];
};

struct dev_child_spec {
    const char *name;            /* in messages */
    char *const *argv;           /* argv[0] is the program's path, or a name that is looked for in PATH */
    char *const *env;            /* NULL: ours */
    const char *cwd;             /* NULL: ours */
    const char *log;             /* file that standard output and error are appended to; NULL: our standard error */
    const struct dev_user *user; /* NULL: keep our own */
    int death_signal;
    bool foreground; /* keeps our process group, standard input and output: gets the terminal's signals itself */
};

/* Returns when the program runs, or could not be started (`info` says why). */
enum err dev_child_spawn(const struct dev_child_spec *spec, pid_t *pid, struct err_info *info) MUST_USE;

/* Runs a program to its end and fails unless it exits with 0 within the time; then it is killed. */
enum err dev_child_run(const struct dev_child_spec *spec, int64_t timeout_ms, struct err_info *info) MUST_USE;

/* Runs fn(arg) in a forked process as that user; returns what it returned, or -1. */
int dev_child_as_user(const struct dev_user *user, int (*fn)(const char *arg), const char *arg);

#endif
