/* store_archive: see store_archive.h. */
#include "common/io/store_archive.h"

#include <string.h>

#include "common/base/buf.h"
#include "common/base/mem.h"

/* A leaf whose readers and writers do not end in this time is tried again at the next run. */
#define DETACH_LIMITS "set statement_timeout = '10min'"
#define ATTACH_LIMITS "set local lock_timeout = '10s'"

/* ---- asking ------------------------------------------------------------------------------------------------------------- */

static enum err ask(struct db_session *s, const struct db_stmt *stmt, struct db_args *a, struct db_result **out,
                    struct err_info *info)
{
    enum err err = db_query(s, stmt, a, out, info);

    arena_free(a->arena);
    if (err == ERR_OK && *out != NULL && db_rows(*out) == 0) {
        db_result_free(*out);
        *out = NULL;
        err = err_set(info, ERR_NOTFOUND, "no such partition of the log");
    }
    return err;
}

static enum err tell(struct db_session *s, const struct db_stmt *stmt, struct db_args *a, struct err_info *info)
{
    enum err err = db_query(s, stmt, a, NULL, info);

    arena_free(a->arena);
    return err;
}

static void take_word(const struct db_result *r, int col, char *out, size_t size)
{
    struct str s = db_text(r, 0, col);

    (void)str_copy_n(out, size, s.p ? s.p : "", s.n);
}

enum err store_archive_lock(struct db_session *s, bool *got, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "archive_lock", "select pg_catalog.pg_try_advisory_lock(pg_catalog.hashtextextended('automation.maint', 0))"};
    struct db_result *r = NULL;
    enum err err = db_query(s, &stmt, NULL, &r, info);

    *got = err == ERR_OK && db_bool(r, 0, 0);
    db_result_free(r);
    return err;
}

void store_archive_unlock(struct db_session *s)
{
    static const struct db_stmt stmt = {"archive_unlock", "select pg_catalog.pg_advisory_unlock_all()"};
    struct err_info ignored = {0};
    struct db_result *r = NULL;

    if (db_query(s, &stmt, NULL, &r, &ignored) == ERR_OK)
        db_result_free(r);
}

enum err store_archive_clock(struct db_session *s, struct store_archive_clock *out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "archive_clock", "select clock_timestamp(), mode = 'stepped', current_setting('server_version') from "
                         "automation_priv.clock"};
    struct db_result *r = NULL;
    enum err err = db_query(s, &stmt, NULL, &r, info);

    if (err == ERR_OK) {
        out->now_us = db_time(r, 0, 0);
        out->stepped = db_bool(r, 0, 1);
        take_word(r, 2, out->server, sizeof(out->server));
    }
    db_result_free(r);
    return err;
}

enum err store_archive_leaf(struct db_session *s, const char *leaf, struct store_leaf *out, struct err_info *info)
{
    static const struct db_stmt stmt = {"archive_leaf", "select state, automation_priv.leaf_actual(leaf), lo, hi, "
                                                        "sha256, coalesce(n_rows, -1), coalesce(bytes, -1) from "
                                                        "automation_priv.log_partitions where leaf = $1"};
    struct arena arena = {0};
    struct db_args a;
    struct db_result *r = NULL;

    db_args_init(&a, &arena);
    db_arg_cstr(&a, leaf);
    enum err err = ask(s, &stmt, &a, &r, info);
    if (err == ERR_OK) {
        take_word(r, 0, out->state, sizeof(out->state));
        take_word(r, 1, out->actual, sizeof(out->actual));
        out->lo_us = db_time(r, 0, 2);
        out->hi_us = db_time(r, 0, 3);
        take_word(r, 4, out->sha256, sizeof(out->sha256));
        out->n_rows = db_i64(r, 0, 5);
        out->bytes = db_i64(r, 0, 6);
    }
    db_result_free(r);
    return err;
}

enum err store_archive_due(struct db_session *s, int64_t after_months, int64_t grace_ms, struct db_result **out,
                           struct err_info *info)
{
    static const struct db_stmt stmt = {
        "archive_due",
        "select d.leaf, d.state, d.step, d.lo, d.hi, p.n_rows, p.bytes from "
        "automation_priv.partitions_due(clock_timestamp(), make_interval(months => $1), "
        "make_interval(secs => $2 / 1000.0)) d join automation_priv.log_partitions p using (leaf) order by d.lo"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_i32(&a, (int32_t)after_months);
    db_arg_i64(&a, grace_ms);
    enum err err = db_query(s, &stmt, &a, out, info);
    arena_free(&arena);
    return err;
}

/* ---- moves -------------------------------------------------------------------------------------------------------------- */

enum err store_archive_move(struct db_session *s, const char *leaf, const char *from, const char *to,
                            struct err_info *info)
{
    static const struct db_stmt stmt = {"archive_move", "select automation_priv.move_leaf($1, $2, $3)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_cstr(&a, leaf);
    db_arg_cstr(&a, from);
    db_arg_cstr(&a, to);
    return tell(s, &stmt, &a, info);
}

/* CONCURRENTLY and FINALIZE run outside transactions; the time limit is the session's before and after. */
static enum err alter_log(struct db_session *s, const char *leaf, const char *how, struct err_info *info)
{
    struct err_info ignored = {0};
    struct buf sql = {0};
    enum err err = db_exec(s, DETACH_LIMITS, NULL, info);

    buf_printf(&sql, "alter table automation.execution_logs detach partition automation_part.%s %s", leaf, how);
    if (err == ERR_OK) {
        err = db_exec(s, buf_text(&sql), NULL, info);
        enum err reset = db_exec(s, "set statement_timeout = 0", NULL, err == ERR_OK ? info : &ignored);
        err = err != ERR_OK ? err : reset;
    }
    buf_free(&sql);
    return err;
}

enum err store_archive_detach(struct db_session *s, const char *leaf, struct err_info *info)
{
    return alter_log(s, leaf, "concurrently", info);
}

enum err store_archive_finalize(struct db_session *s, const char *leaf, struct err_info *info)
{
    return alter_log(s, leaf, "finalize", info);
}

enum err store_archive_drop(struct db_session *s, const char *leaf, struct err_info *info)
{
    static const struct db_stmt stmt = {"archive_drop", "select automation_priv.drop_leaf($1)"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_cstr(&a, leaf);
    return tell(s, &stmt, &a, info);
}

enum err store_archive_exported(struct db_session *s, const struct manifest *m, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "archive_exported",
        "update automation_priv.log_partitions set n_rows = $2, digest = $3, sha256 = $4, bytes = $5 "
        "where leaf = $1 and state = 'detached'"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_cstr(&a, m->leaf);
    db_arg_i64(&a, m->n_rows);
    db_arg_cstr(&a, m->digest);
    db_arg_cstr(&a, m->sha256);
    db_arg_i64(&a, m->bytes);
    enum err err = tell(s, &stmt, &a, info);
    return err == ERR_OK ? store_archive_move(s, m->leaf, "detached", "exported", info) : err;
}

/* ---- rows --------------------------------------------------------------------------------------------------------------- */

enum err store_archive_columns(struct db_session *s, const char *table, struct manifest *m, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "archive_columns",
        "select coalesce(json_agg(json_build_array(a.attname, format_type(a.atttypid, a.atttypmod)) order by "
        "a.attnum), "
        "'[]') from pg_catalog.pg_attribute a where a.attnum > 0 and not a.attisdropped and a.attrelid = "
        "to_regclass(coalesce('automation_part.' || $1, 'automation.execution_logs'))"};
    struct arena arena = {0};
    struct db_args a;
    struct db_result *r = NULL;

    db_args_init(&a, &arena);
    db_arg_cstr(&a, table);
    enum err err = ask(s, &stmt, &a, &r, info);
    if (err == ERR_OK)
        err = manifest_set_columns(m, db_text(r, 0, 0), info);
    db_result_free(r);
    return err;
}

enum err store_archive_facts(struct db_session *s, const char *table, struct manifest *m, struct err_info *info)
{
    static const struct db_stmt stmt = {"archive_facts",
                                        "select n_rows, digest, tenants from "
                                        "automation_priv.leaf_facts(('automation_part.' || $1)::regclass, $2)"};
    struct str names[MANIFEST_COLUMNS_MAX];
    struct arena arena = {0};
    struct db_args a;
    struct db_result *r = NULL;

    for (size_t i = 0; i < m->n_columns; i++)
        names[i] = str_of(m->columns[i].name);
    db_args_init(&a, &arena);
    db_arg_cstr(&a, table);
    db_arg_texts(&a, names, m->n_columns);
    enum err err = ask(s, &stmt, &a, &r, info);
    if (err == ERR_OK) {
        struct str tenants = db_text(r, 0, 2);
        m->n_rows = db_i64(r, 0, 0);
        take_word(r, 1, m->digest, sizeof(m->digest));
        m->tenants = arena_strndup(&m->arena, tenants.p, tenants.n);
    }
    db_result_free(r);
    return err;
}

enum err store_archive_same(struct db_session *s, const char *a, const char *b, bool *same, struct err_info *info)
{
    static const struct db_stmt stmt = {"archive_same", "select $1::jsonb = $2::jsonb"};
    struct arena arena = {0};
    struct db_args args;
    struct db_result *r = NULL;

    db_args_init(&args, &arena);
    db_arg_json(&args, str_of(a));
    db_arg_json(&args, str_of(b));
    enum err err = ask(s, &stmt, &args, &r, info);
    *same = err == ERR_OK && db_bool(r, 0, 0);
    db_result_free(r);
    return err;
}

static void put_columns(struct buf *sql, const struct manifest *m)
{
    for (size_t i = 0; i < m->n_columns; i++) {
        buf_put_str(sql, i > 0 ? ", \"" : "\"");
        for (const char *p = m->columns[i].name; *p != '\0'; p++) {
            if (*p == '"')
                buf_put_char(sql, '"');
            buf_put_char(sql, *p);
        }
        buf_put_char(sql, '"');
    }
}

enum err store_archive_copy_out(struct db_session *s, const char *table, const struct manifest *m, db_copy_sink sink,
                                void *arg, struct err_info *info)
{
    struct buf sql = {0};

    buf_put_str(&sql, "copy (select ");
    put_columns(&sql, m);
    buf_printf(&sql,
               " from automation_part.%s order by tenant_id, queued_at, execution_id) to stdout (format csv, header)",
               table);
    enum err err = db_copy_to(s, buf_text(&sql), sink, arg, info);
    buf_free(&sql);
    return err;
}

enum err store_archive_copy_in(struct db_session *s, const char *table, const struct manifest *m, bool frozen,
                               db_copy_source source, void *arg, struct err_info *info)
{
    struct buf sql = {0};

    buf_printf(&sql, "copy automation_part.%s (", table);
    put_columns(&sql, m);
    buf_printf(&sql, ") from stdin (format csv, header match%s)", frozen ? ", freeze" : "");
    enum err err = db_copy_from(s, buf_text(&sql), source, arg, info);
    buf_free(&sql);
    return err;
}

/* ---- tables ------------------------------------------------------------------------------------------------------------- */

enum err store_archive_scratch(struct db_session *s, const char *leaf, struct err_info *info)
{
    struct buf sql = {0};

    buf_printf(&sql,
               "create unlogged table automation_part.verify_%s (like automation.execution_logs);"
               "alter table automation_part.verify_%s enable row level security",
               leaf, leaf);
    enum err err = db_exec(s, buf_text(&sql), NULL, info);
    buf_free(&sql);
    return err;
}

static enum err call_leaf(struct db_session *s, const struct db_stmt *stmt, const char *leaf,
                          const struct store_leaf *part, struct err_info *info)
{
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_cstr(&a, leaf);
    db_arg_time(&a, part->lo_us);
    db_arg_time(&a, part->hi_us);
    return tell(s, stmt, &a, info);
}

enum err store_archive_make(struct db_session *s, const char *leaf, const struct store_leaf *part, struct err_info *info)
{
    static const struct db_stmt stmt = {"archive_make", "select automation_priv.make_leaf($1, $2, $3)"};

    return call_leaf(s, &stmt, leaf, part, info);
}

enum err store_archive_attach(struct db_session *s, const char *leaf, const struct store_leaf *part,
                              struct err_info *info)
{
    static const struct db_stmt stmt = {"archive_attach", "select automation_priv.attach_leaf($1, $2, $3)"};
    enum err err = db_exec(s, ATTACH_LIMITS, NULL, info);

    return err == ERR_OK ? call_leaf(s, &stmt, leaf, part, info) : err;
}

enum err store_archive_restored(struct db_session *s, const char *leaf, const char *from, int64_t hold_ms,
                                struct err_info *info)
{
    static const struct db_stmt stmt = {"archive_restored",
                                        "update automation_priv.log_partitions set hold_until = clock_timestamp() + "
                                        "make_interval(secs => $2 / 1000.0) where leaf = $1"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_cstr(&a, leaf);
    db_arg_i64(&a, hold_ms);
    enum err err = tell(s, &stmt, &a, info);
    return err == ERR_OK ? store_archive_move(s, leaf, from, "restored", info) : err;
}

/* ---- what operators ask --------------------------------------------------------------------------------------------------- */

enum err store_archive_list(struct db_session *s, struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "partition_list",
        "select p.leaf, p.state, p.lo, p.hi, p.changed_at, p.hold_until, p.n_rows, p.bytes, "
        "pg_catalog.pg_total_relation_size(to_regclass('automation_part.' || p.leaf)), "
        "(select count(*) from automation_priv.log_quarantine q where q.reason = 'no partition for queued_at' "
        "and (q.row_data ->> 'queued_at')::timestamptz >= p.lo and (q.row_data ->> 'queued_at')::timestamptz < p.hi) "
        "from automation_priv.log_partitions p order by p.lo"};

    return db_query(s, &stmt, NULL, out, info);
}

enum err store_archive_ensure(struct db_session *s, int64_t months, int64_t *made, struct err_info *info)
{
    /* ensure_partitions goes three months beyond its second argument. */
    static const struct db_stmt stmt = {
        "partition_ensure",
        "select automation_priv.ensure_partitions(clock_timestamp(), ((clock_timestamp() at time zone 'UTC') + "
        "make_interval(months => $1 - 3)) at time zone 'UTC')"};
    struct arena arena = {0};
    struct db_args a;
    struct db_result *r = NULL;

    db_args_init(&a, &arena);
    db_arg_i32(&a, (int32_t)months);
    enum err err = ask(s, &stmt, &a, &r, info);
    *made = err == ERR_OK ? db_i64(r, 0, 0) : 0;
    db_result_free(r);
    return err;
}

enum err store_archive_gaps(struct db_session *s, int64_t months, struct db_result **out, struct err_info *info)
{
    static const struct db_stmt stmt = {
        "partition_gaps",
        "select to_char(m, 'YYYY-MM'), case when p.state is null or p.state in ('attached', 'restored') then 'absent' "
        "else p.state end from pg_catalog.generate_series(date_trunc('month', clock_timestamp() at time zone 'UTC'), "
        "(clock_timestamp() at time zone 'UTC') + make_interval(months => $1), '1 month') m "
        "cross join lateral (select 'execution_logs_' || to_char(m, 'YYYY_MM')) l(leaf) "
        "left join automation_priv.log_partitions p on p.leaf = l.leaf "
        "where automation_priv.leaf_actual(l.leaf) <> 'attached' order by m"};
    struct arena arena = {0};
    struct db_args a;

    db_args_init(&a, &arena);
    db_arg_i32(&a, (int32_t)months);
    enum err err = db_query(s, &stmt, &a, out, info);
    arena_free(&arena);
    return err;
}

enum err store_archive_replay(struct db_session *s, int64_t limit, int64_t *replayed, int64_t *repeated,
                              struct err_info *info)
{
    static const struct db_stmt stmt = {"quarantine_replay",
                                        "select replayed, repeated from automation_priv.replay_quarantine($1)"};
    struct arena arena = {0};
    struct db_args a;
    struct db_result *r = NULL;

    db_args_init(&a, &arena);
    db_arg_i32(&a, (int32_t)limit);
    enum err err = ask(s, &stmt, &a, &r, info);
    *replayed = err == ERR_OK ? db_i64(r, 0, 0) : 0;
    *repeated = err == ERR_OK ? db_i64(r, 0, 1) : 0;
    db_result_free(r);
    return err;
}

enum err store_archive_analyze(struct db_session *s, bool *made, struct err_info *info)
{
    static const struct db_stmt stmt = {"analyze_logs", "select automation_priv.analyze_logs()"};
    struct db_result *r = NULL;
    enum err err = db_query(s, &stmt, NULL, &r, info);

    *made = err == ERR_OK && db_bool(r, 0, 0);
    db_result_free(r);
    return err;
}
