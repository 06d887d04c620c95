/* Happy path: initdb into pg.new, renamed to pg when it is complete, so that an interrupted one is never taken for a cluster.
 * Failure: the end of the server's log is what the caller shows. */
#include "cli/dev/dev_postgres.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/str.h"
#include "common/io/db.h"

#define DEBIAN_FOLDER "/usr/lib/postgresql/15/bin"
#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"
#define PORT "5432" /* only part of the socket's name: nothing listens on TCP */
#define LEAST_VERSION 150000
#define INITDB_MS 120000
#define CONNECT_MS 2000

/* Both programs of one installation. */
static bool has_programs(const char *folder)
{
    char path[PATH_MAX];
    static const char *const names[] = {"initdb", "postgres"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (snprintf(path, sizeof(path), "%s/%s", folder, names[i]) >= (int)sizeof(path) || access(path, X_OK) != 0)
            return false;
    }
    return true;
}

static const char *find_programs(struct arena *arena, struct err_info *info)
{
    const char *path = getenv("PATH");

    for (const char *at = path == NULL ? DEFAULT_PATH : path; *at != '\0';) {
        size_t n = strcspn(at, ":");
        const char *folder = arena_strndup(arena, at, n);
        if (folder[0] == '/' && has_programs(folder))
            return folder;
        at += n + (at[n] == ':' ? 1 : 0);
    }
    if (has_programs(DEBIAN_FOLDER))
        return DEBIAN_FOLDER;
    (void)err_set(info, ERR_NOTFOUND, "PostgreSQL's programs are neither in PATH nor in %s; install postgresql-15",
                  DEBIAN_FOLDER);
    return NULL;
}

static char **server_env(struct arena *arena)
{
    char **env = arena_zalloc(arena, 4 * sizeof(*env));

    env[0] = arena_strdup(arena, "PATH=" DEFAULT_PATH);
    env[1] = arena_strdup(arena, "LC_ALL=C.UTF-8");
    env[2] = arena_strdup(arena, "TZ=UTC");
    return env;
}

/* ---- the cluster -------------------------------------------------------------------------------------------------------- */

static enum err run_tool(const struct dev_folder *f, struct arena *arena, const char *name, char *const *argv,
                         struct err_info *info)
{
    char *log = dev_folder_log(f, name);
    struct dev_child_spec spec = {
        .name = name, .argv = argv, .env = server_env(arena), .cwd = "/", .log = log, .user = &f->user, .death_signal = 9};
    struct err_info why = {0};
    enum err err = dev_child_run(&spec, INITDB_MS, &why);

    if (err != ERR_OK)
        err = err_set(info, err, "%s%s%s", why.text, log == NULL ? "" : "; see ", log == NULL ? "" : log);
    mem_free(log);
    return err;
}

static enum err make_new_folder(const struct dev_folder *f, const char *path, struct err_info *info)
{
    if (mkdir(path, 0700) != 0 || (f->user.change && lchown(path, f->user.uid, f->user.gid) != 0))
        return err_set(info, ERR_IO, "%s: %s", path, strerror(errno));
    return ERR_OK;
}

static enum err make_cluster(const struct dev_folder *f, struct arena *arena, struct err_info *info)
{
    const char *bin = find_programs(arena, info);
    char *fresh = arena_printf(arena, "%s.new", f->pg);
    char *remove_argv[] = {arena_strdup(arena, "rm"), arena_strdup(arena, "-rf"), arena_strdup(arena, "--"), fresh, NULL};
    char *argv[] = {bin == NULL ? NULL : arena_printf(arena, "%s/initdb", bin),
                    arena_printf(arena, "--pgdata=%s", fresh),
                    arena_strdup(arena, "--username=" DEV_POSTGRES_ADMIN),
                    arena_strdup(arena, "--auth=trust"),
                    arena_strdup(arena, "--encoding=UTF8"),
                    arena_strdup(arena, "--locale=C.UTF-8"),
                    arena_strdup(arena, "--no-instructions"),
                    NULL};
    struct stat st;
    enum err err = ERR_OK;

    if (bin == NULL)
        return ERR_NOTFOUND;
    log_info("dev.initdb", L_STR("folder", f->pg));
    if (lstat(fresh, &st) == 0) {
        struct dev_folder ours = *f;
        ours.user.change = false; /* the folder above may not be the servers' user's to change */
        err = run_tool(&ours, arena, "initdb", remove_argv, info);
    }
    if (err == ERR_OK)
        err = make_new_folder(f, fresh, info);
    if (err == ERR_OK)
        err = run_tool(f, arena, "initdb", argv, info);
    if (err == ERR_OK && rename(fresh, f->pg) != 0)
        err = err_set(info, ERR_IO, "%s: %s", f->pg, strerror(errno));
    return err;
}

/* Nobody runs here (the folder is locked and leftovers are ended), so these can only be stale; PostgreSQL would refuse to start
 * if their process number had been given to another process. */
static void remove_stale(const struct dev_folder *f, struct arena *arena)
{
    (void)unlink(arena_printf(arena, "%s/postmaster.pid", f->pg));
    (void)unlink(arena_printf(arena, "%s/.s.PGSQL." PORT, f->run));
    (void)unlink(arena_printf(arena, "%s/.s.PGSQL." PORT ".lock", f->run));
}

enum err dev_postgres_prepare(const struct dev_folder *f, struct err_info *info)
{
    struct arena arena = {0};
    enum err err = ERR_OK;

    if (access(arena_printf(&arena, "%s/PG_VERSION", f->pg), F_OK) != 0)
        err = make_cluster(f, &arena, info);
    if (err == ERR_OK)
        remove_stale(f, &arena);
    arena_free(&arena);
    return err;
}

enum err dev_postgres_spec(const struct dev_folder *f, struct arena *arena, struct dev_child_spec *spec,
                           struct err_info *info)
{
    static const char *const settings[] = {"listen_addresses=",
                                           ("port=" PORT),
                                           "unix_socket_permissions=0700",
                                           "fsync=on",
                                           "max_connections=200",
                                           "max_wal_size=2GB",
                                           "jit=off",
                                           "logging_collector=off",
                                           "log_destination=stderr",
                                           "log_line_prefix=%m [%p] %q%a ",
                                           "lc_messages=C",
                                           "timezone=UTC",
                                           "log_timezone=UTC"};
    size_t n_settings = sizeof(settings) / sizeof(settings[0]);
    const char *bin = find_programs(arena, info);
    char **argv = arena_zalloc(arena, (2 * n_settings + 6) * sizeof(*argv));
    char *log = dev_folder_log(f, "postgres");
    size_t n = 0;

    if (bin != NULL) {
        argv[n++] = arena_printf(arena, "%s/postgres", bin);
        argv[n++] = arena_strdup(arena, "-D");
        argv[n++] = arena_strdup(arena, f->pg);
        argv[n++] = arena_strdup(arena, "-c");
        argv[n++] = arena_printf(arena, "unix_socket_directories=%s", f->run);
        for (size_t i = 0; i < n_settings; i++) {
            argv[n++] = arena_strdup(arena, "-c");
            argv[n++] = arena_strdup(arena, settings[i]);
        }
        *spec = (struct dev_child_spec){
            .name = "postgres", .argv = argv, .env = server_env(arena), .cwd = "/", .user = &f->user};
        spec->log = log == NULL ? NULL : arena_strdup(arena, log);
    }
    mem_free(log);
    return bin == NULL ? ERR_NOTFOUND : ERR_OK;
}

/* ---- databases and logins ----------------------------------------------------------------------------------------------- */

const char *dev_postgres_url(const struct dev_folder *f, struct arena *arena, const char *login, const char *database)
{
    /* The run folder's name holds nothing that a URL would need escaped (dev_folder.c sees to it). */
    return arena_printf(arena, "postgresql://%s@/%s?host=%s&port=" PORT, login, database, f->run);
}

static enum err open_admin(const struct dev_folder *f, const char *database, struct db_session **db,
                           struct err_info *info)
{
    struct arena arena = {0};
    struct db_session_config config = {.url = dev_postgres_url(f, &arena, DEV_POSTGRES_ADMIN, database),
                                       .name = "usher dev",
                                       .connect_ms = CONNECT_MS};
    enum err err = db_open(&config, db, info);

    arena_free(&arena);
    return err;
}

static enum err query_i64(struct db_session *db, const struct db_stmt *stmt, int64_t *out, struct err_info *info)
{
    struct arena arena = {0};
    struct db_args args;
    struct db_result *rows = NULL;

    db_args_init(&args, &arena);
    enum err err = db_query(db, stmt, &args, &rows, info);
    if (err == ERR_OK)
        *out = db_i64(rows, 0, 0);
    db_result_free(rows);
    arena_free(&arena);
    return err;
}

enum err dev_postgres_ping(const struct dev_folder *f, struct err_info *info)
{
    static const struct db_stmt version = {"dev_version", "select current_setting('server_version_num')::int4"};
    struct db_session *db = NULL;
    int64_t number = 0;
    enum err err = open_admin(f, "postgres", &db, info);

    if (err == ERR_OK)
        err = query_i64(db, &version, &number, info);
    db_close(db);
    if (err == ERR_OK && number < LEAST_VERSION)
        return err_set(info, ERR_DB_FEATURE, "PostgreSQL %d is too old; at least 15 is needed", (int)(number / 10000));
    return err;
}

enum err dev_postgres_create_database(const struct dev_folder *f, struct err_info *info)
{
    static const struct db_stmt count = {
        "dev_databases", "select count(*) from pg_catalog.pg_database where datname = '" DEV_POSTGRES_DATABASE "'"};
    struct db_session *db = NULL;
    int64_t there = 0;
    enum err err = open_admin(f, "postgres", &db, info);

    if (err == ERR_OK)
        err = query_i64(db, &count, &there, info);
    if (err == ERR_OK && there == 0)
        err = db_exec(db, "create database " DEV_POSTGRES_DATABASE, NULL, info);
    db_close(db);
    return err;
}

enum err dev_postgres_create_logins(const struct dev_folder *f, bool *made, struct err_info *info)
{
    static const char create[] =
        "do $$ begin\n"
        "if not exists (select from pg_catalog.pg_roles where rolname = '" DEV_POSTGRES_WORKER "') then\n"
        "create role " DEV_POSTGRES_WORKER " login bypassrls in role automation_worker; end if;\n"
        "if not exists (select from pg_catalog.pg_roles where rolname = '" DEV_POSTGRES_SCHEDULER "') then\n"
        "create role " DEV_POSTGRES_SCHEDULER " login bypassrls in role automation_scheduler; end if;\n"
        "end $$";
    static const struct db_stmt groups = {
        "dev_groups",
        "select count(*) from pg_catalog.pg_roles where rolname in ('automation_worker', 'automation_scheduler')"};
    struct db_session *db = NULL;
    int64_t there = 0;
    enum err err = open_admin(f, DEV_POSTGRES_DATABASE, &db, info);

    if (err == ERR_OK)
        err = query_i64(db, &groups, &there, info);
    if (err == ERR_OK && there == 2)
        err = db_exec(db, create, NULL, info);
    *made = err == ERR_OK && there == 2;
    db_close(db);
    return err;
}
