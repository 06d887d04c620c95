#include "tests/support/redis.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/str.h"
#include "tests/support/folder.h"
#include "tests/support/port.h"

#define START_MS 10000
#define TRY_EVERY_MS 5
#define MAX_ARGS 64
#define MAX_WORDS 32
#define SHARED_DATABASES 255 /* with-servers.sh starts 256; 0 holds the counter */

static void die(const char *what, const char *why)
{
    fprintf(stderr, "test Redis: %s: %s\n", what, why);
    abort();
}

/* ---- commands ---------------------------------------------------------------------------------------- */

struct rsession *redis_session(const char *url)
{
    const struct rconn_config config = {.url = url, .name = "test"};
    struct rsession *s = NULL;
    struct err_info info = {0};

    if (rsession_open(&config, &s, &info) != ERR_OK)
        die(url, info.text);
    return s;
}

static enum err run(struct rsession *s, const char *command, const struct reply **reply, struct err_info *info)
{
    struct str words[MAX_WORDS];
    size_t n = 0;

    for (const char *p = command; *p != '\0' && n < MAX_WORDS; n++) {
        words[n] = (struct str){p, strcspn(p, " ")};
        p += words[n].n;
        p += strspn(p, " ");
    }
    return rsession_command(s, n, words, reply, info);
}

const struct reply *redis_run(struct rsession *s, const char *command)
{
    const struct reply *reply = NULL;
    struct err_info info = {0};

    if (run(s, command, &reply, &info) != ERR_OK)
        die(command, info.text);
    return reply;
}

enum err redis_try(struct rsession *s, const char *command, struct err_info *info)
{
    const struct reply *reply = NULL;

    return run(s, command, &reply, info);
}

bool redis_test_db(char url[REDIS_URL_SIZE])
{
    const char *base = getenv("USHER_TEST_REDIS_URL");
    struct rsession *s;

    if (base == NULL) {
        fprintf(stderr, "skipped: USHER_TEST_REDIS_URL is not set (run it under tests/support/with-servers.sh)\n");
        return false;
    }
    s = redis_session(base);
    snprintf(url, REDIS_URL_SIZE, "%s?db=%d", base, 1 + (int)(redis_run(s, "INCR test:databases")->i % SHARED_DATABASES));
    rsession_close(s);
    s = redis_session(url);
    redis_run(s, "FLUSHDB");
    rsession_close(s);
    return true;
}

/* ---- private servers --------------------------------------------------------------------------------- */

static void run_server(const struct redis_server *s, pid_t parent)
{
    const char *args[MAX_ARGS] = {"redis-server",
                                  "--port",
                                  NULL,
                                  "--bind",
                                  "127.0.0.1",
                                  "--unixsocket",
                                  "redis.sock",
                                  "--dir",
                                  ".",
                                  "--save",
                                  "",
                                  "--appendonly",
                                  "no",
                                  "--logfile",
                                  "log",
                                  "--maxmemory-policy",
                                  "noeviction"};
    char port[16];
    size_t n = 17;

    snprintf(port, sizeof(port), "%d", s->port);
    args[2] = port;
    for (size_t i = 0; s->options != NULL && s->options[i] != NULL && n + 1 < MAX_ARGS; i++)
        args[n++] = s->options[i];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent || chdir(s->dir) != 0)
        _exit(1);
    execvp(args[0], (char **)(uintptr_t)args);
    _exit(1);
}

static bool answers(const struct redis_server *s)
{
    const struct rconn_config config = {.url = s->url};
    struct rsession *session = NULL;
    bool up = rsession_open(&config, &session, NULL) == ERR_OK;

    rsession_close(session);
    return up;
}

void redis_server_launch(struct redis_server *s)
{
    const pid_t parent = getpid();

    s->pid = fork();
    if (s->pid < 0)
        die("fork", strerror(errno));
    if (s->pid == 0)
        run_server(s, parent);
}

static void launch(struct redis_server *s)
{
    const int64_t deadline = clock_mono_ms() + START_MS;
    struct pollfd dead = {.events = POLLIN};

    redis_server_launch(s);
    dead.fd = pidfd_open(s->pid, 0);
    while (!answers(s)) {
        if (poll(&dead, 1, TRY_EVERY_MS) > 0)
            die(s->dir, "redis-server ended at its start; see its log");
        if (clock_mono_ms() > deadline)
            die(s->dir, "redis-server did not answer in time; see its log");
    }
    close(dead.fd);
}

static void start(struct redis_server *s, const char *const *options, int port)
{
    const char *base = getenv("TMPDIR");

    *s = (struct redis_server){.options = options, .port = port};
    /* A unix socket's path is short. */
    if (base != NULL && strlen(base) > 32)
        base = NULL;
    if (!folder_make(base, "usher-redis", s->dir, sizeof(s->dir)))
        die(s->dir, strerror(errno));
    snprintf(s->url, sizeof(s->url), "unix://%s/redis.sock", s->dir);
    launch(s);
}

void redis_server_start(struct redis_server *s, const char *const *options)
{
    start(s, options, 0);
}

void redis_server_start_tcp(struct redis_server *s, const char *const *options)
{
    start(s, options, port_free());
}

static void send_signal(const struct redis_server *s, int signo)
{
    if (s->pid != 0 && kill(s->pid, signo) != 0)
        die("kill", strerror(errno));
}

void redis_server_freeze(struct redis_server *s)
{
    send_signal(s, SIGSTOP);
}

void redis_server_thaw(struct redis_server *s)
{
    send_signal(s, SIGCONT);
}

void redis_server_kill(struct redis_server *s)
{
    if (s->pid == 0)
        return;
    send_signal(s, SIGKILL);
    waitpid(s->pid, NULL, 0);
    s->pid = 0;
}

void redis_server_restart(struct redis_server *s)
{
    redis_server_kill(s);
    launch(s);
}

void redis_server_stop(struct redis_server *s)
{
    redis_server_kill(s);
    folder_remove(s->dir);
}
