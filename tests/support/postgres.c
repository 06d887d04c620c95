#include "tests/support/postgres.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/io/db.h"
#include "tests/support/folder.h"
#include "tests/support/port.h"

#define START_MS 60000 /* initdb's and a recovery's share of a loaded machine */
#define TRY_EVERY_MS 50
#define ARGS_MAX 32
#define SOCKET_PORT 5432 /* part of the socket's name */

static void die(const char *what, const char *why)
{
    fprintf(stderr, "test PostgreSQL: %s: %s\n", what, why);
    abort();
}

/* PostgreSQL refuses to run as root. */
static void drop_privileges(void)
{
    const struct passwd *nobody = geteuid() == 0 ? getpwnam("nobody") : NULL;

    if (nobody != NULL && (setgroups(0, NULL) != 0 || setgid(nobody->pw_gid) != 0 || setuid(nobody->pw_uid) != 0))
        _exit(1);
}

pid_t postgres_spawn(const char *dir, const char *path, const char *const *args)
{
    const pid_t parent = getpid();
    const pid_t pid = fork();

    if (pid < 0)
        die("fork", strerror(errno));
    if (pid > 0)
        return pid;
    drop_privileges();
    prctl(PR_SET_PDEATHSIG, SIGQUIT); /* after the change of the user, which clears it */
    if (getppid() != parent || chdir(dir) != 0 || freopen("log", "a", stdout) == NULL || dup2(1, 2) < 0)
        _exit(1);
    execv(path, (char **)(uintptr_t)args);
    _exit(1);
}

static pid_t run(const struct postgres *p, const char *program, const char *const *args)
{
    const char *bindir = getenv("PG_BINDIR");
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", bindir != NULL ? bindir : "/usr/lib/postgresql/15/bin", program);
    return postgres_spawn(p->dir, path, args);
}

void postgres_folder(const char *kind, char *out, size_t size)
{
    const struct passwd *nobody = geteuid() == 0 ? getpwnam("nobody") : NULL;

    if (!folder_make(NULL, kind, out, size) || (nobody != NULL && chown(out, nobody->pw_uid, nobody->pw_gid) != 0))
        die(out, strerror(errno));
}

static void init(const struct postgres *p)
{
    static const char *const args[] = {"initdb",    "-D",
                                       "pg",        "-U",
                                       "postgres",  "-A",
                                       "trust",     "-E",
                                       "UTF8",      "--locale=C.UTF-8",
                                       "--no-sync", "--no-instructions",
                                       NULL};
    int status = 0;
    const pid_t pid = run(p, "initdb", args);

    if (waitpid(pid, &status, 0) != pid || status != 0)
        die(p->dir, "initdb failed; see its log");
}

static bool answers(const struct postgres *p)
{
    const struct db_session_config config = {.url = p->url, .name = "test"};
    struct db_session *s = NULL;
    const bool up = db_open(&config, &s, NULL) == ERR_OK;

    db_close(s);
    return up;
}

static void launch(struct postgres *p)
{
    char port[32];
    const char *args[ARGS_MAX] = {"postgres",
                                  "-D",
                                  "pg",
                                  "-k",
                                  p->dir,
                                  "-c",
                                  p->port == 0 ? "listen_addresses=" : "listen_addresses=127.0.0.1",
                                  "-c",
                                  "max_connections=50",
                                  "-c",
                                  "shared_buffers=32MB",
                                  "-c",
                                  "log_min_messages=warning",
                                  "-c",
                                  port};
    size_t n = 15;
    const int64_t deadline = clock_mono_ms() + START_MS;

    snprintf(port, sizeof(port), "port=%d", p->port == 0 ? SOCKET_PORT : p->port);
    for (size_t i = 0; p->options != NULL && p->options[i] != NULL && n < ARGS_MAX - 1; i++)
        args[n++] = p->options[i]; /* of two that name the same setting the last one holds */
    p->pid = run(p, "postgres", args);
    while (!answers(p)) {
        if (waitpid(p->pid, NULL, WNOHANG) != 0 || clock_mono_ms() > deadline)
            die(p->dir, "the server did not start; see its log");
        (void)poll(NULL, 0, TRY_EVERY_MS);
    }
}

void postgres_start(struct postgres *p)
{
    postgres_start_with(p, NULL);
}

static void start(struct postgres *p, const char *const *options, int port)
{
    *p = (struct postgres){.options = options, .port = port};
    postgres_folder("usher-postgres", p->dir, sizeof(p->dir));
    if (port == 0)
        snprintf(p->url, sizeof(p->url), "postgresql:///postgres?host=%s&user=postgres", p->dir);
    else
        snprintf(p->url, sizeof(p->url), "postgresql:///postgres?host=127.0.0.1&port=%d&user=postgres", port);
    init(p);
    launch(p);
    setenv("USHER_TEST_DATABASE_URL", p->url, 1);
}

void postgres_start_with(struct postgres *p, const char *const *options)
{
    start(p, options, 0);
}

void postgres_start_tcp(struct postgres *p, const char *const *options)
{
    start(p, options, port_free());
}

void postgres_halt(struct postgres *p)
{
    if (p->pid == 0)
        return;
    if (kill(p->pid, SIGQUIT) != 0)
        die("kill", strerror(errno));
    waitpid(p->pid, NULL, 0);
    p->pid = 0;
}

void postgres_restart(struct postgres *p)
{
    postgres_halt(p);
    launch(p);
}

void postgres_stop(struct postgres *p)
{
    postgres_halt(p);
    folder_remove(p->dir);
}
