#include "tests/support/sink.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "tests/support/folder.h"

enum { MAX_ARGS = 4 };

static void run_child(const struct sink *s, const char *script, const char *const *args, const int in[2],
                      const int out[2])
{
    char path[128];
    char *words[4 + MAX_ARGS + 1] = {0};
    size_t n = 0;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    closefrom(STDERR_FILENO + 1);
    snprintf(path, sizeof(path), "examples/season/%s", script);
    words[n++] = strdup("/usr/bin/python3"); /* Debian's, which has the modules; another may be first in PATH */
    words[n++] = path;
    words[n++] = strdup("--dir");
    words[n++] = strdup(s->dir);
    for (size_t i = 0; args != NULL && args[i] != NULL && i < MAX_ARGS; i++)
        words[n++] = strdup(args[i]);
    execv(words[0], words);
    _exit(127);
}

void sink_start(struct sink *s, const char *script, const char *const *args)
{
    int in[2];
    int out[2];
    if (s->dir[0] == '\0')
        cr_assert(folder_make(NULL, "usher-sink", s->dir, sizeof(s->dir)));
    cr_assert(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
    s->pid = fork();
    cr_assert_geq(s->pid, 0);
    if (s->pid == 0)
        run_child(s, script, args, in, out);
    close(in[0]);
    close(out[1]);
    s->hold = in[1];
    FILE *f = fdopen(out[0], "r");
    char line[128] = "";
    static const char before[] = "{\"port\": ";
    s->port = 0;
    if (f != NULL && fgets(line, sizeof(line), f) != NULL && strncmp(line, before, sizeof(before) - 1) == 0)
        s->port = (int)strtol(line + sizeof(before) - 1, NULL, 10);
    if (f != NULL)
        fclose(f);
    cr_assert_gt(s->port, 0, "%s did not start: %s", script, line);
}

void sink_halt(struct sink *s)
{
    if (s->pid <= 0)
        return;
    close(s->hold);
    kill(s->pid, SIGTERM);
    waitpid(s->pid, NULL, 0);
    s->pid = 0;
}

void sink_stop(struct sink *s)
{
    sink_halt(s);
    folder_remove(s->dir);
}

void sink_read(const struct sink *s, const char *file, struct buf *out)
{
    char path[256];
    char piece[4096];
    size_t n;
    snprintf(path, sizeof(path), "%s/%s", s->dir, file);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        return;
    while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
        buf_put(out, piece, n);
    fclose(f);
}

size_t sink_lines(const struct sink *s, const char *file, const char *holding)
{
    struct buf b = {0};
    size_t found = 0;
    sink_read(s, file, &b);
    for (char *l = b.data, *nl; l != NULL && (nl = strchr(l, '\n')) != NULL; l = nl + 1) {
        *nl = '\0';
        found += strstr(l, holding) != NULL;
    }
    buf_free(&b);
    return found;
}
