/* dev_folder: the data folder of a development system, its lock, and where the servers' files are.
 *
 *     data/lock          held (flock) while the system runs; holds the process number
 *     data/processes     what runs, so that the next start can end what a crash left behind
 *     data/usher.conf    settings that reach the running system
 *     data/log/          one file per program
 *     data/runtime       names the folder of the servers' files when they can not be here
 *     data/pg  data/redis  data/run    the servers' files and sockets, owned by the user who runs them
 *
 * Started as root the servers run as an unprivileged user. Where that user can not reach the data folder, pg, redis and run
 * are in /var/tmp/usher-<hash>; where only the sockets' path would be too long, run is /tmp/usher-<hash>. */
#ifndef CLI_DEV_DEV_FOLDER_H
#define CLI_DEV_DEV_FOLDER_H

#include "cli/dev/dev_child.h"
#include "common/base/err.h"

struct dev_folder {
    char *home; /* absolute */
    char *pg;
    char *redis;
    char *run;
    char *log; /* NULL: programs log to standard error */
    int lock_fd;
    struct dev_user user;
};

/* Makes and locks the folder. log_dir: NULL is data/log, "-" standard error. ERR_BUSY: another process holds it. The folder is
 * closed by the caller also after an error. */
enum err dev_folder_open(struct dev_folder *f, const char *data, const char *log_dir, struct err_info *info) MUST_USE;
void dev_folder_close(struct dev_folder *f);

/* "<folder>/<name>", allocated. */
char *dev_folder_path(const char *folder, const char *name);
/* The log file of a program, allocated; NULL: standard error. */
char *dev_folder_log(const struct dev_folder *f, const char *program);

/* Writes a small file of data/ as a whole (mode 0600), or not at all. */
enum err dev_folder_write(const struct dev_folder *f, const char *name, const char *text, struct err_info *info) MUST_USE;
void dev_folder_remove(const struct dev_folder *f, const char *name);
/* Reads one; "" when it is not there. Allocated. At most 64 KiB. */
char *dev_folder_read(const struct dev_folder *f, const char *name);

#endif
