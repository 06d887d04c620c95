/* dev_proc: what /proc says about processes that are not our children, or not any more. A zombie counts as gone: where
 * nothing reaps orphans (a container without init) it would otherwise stay for ever. */
#ifndef CLI_DEV_DEV_PROC_H
#define CLI_DEV_DEV_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* A process for certain: the kernel gives a number again, but not with the same start. */
struct dev_proc {
    pid_t pid;
    uint64_t start; /* clock ticks since boot, proc(5) "starttime"; 0: no such process */
};

struct dev_proc dev_proc_of(pid_t pid);
bool dev_proc_alive(const struct dev_proc *p);

/* Processes whose command name is `comm` and whose working folder is `cwd`, which is where PostgreSQL and Redis sit on
 * their data. At most `max` are written; returns their number. */
size_t dev_proc_in_folder(const char *comm, const char *cwd, struct dev_proc *out, size_t max);

/* Children of this process, orphans that came to it included. */
size_t dev_proc_children(struct dev_proc *out, size_t max);

/* Waits until none of them is alive or the time is over; reaps children meanwhile. Returns true when none is. */
bool dev_proc_wait(const struct dev_proc *p, size_t n, int64_t timeout_ms);

/* Sends `signo` to those that are alive. */
void dev_proc_signal(const struct dev_proc *p, size_t n, int signo);

#endif
