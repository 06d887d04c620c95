/* The migration runner against a real server: each test has its own folder of files and its own database. */
#include <criterion/criterion.h>

#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/io/migrate.h"
#include "tests/support/pg.h"

#define LEDGER "automation_priv.schema_migrations"

static struct test_pg pg;
static char dir[] = "/tmp/usher-migrate-XXXXXX";
static struct buf lines; /* what was reported */
static struct migrate_config config;
static struct err_info info;
static bool ready;

static void on_report(void *arg, const char *line)
{
    (void)arg;
    buf_printf(&lines, "%s\n", line);
}

static void setup(void)
{
    ready = test_pg_available();
    if (!ready)
        return;
    test_pg_create(&pg, NULL);
    cr_assert_not_null(mkdtemp(dir));
    config = (struct migrate_config){.url = pg.url, .dir = dir, .report = on_report};
}

static int on_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

static void teardown(void)
{
    if (!ready)
        return;
    cr_expect_eq(nftw(dir, on_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
    buf_free(&lines);
    test_pg_drop(&pg);
}

#define SERVER_TEST(name) Test(migrate, name, .init = setup, .fini = teardown, .timeout = 60)
#define NEED_SERVER()                                                                                                  \
    if (!ready)                                                                                                        \
    cr_skip("no server")

static void put_file(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    cr_assert(fputs(text, f) >= 0 && fclose(f) == 0);
}

static void remove_file(const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    cr_assert_eq(unlink(path), 0);
}

static void up_ok(void)
{
    cr_assert_eq(migrate_up(&config, &info), ERR_OK, "%s", info.text);
}

/* `up` fails with `want`, saying all that is in `text`. */
static void up_fails(enum err want, const char *text)
{
    enum err err = migrate_up(&config, &info);
    cr_assert_eq(err, want, "%s: %s", err_name(err), info.text);
    cr_assert_eq(info.code, want);
    cr_assert(strstr(info.text, text), "\"%s\" is not in: %s", text, info.text);
}

static int64_t value(const char *sql)
{
    return test_pg_i64(&pg, sql);
}

#define FILE_30                                                                                                        \
    "CREATE SCHEMA automation;\nCREATE TABLE automation.t (a int);\n"                                                  \
    "CREATE FUNCTION automation.f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;\n"
#define FILE_31 "-- no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS t_a ON automation.t (a);\n"

SERVER_TEST(up_applies_in_order_and_then_finds_nothing_to_do)
{
    NEED_SERVER();
    put_file("030_rules.sql", FILE_30);
    put_file("031_index.sql", FILE_31);
    put_file("1000_later.sql", "ALTER TABLE automation.t ADD b int");
    put_file("README.md", "not looked at");
    put_file(".hidden.sql", "not looked at");
    up_ok();
    cr_assert(strstr(lines.data, "applied 030_rules.sql in ") < strstr(lines.data, "applied 031_index.sql in "));
    cr_assert(strstr(lines.data, "applied 1000_later.sql in "));
    cr_assert_eq(value("SELECT count(*) FROM " LEDGER
                       " WHERE state = 'applied' AND finished_at >= started_at AND length(sha256) = 32 "
                       "AND runner LIKE '%:%' AND pg_version LIKE '15%'"),
                 3);
    cr_assert_eq(value("SELECT count(*) FROM " LEDGER " WHERE version = 30 AND name = '030_rules.sql' AND "
                       "sha256 = sha256('"
                       "CREATE SCHEMA automation;\nCREATE TABLE automation.t (a int);\n"
                       "CREATE FUNCTION automation.f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;\n"
                       "'::bytea)"),
                 1);
    buf_reset(&lines);
    up_ok();
    cr_assert_str_eq(lines.data, "nothing to do: all 3 files are applied\n");
}

SERVER_TEST(a_failing_file_leaves_nothing_and_names_its_line)
{
    NEED_SERVER();
    static const struct {
        const char *text;
        enum err err;
        const char *says;
    } cases[] = {
        {"CREATE TABLE public.x (a int);\n\nSELECT 'ä',\n  nothing;\n", ERR_DB_BROKEN,
         "/030_a.sql:4: column \"nothing\" does not exist (42703)"},
        {"CREATE TABLE public.x (a int);\nSELEC;\n", ERR_DB_BROKEN, "/030_a.sql:2: syntax error"},
        /* no position from the server: the line of the statement */
        {"CREATE TABLE public.x (a int);\n/* ; */ SELECT ';'\n;\n\n-- again\nCREATE TABLE\n public.x (a int);\n",
         ERR_DB_BROKEN, "/030_a.sql:6: relation \"x\" already exists (42P07)"},
        {"CREATE TABLE public.x (a int);\nDO $$ BEGIN\n PERFORM 1/0; END $$;", ERR_DB_DATA,
         "/030_a.sql:2: division by zero (22012)"},
        {"CREATE FUNCTION public.f() RETURNS int LANGUAGE plpgsql AS $$\nBEGIN\n  RETUR 1;\nEND $$;", ERR_DB_BROKEN,
         "/030_a.sql:3: syntax error"},
        {"SELECT 1;\nCOPY pg_class TO STDOUT;", ERR_STATE, "/030_a.sql:2: COPY"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put_file("030_a.sql", cases[i].text);
        up_fails(cases[i].err, cases[i].says);
        cr_assert(strstr(info.text, dir) == info.text);
        cr_assert_eq(value("SELECT count(*) FROM " LEDGER), 0);
        cr_assert_eq(value("SELECT count(*) FROM pg_class WHERE relname = 'x'"), 0);
    }
    put_file("030_a.sql", "SELECT 1");
    put_file("031_b.sql", "SELECT 1/0");
    up_fails(ERR_DB_DATA, "/031_b.sql:1: ");
    cr_assert_eq(value("SELECT version FROM " LEDGER), 30, "what went before stays");
}

SERVER_TEST(files_that_do_not_fit_the_database_are_refused)
{
    NEED_SERVER();
    put_file("030_a.sql", "SELECT 1");
    put_file("032_c.sql", "SELECT 3");
    up_ok();
    put_file("030_a.sql", "SELECT 1 ");
    up_fails(ERR_STATE, "/030_a.sql was changed after it had been applied");
    put_file("030_a.sql", "SELECT 1");
    put_file("031_b.sql", "SELECT 2");
    up_fails(ERR_STATE, "/031_b.sql is numbered below 032_c.sql");
    remove_file("031_b.sql");
    put_file("40_short.sql", "SELECT 1");
    up_fails(ERR_INVALID, "40_short.sql: the name is not of the form");
    remove_file("40_short.sql");
    put_file("032_other.sql", "SELECT 1");
    up_fails(ERR_INVALID, "032_c.sql and 032_other.sql have the same number");
    remove_file("032_other.sql");
    remove_file("032_c.sql");
    buf_reset(&lines);
    up_ok();
    cr_assert(strstr(lines.data, "032_c.sql is in the database (applied) but not in "), "%s", lines.data);
    char fingerprint[MIGRATE_FINGERPRINT_SIZE];
    cr_assert_eq(migrate_verify(&config, fingerprint, &info), ERR_STATE);
}

SERVER_TEST(one_bad_file_keeps_all_from_running)
{
    NEED_SERVER();
    put_file("001_first.sql", "CREATE TABLE public.x (a int)");
    put_file("002_bad.sql", "SELECT 1;\nCOMMIT;");
    up_fails(ERR_INVALID, "/002_bad.sql:2: a migration runs in a transaction");
    cr_assert_eq(value("SELECT count(*) FROM pg_class WHERE relname IN ('x', 'schema_migrations')"), 0);
}

SERVER_TEST(a_failed_file_without_transaction_is_noted_and_run_again)
{
    NEED_SERVER();
    put_file("030_rules.sql", FILE_30 "INSERT INTO automation.t VALUES (1), (1);");
    put_file("031_index.sql",
             "-- no-transaction  \r\nCREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS t_a ON automation.t (a);\n");
    up_fails(ERR_DB_UNIQUE, "/031_index.sql:2: could not create unique index");
    cr_assert_eq(value("SELECT count(*) FROM " LEDGER " WHERE version = 31 AND state = 'failed'"), 1);
    test_pg_run(&pg, "DELETE FROM automation.t");
    up_fails(ERR_STATE, "DROP INDEX CONCURRENTLY automation.t_a");
    test_pg_run(&pg, "DROP INDEX automation.t_a");
    up_ok();
    cr_assert_eq(value("SELECT count(*) FROM " LEDGER " WHERE version = 31 AND state = 'applied'"), 1);
    cr_assert_eq(value("SELECT count(*) FROM pg_index WHERE indexrelid = 'automation.t_a'::regclass AND indisvalid"), 1);
}

SERVER_TEST(settings_of_one_file_do_not_reach_the_next_nor_the_ledger)
{
    NEED_SERVER();
    char sql[512];
    char role[80];
    snprintf(role, sizeof(role), "owner_%s", pg.name);
    snprintf(sql, sizeof(sql), "CREATE ROLE %s; CREATE ROLE weak_%s; GRANT CREATE ON DATABASE %s TO %s", role, pg.name,
             pg.name, role);
    test_pg_run(&pg, sql);
    config.role = role;
    snprintf(sql, sizeof(sql),
             "CREATE SCHEMA automation; CREATE TABLE automation.t (); RESET ROLE; SET search_path = 'nowhere'; "
             "SET ROLE weak_%s;",
             pg.name);
    put_file("030_a.sql", sql);
    put_file("031_b.sql",
             "DO $$ BEGIN ASSERT current_setting('search_path') <> 'nowhere'; END $$; CREATE TABLE automation.u ();");
    up_ok();
    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM pg_class WHERE relname IN ('t', 'u', 'schema_migrations') AND "
             "relowner = '%s'::regrole",
             role);
    cr_assert_eq(value(sql), 3);
    snprintf(sql, sizeof(sql), "DROP OWNED BY %s CASCADE; DROP ROLE %s; DROP ROLE weak_%s", role, role, pg.name);
    test_pg_run(&pg, sql);
}

/* ---- locks ------------------------------------------------------------------------------------------------------------- */
static struct db_session *blocker;

static void on_retry_release(void *arg, const char *line)
{
    on_report(arg, line);
    if (strstr(line, "try 2 of 10"))
        cr_assert_eq(db_exec(blocker, "ROLLBACK", NULL, &info), ERR_OK);
}

SERVER_TEST(a_lock_that_can_not_be_had_is_tried_again)
{
    NEED_SERVER();
    put_file("030_rules.sql", FILE_30);
    up_ok();
    blocker = test_pg_session(&pg);
    cr_assert_eq(db_exec(blocker, "BEGIN; LOCK TABLE automation.t", NULL, &info), ERR_OK);
    put_file("031_b.sql", "CREATE TABLE automation.u ();\nALTER TABLE automation.t ADD b int;");
    config.lock_timeout_ms = 20;
    config.tries = 2;
    up_fails(ERR_DB_LOCK, "/031_b.sql:2: canceling statement due to lock timeout (55P03)");
    cr_assert(strstr(lines.data, "try 2 of 2"), "%s", lines.data);
    config.tries = 0;
    config.report = on_retry_release;
    up_ok();
    cr_assert_eq(value("SELECT count(*) FROM " LEDGER " WHERE version = 31 AND state = 'applied'"), 1);
    db_close(blocker);
}

SERVER_TEST(a_runner_that_does_not_finish_is_not_waited_for_for_ever)
{
    NEED_SERVER();
    struct db_session *other = test_pg_session(&pg);
    cr_assert_eq(db_exec(other, "SELECT pg_advisory_lock(7274519906)", NULL, &info), ERR_OK);
    put_file("030_a.sql", "SELECT 1");
    config.runner_wait_ms = 150;
    up_fails(ERR_TIMEOUT, "another migration runner");
    cr_assert_str_eq(lines.data, "another migration runner is at work: waiting for it\n");
    db_close(other);
}

/* ---- several processes ----------------------------------------------------------------------------------------------------- */
static void on_report_pipe(void *arg, const char *line)
{
    dprintf(*(const int *)arg, "%s\n", line);
}

/* Runs `up` in a child; its reports and a last line "ok" or the error come out of *out. */
static pid_t start_runner(int *out)
{
    int pipe_fds[2];
    cr_assert_eq(pipe(pipe_fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        config.report = on_report_pipe;
        config.arg = &pipe_fds[1];
        enum err err = migrate_up(&config, &info);
        on_report_pipe(&pipe_fds[1], err == ERR_OK ? "ok" : info.text);
        _exit(0);
    }
    cr_assert_gt(pid, 0);
    close(pipe_fds[1]);
    *out = pipe_fds[0];
    return pid;
}

static void read_all(int fd, char *out, size_t size)
{
    size_t n = 0;
    for (ssize_t got = read(fd, out, size - 1); got > 0; got = read(fd, out + n, size - 1 - n))
        n += (size_t)got;
    out[n] = '\0';
    close(fd);
}

SERVER_TEST(two_runners_at_once_apply_each_file_once)
{
    NEED_SERVER();
    int fds[2];
    pid_t pids[2];
    char said[2][1024];
    put_file("030_rules.sql", FILE_30 "SELECT pg_sleep(0.3);");
    put_file("031_index.sql", FILE_31);
    put_file("032_row.sql", "INSERT INTO automation.t VALUES (1)");
    for (int i = 0; i < 2; i++)
        pids[i] = start_runner(&fds[i]);
    for (int i = 0; i < 2; i++) {
        read_all(fds[i], said[i], sizeof(said[i]));
        waitpid(pids[i], NULL, 0);
        cr_assert(strstr(said[i], "ok\n"), "%s", said[i]);
    }
    int second = strstr(said[0], "waiting for it") ? 0 : 1;
    cr_assert_str_eq(
        said[second],
        "another migration runner is at work: waiting for it\nnothing to do: all 3 files are applied\nok\n");
    cr_assert_eq(value("SELECT count(*) FROM automation.t"), 1);
}

static void wait_until(const char *sql)
{
    struct db_session *s = test_pg_session(&pg);
    const struct db_stmt stmt = {"wait_until", sql};
    for (bool there = false; !there;) {
        struct db_result *res = NULL;
        cr_assert_eq(db_query(s, &stmt, NULL, &res, &info), ERR_OK, "%s", info.text);
        there = db_rows(res) > 0;
        db_result_free(res);
    }
    db_close(s);
}

SERVER_TEST(a_runner_killed_in_the_middle_of_a_file_leaves_a_clean_state)
{
    NEED_SERVER();
    int fd = -1;
    put_file("030_a.sql", "SELECT 1");
    put_file("031_b.sql", "CREATE TABLE public.x (a int);\nSELECT pg_sleep(60);");
    pid_t pid = start_runner(&fd);
    wait_until("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(fd);
    cr_assert_eq(value("SELECT count(*) FROM " LEDGER), 1);
    put_file("031_b.sql", "CREATE TABLE public.x (a int);");
    up_ok();
    cr_assert_eq(value("SELECT count(*) FROM " LEDGER " WHERE state = 'applied'"), 2);
}

SERVER_TEST(a_runner_killed_in_a_file_without_transaction_is_seen_and_run_again)
{
    NEED_SERVER();
    int fd = -1;
    put_file("030_a.sql", "-- no-transaction\nSELECT pg_sleep(60)");
    pid_t pid = start_runner(&fd);
    wait_until("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    close(fd);
    cr_assert_eq(value("SELECT count(*) FROM " LEDGER " WHERE state = 'running' AND finished_at IS NULL"), 1);
    put_file("030_a.sql", "-- no-transaction\nSELECT 1");
    up_ok();
    cr_assert_eq(value("SELECT count(*) FROM " LEDGER " WHERE state = 'applied'"), 1);
}

/* ---- status and verify ------------------------------------------------------------------------------------------------------ */
static void on_row(void *arg, const struct migrate_entry *e)
{
    bool done = e->finished_at_us != DB_NULL_TIME;
    buf_printf(arg, "%d %s %s%s\n", e->version, e->name, migrate_state_text(e->state), done ? " done" : "");
}

SERVER_TEST(status_lists_files_and_rows_and_writes_nothing)
{
    NEED_SERVER();
    int pending = -1;
    put_file("030_a.sql", "SELECT 1");
    put_file("031_b.sql", "SELECT 2");
    cr_assert_eq(migrate_status(&config, on_row, &lines, &pending, &info), ERR_OK, "%s", info.text);
    cr_assert_str_eq(lines.data, "30 030_a.sql pending\n31 031_b.sql pending\n");
    cr_assert_eq(pending, 2);
    cr_assert_eq(value("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'automation%'"), 0);
    up_ok();
    put_file("030_a.sql", "SELECT 9");
    remove_file("031_b.sql");
    put_file("032_c.sql", "SELECT 3");
    buf_reset(&lines);
    cr_assert_eq(migrate_status(&config, on_row, &lines, &pending, &info), ERR_STATE);
    cr_assert_str_eq(lines.data, "30 030_a.sql changed done\n31 031_b.sql unknown done\n32 032_c.sql pending\n");
}

static void fingerprint(char out[MIGRATE_FINGERPRINT_SIZE])
{
    cr_assert_eq(migrate_verify(&config, out, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(strlen(out), MIGRATE_FINGERPRINT_SIZE - 1);
}

SERVER_TEST(the_fingerprint_changes_with_the_schema_and_with_nothing_else)
{
    NEED_SERVER();
    static const struct {
        const char *change;
        const char *back;
    } cases[] = {
        {"ALTER TABLE automation.t ALTER a SET NOT NULL", "ALTER TABLE automation.t ALTER a DROP NOT NULL"},
        {"ALTER TABLE automation.t ALTER a SET DEFAULT 1", "ALTER TABLE automation.t ALTER a DROP DEFAULT"},
        {"ALTER TABLE automation.t ADD b int", "ALTER TABLE automation.t DROP b"},
        {"ALTER TABLE automation.t ENABLE ROW LEVEL SECURITY", "ALTER TABLE automation.t DISABLE ROW LEVEL SECURITY"},
        {"CREATE POLICY p ON automation.t USING (a > 1)", "DROP POLICY p ON automation.t"},
        {"CREATE INDEX i ON automation.t (a)", "DROP INDEX automation.i"},
        {"ALTER TABLE automation.t ADD CONSTRAINT c CHECK (a > 0)", "ALTER TABLE automation.t DROP CONSTRAINT c"},
        {"CREATE VIEW automation.v AS SELECT a FROM automation.t", "DROP VIEW automation.v"},
        {"CREATE SEQUENCE automation.s", "DROP SEQUENCE automation.s"},
        {"CREATE TYPE automation.e AS ENUM ('x')", "DROP TYPE automation.e"},
        {"CREATE TRIGGER g AFTER INSERT ON automation.t EXECUTE FUNCTION suppress_redundant_updates_trigger()",
         "DROP TRIGGER g ON automation.t"},
        {"CREATE TABLE automation.p (a int) PARTITION BY RANGE (a)", "DROP TABLE automation.p"},
        {"GRANT EXECUTE ON FUNCTION automation.f() TO pg_monitor",
         "REVOKE EXECUTE ON FUNCTION automation.f() FROM pg_monitor"},
        {"GRANT USAGE ON SCHEMA automation TO pg_monitor", "REVOKE USAGE ON SCHEMA automation FROM pg_monitor"},
    };
    char first[MIGRATE_FINGERPRINT_SIZE], now[MIGRATE_FINGERPRINT_SIZE];
    put_file("030_rules.sql", FILE_30);
    cr_assert_eq(migrate_verify(&config, now, &info), ERR_STATE, "nothing is applied yet");
    cr_assert(strstr(info.text, "1 of 1 files"), "%s", info.text);
    up_ok();
    /* GRANT writes out the defaults, which are the same rights in another form. */
    test_pg_run(
        &pg,
        "GRANT EXECUTE ON FUNCTION automation.f() TO pg_monitor; GRANT USAGE ON SCHEMA automation TO pg_monitor;"
        "REVOKE EXECUTE ON FUNCTION automation.f() FROM pg_monitor; REVOKE USAGE ON SCHEMA automation FROM pg_monitor");
    fingerprint(first);
    up_ok();
    test_pg_run(&pg, "INSERT INTO automation.t VALUES (1); CREATE TABLE public.other ()");
    fingerprint(now);
    cr_assert_str_eq(now, first);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        test_pg_run(&pg, cases[i].change);
        fingerprint(now);
        cr_assert_str_neq(now, first, "%s", cases[i].change);
        test_pg_run(&pg, cases[i].back);
        fingerprint(now);
        cr_assert_str_eq(now, first, "%s", cases[i].back);
    }
}

SERVER_TEST(two_databases_with_the_same_files_have_the_same_fingerprint)
{
    NEED_SERVER();
    struct test_pg first = pg;
    char a[MIGRATE_FINGERPRINT_SIZE], b[MIGRATE_FINGERPRINT_SIZE];
    put_file("030_rules.sql", FILE_30);
    put_file("031_index.sql", FILE_31);
    up_ok();
    fingerprint(a);
    test_pg_create(&pg, NULL);
    test_pg_run(&pg, "CREATE TABLE public.moves_the_oids (a int); DO $$ BEGIN EXECUTE format("
                     "'ALTER DATABASE %I SET search_path = automation', current_database()); END $$");
    config.url = pg.url;
    up_ok();
    fingerprint(b);
    cr_assert_str_eq(a, b);
    test_pg_drop(&first);
}
