#include "tests/support/pgbouncer.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/base/clock.h"
#include "common/io/db.h"
#include "tests/support/folder.h"
#include "tests/support/postgres.h"

#define PROGRAM "/usr/sbin/pgbouncer"
#define START_MS 30000
#define TRY_EVERY_MS 20

static void die(const char *what, const char *why)
{
    fprintf(stderr, "test pgbouncer: %s: %s\n", what, why);
    abort();
}

/* Where the folder of the server's socket stands in its URL, and how long it is. */
static const char *host_of(const char *url, size_t *n)
{
    const char *host = strstr(url, "host=");

    if (host == NULL)
        die(url, "names no host");
    host += strlen("host=");
    *n = strcspn(host, "&");
    return host;
}

void pgbouncer_url(const struct pgbouncer *b, const char *url, char *out, size_t size)
{
    size_t n;
    const char *host = host_of(url, &n);

    if (snprintf(out, size, "%.*s%s%s", (int)(host - url), url, b->dir, host + n) >= (int)size)
        die(url, "too long");
}

static void write_file(const struct pgbouncer *b, const char *name, const char *text)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof(path), "%s/%s", b->dir, name);
    f = fopen(path, "w");
    if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0)
        die(path, "can not be written");
}

/* No address is listened on: the port is only the socket's name. */
static void configure(const struct pgbouncer *b, const char *url, const char *mode, int size, const char *more)
{
    char text[1024];
    size_t n;
    const char *host = host_of(url, &n);

    snprintf(text, sizeof(text),
             "[databases]\n* = host=%.*s\n[pgbouncer]\nlisten_port = 5432\nunix_socket_dir = %s\nauth_type = trust\n"
             "auth_file = users\npool_mode = %s\ndefault_pool_size = %d\n%s\n",
             (int)n, host, b->dir, mode, size, more == NULL ? "" : more);
    write_file(b, "ini", text);
    write_file(b, "users", "\"postgres\" \"\"\n\"usher_worker\" \"\"\n\"usher_scheduler\" \"\"\n");
}

static bool answers(const struct pgbouncer *b)
{
    const struct db_session_config config = {.url = b->url, .name = "test", .pooled = true};
    struct db_session *s = NULL;
    const bool up = db_open(&config, &s, NULL) == ERR_OK;

    db_close(s);
    return up;
}

void pgbouncer_start(struct pgbouncer *b, const char *url, const char *mode, int size, const char *more)
{
    const char *const args[] = {"pgbouncer", "ini", NULL};
    const int64_t deadline = clock_mono_ms() + START_MS;

    *b = (struct pgbouncer){0};
    postgres_folder("usher-pgbouncer", b->dir, sizeof(b->dir));
    pgbouncer_url(b, url, b->url, sizeof(b->url));
    configure(b, url, mode, size, more);
    b->pid = postgres_spawn(b->dir, PROGRAM, args);
    while (!answers(b)) {
        if (waitpid(b->pid, NULL, WNOHANG) != 0 || clock_mono_ms() > deadline)
            die(b->dir, "the pooler did not start; see its log");
        (void)poll(NULL, 0, TRY_EVERY_MS);
    }
}

void pgbouncer_stop(struct pgbouncer *b)
{
    if (b->pid != 0) {
        if (kill(b->pid, SIGTERM) != 0)
            die(b->dir, "can not be ended");
        waitpid(b->pid, NULL, 0);
    }
    b->pid = 0;
    folder_remove(b->dir);
}
