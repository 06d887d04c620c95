/* Happy path: fork, own process group, files, user, death signal, exec. A pipe that closes at exec tells the parent that
 * the program runs.
 * Failure: whatever goes wrong in the child before exec comes back through the pipe as the step's name and errno. */
#include "cli/dev/dev_child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"

#define LOG_KEEP_BYTES ((off_t)16 * 1024 * 1024) /* a longer log is moved to name.1 when its program starts */
#define POLL_MS 10
#define EXIT_NOT_STARTED 127

/* What the child reports when it could not start the program. */
struct failure {
    int code; /* errno */
    char step[32];
};

static int open_log(const char *path)
{
    struct stat st;
    char old[4096];

    if (path == NULL)
        return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (stat(path, &st) == 0 && st.st_size > LOG_KEEP_BYTES &&
        snprintf(old, sizeof(old), "%s.1", path) < (int)sizeof(old))
        (void)rename(path, old);
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
}

static bool become(const struct dev_user *user)
{
    if (user == NULL || !user->change)
        return true;
    return setgroups(1, &user->gid) == 0 && setresgid(user->gid, user->gid, user->gid) == 0 &&
           setresuid(user->uid, user->uid, user->uid) == 0;
}

static bool take_files(const struct dev_child_spec *spec, int log_fd)
{
    int null_fd = -1;

    if (spec->foreground)
        return true;
    null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return null_fd >= 0 && dup2(null_fd, STDIN_FILENO) >= 0 && dup2(log_fd, STDOUT_FILENO) >= 0 &&
           dup2(log_fd, STDERR_FILENO) >= 0 && setpgid(0, 0) == 0;
}

/* The parent blocks and ignores signals that programs expect to find as usual. */
static void default_signals(void)
{
    static const int ignored[] = {SIGPIPE, SIGHUP, SIGINT, SIGTERM, SIGCHLD};
    sigset_t none;

    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        (void)signal(ignored[i], SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void report(int pipe_fd, const char *step)
{
    struct failure f = {.code = errno};

    (void)snprintf(f.step, sizeof(f.step), "%s", step);
    ssize_t written = write(pipe_fd, &f, sizeof(f));
    _exit(written > 0 ? EXIT_NOT_STARTED : EXIT_NOT_STARTED - 1);
}

static void child_main(const struct dev_child_spec *spec, pid_t parent, int log_fd, int pipe_fd)
{
    if (!take_files(spec, log_fd))
        report(pipe_fd, "files");
    if (spec->cwd != NULL && chdir(spec->cwd) != 0)
        report(pipe_fd, "working folder");
    if (!become(spec->user))
        report(pipe_fd, "change of user");
    default_signals();
    if (prctl(PR_SET_PDEATHSIG, spec->death_signal) != 0)
        report(pipe_fd, "death signal");
    if (getppid() != parent)
        _exit(EXIT_NOT_STARTED);
    if (spec->env != NULL)
        (void)execvpe(spec->argv[0], spec->argv, spec->env);
    else
        (void)execvp(spec->argv[0], spec->argv);
    report(pipe_fd, "exec");
}

static enum err await_exec(const struct dev_child_spec *spec, pid_t pid, int pipe_fd, struct err_info *info)
{
    struct failure f = {0};
    ssize_t n = 0;

    do
        n = read(pipe_fd, &f, sizeof(f));
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return ERR_OK;
    (void)waitpid(pid, NULL, 0);
    f.step[sizeof(f.step) - 1] = '\0';
    return err_set(info, f.code == ENOENT ? ERR_NOTFOUND : ERR_IO, "%s: %s (%s): %s", spec->name, spec->argv[0], f.step,
                   strerror(f.code));
}

enum err dev_child_spawn(const struct dev_child_spec *spec, pid_t *pid, struct err_info *info)
{
    int pipe_fds[2] = {-1, -1};
    pid_t parent = getpid();
    enum err err = ERR_IO;
    int log_fd = open_log(spec->log);

    if (log_fd < 0) {
        err = err_set(info, ERR_IO, "%s: log %s: %s", spec->name, spec->log == NULL ? "stderr" : spec->log,
                      strerror(errno));
        goto out;
    }
    if (pipe2(pipe_fds, O_CLOEXEC) != 0 || (*pid = fork()) < 0) {
        err = err_set(info, ERR_IO, "%s: no new process: %s", spec->name, strerror(errno));
        goto out;
    }
    if (*pid == 0)
        child_main(spec, parent, log_fd, pipe_fds[1]);
    (void)close(pipe_fds[1]);
    pipe_fds[1] = -1;
    err = await_exec(spec, *pid, pipe_fds[0], info);
out:
    if (log_fd >= 0)
        (void)close(log_fd);
    if (pipe_fds[0] >= 0)
        (void)close(pipe_fds[0]);
    if (pipe_fds[1] >= 0)
        (void)close(pipe_fds[1]);
    return err;
}

/* Waits for the process at most until then; false when it had to be killed. */
static bool wait_or_kill(pid_t pid, int64_t end_ms, int *status)
{
    pid_t ended = 0;

    while ((ended = waitpid(pid, status, WNOHANG)) == 0 && clock_mono_ms() < end_ms)
        (void)poll(NULL, 0, POLL_MS);
    if (ended != 0)
        return true;
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, status, 0);
    return false;
}

enum err dev_child_run(const struct dev_child_spec *spec, int64_t timeout_ms, struct err_info *info)
{
    int64_t end_ms = clock_mono_ms() + timeout_ms;
    int status = 0;
    pid_t pid = -1;
    enum err err = dev_child_spawn(spec, &pid, info);

    if (err != ERR_OK)
        return err;
    if (!wait_or_kill(pid, end_ms, &status))
        return err_set(info, ERR_TIMEOUT, "%s did not end within %lld s", spec->name, (long long)(timeout_ms / 1000));
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return err_set(info, ERR_IO, "%s failed (%s %d)", spec->name, WIFEXITED(status) ? "exit code" : "signal",
                       WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    return ERR_OK;
}

int dev_child_as_user(const struct dev_user *user, int (*fn)(const char *arg), const char *arg)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0)
        _exit(become(user) ? fn(arg) : EXIT_NOT_STARTED);
    if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
        return -1;
    return WEXITSTATUS(status);
}
