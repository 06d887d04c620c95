/* migrate: up, status and verify.
 *
 * up: read and check the folder → lock (a session of its own, for the whole run) → ledger → plan → per file a fresh
 * session, so that no SET of one file reaches the next: BEGIN, lock_timeout, text, ledger row, COMMIT. A lock that could not
 * be had in time rolls the file back and tries it again. Failures: before the first file nothing is changed; later, files
 * that were applied stay applied and the one that failed left nothing. A lost connection at COMMIT leaves the ledger to
 * tell, which the next run reads. Files outside a transaction are noted as running first and can be run again. */
#include "common/io/migrate.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/io/db.h"
#include "common/io/db_private.h"
#include "common/io/migrate_private.h"

#define DEFAULT_STATEMENT_MS 600000
#define DEFAULT_LOCK_TIMEOUT_MS 5000
#define DEFAULT_TRIES 10
#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 5000

struct run {
    const struct migrate_config *config;
    struct migrate_dir dir;
    struct migrate_ledger ledger;
    struct db_session *lock; /* holds the runners' lock; reads in status and verify */
};

static void report(const struct run *r, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void report(const struct run *r, const char *fmt, ...)
{
    char line[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (r->config->report)
        r->config->report(r->config->arg, line);
}

enum err migrate_session_open(const struct migrate_config *config, struct db_session **out, struct err_info *info)
{
    const struct db_session_config session = {
        .url = config->url,
        .name = "usher-migrate",
        .role = config->role,
        .statement_ms = config->statement_ms > 0 ? config->statement_ms : DEFAULT_STATEMENT_MS,
        .pooled = config->pooled,
    };
    return db_open(&session, out, info);
}

static enum err run_open(struct run *r, const struct migrate_config *config, struct err_info *info)
{
    r->config = config;
    enum err err = migrate_dir_load(&r->dir, config->dir ? config->dir : MIGRATE_DEFAULT_DIR, info);
    return err == ERR_OK ? migrate_session_open(config, &r->lock, info) : err;
}

static void run_close(struct run *r)
{
    db_close(r->lock);
    migrate_dir_free(&r->dir);
    migrate_ledger_free(&r->ledger);
}

/* ---- plan -------------------------------------------------------------------------------------------------------------- */
static const struct migrate_row *row_of(const struct run *r, int version)
{
    for (int i = 0; i < r->ledger.n; i++)
        if (r->ledger.rows[i].version == version)
            return &r->ledger.rows[i];
    return NULL;
}

static enum migrate_state state_of(const struct run *r, const struct migrate_file *file)
{
    const struct migrate_row *row = row_of(r, file->version);
    if (!row)
        return MIGRATE_PENDING;
    if (row->state == MIGRATE_APPLIED && memcmp(row->sha256, file->sha256, sizeof(file->sha256)) != 0)
        return MIGRATE_CHANGED;
    return row->state;
}

static const struct migrate_row *last_applied(const struct run *r)
{
    const struct migrate_row *last = NULL;
    for (int i = 0; i < r->ledger.n; i++)
        if (r->ledger.rows[i].state == MIGRATE_APPLIED)
            last = &r->ledger.rows[i];
    return last;
}

/* Refuses what can not be put right by running files; counts what is to run. */
static enum err check_plan(const struct run *r, int *pending, struct err_info *info)
{
    const struct migrate_row *last = last_applied(r);
    *pending = 0;
    for (int i = 0; i < r->dir.n; i++) {
        const struct migrate_file *file = &r->dir.files[i];
        enum migrate_state state = state_of(r, file);
        if (state == MIGRATE_CHANGED)
            return err_set(info, ERR_STATE,
                           "%s/%s was changed after it had been applied: restore it and put the change into a "
                           "new file",
                           r->dir.path, file->name);
        if (state == MIGRATE_APPLIED)
            continue;
        if (last && file->version < last->version)
            return err_set(info, ERR_STATE,
                           "%s/%s is numbered below %s, which is applied already: give it a higher number", r->dir.path,
                           file->name, last->name);
        ++*pending;
    }
    return ERR_OK;
}

static int report_unknown(const struct run *r)
{
    int n = 0;
    for (int i = 0; i < r->ledger.n; i++) {
        const struct migrate_row *row = &r->ledger.rows[i];
        if (migrate_dir_find(&r->dir, row->version))
            continue;
        report(r, "%s is in the database (%s) but not in %s", row->name, migrate_state_text(row->state), r->dir.path);
        n++;
    }
    return n;
}

/* ---- one file ------------------------------------------------------------------------------------------------------------ */
/* Where the error happened: at the server's position, else at the first statement that did not end well. */
static int line_of(const struct migrate_file *file, const struct db_progress *progress)
{
    struct str text = {file->text.data, file->text.len};
    struct str statement = {text.p, 0};
    size_t at = 0;
    if (progress->position > 0)
        return migrate_sql_line(text, migrate_sql_offset(text, progress->position));
    for (int i = 0; i <= progress->completed; i++)
        if (!migrate_sql_next(text, &at, &statement))
            break;
    return migrate_sql_line(text, (size_t)(statement.p - text.p));
}

static enum err run_text(const struct run *r, struct db_session *s, const struct migrate_file *file,
                         struct err_info *info)
{
    struct db_progress progress;
    struct err_info cause;
    enum err err = db_session_run(s, file->text.data, &progress, &cause);
    if (err == ERR_OK)
        return ERR_OK;
    return err_set(info, err, "%s/%s:%d: %s", r->dir.path, file->name, line_of(file, &progress), cause.text);
}

/* A file may have changed the role; the ledger belongs to the one we began with. */
static enum err restore_role(const struct run *r, struct db_session *s, struct err_info *info)
{
    static const struct db_stmt stmt = {"migrate_role", "SELECT set_config('role', $1, false)"};
    struct arena arena = {0};
    struct db_args args;
    db_args_init(&args, &arena);
    db_arg_cstr(&args, r->config->role && r->config->role[0] ? r->config->role : "none");
    enum err err = db_query(s, &stmt, &args, NULL, info);
    arena_free(&arena);
    return err;
}

enum err migrate_lock_timeout(const struct migrate_config *config, struct db_session *s, const char *prefix,
                              struct err_info *info)
{
    char sql[96];
    int64_t ms = config->lock_timeout_ms > 0 ? config->lock_timeout_ms : DEFAULT_LOCK_TIMEOUT_MS;
    snprintf(sql, sizeof(sql), "%s lock_timeout = %" PRId64, prefix, ms);
    return db_exec(s, sql, NULL, info);
}

static enum err apply_in_transaction(const struct run *r, struct db_session *s, const struct migrate_file *file,
                                     struct err_info *info)
{
    int64_t start_ms = clock_mono_ms();
    enum err err = migrate_lock_timeout(r->config, s, "BEGIN; SET LOCAL", info);
    if (err == ERR_OK)
        err = run_text(r, s, file, info);
    if (err == ERR_OK)
        err = restore_role(r, s, info);
    if (err == ERR_OK)
        err = migrate_ledger_write(s, file, MIGRATE_APPLIED, clock_mono_ms() - start_ms, db_backend_pid(r->lock), info);
    if (err == ERR_OK)
        err = db_exec(s, "COMMIT", NULL, info);
    return err;
}

static enum err check_indexes(const struct run *r, struct db_session *s, const struct migrate_file *file,
                              struct err_info *info)
{
    char name[150];
    enum err err = migrate_catalog_invalid_index(s, name, sizeof(name), info);
    if (err == ERR_OK && name[0])
        err = err_set(info, ERR_STATE,
                      "%s/%s: the index %s is not valid, a failed build left it: DROP INDEX CONCURRENTLY %s and "
                      "run again",
                      r->dir.path, file->name, name, name);
    return err;
}

static enum err apply_alone(const struct run *r, struct db_session *s, const struct migrate_file *file,
                            struct err_info *info)
{
    int lock_pid = db_backend_pid(r->lock);
    int64_t start_ms = clock_mono_ms();
    enum err err = migrate_ledger_write(s, file, MIGRATE_RUNNING, 0, lock_pid, info);
    if (err == ERR_OK)
        err = migrate_lock_timeout(r->config, s, "SET", info);
    if (err != ERR_OK)
        return err;
    err = run_text(r, s, file, info);
    if (err == ERR_OK)
        err = check_indexes(r, s, file, info);
    enum migrate_state state = err == ERR_OK ? MIGRATE_APPLIED : MIGRATE_FAILED;
    int64_t took_ms = clock_mono_ms() - start_ms;
    enum err noted = migrate_ledger_write(s, file, state, took_ms, lock_pid, err == ERR_OK ? info : NULL);
    return err == ERR_OK ? noted : err;
}

static enum err apply_once(const struct run *r, const struct migrate_file *file, struct err_info *info)
{
    struct db_session *s = NULL;
    enum err err = migrate_session_open(r->config, &s, info);
    if (err == ERR_OK)
        err = file->no_transaction ? apply_alone(r, s, file, info) : apply_in_transaction(r, s, file, info);
    db_close(s); /* rolls back what was not committed */
    return err;
}

static enum err apply(const struct run *r, const struct migrate_file *file, struct err_info *info)
{
    int tries = r->config->tries > 0 ? r->config->tries : DEFAULT_TRIES;
    int64_t pause_ms = RETRY_MIN_MS;
    int64_t start_ms = clock_mono_ms();
    for (int i = 1;; i++) {
        enum err err = apply_once(r, file, info);
        if (err == ERR_OK) {
            report(r, "applied %s in %" PRId64 " ms", file->name, clock_mono_ms() - start_ms);
            return ERR_OK;
        }
        if (err != ERR_DB_LOCK || i >= tries)
            return err;
        report(r, "%s: a lock could not be had, try %d of %d follows in %" PRId64 " ms", file->name, i + 1, tries,
               pause_ms);
        const struct timespec pause = {.tv_sec = pause_ms / 1000, .tv_nsec = pause_ms % 1000 * 1000000};
        nanosleep(&pause, NULL);
        pause_ms = pause_ms * 2 < RETRY_MAX_MS ? pause_ms * 2 : RETRY_MAX_MS;
    }
}

/* ---- public ------------------------------------------------------------------------------------------------------------ */
static enum err run_pending(struct run *r, struct err_info *info)
{
    int pending = 0;
    enum err err = check_plan(r, &pending, info);
    if (err != ERR_OK)
        return err;
    report_unknown(r);
    for (int i = 0; i < r->dir.n && err == ERR_OK; i++)
        if (state_of(r, &r->dir.files[i]) != MIGRATE_APPLIED)
            err = apply(r, &r->dir.files[i], info);
    if (err == ERR_OK && pending == 0)
        report(r, "nothing to do: all %d files are applied", r->dir.n);
    return err;
}

enum err migrate_up(const struct migrate_config *config, struct err_info *info)
{
    struct run r = {0};
    enum err err = run_open(&r, config, info);
    if (err == ERR_OK)
        err = migrate_ledger_lock(r.lock, config, info);
    if (err == ERR_OK)
        err = migrate_ledger_create(r.lock, info);
    if (err == ERR_OK)
        err = migrate_ledger_load(&r.ledger, r.lock, info);
    if (err == ERR_OK)
        err = run_pending(&r, info);
    run_close(&r);
    return err;
}

/* Merges the two sorted lists. */
static void list_entries(const struct run *r, void (*row)(void *arg, const struct migrate_entry *entry), void *arg)
{
    for (int f = 0, l = 0;;) {
        const struct migrate_file *file = f < r->dir.n ? &r->dir.files[f] : NULL;
        const struct migrate_row *known = l < r->ledger.n ? &r->ledger.rows[l] : NULL;
        struct migrate_entry entry = {.finished_at_us = DB_NULL_TIME};
        if (!file && !known)
            break;
        if (file && known && file->version > known->version)
            file = NULL;
        else if (file && known && file->version < known->version)
            known = NULL;
        if (file) {
            entry.version = file->version;
            entry.name = file->name;
            entry.state = state_of(r, file);
        } else if (known) {
            entry.version = known->version;
            entry.name = known->name;
            entry.state = MIGRATE_UNKNOWN;
        }
        if (known && known->state == MIGRATE_APPLIED) {
            entry.finished_at_us = known->finished_at_us;
            entry.duration_ms = known->duration_ms;
        }
        row(arg, &entry);
        f += file != NULL;
        l += known != NULL;
    }
}

enum err migrate_status(const struct migrate_config *config, void (*row)(void *arg, const struct migrate_entry *entry),
                        void *arg, int *pending, struct err_info *info)
{
    struct run r = {0};
    int count = 0;
    enum err err = run_open(&r, config, info);
    if (err == ERR_OK)
        err = migrate_ledger_load(&r.ledger, r.lock, info);
    if (err == ERR_OK) {
        list_entries(&r, row, arg);
        err = check_plan(&r, &count, info);
    }
    if (pending)
        *pending = count;
    run_close(&r);
    return err;
}

enum err migrate_verify(const struct migrate_config *config, char fingerprint[MIGRATE_FINGERPRINT_SIZE],
                        struct err_info *info)
{
    struct run r = {0};
    int pending = 0;
    fingerprint[0] = '\0';
    enum err err = run_open(&r, config, info);
    if (err == ERR_OK)
        err = migrate_ledger_load(&r.ledger, r.lock, info);
    if (err == ERR_OK)
        err = check_plan(&r, &pending, info);
    if (err == ERR_OK && pending > 0)
        err = err_set(info, ERR_STATE, "%d of %d files are not applied", pending, r.dir.n);
    if (err == ERR_OK && report_unknown(&r) > 0)
        err = err_set(info, ERR_STATE, "the database has migrations that are not in %s", r.dir.path);
    if (err == ERR_OK)
        err = migrate_catalog_fingerprint(r.lock, fingerprint, info);
    run_close(&r);
    return err;
}
