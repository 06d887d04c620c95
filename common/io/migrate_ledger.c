/* migrate_ledger: automation_priv.schema_migrations and the lock of its writers. A row is written in the transaction of its
 * file; only files that run outside one are first noted as running, and a row that stays so after a crash is run again. */
#include "common/io/migrate_private.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"

#define LOCK_KEY "7274519906" /* any number, the same in every release */
#define DEFAULT_RUNNER_WAIT_MS 600000
#define LOCK_POLL_MS 100

static const char *const state_names[] = {"applied", "running", "failed", "pending", "changed", "unknown"};

const char *migrate_state_text(enum migrate_state state)
{
    return state_names[state];
}

static enum err one_value(struct db_session *s, const struct db_stmt *stmt, int64_t *v, struct err_info *info)
{
    struct db_result *res = NULL;
    enum err err = db_query(s, stmt, NULL, &res, info);
    if (err == ERR_OK)
        *v = db_i64(res, 0, 0);
    db_result_free(res);
    return err;
}

/* Asked first, because CREATE … IF NOT EXISTS needs the right to create even when there is nothing to do. */
static enum err table_exists(struct db_session *s, int64_t *exists, struct err_info *info)
{
    static const struct db_stmt stmt = {"migrate_table_exists",
                                        "SELECT (to_regclass('automation_priv.schema_migrations') IS NOT NULL)::int"};
    return one_value(s, &stmt, exists, info);
}

enum err migrate_ledger_create(struct db_session *s, struct err_info *info)
{
    int64_t exists = 0;
    enum err err = table_exists(s, &exists, info);
    if (err != ERR_OK || exists)
        return err;
    return db_exec(
        s,
        "CREATE SCHEMA IF NOT EXISTS automation_priv;"
        "CREATE TABLE automation_priv.schema_migrations ("
        " version int PRIMARY KEY CHECK (version > 0),"
        " name text NOT NULL,"
        " sha256 bytea NOT NULL CHECK (length(sha256) = 32),"
        " state text NOT NULL CHECK (state IN ('applied', 'running', 'failed')),"
        " started_at timestamptz NOT NULL,"
        " finished_at timestamptz,"
        " duration_ms bigint NOT NULL DEFAULT 0,"
        " runner text NOT NULL,"
        " pg_version text NOT NULL);"
        "COMMENT ON TABLE automation_priv.schema_migrations IS 'One row per migration file; written by usher migrate.'",
        NULL, info);
}

static void load_row(struct migrate_row *row, const struct db_result *res, int i)
{
    struct str name = db_text(res, i, 1);
    struct str sha256 = db_text(res, i, 2);
    row->version = (int)db_i64(res, i, 0);
    row->name = mem_strndup(name.p, name.n);
    if (sha256.n == sizeof(row->sha256))
        memcpy(row->sha256, sha256.p, sha256.n);
    row->state = MIGRATE_FAILED;
    for (enum migrate_state state = MIGRATE_APPLIED; state <= MIGRATE_FAILED; state++)
        if (str_is(db_text(res, i, 3), state_names[state]))
            row->state = state;
    row->finished_at_us = db_time(res, i, 4);
    row->duration_ms = db_i64(res, i, 5);
}

enum err migrate_ledger_load(struct migrate_ledger *l, struct db_session *s, struct err_info *info)
{
    static const struct db_stmt stmt = {"migrate_ledger",
                                        "SELECT version, name, sha256, state, finished_at, duration_ms "
                                        "FROM automation_priv.schema_migrations ORDER BY version"};
    struct db_result *res = NULL;
    int64_t exists = 0;
    enum err err = table_exists(s, &exists, info);
    if (err == ERR_OK && exists)
        err = db_query(s, &stmt, NULL, &res, info);
    if (res) {
        l->n = db_rows(res);
        l->rows = mem_zalloc((size_t)(l->n + 1) * sizeof(l->rows[0]));
        for (int i = 0; i < l->n; i++)
            load_row(&l->rows[i], res, i);
    }
    db_result_free(res);
    return err;
}

void migrate_ledger_free(struct migrate_ledger *l)
{
    for (int i = 0; i < l->n; i++)
        mem_free(l->rows[i].name);
    mem_free(l->rows);
    l->rows = NULL;
    l->n = 0;
}

enum err migrate_ledger_write(struct db_session *s, const struct migrate_file *file, enum migrate_state state,
                              int64_t duration_ms, int lock_pid, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "migrate_write",
        "INSERT INTO automation_priv.schema_migrations AS m "
        " (version, name, sha256, state, started_at, finished_at, duration_ms, runner, pg_version) "
        "SELECT $1, $2, $3, $4, clock_timestamp() - $5 * interval '1 ms', "
        "       CASE WHEN $4 <> 'running' THEN clock_timestamp() END, $5, $6, current_setting('server_version') "
        " WHERE EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.pid = $7 AND l.granted "
        "                AND l.classid = ((" LOCK_KEY "::int8 >> 32) & 4294967295)::oid "
        "                AND l.objid = (" LOCK_KEY "::int8 & 4294967295)::oid AND l.objsubid = 1 "
        "                AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())) "
        "ON CONFLICT (version) DO UPDATE SET name = excluded.name, sha256 = excluded.sha256, state = excluded.state, "
        " started_at = excluded.started_at, finished_at = excluded.finished_at, duration_ms = excluded.duration_ms, "
        " runner = excluded.runner, pg_version = excluded.pg_version "
        " WHERE m.state <> 'applied'"};
    struct arena arena = {0};
    struct db_args args;
    struct db_result *res = NULL;
    char host[65] = "";
    gethostname(host, sizeof(host) - 1);
    db_args_init(&args, &arena);
    db_arg_i32(&args, file->version);
    db_arg_cstr(&args, file->name);
    db_arg_bytes(&args, (struct str){(const char *)file->sha256, sizeof(file->sha256)});
    db_arg_cstr(&args, state_names[state]);
    db_arg_i64(&args, duration_ms);
    db_arg_cstr(&args, arena_printf(&arena, "%s:%d", host, (int)getpid()));
    db_arg_i32(&args, lock_pid);
    enum err err = db_query(s, &stmt, &args, &res, info);
    if (err == ERR_OK && db_affected(res) != 1)
        err = err_set(info, ERR_STATE, "%s: the runners' lock was lost or another runner applied it", file->name);
    db_result_free(res);
    arena_free(&arena);
    return err;
}

enum err migrate_ledger_lock(struct db_session *s, const struct migrate_config *config, struct err_info *info)
{
    static const struct db_stmt stmt = {"migrate_lock", "SELECT pg_try_advisory_lock(" LOCK_KEY ")::int"};
    const struct timespec pause = {.tv_nsec = LOCK_POLL_MS * 1000000L};
    int64_t wait_ms = config->runner_wait_ms > 0 ? config->runner_wait_ms : DEFAULT_RUNNER_WAIT_MS;
    int64_t deadline_ms = clock_mono_ms() + wait_ms;
    int64_t got = 0;
    bool told = false;
    enum err err = ERR_OK;
    assert(!config->pooled);
    while (err == ERR_OK) {
        err = one_value(s, &stmt, &got, info);
        if (err != ERR_OK || got)
            return err;
        if (clock_mono_ms() >= deadline_ms)
            return err_set(info, ERR_TIMEOUT,
                           "another migration runner holds the lock and did not finish in %" PRId64 " ms", wait_ms);
        if (!told && config->report)
            config->report(config->arg, "another migration runner is at work: waiting for it");
        told = true;
        nanosleep(&pause, NULL);
    }
    return err;
}
