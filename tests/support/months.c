/* months: see months.h. A failure of the frame is none of the code under test: it prints and aborts. */
#include "tests/support/months.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/io/die.h"
#include "tests/support/folder.h"

#define DAY_MS INT64_C(86400000)

static void die(const char *what)
{
    perror(what);
    abort();
}

/* Nulls, empty texts, quotes, newlines, characters beyond ASCII, numbers beyond a double's precision; both ends of the month. */
static const char rows_sql[] =
    "select automation_priv.ensure_partition('2024-01-01'), automation_priv.ensure_partition('2024-02-01'), "
    "automation_priv.ensure_partition('2024-03-01');"
    "insert into automation.execution_logs (tenant_id, queued_at, execution_id, job_id, run_id, rule_id, worker_id, "
    "rule_revision, "
    "due_at, started_at, duration_us, step, attempt, outcome, kind, queue, reason, error, detail) "
    "select ('00000000-0000-0000-0000-00000000000' || i % 3)::uuid, "
    "  case i when 1 then '2024-02-01 00:00:00+00' when 2 then '2024-02-29 23:59:59.999999+00' "
    "  else timestamptz '2024-02-01 00:00:00+00' + i * interval '13 minutes 1.000001 seconds' end, "
    "  md5(i::text)::uuid, md5('j' || i)::uuid, case when i % 2 = 0 then md5('r' || i)::uuid end, null, null, "
    "  case when i % 5 = 0 then 9007199254740993 end, null, timestamptz '2024-02-01 00:00:00.123456+00', i, null, 1, "
    "1, 'noop', "
    "  case when i % 7 = 0 then '' else 'default' end, case when i % 3 = 0 then '' when i % 3 = 1 then E'a "
    "\"b\",\\n\\\\N\\\\. ü\\t' end, "
    "  null, case when i % 4 = 0 then '{\"n\": 1.10, \"t\": \"x\\ny\"}'::jsonb end "
    "from generate_series(1, 3000) i;"
    "insert into automation.execution_logs (tenant_id, queued_at, execution_id, job_id, duration_us, attempt, outcome, "
    "kind, queue) "
    "select gen_random_uuid(), '2024-03-01', gen_random_uuid(), gen_random_uuid(), 1, 1, 1, 'noop', 'default' from "
    "generate_series(1, 5)";

bool months_open(struct months *t)
{
    *t = (struct months){0};
    if (!test_pg_available())
        return false;
    log_init("test", LOG_ERROR, LOG_LOGFMT);
    test_pg_create_migrated(&t->pg);
    if (!folder_make(NULL, "usher-archive", t->dir, sizeof(t->dir)))
        die("mkdtemp");
    test_pg_run(&t->pg, rows_sql);
    t->config = (struct archive_config){.url = t->pg.url, .dir = t->dir, .after_months = 12};
    return true;
}

static void each_file(const struct months *t, void (*call)(const char *path, int *n), int *n)
{
    DIR *dir = opendir(t->dir);
    char path[512];

    if (dir == NULL)
        die(t->dir);
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        (void)snprintf(path, sizeof(path), "%s/%s", t->dir, e->d_name);
        call(path, n);
    }
    (void)closedir(dir);
}

static void remove_one(const char *path, int *n)
{
    (*n)++;
    (void)unlink(path);
}

static void count_one(const char *path, int *n)
{
    (void)path;
    (*n)++;
}

int months_files(const struct months *t)
{
    int n = 0;

    each_file(t, count_one, &n);
    return n;
}

void months_close(struct months *t)
{
    int n = 0;

    each_file(t, remove_one, &n);
    (void)rmdir(t->dir);
    test_pg_drop(&t->pg);
}

enum err months_do(struct months *t, months_call call, const char *leaf, struct err_info *info)
{
    struct archive *a = NULL;
    enum err err = archive_open(&t->config, &a, info);

    if (err == ERR_OK)
        err = call(a, leaf, info);
    archive_close(a);
    return err;
}

enum err months_verify(struct archive *a, const char *leaf, struct err_info *info)
{
    return archive_verify(a, leaf, NULL, info);
}

enum err months_restore(struct archive *a, const char *leaf, struct err_info *info)
{
    return archive_restore(a, leaf, DAY_MS, info);
}

/* The dead process's backend ends when the server notices; until then it holds the archiver's lock. */
static void wait_for_backend(struct months *t)
{
    while (test_pg_i64(&t->pg, "select count(*) from pg_stat_activity where application_name = 'usher archive'") > 0)
        test_pg_run(&t->pg, "select pg_sleep(0.01)");
}

int months_die(struct months *t, months_call call, const char *leaf, const char *point)
{
    struct err_info info = {0};
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        (void)setenv("USHER_TEST_DIE", point, 1);
        die_init(true);
        enum err err = months_do(t, call, leaf, &info);
        if (err != ERR_OK)
            (void)fprintf(stderr, "%s: %s\n", err_name(err), info.text);
        _exit(err == ERR_OK ? 0 : 1);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        die("fork");
    wait_for_backend(t);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

PRINTF_LIKE(2, 3) static int64_t ask(struct months *t, const char *fmt, ...)
{
    char *sql = NULL;
    int64_t v = 0;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&sql, fmt, ap) < 0)
        abort();
    va_end(ap);
    v = test_pg_i64(&t->pg, sql);
    free(sql);
    return v;
}

bool months_in(struct months *t, const char *leaf, const char *state)
{
    return ask(t, "select count(*) from automation_priv.log_partitions where leaf = '%s' and state = '%s'", leaf,
               state) == 1;
}

#define OF_MONTH                                                                                                       \
    " from automation.execution_logs l, automation_priv.log_partitions p"                                              \
    " where p.leaf = '%s' and l.queued_at >= p.lo and l.queued_at < p.hi"

int64_t months_digest(struct months *t, const char *leaf)
{
    return ask(t, "select coalesce(bit_xor(hashtextextended(l::text, 0)), 0)" OF_MONTH, leaf);
}

int64_t months_rows(struct months *t, const char *leaf)
{
    return ask(t, "select count(*)" OF_MONTH, leaf);
}

static void path_of(const struct months *t, const char *name, char path[512])
{
    (void)snprintf(path, 512, "%s/%s", t->dir, name);
}

bool months_has(const struct months *t, const char *name)
{
    char path[512];

    path_of(t, name, path);
    return access(path, F_OK) == 0;
}

void months_flip(const struct months *t, const char *name, long at)
{
    char path[512];
    FILE *f = NULL;
    int c = 0;

    path_of(t, name, path);
    f = fopen(path, "r+");
    if (f == NULL || fseek(f, at, at < 0 ? SEEK_END : SEEK_SET) != 0 || (c = getc(f)) == EOF ||
        fseek(f, -1, SEEK_CUR) != 0 || putc(c ^ 1, f) == EOF || fclose(f) != 0)
        die(path);
}

void months_cut(const struct months *t, const char *name, long by)
{
    char path[512];
    struct stat st;

    path_of(t, name, path);
    if (stat(path, &st) != 0 || truncate(path, st.st_size + by) != 0)
        die(path);
}

static const char differences_sql[] =
    "with facts as (select c.relname, x.fact from pg_class c, lateral ("
    "  select format('%s %s %s %s %s %s', c.relowner, c.relacl, c.relrowsecurity, c.relforcerowsecurity, "
    "c.relpersistence, c.reloptions)"
    "  union all select replace(pg_get_indexdef(i.indexrelid), c.relname, 'LEAF') || i.indisvalid from pg_index i "
    "where i.indrelid = c.oid"
    "  union all select regexp_replace(regexp_replace(replace(pg_get_constraintdef(k.oid) || k.conname, c.relname, "
    "'LEAF'), "
    "    '2024-0\\d-01', 'X', 'g'), '_2024_0\\d', '', 'g') from pg_constraint k where k.conrelid = c.oid"
    "  union all select format('%s %s %s %s %s', a.attname, a.atttypid, a.attnotnull, a.attstorage, "
    "a.attcompression) "
    "    from pg_attribute a where a.attrelid = c.oid and a.attnum > 0"
    "  union all select p.polname from pg_policy p where p.polrelid = c.oid) x(fact)"
    "  where c.relname in ('" MONTHS_LEAF "', 'execution_logs_2024_01')) "
    "select (select count(*) from (select fact from facts group by fact having count(distinct relname) <> 2) odd) + "
    "(select count(*) from pg_class c, unnest(c.relacl) x where relname = '" MONTHS_LEAF
    "' and x::text not like 'automation_owner=%')";

int64_t months_differences(struct months *t)
{
    return test_pg_i64(&t->pg, differences_sql);
}
