/* Happy path: make data/, lock it, choose the servers' user, choose where their files are, make those folders.
 * Failure: everything is reported with the path; nothing is deleted, and no permissions of existing folders are changed. */
#include "cli/dev/dev_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/str.h"

#define RUN_MAX 90 /* bytes: unix(7) allows 107 for a socket's path, PostgreSQL's name takes 18 with its lock file */
#define FILE_MAX_BYTES 65536
#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

char *dev_folder_path(const char *folder, const char *name)
{
    struct buf b = {0};

    buf_printf(&b, "%s/%s", folder, name);
    return b.data;
}

char *dev_folder_log(const struct dev_folder *f, const char *program)
{
    struct buf b = {0};

    if (f->log == NULL)
        return NULL;
    buf_printf(&b, "%s/%s.log", f->log, program);
    return b.data;
}

/* ---- small files ------------------------------------------------------------------------------------------------------- */

static bool write_all(int fd, const char *text)
{
    size_t n = strlen(text), done = 0;

    while (done < n) {
        ssize_t w = write(fd, text + done, n - done);
        if (w < 0 && errno != EINTR)
            return false;
        done += w > 0 ? (size_t)w : 0;
    }
    return true;
}

enum err dev_folder_write(const struct dev_folder *f, const char *name, const char *text, struct err_info *info)
{
    char *path = dev_folder_path(f->home, name);
    struct buf temporary = {0};
    enum err err = ERR_OK;

    buf_printf(&temporary, "%s.new", path);
    int fd = open(buf_text(&temporary), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || !write_all(fd, text) || rename(buf_text(&temporary), path) != 0)
        err = err_set(info, ERR_IO, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        (void)close(fd);
    buf_free(&temporary);
    mem_free(path);
    return err;
}

void dev_folder_remove(const struct dev_folder *f, const char *name)
{
    char *path = dev_folder_path(f->home, name);

    (void)unlink(path);
    mem_free(path);
}

char *dev_folder_read(const struct dev_folder *f, const char *name)
{
    char *path = dev_folder_path(f->home, name);
    char *text = mem_zalloc(FILE_MAX_BYTES + 1);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    ssize_t n = fd < 0 ? 0 : read(fd, text, FILE_MAX_BYTES);

    text[n > 0 ? n : 0] = '\0';
    if (fd >= 0)
        (void)close(fd);
    mem_free(path);
    return text;
}

/* ---- the folder itself and its lock ------------------------------------------------------------------------------------ */

static enum err make_folder(const char *path, mode_t mode, struct err_info *info)
{
    struct stat st;

    if (mkdir(path, mode) == 0)
        return chmod(path, mode) == 0 ? ERR_OK : err_set(info, ERR_IO, "%s: %s", path, strerror(errno));
    if (errno != EEXIST)
        return err_set(info, ERR_IO, "%s: %s", path, strerror(errno));
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
        return err_set(info, ERR_IO, "%s: not a folder", path);
    return ERR_OK;
}

static enum err make_home(struct dev_folder *f, const char *data, struct err_info *info)
{
    char resolved[PATH_MAX];
    enum err err = make_folder(data, geteuid() == 0 ? 0711 : 0700, info);

    if (err != ERR_OK)
        return err;
    if (realpath(data, resolved) == NULL)
        return err_set(info, ERR_IO, "%s: %s", data, strerror(errno));
    f->home = mem_strdup(resolved);
    return ERR_OK;
}

static enum err take_lock(struct dev_folder *f, struct err_info *info)
{
    char *path = dev_folder_path(f->home, "lock");
    char holder[32] = "";
    enum err err = ERR_OK;

    f->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (f->lock_fd < 0) {
        err = err_set(info, ERR_IO, "%s: %s", path, strerror(errno));
    } else if (flock(f->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        ssize_t n = pread(f->lock_fd, holder, sizeof(holder) - 1, 0);
        holder[n > 0 ? strcspn(holder, "\n") : 0] = '\0';
        err = err_set(info, ERR_BUSY, "%s is in use by process %s", f->home, holder[0] == '\0' ? "(unknown)" : holder);
    } else {
        int n = snprintf(holder, sizeof(holder), "%d\n", (int)getpid());
        if (ftruncate(f->lock_fd, 0) != 0 || pwrite(f->lock_fd, holder, (size_t)n, 0) != n)
            err = err_set(info, ERR_IO, "%s: %s", path, strerror(errno));
    }
    mem_free(path);
    return err;
}

/* ---- the servers' user ------------------------------------------------------------------------------------------------- */

static void set_user(struct dev_user *user, const struct passwd *pw)
{
    user->change = true;
    user->uid = pw->pw_uid;
    user->gid = pw->pw_gid;
    (void)str_copy(user->name, sizeof(user->name), pw->pw_name);
}

/* As root: the owner of the data that is there already, else postgres, else nobody. */
static enum err choose_user(struct dev_user *user, const char *pg, struct err_info *info)
{
    static const char *const candidates[] = {"postgres", "nobody"};
    struct stat st;
    bool there = stat(pg, &st) == 0;
    const struct passwd *pw = NULL;

    if (geteuid() != 0) {
        if (there && st.st_uid != geteuid())
            return err_set(info, ERR_DENIED, "%s belongs to user %d: start as root, or use another --data folder", pg,
                           (int)st.st_uid);
        return ERR_OK;
    }
    if (there && st.st_uid != 0)
        pw = getpwuid(st.st_uid);
    for (size_t i = 0; pw == NULL && i < sizeof(candidates) / sizeof(candidates[0]); i++) {
        pw = getpwnam(candidates[i]);
        if (pw != NULL && pw->pw_uid == 0)
            pw = NULL;
    }
    if (pw == NULL)
        return err_set(info, ERR_NOTFOUND,
                       "PostgreSQL does not run as root, and there is neither a user postgres nor nobody");
    set_user(user, pw);
    return ERR_OK;
}

/* ---- where the servers' files are -------------------------------------------------------------------------------------- */

static int can_enter(const char *path)
{
    return access(path, X_OK) == 0 ? 0 : 1;
}

static bool reachable(const struct dev_folder *f, const char *path)
{
    return !f->user.change || dev_child_as_user(&f->user, can_enter, path) == 0;
}

/* FNV-1a, 64 bits (Fowler, Noll, Vo): only a name, no defence; who owns the folder is checked. */
static uint64_t hash_of(const char *text)
{
    uint64_t h = 14695981039346656037u;

    for (; *text != '\0'; text++)
        h = (h ^ (unsigned char)*text) * 1099511628211u;
    return h;
}

static char *short_folder(const char *base, const char *home)
{
    struct buf b = {0};

    buf_printf(&b, "%s/usher-%016llx", base, (unsigned long long)hash_of(home));
    return b.data;
}

/* In a folder where everybody may write: made by us, or ours already and nobody else's to write to. */
static enum err make_short_folder(const char *path, mode_t mode, struct err_info *info)
{
    struct stat st;
    enum err err = make_folder(path, mode, info);

    if (err != ERR_OK)
        return err;
    if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022) != 0)
        return err_set(info, ERR_DENIED, "%s is not a folder of our own; remove it", path);
    return ERR_OK;
}

/* The folder that holds pg and redis: data/, or what was chosen before or must be chosen now. Allocated. */
static enum err choose_base(const struct dev_folder *f, char **base, struct err_info *info)
{
    char *remembered = dev_folder_read(f, "runtime");
    struct stat st;
    enum err err = ERR_OK;

    remembered[strcspn(remembered, "\n")] = '\0';
    if (remembered[0] == '/' && stat(remembered, &st) == 0) {
        *base = mem_strdup(remembered);
    } else if (reachable(f, f->home)) {
        *base = mem_strdup(f->home);
    } else {
        *base = short_folder(access("/var/tmp", W_OK) == 0 ? "/var/tmp" : "/tmp", f->home);
    }
    if (strcmp(*base, f->home) != 0) {
        log_warn("dev.folder", L_STR("reason", "the servers' user can not reach the data folder"),
                 L_STR("user", f->user.name), L_STR("data", f->home), L_STR("used", *base));
        err = make_short_folder(*base, 0711, info);
        if (err == ERR_OK)
            err = dev_folder_write(f, "runtime", *base, info);
    }
    mem_free(remembered);
    return err;
}

/* Characters that have no meaning in a URL, in PostgreSQL's list of folders or in Redis's settings. */
static bool is_plain(const char *path)
{
    return strspn(path, "/._-" DIGITS LETTERS) == strlen(path);
}

static enum err choose_run(struct dev_folder *f, const char *base, struct err_info *info)
{
    f->run = dev_folder_path(base, "run");
    if (strlen(f->run) <= RUN_MAX && is_plain(f->run))
        return ERR_OK;
    char *outer = short_folder("/tmp", f->home);
    log_warn("dev.folder", L_STR("reason", "the path of the sockets would be too long or hold special characters"),
             L_STR("data", f->home), L_STR("used", outer));
    mem_free(f->run);
    f->run = dev_folder_path(outer, "run");
    enum err err = make_short_folder(outer, 0711, info);
    mem_free(outer);
    return err;
}

/* A folder of the servers' user that nobody else may enter. */
static enum err make_private(const struct dev_folder *f, const char *path, struct err_info *info)
{
    struct stat st;
    enum err err = make_folder(path, 0700, info);

    if (err != ERR_OK)
        return err;
    if (f->user.change && lchown(path, f->user.uid, f->user.gid) != 0)
        return err_set(info, ERR_IO, "%s: %s", path, strerror(errno));
    if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode) || (st.st_mode & 077) != 0)
        return err_set(info, ERR_DENIED, "%s must be a folder that only its owner may enter", path);
    return ERR_OK;
}

static enum err make_log_folder(struct dev_folder *f, const char *log_dir, struct err_info *info)
{
    if (log_dir != NULL && strcmp(log_dir, "-") == 0)
        return ERR_OK;
    f->log = log_dir == NULL ? dev_folder_path(f->home, "log") : mem_strdup(log_dir);
    return make_folder(f->log, 0755, info);
}

enum err dev_folder_open(struct dev_folder *f, const char *data, const char *log_dir, struct err_info *info)
{
    char *base = NULL;
    char *pg = NULL;
    enum err err = ERR_OK;

    *f = (struct dev_folder){.lock_fd = -1};
    err = make_home(f, data, info);
    if (err == ERR_OK)
        err = take_lock(f, info);
    if (err == ERR_OK)
        err = make_log_folder(f, log_dir, info);
    if (err != ERR_OK)
        goto out;
    pg = dev_folder_path(f->home, "pg");
    err = choose_user(&f->user, pg, info);
    if (err == ERR_OK)
        err = choose_base(f, &base, info);
    if (err == ERR_OK)
        err = choose_run(f, base, info);
    if (err != ERR_OK)
        goto out;
    f->pg = dev_folder_path(base, "pg");
    f->redis = dev_folder_path(base, "redis");
    err = make_private(f, f->redis, info);
    if (err == ERR_OK)
        err = make_private(f, f->run, info);
out:
    mem_free(base);
    mem_free(pg);
    return err;
}

void dev_folder_close(struct dev_folder *f)
{
    if (f->lock_fd >= 0)
        (void)close(f->lock_fd);
    mem_free(f->home);
    mem_free(f->pg);
    mem_free(f->redis);
    mem_free(f->run);
    mem_free(f->log);
    *f = (struct dev_folder){.lock_fd = -1};
}
