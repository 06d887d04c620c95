#include "tests/support/proxy.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/str.h"
#include "tests/support/folder.h"

#define PAIRS_MAX 64
#define LOOK_MS 20
#define PIECE_MAX 7
#define BLOCK_BYTES 4096

struct pair {
    int client, server; /* -1: none */
};

static void die(const char *what)
{
    fprintf(stderr, "test proxy: %s: %s\n", what, strerror(errno));
    abort();
}

static int random_up_to(struct proxy *p, int n)
{
    p->random ^= p->random << 13;
    p->random ^= p->random >> 7;
    p->random ^= p->random << 17;
    return 1 + (int)(p->random % (uint64_t)n);
}

static int connect_to(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)str_copy(a.sun_path, sizeof(a.sun_path), path);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof(a)) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static void end(struct pair *pair)
{
    if (pair->client >= 0)
        close(pair->client);
    if (pair->server >= 0)
        close(pair->server);
    *pair = (struct pair){-1, -1};
}

static void take(struct proxy *p, struct pair *pairs)
{
    struct pair pair = {accept4(p->listening, NULL, NULL, SOCK_CLOEXEC), -1};

    if (pair.client >= 0)
        pair.server = connect_to(p->to);
    for (int i = 0; pair.server >= 0 && i < PAIRS_MAX; i++) {
        if (pairs[i].client < 0) {
            pairs[i] = pair;
            return;
        }
    }
    end(&pair);
}

static bool write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        ssize_t k = send(fd, bytes, n, MSG_NOSIGNAL);
        if (k <= 0)
            return false;
        bytes += k;
        n -= (size_t)k;
    }
    return true;
}

/* A turn of the loop for each piece, so that the other side really reads them apart. */
static void forward(struct proxy *p, struct pair *pair, int from, int to, enum proxy_mode mode)
{
    char block[BLOCK_BYTES];
    const bool reply = from == pair->server;
    const size_t most = reply && mode == PROXY_SPLIT ? (size_t)random_up_to(p, PIECE_MAX) : sizeof(block);
    ssize_t n = read(from, block, most);

    if (n > 0 && reply && mode == PROXY_CUT) {
        (void)write_all(to, block, (size_t)random_up_to(p, (int)n) - 1);
        n = 0;
    }
    if (n <= 0 || !write_all(to, block, (size_t)n))
        end(pair);
}

/* What the client has sent is left unread, which makes the end a reset. */
static void reset(struct proxy *p, struct pair *pairs)
{
    struct pollfd sent = {.events = POLLIN};

    for (int i = 0; i < PAIRS_MAX; i++) {
        sent.fd = pairs[i].client;
        if (sent.fd < 0 || poll(&sent, 1, 0) != 1)
            continue;
        (void)write_all(sent.fd, p->last_words, p->n_last_words);
        end(&pairs[i]);
    }
}

static void turn(struct proxy *p, struct pair *pairs)
{
    const enum proxy_mode mode = atomic_load(&p->mode);
    const bool held = mode == PROXY_HOLD || mode == PROXY_RESET;
    struct pollfd fds[1 + 2 * PAIRS_MAX] = {{.fd = p->listening, .events = POLLIN}};

    for (int i = 0; i < PAIRS_MAX; i++) {
        fds[1 + 2 * i] = (struct pollfd){.fd = held ? -1 : pairs[i].client, .events = POLLIN};
        fds[2 + 2 * i] = (struct pollfd){.fd = held ? -1 : pairs[i].server, .events = POLLIN};
    }
    atomic_store(&p->in_force, mode);
    if (mode == PROXY_RESET)
        reset(p, pairs);
    if (poll(fds, 1 + 2 * PAIRS_MAX, LOOK_MS) <= 0)
        return;
    for (int i = 0; i < PAIRS_MAX; i++) {
        if (fds[1 + 2 * i].revents != 0)
            forward(p, &pairs[i], pairs[i].client, pairs[i].server, mode);
        if (fds[2 + 2 * i].revents != 0 && pairs[i].server >= 0)
            forward(p, &pairs[i], pairs[i].server, pairs[i].client, mode);
    }
    if (fds[0].revents != 0)
        take(p, pairs);
}

static void *run(void *arg)
{
    struct proxy *p = arg;
    struct pair pairs[PAIRS_MAX];

    for (int i = 0; i < PAIRS_MAX; i++)
        pairs[i] = (struct pair){-1, -1};
    while (!atomic_load(&p->stop))
        turn(p, pairs);
    for (int i = 0; i < PAIRS_MAX; i++)
        end(&pairs[i]);
    return NULL;
}

void proxy_start(struct proxy *p, const char *name, const char *to, uint64_t seed)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};

    *p = (struct proxy){.random = seed | 1};
    if (!folder_make(NULL, "usher-proxy", p->dir, sizeof(p->dir)))
        die("folder");
    snprintf(p->from, sizeof(p->from), "%s/%s", p->dir, name);
    (void)str_copy(p->to, sizeof(p->to), to);
    (void)str_copy(a.sun_path, sizeof(a.sun_path), p->from);
    p->listening = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (p->listening < 0 || bind(p->listening, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(p->listening, 64) != 0)
        die(p->from);
    if (pthread_create(&p->thread, NULL, run, p) != 0)
        die("thread");
}

void proxy_set(struct proxy *p, enum proxy_mode mode)
{
    atomic_store(&p->mode, mode);
}

void proxy_hold(struct proxy *p)
{
    proxy_set(p, PROXY_HOLD);
    while (atomic_load(&p->in_force) != PROXY_HOLD)
        (void)poll(NULL, 0, 1);
}

void proxy_stop(struct proxy *p)
{
    if (p->dir[0] == '\0')
        return;
    atomic_store(&p->stop, true);
    pthread_join(p->thread, NULL);
    close(p->listening);
    folder_remove(p->dir);
    *p = (struct proxy){0};
}
