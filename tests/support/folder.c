/* folder: see folder.h. */
#include "tests/support/folder.h"

#include <errno.h>
#include <ftw.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEPTH 16

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static bool abandoned(const char *dir, size_t prefix_n)
{
    const long pid = strtol(dir + prefix_n, NULL, 10);

    return pid > 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH;
}

static void remove_abandoned(const char *base, const char *kind)
{
    char pattern[128];
    glob_t found = {0};
    const size_t prefix_n = (size_t)snprintf(pattern, sizeof(pattern), "%s/%s.", base, kind);

    (void)snprintf(pattern, sizeof(pattern), "%s/%s.[0-9]*.??????", base, kind);
    if (glob(pattern, GLOB_NOSORT, NULL, &found) == 0)
        for (size_t i = 0; i < found.gl_pathc; i++)
            if (abandoned(found.gl_pathv[i], prefix_n))
                (void)nftw(found.gl_pathv[i], remove_one, DEPTH, FTW_DEPTH | FTW_PHYS);
    globfree(&found);
}

bool folder_make(const char *base, const char *kind, char *out, size_t size)
{
    if (base == NULL)
        base = "/tmp";
    remove_abandoned(base, kind);
    const int n = snprintf(out, size, "%s/%s.%d.XXXXXX", base, kind, (int)getpid());
    if (n < 0 || (size_t)n >= size) {
        errno = ENAMETOOLONG;
        return false;
    }
    return mkdtemp(out) != NULL;
}

void folder_remove(char *dir)
{
    if (dir[0] != '\0')
        (void)nftw(dir, remove_one, DEPTH, FTW_DEPTH | FTW_PHYS);
    dir[0] = '\0';
}
