#include "cli/dev/dev_proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/str.h"

#define POLL_MS 20
#define STAT_START_FIELD 22 /* proc(5), /proc/pid/stat */

struct stat_line {
    char state;
    pid_t parent;
    uint64_t start;
    char comm[64];
};

static ssize_t read_small(pid_t pid, const char *name, char *out, size_t size)
{
    char path[64];

    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -1;
    ssize_t n = read(fd, out, size - 1);
    (void)close(fd);
    out[n > 0 ? n : 0] = '\0';
    return n;
}

/* "pid (comm) state ppid …": comm may hold blanks and brackets, so the last bracket ends it. */
static bool read_stat(pid_t pid, struct stat_line *out)
{
    char text[1024];
    char *open_bracket = NULL, *close_bracket = NULL;

    if (read_small(pid, "stat", text, sizeof(text)) <= 0)
        return false;
    open_bracket = strchr(text, '(');
    close_bracket = strrchr(text, ')');
    if (open_bracket == NULL || close_bracket == NULL || close_bracket[1] != ' ')
        return false;
    (void)str_copy_n(out->comm, sizeof(out->comm), open_bracket + 1, (size_t)(close_bracket - open_bracket - 1));
    char *at = close_bracket + 2;
    out->state = *at;
    out->parent = (pid_t)strtol(at + 1, NULL, 10);
    for (int field = 3; field < STAT_START_FIELD && at != NULL; field++)
        at = strchr(at + 1, ' ');
    out->start = at == NULL ? 0 : strtoull(at, NULL, 10);
    return at != NULL && out->state != 'Z' && out->state != 'X';
}

struct dev_proc dev_proc_of(pid_t pid)
{
    struct stat_line line;
    struct dev_proc p = {pid, 0};

    if (pid > 0 && read_stat(pid, &line))
        p.start = line.start;
    return p;
}

bool dev_proc_alive(const struct dev_proc *p)
{
    return p->start != 0 && dev_proc_of(p->pid).start == p->start;
}

static bool sits_in(pid_t pid, const char *cwd)
{
    char path[64], target[PATH_MAX];

    (void)snprintf(path, sizeof(path), "/proc/%d/cwd", (int)pid);
    ssize_t n = readlink(path, target, sizeof(target) - 1);
    if (n <= 0)
        return false;
    target[n] = '\0';
    return strcmp(target, cwd) == 0;
}

/* Calls `take` for every process until it has enough. */
static void for_each(bool (*take)(void *arg, pid_t pid, const struct stat_line *line), void *arg)
{
    DIR *dir = opendir("/proc");
    const struct dirent *entry = NULL;
    struct stat_line line;
    bool more = true;

    while (dir != NULL && more && (entry = readdir(dir)) != NULL) {
        int64_t pid = 0;
        if (str_to_i64(str_of(entry->d_name), &pid) == ERR_OK && read_stat((pid_t)pid, &line))
            more = take(arg, (pid_t)pid, &line);
    }
    if (dir != NULL)
        (void)closedir(dir);
}

struct search {
    const char *comm; /* NULL: children of this process */
    const char *cwd;
    struct dev_proc *out;
    size_t n, max;
};

static bool take_match(void *arg, pid_t pid, const struct stat_line *line)
{
    struct search *s = arg;
    bool match = s->comm == NULL ? line->parent == getpid() : strcmp(line->comm, s->comm) == 0 && sits_in(pid, s->cwd);

    if (match && s->n < s->max)
        s->out[s->n++] = (struct dev_proc){pid, line->start};
    return s->n < s->max;
}

size_t dev_proc_in_folder(const char *comm, const char *cwd, struct dev_proc *out, size_t max)
{
    struct search s = {comm, cwd, out, 0, max};

    for_each(take_match, &s);
    return s.n;
}

size_t dev_proc_children(struct dev_proc *out, size_t max)
{
    struct search s = {NULL, NULL, out, 0, max};

    for_each(take_match, &s);
    return s.n;
}

bool dev_proc_wait(const struct dev_proc *p, size_t n, int64_t timeout_ms)
{
    int64_t end_ms = clock_mono_ms() + timeout_ms;

    for (;;) {
        size_t alive = 0;
        while (waitpid(-1, NULL, WNOHANG) > 0) {
        }
        for (size_t i = 0; i < n; i++)
            alive += dev_proc_alive(&p[i]);
        if (alive == 0)
            return true;
        if (clock_mono_ms() >= end_ms)
            return false;
        (void)poll(NULL, 0, POLL_MS);
    }
}

void dev_proc_signal(const struct dev_proc *p, size_t n, int signo)
{
    for (size_t i = 0; i < n; i++) {
        if (dev_proc_alive(&p[i]))
            (void)kill(p[i].pid, signo);
    }
}
