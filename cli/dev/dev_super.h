/* dev_super: the processes of a development system: started, started again when they die (100 ms to 5 s, from the beginning
 * after 30 s of life), and stopped in order. One per process: it blocks SIGINT, SIGTERM, SIGHUP and SIGCHLD, reads them from a
 * descriptor, and makes this process the parent of orphans below it (PR_SET_CHILD_SUBREAPER), so that none gets away. */
#ifndef CLI_DEV_DEV_SUPER_H
#define CLI_DEV_DEV_SUPER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cli/dev/dev.h"
#include "cli/dev/dev_child.h"
#include "cli/dev/dev_folder.h"
#include "common/base/err.h"

struct dev_super;
struct dev_member;

/* Ends what an earlier start left behind (the folder's lock is held, so it can only be left over), then begins an empty
 * record. `f` is borrowed until dev_super_free. */
enum err dev_super_new(struct dev_folder *f, struct dev_super **out, struct err_info *info) MUST_USE;

/* Starts a process; argv, env and log are copied, user is borrowed. A member with `restart` is started again whenever it ends. */
enum err dev_super_add(struct dev_super *s, enum dev_stage stage, const struct dev_child_spec *spec, bool restart,
                       struct dev_member **out, struct err_info *info) MUST_USE;
void dev_super_restart_from_now(struct dev_member *m); /* for members that were started without */
bool dev_super_running(const struct dev_member *m);
pid_t dev_super_pid(const struct dev_member *m); /* 0: not running now */

/* Serves what happens for at most timeout_ms; returns early at an event. */
enum dev_event dev_super_turn(struct dev_super *s, int64_t timeout_ms, struct dev_report *report);

/* Stops all in the order of the stages; a second SIGINT or SIGTERM meanwhile, or `at_once`, makes it immediate. */
void dev_super_stop(struct dev_super *s, bool at_once);
void dev_super_free(struct dev_super *s); /* after dev_super_stop; NULL is fine */

/* The n-th member; NULL at the end. */
struct dev_member *dev_super_member(const struct dev_super *s, size_t n, const char **name);
size_t dev_super_restarts(const struct dev_super *s);

#endif
