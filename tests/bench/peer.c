/* peer: see peer.h. fork and exec with two pipes. Failure: false, and the caller reports the peer as not measured. */
#include "tests/bench/peer.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

bool peer_install(const char *dir, const char *packages, char *why, size_t size)
{
    int fds[2], status = -1;
    char line[256];
    FILE *from;
    pid_t pid;

    (void)snprintf(why, size, "the installer did not start");
    if (pipe(fds) != 0)
        return false;
    pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        close(fds[0]);
        close(fds[1]);
        execl("tests/bench/install-peers.sh", "install-peers.sh", dir, packages, (char *)NULL);
        _exit(127);
    }
    close(fds[1]);
    from = fdopen(fds[0], "r");
    while (from != NULL && fgets(line, sizeof(line), from) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        (void)snprintf(why, size, "%s", line);
    }
    if (from != NULL)
        fclose(from);
    return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool peer_open(struct peer *p, const char *name, const char *dir)
{
    int in[2], out[2];

    *p = (struct peer){0};
    if (pipe2(in, O_CLOEXEC) != 0)
        return false;
    if (pipe2(out, O_CLOEXEC) != 0) {
        close(in[0]);
        close(in[1]);
        return false;
    }
    p->pid = fork();
    if (p->pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        execlp("node", "node", "tests/bench/peers.js", name, dir, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    p->to = fdopen(in[1], "w");
    p->from = fdopen(out[0], "r");
    return p->pid > 0 && p->to != NULL && p->from != NULL;
}

bool peer_run(struct peer *p, struct peer_round *out)
{
    char line[128], *end;

    if (fputs("go\n", p->to) < 0 || fflush(p->to) != 0 || fgets(line, sizeof(line), p->from) == NULL)
        return false;
    out->us = strtod(line, &end);
    out->matches = strtoul(end, &end, 10);
    out->hash = (uint32_t)strtoul(end, &end, 10);
    return out->us > 0 && *end == '\n';
}

void peer_close(struct peer *p)
{
    if (p->to != NULL)
        fclose(p->to);
    if (p->from != NULL)
        fclose(p->from);
    if (p->pid > 0)
        waitpid(p->pid, NULL, 0);
    *p = (struct peer){0};
}
