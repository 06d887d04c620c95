/* queue_peer: see queue_peer.h. fork and exec; the answer is one line. A peer that hangs is killed and counts as one that ended early. */
#include "tests/bench/queue_peer.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/peer.h"
#include "tests/bench/queue_env.h"

const struct queue_peer queue_peers[QUEUE_PEERS] = {
    {"peer_bullmq", "bullmq", "plain", 30000, 4, 0},
    {"peer_bullmq_logged", "bullmq", "logged", 10000, 12, 0},
    {"peer_bullmq_batch_logged", "bullmq", "batch_logged", 30000, 4.5, 0},
    {"peer_graphile_worker", "graphile_worker", "plain", 30000, 2.3, 1},
    {"peer_graphile_worker_logged", "graphile_worker", "logged", 10000, 12, 5},
    {"peer_graphile_worker_batch_logged", "graphile_worker", "batch_logged", 30000, 4.5, 1.5},
    {"peer_sidekiq", "sidekiq", "plain", 30000, 3.5, 0},
    {"peer_sidekiq_logged", "sidekiq", "logged", 10000, 12, 0},
    {"peer_sidekiq_batch_logged", "sidekiq", "batch_logged", 10000, 4.5, 0},
};

#define PATIENCE_MS 120000 /* the slowest needs about 15 s */

static bool runs(const char *program, const char *option, const char *text)
{
    int status = -1;
    pid_t pid = fork();

    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        dup2(null, 1);
        dup2(null, 2);
        execlp(program, program, option, text, (char *)NULL);
        _exit(127);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

bool queue_peer_installed(size_t i, char *why, size_t size)
{
    static int npm = -1; /* not tried yet */

    if (strcmp(queue_peers[i].name, "sidekiq") != 0) {
        if (npm < 0)
            npm = peer_install(QUEUE_ENV_DIR, "tests/bench/queue_peers", why, size);
        return npm;
    }
    (void)snprintf(why, size, "ruby-sidekiq is not installed");
    if (!runs("ruby", "-e", "require 'sidekiq'"))
        return false;
    (void)snprintf(why, size, "ruby-pg is not installed");
    if (strcmp(queue_peers[i].mode, "logged") == 0)
        return runs("ruby", "-e", "require 'pg'");
    (void)snprintf(why, size, "its threads have nothing to gather rows of several jobs with");
    return strcmp(queue_peers[i].mode, "plain") == 0;
}

static void run_peer(const struct queue_peer *p, int to)
{
    char n[16], url[512];
    int log = open(QUEUE_ENV_DIR "/peer.log", O_WRONLY | O_CREAT | O_APPEND, 0666);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(to, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    closefrom(STDERR_FILENO + 1);
    (void)snprintf(n, sizeof(n), "%zu", queue_env_n(p->n, 2000));
    if (strcmp(p->name, "sidekiq") == 0) {
        (void)snprintf(url, sizeof(url), "host=%s user=postgres dbname=%s", queue_env.postgres.dir, queue_env.pg.name);
        execlp("ruby", "ruby", "tests/bench/queue_peers/sidekiq.rb", p->mode, n, queue_env.redis.url, url, (char *)NULL);
    } else {
        (void)snprintf(url, sizeof(url), "postgres://postgres@/%s?host=%s", queue_env.pg.name, queue_env.postgres.dir);
        execlp("node", "node", "tests/bench/queue_peers/peer.js", p->name, p->mode, n,
               queue_env.redis.url + strlen("unix://"), url, QUEUE_ENV_DIR, (char *)NULL);
    }
    _exit(127);
}

double queue_peer_drain(size_t i)
{
    char line[64] = "";
    double per_s = 0;
    struct pollfd answer;
    int fds[2];
    pid_t pid;

    queue_env_clean();
    test_pg_run(&queue_env.pg, "drop schema if exists graphile_worker cascade");
    if (pipe(fds) != 0)
        return 0;
    pid = fork();
    if (pid == 0)
        run_peer(&queue_peers[i], fds[1]);
    close(fds[1]);
    answer = (struct pollfd){.fd = fds[0], .events = POLLIN};
    if (poll(&answer, 1, PATIENCE_MS) == 1 && read(fds[0], line, sizeof(line) - 1) > 0)
        per_s = strtod(line, NULL);
    if (pid > 0) { /* what it still has to do is of no interest */
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    close(fds[0]);
    return per_s;
}
