/* Happy path: lock the folder, end leftovers, start PostgreSQL and Redis, wait until both take commands, make the database,
 * migrate it, make the logins, write data/usher.conf; then the programs.
 * Failure: what was started is stopped again before the error is returned; a server's error comes with the end of its log. */
#include "cli/dev/dev.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cmd.h"
#include "cli/dev/dev_folder.h"
#include "cli/dev/dev_postgres.h"
#include "cli/dev/dev_redis.h"
#include "cli/dev/dev_super.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/io/migrate.h"

#define READY_MS 120000 /* recovery after a crash replays up to max_wal_size */
#define POLL_MS 25
#define LOG_TAIL_BYTES 240
#define ENV_MAX 512 /* variables a child is given on top of ours */

struct dev {
    struct dev_folder folder;
    struct dev_super *super;
    struct arena arena;
    struct dev_urls urls;
};

/* ---- waiting for a server ------------------------------------------------------------------------------------------------ */

/* The end of a server's log from the last "FATAL" or error on, for the error message. */
static void put_log_tail(const char *path, struct buf *out)
{
    char text[LOG_TAIL_BYTES + 1];
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = 0;

    if (fd < 0)
        return;
    off_t size = lseek(fd, 0, SEEK_END);
    n = pread(fd, text, LOG_TAIL_BYTES, size > LOG_TAIL_BYTES ? size - LOG_TAIL_BYTES : 0);
    (void)close(fd);
    text[n > 0 ? n : 0] = '\0';
    buf_printf(out, "; %s ends with: %s", path, text);
    while (out->len > 0 && out->data[out->len - 1] == '\n')
        out->data[--out->len] = '\0';
}

static enum err not_ready(const struct dev *d, const char *name, enum err code, const char *why, struct err_info *info)
{
    struct buf tail = {0};
    char *log = dev_folder_log(&d->folder, name);

    put_log_tail(log, &tail);
    (void)err_set(info, code, "%s: %s%s", name, why, buf_text(&tail));
    buf_free(&tail);
    mem_free(log);
    return code;
}

typedef enum err (*ping_fn)(const struct dev_folder *f, struct err_info *info);

static enum err await_ready(struct dev *d, const char *name, const struct dev_member *m, ping_fn ping,
                            struct err_info *info)
{
    int64_t started_ms = clock_mono_ms();
    struct err_info why = {0};
    struct dev_report report = {0};

    for (;;) {
        enum err err = ping(&d->folder, &why);
        if (err == ERR_OK) {
            log_info("dev.ready", L_STR("server", name), L_MS("took", clock_mono_ms() - started_ms));
            return ERR_OK;
        }
        if (dev_super_turn(d->super, POLL_MS, &report) == DEV_INTERRUPTED)
            return err_set(info, ERR_CANCELED, "interrupted");
        if (!dev_super_running(m))
            return not_ready(d, name, ERR_IO, report.text[0] == '\0' ? "ended" : report.text, info);
        if (err == ERR_DB_FEATURE)
            return not_ready(d, name, err, why.text, info);
        if (clock_mono_ms() - started_ms > READY_MS)
            return not_ready(d, name, ERR_TIMEOUT, why.text, info);
    }
}

/* ---- the stores ---------------------------------------------------------------------------------------------------------- */

static enum err start_stores(struct dev *d, struct err_info *info)
{
    struct dev_child_spec spec;
    struct dev_member *postgres = NULL, *redis = NULL;
    enum err err = dev_postgres_prepare(&d->folder, info);

    if (err == ERR_OK)
        err = dev_postgres_spec(&d->folder, &d->arena, &spec, info);
    if (err == ERR_OK)
        err = dev_super_add(d->super, DEV_POSTGRES, &spec, false, &postgres, info);
    if (err != ERR_OK)
        return err;
    dev_redis_spec(&d->folder, &d->arena, &spec);
    err = dev_super_add(d->super, DEV_REDIS, &spec, false, &redis, info);
    if (err == ERR_NOTFOUND)
        err = err_set(info, err, "redis-server is not in PATH; install redis-server");
    if (err == ERR_OK)
        err = await_ready(d, "redis", redis, dev_redis_ping, info);
    if (err == ERR_OK)
        err = await_ready(d, "postgres", postgres, dev_postgres_ping, info);
    if (err == ERR_OK) {
        dev_super_restart_from_now(postgres);
        dev_super_restart_from_now(redis);
    }
    return err;
}

static void report_migration(void *arg, const char *line)
{
    (void)arg;
    log_info("dev.migrate", L_STR("step", line));
}

static enum err prepare_database(struct dev *d, const char *migrations, struct err_info *info)
{
    struct migrate_config config = {.url = d->urls.admin, .dir = migrations, .report = report_migration};
    bool logins = false;
    enum err err = dev_postgres_create_database(&d->folder, info);

    if (err == ERR_OK && migrations != NULL)
        err = migrate_up(&config, info);
    if (err == ERR_OK)
        err = dev_postgres_create_logins(&d->folder, &logins, info);
    if (err == ERR_OK && logins) {
        d->urls.worker = dev_postgres_url(&d->folder, &d->arena, DEV_POSTGRES_WORKER, DEV_POSTGRES_DATABASE);
        d->urls.scheduler = dev_postgres_url(&d->folder, &d->arena, DEV_POSTGRES_SCHEDULER, DEV_POSTGRES_DATABASE);
    }
    return err;
}

static enum err write_settings(const struct dev *d, struct err_info *info)
{
    struct buf text = {0};

    buf_printf(&text,
               "# Written by `usher dev` while it runs; `usher --config FILE` reaches it from elsewhere.\n"
               "database-url = %s\nmaint-database-url = %s\nredis-url = %s\nenvironment = development\n",
               d->urls.admin, d->urls.admin, d->urls.redis);
    enum err err = dev_folder_write(&d->folder, CMD_DEV_FILE, buf_text(&text), info);
    buf_free(&text);
    return err;
}

/* libpq would add these to the addresses that we give. */
static void forget_libpq_variables(void)
{
    static const char *const names[] = {
        "PGHOST",           "PGHOSTADDR", "PGPORT",    "PGDATABASE",           "PGUSER",
        "PGPASSWORD",       "PGPASSFILE", "PGSERVICE", "PGSERVICEFILE",        "PGOPTIONS",
        "PGSSLMODE",        "PGAPPNAME",  "PGTZ",      "PGTARGETSESSIONATTRS", "PGREQUIREAUTH",
        "PGCLIENTENCODING", "PGDATESTYLE"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        (void)unsetenv(names[i]);
}

enum err dev_start(const struct dev_config *config, struct dev **out, struct err_info *info)
{
    struct dev *d = mem_zalloc(sizeof(*d));
    enum err err = dev_folder_open(&d->folder, config->data, config->log_dir, info);

    forget_libpq_variables();
    if (err == ERR_OK)
        err = dev_super_new(&d->folder, &d->super, info);
    if (err != ERR_OK)
        goto out;
    d->urls.admin = dev_postgres_url(&d->folder, &d->arena, DEV_POSTGRES_ADMIN, DEV_POSTGRES_DATABASE);
    d->urls.worker = d->urls.scheduler = d->urls.admin;
    d->urls.redis = dev_redis_url(&d->folder, &d->arena);
    err = start_stores(d, info);
    if (err == ERR_OK)
        err = prepare_database(d, config->migrations, info);
    if (err == ERR_OK)
        err = write_settings(d, info);
out:
    if (err != ERR_OK) {
        dev_stop(d);
        return err;
    }
    *out = d;
    return ERR_OK;
}

const struct dev_urls *dev_urls(const struct dev *d)
{
    return &d->urls;
}

const char *dev_data(const struct dev *d)
{
    return d->folder.home;
}

/* ---- programs ------------------------------------------------------------------------------------------------------------ */

struct env {
    char **items;
    size_t n, max;
};

/* Replaces the variable of the same name, or adds it. */
static void env_set(struct env *e, const char *assignment)
{
    size_t name_n = strcspn(assignment, "=") + 1;

    for (size_t i = 0; i < e->n; i++) {
        if (strncmp(e->items[i], assignment, name_n) == 0) {
            e->items[i] = (char *)(uintptr_t)assignment;
            return;
        }
    }
    if (e->n < e->max)
        e->items[e->n++] = (char *)(uintptr_t)assignment;
}

/* Our environment, the addresses, then what the caller adds. In d's arena; strings are borrowed. */
static struct env make_env(struct dev *d, const char *database_url, char *const *more)
{
    struct env e = {0};
    size_t n = 0;

    while (environ[n] != NULL)
        n++;
    e.max = n + ENV_MAX;
    e.items = arena_zalloc(&d->arena, (e.max + 1) * sizeof(*e.items));
    memcpy(e.items, environ, n * sizeof(*e.items));
    e.n = n;
    env_set(&e, arena_printf(&d->arena, "DATABASE_URL=%s", database_url));
    env_set(&e, arena_printf(&d->arena, "USHER_MAINT_DATABASE_URL=%s", d->urls.admin));
    env_set(&e, arena_printf(&d->arena, "REDIS_URL=%s", d->urls.redis));
    env_set(&e, "USHER_ENV=development");
    for (size_t i = 0; more != NULL && more[i] != NULL; i++)
        env_set(&e, more[i]);
    return e;
}

/* A program of ours: beside our own executable. */
static const char *find_program(struct arena *arena, const char *name, struct err_info *info)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    self[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(self, '/');
    if (slash != NULL)
        *slash = '\0';
    char *path = arena_printf(arena, "%s/%s", self, name);
    if (access(path, X_OK) == 0)
        return path;
    (void)err_set(info, ERR_NOTFOUND, "%s: %s; build it, or start the stores alone with --no-children", path,
                  strerror(errno));
    return NULL;
}

static enum err add_program(struct dev *d, enum dev_stage stage, const char *path, const char *name, const char *url,
                            const struct dev_programs *programs, struct err_info *info)
{
    char *const *args = stage == DEV_WORKER ? programs->worker_args : NULL;
    struct env env = make_env(d, url, programs->env);
    size_t n = 0;

    while (args != NULL && args[n] != NULL)
        n++;
    char **argv = arena_zalloc(&d->arena, (n + 2) * sizeof(*argv));
    argv[0] = arena_strdup(&d->arena, path);
    for (size_t i = 0; i < n; i++)
        argv[i + 1] = args[i];
    char *log = dev_folder_log(&d->folder, name);
    struct dev_child_spec spec = {.name = name, .argv = argv, .env = env.items, .log = log};
    enum err err = dev_super_add(d->super, stage, &spec, true, NULL, info);
    mem_free(log);
    return err;
}

enum err dev_check_programs(struct err_info *info)
{
    struct arena arena = {0};
    bool found =
        find_program(&arena, "usher-scheduler", info) != NULL && find_program(&arena, "usher-worker", info) != NULL;

    arena_free(&arena);
    return found ? ERR_OK : ERR_NOTFOUND;
}

enum err dev_add_programs(struct dev *d, const struct dev_programs *programs, struct err_info *info)
{
    const char *scheduler = find_program(&d->arena, "usher-scheduler", info);
    const char *worker = scheduler == NULL ? NULL : find_program(&d->arena, "usher-worker", info);
    enum err err = worker == NULL ? ERR_NOTFOUND : ERR_OK;

    if (err == ERR_OK)
        err = add_program(d, DEV_SCHEDULER, scheduler, "scheduler", d->urls.scheduler, programs, info);
    for (int i = 1; err == ERR_OK && i <= programs->workers; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "worker-%d", i);
        err = add_program(d, DEV_WORKER, worker, name, d->urls.worker, programs, info);
    }
    return err;
}

enum err dev_add_helper(struct dev *d, const char *name, char *const *argv, char *const *env, struct err_info *info)
{
    struct env full = make_env(d, d->urls.admin, env);
    char *log = dev_folder_log(&d->folder, name);
    struct dev_child_spec spec = {.name = name, .argv = argv, .env = full.items, .log = log};
    enum err err = dev_super_add(d->super, DEV_HELPER, &spec, true, NULL, info);

    mem_free(log);
    return err;
}

enum err dev_run_command(struct dev *d, char *const *argv, char *const *env, struct err_info *info)
{
    struct env full = make_env(d, d->urls.admin, NULL);

    env_set(&full, arena_printf(&d->arena, "PGHOST=%s", d->folder.run));
    env_set(&full, "PGPORT=5432");
    env_set(&full, "PGUSER=" DEV_POSTGRES_ADMIN);
    env_set(&full, "PGDATABASE=" DEV_POSTGRES_DATABASE);
    env_set(&full, arena_printf(&d->arena, "WORKER_DATABASE_URL=%s", d->urls.worker));
    env_set(&full, arena_printf(&d->arena, "SCHEDULER_DATABASE_URL=%s", d->urls.scheduler));
    for (size_t i = 0; env != NULL && env[i] != NULL; i++)
        env_set(&full, env[i]);
    struct dev_child_spec spec = {.name = argv[0], .argv = argv, .env = full.items, .foreground = true};
    return dev_super_add(d->super, DEV_COMMAND, &spec, false, NULL, info);
}

enum dev_event dev_turn(struct dev *d, int64_t timeout_ms, struct dev_report *report)
{
    struct dev_report ignored = {0};

    return dev_super_turn(d->super, timeout_ms, report == NULL ? &ignored : report);
}

pid_t dev_pid(const struct dev *d, const char *name)
{
    const char *found = NULL;
    const struct dev_member *m = NULL;

    for (size_t i = 0; (m = dev_super_member(d->super, i, &found)) != NULL; i++) {
        if (strcmp(found, name) == 0)
            return dev_super_pid(m);
    }
    return 0;
}

size_t dev_restarts(const struct dev *d)
{
    return dev_super_restarts(d->super);
}

void dev_stop(struct dev *d)
{
    if (d == NULL)
        return;
    if (d->super != NULL) {
        dev_super_stop(d->super, false);
        dev_folder_remove(&d->folder, CMD_DEV_FILE);
        dev_super_free(d->super);
    }
    dev_folder_close(&d->folder);
    arena_free(&d->arena);
    mem_free(d);
}
