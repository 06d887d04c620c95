/* Through a real pgbouncer: what needs a session of its own is refused with a reason, what may go through works, and a server
 * connection keeps nothing of the tenant it last served. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/io/migrate.h"
#include "tests/support/pgbouncer.h"
#include "tests/support/system.h"

#define A "10000000-0000-4000-8000-000000000001"
#define B "10000000-0000-4000-8000-000000000002"

static struct test_pg pg; /* for tests without a system */
static struct pgbouncer pooler;

static void teardown(void)
{
    pgbouncer_stop(&pooler);
    if (pg.name[0] != '\0')
        test_pg_drop(&pg);
    system_close();
}

#define POOLER_TEST(name) Test(pooler, name, .fini = teardown, .timeout = 240)

static struct db_session *open_session(bool pooled)
{
    const struct db_session_config config = {.url = pooler.url, .name = "test", .pooled = pooled};
    struct db_session *s = NULL;
    struct err_info info = {0};
    cr_assert_eq(db_open(&config, &s, &info), ERR_OK, "%s", info.text);
    return s;
}

static enum err try_sql(struct db_session *s, const char *sql)
{
    struct err_info info = {0};
    return db_exec(s, sql, NULL, &info);
}

static void run_sql(struct db_session *s, const char *sql)
{
    struct err_info info = {0};
    cr_assert_eq(db_exec(s, sql, NULL, &info), ERR_OK, "%s: %s", sql, info.text);
}

/* As the programs ask: what `pooled` leaves out is not left out here. */
static int64_t ask(struct db_session *s, const struct db_stmt *stmt)
{
    struct db_result *res = NULL;
    struct err_info info = {0};
    cr_assert_eq(db_query(s, stmt, NULL, &res, &info), ERR_OK, "%s: %s", stmt->name, info.text);
    int64_t n = db_rows(res) > 0 ? db_i64(res, 0, 0) : -1;
    db_result_free(res);
    return n;
}

/* ---- refused ------------------------------------------------------------------------------------------------------------- */

POOLER_TEST(migrations_are_refused_through_an_idle_transaction_pooler)
{
    struct migrate_config config = {.dir = "migrations"};
    struct err_info info = {0};

    if (!test_pg_available())
        return;
    test_pg_create(&pg, NULL);
    for (int size = 1; size <= 2; size++) {
        pgbouncer_start(&pooler, pg.url, "transaction", size, NULL);
        config.url = pooler.url;
        cr_expect_eq(migrate_up(&config, &info), ERR_STATE, "%s", info.text);
        cr_expect_not_null(strstr(info.text, "transaction pooler"), "%s", info.text);
        cr_expect_not_null(strstr(info.text, "session mode"), "%s", info.text);
        cr_expect_eq(test_pg_i64(&pg, "select count(*) from pg_namespace where nspname like 'automation%'"), 0);
        pgbouncer_stop(&pooler);
    }
}

POOLER_TEST(a_refused_session_leaves_the_server_connection_as_it_was)
{
    static const struct db_stmt touched = {
        "touched",
        "select count(*) from pg_settings where name in ('statement_timeout', 'jit', 'client_connection_check"
        "_interval', 'idle_in_transaction_session_timeout') and setting <> reset_val"};
    struct db_session_config config = {.name = "test"};
    struct db_session *other = NULL, *s = NULL;
    struct err_info info = {0};

    if (!test_pg_available())
        return;
    test_pg_create(&pg, NULL);
    pgbouncer_start(&pooler, pg.url, "transaction", 1, NULL);
    config.url = pooler.url;
    other = open_session(true);
    cr_expect_eq(db_open(&config, &s, &info), ERR_STATE, "%s", info.text);
    cr_expect_null(s);
    cr_expect_eq(ask(other, &touched), 0, "another client's statements would be ended by our time limits");
    db_close(other);
}

/* Connections that are handed out in turn: with four of them nobody is given another's, and each fourth time its own. */
POOLER_TEST(a_transaction_pooler_that_takes_turns_is_found_out)
{
    struct db_session_config config = {.name = "test"};
    struct db_session *beside[4], *s = NULL;
    struct err_info info = {0};

    if (!test_pg_available())
        return;
    test_pg_create(&pg, NULL);
    for (int size = 2; size <= 4; size++) {
        pgbouncer_start(&pooler, pg.url, "transaction", size, "server_round_robin = 1");
        config.url = pooler.url;
        for (int i = 0; i < size; i++) {
            beside[i] = open_session(true);
            run_sql(beside[i], "begin");
        }
        for (int i = 0; i < size; i++)
            run_sql(beside[i], "commit");
        cr_expect_eq(db_open(&config, &s, &info), ERR_STATE, "%d: %s", size, info.text);
        for (int i = 0; i < size; i++)
            db_close(beside[i]);
        pgbouncer_stop(&pooler);
    }
}

POOLER_TEST(a_session_pooler_is_as_good_as_a_direct_connection)
{
    static const struct db_stmt own = {"own", "select pg_backend_pid()"};
    struct migrate_config config = {.dir = "migrations"};
    struct err_info info = {0};

    if (!test_pg_available())
        return;
    test_pg_create(&pg, NULL);
    pgbouncer_start(&pooler, pg.url, "session", 4, NULL);
    config.url = pooler.url;
    cr_assert_eq(migrate_up(&config, &info), ERR_OK, "%s", info.text);
    struct db_session *s = open_session(false);
    cr_expect_eq(ask(s, &own), db_backend_pid(s));
    db_close(s);
    cr_expect_eq(test_pg_i64(&pg, "select count(*) from automation_priv.schema_migrations where state <> 'applied'"), 0);
}

POOLER_TEST(a_pooler_without_a_second_connection_is_not_taken_for_a_session_pooler)
{
    struct db_session_config config = {.name = "test", .connect_ms = 100};
    struct db_session *s = NULL;
    struct err_info info = {0};

    if (!test_pg_available())
        return;
    test_pg_create(&pg, NULL);
    pgbouncer_start(&pooler, pg.url, "session", 1, NULL);
    config.url = pooler.url;
    cr_expect_eq(db_open(&config, &s, &info), ERR_TIMEOUT, "%s", info.text);
    cr_expect_not_null(strstr(info.text, "could not be found out"), "%s", info.text);
}

POOLER_TEST(programs_end_with_status_78)
{
    char setting[600], url[512];
    const char *const env[] = {setting, NULL};

    if (!system_open(false))
        return;
    pgbouncer_start(&pooler, sys.pg.url, "transaction", 2, NULL);
    for (int login = 0; login < 2; login++) {
        pgbouncer_url(&pooler, sys.urls[login], url, sizeof(url));
        snprintf(setting, sizeof(setting), "DATABASE_URL=%s", url);
        int process = login == 0 ? system_worker(env) : system_scheduler(env);
        cr_expect_eq(system_wait(process), 78);
        cr_expect_gt(system_logged(process, "transaction pooler"), 0);
    }
}

/* ---- commands ------------------------------------------------------------------------------------------------------------ */

static void be_usher(const char *words, const char *pooled, int out)
{
    char line[512];

    snprintf(line, sizeof(line), "exec \"$USHER_TEST_BIN\"/usher %s", words);
    setenv("DATABASE_URL", pooler.url, 1);
    setenv("DATABASE_POOLED", pooled, 1);
    setenv("REDIS_URL", sys.redis.url, 1);
    setenv("USHER_ARCHIVE_DIR", sys.dir, 1);
    if (dup2(out, STDOUT_FILENO) >= 0 && dup2(out, STDERR_FILENO) >= 0)
        execl("/bin/sh", "sh", "-c", line, (char *)NULL);
    _exit(127);
}

/* Runs `usher WORDS` through the pooler: its exit code; its two streams are in *out. */
static int usher(const char *words, const char *pooled, struct buf *out)
{
    char piece[4096];
    int ends[2], status = -1;
    ssize_t n;

    cr_assert_eq(pipe(ends), 0);
    const pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0)
        be_usher(words, pooled, ends[1]);
    close(ends[1]);
    buf_reset(out);
    while ((n = read(ends[0], piece, sizeof(piece))) > 0)
        buf_put(out, piece, (size_t)n);
    close(ends[0]);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

POOLER_TEST(commands_that_read_or_enqueue_work)
{
    static const char *const commands[] = {
        "enqueue noop '{\"a\": 1}'",
        "health",
        "log list --tenant " SYSTEM_TENANT,
        "log failures --tenant " SYSTEM_TENANT,
        "stats usage --tenant " SYSTEM_TENANT,
        "stats rules --tenant " SYSTEM_TENANT,
        "queue list",
        "worker list",
        "dead list",
        "template list --tenant " SYSTEM_TENANT,
        "rule cache",
        "partition list",
        "approval list",
        "archive list",
        "audit",
        "template list",
        "stats milestones --tenant " SYSTEM_TENANT,
        "stats seasons --tenant " SYSTEM_TENANT,
        "stats vendors --tenant " SYSTEM_TENANT,
        "wedding show --tenant " SYSTEM_TENANT " " SYSTEM_WEDDING,
    };
    char job[64];
    struct buf out = {0};

    if (!system_open(false))
        return;
    for (int size = 1; size <= 2; size++) {
        pgbouncer_start(&pooler, sys.pg.url, "transaction", size, NULL);
        struct db_session *beside = open_session(true);
        for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
            cr_expect_eq(usher(commands[i], "true", &out), 0, "%s: %s", commands[i], buf_text(&out));
            run_sql(beside, "select 1");
        }
        cr_assert_eq(usher("enqueue noop --json", "true", &out), 0, "%s", buf_text(&out));
        const char *id = strstr(buf_text(&out), "-");
        cr_assert(id != NULL && id - buf_text(&out) >= 8, "%s", buf_text(&out));
        snprintf(job, sizeof(job), "job show %.36s", id - 8);
        cr_expect_eq(usher(job, "true", &out), 0, "%s", buf_text(&out));
        db_close(beside);
        pgbouncer_stop(&pooler);
    }
    buf_free(&out);
}

POOLER_TEST(commands_that_need_a_session_say_so)
{
    /* Also with DATABASE_POOLED, which is for the others. */
    static const char *const commands[] = {"migrate up", "migrate status", "partition ensure", "archive run"};
    struct buf out = {0};

    if (!system_open(false))
        return;
    pgbouncer_start(&pooler, sys.pg.url, "transaction", 2, NULL);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        cr_expect_eq(usher(commands[i], "true", &out), 4, "%s: %s", commands[i], buf_text(&out));
        cr_expect_not_null(strstr(buf_text(&out), "transaction pooler"), "%s: %s", commands[i], buf_text(&out));
    }
    cr_expect_eq(usher("queue list", "false", &out), 4, "%s", buf_text(&out));
    cr_expect_not_null(strstr(buf_text(&out), "DATABASE_POOLED=true"), "%s", buf_text(&out));
    buf_free(&out);
}

/* ---- the host application ------------------------------------------------------------------------------------------------ */

POOLER_TEST(jobs_are_enqueued_in_the_callers_transaction)
{
    static const struct db_stmt one = {"one", "select count(*) from automation.enqueue_job('noop', '{}')"};
    static const struct db_stmt many = {
        "many", "select automation.enqueue_jobs('[{\"kind\": \"noop\"}, {\"kind\": \"noop\"}]')::bigint"};
    static const struct db_stmt all = {"all", "select count(*) from automation_priv.ledger"};

    if (!system_open(false))
        return;
    pgbouncer_start(&pooler, sys.pg.url, "transaction", 2, NULL);
    struct db_session *x = open_session(true), *y = open_session(true);
    run_sql(x, "begin");
    run_sql(y, "begin");
    cr_expect_eq(ask(x, &one), 1);
    cr_expect_eq(ask(y, &many), 2);
    cr_expect_eq(ask(x, &all), 1);
    cr_expect_eq(ask(y, &all), 2);
    run_sql(x, "rollback");
    run_sql(y, "commit");
    cr_expect_eq(ask(x, &all), 2);
    db_close(x);
    db_close(y);
}

#define AS_API(tenant) "begin; set local role automation_api; select set_config('app.tenant_id', '" tenant "', true)"

static const struct db_stmt seen = {"seen", "select count(*) from automation.weddings"};
static const struct db_stmt seen_of_a = {"seen_of_a",
                                         "select count(*) from automation.weddings where tenant_id = '" A "'"};
static const struct db_stmt seen_of_b = {"seen_of_b",
                                         "select count(*) from automation.weddings where tenant_id = '" B "'"};

/* One who names no tenant, on whatever connection is given out next. */
static void expect_nothing_left(struct db_session *s, const char *after)
{
    static const struct db_stmt left = {
        "left", "select (current_user <> session_user or coalesce(current_setting('app.tenant_id', true), '') <> '')"
                "::int::int8"};

    cr_expect_eq(ask(s, &left), 0, "%s the role or the tenant stayed", after);
    run_sql(s, "begin; set local role automation_api");
    cr_expect_eq(ask(s, &seen), 0, "%s", after);
    run_sql(s, "rollback");
}

static void expect_own(struct db_session *s, bool is_a)
{
    cr_expect_eq(ask(s, &seen), is_a ? 3 : 2);
    cr_expect_eq(ask(s, &seen_of_a), is_a ? 3 : 0);
    cr_expect_eq(ask(s, &seen_of_b), is_a ? 0 : 2);
}

static void add_tenants(void)
{
    test_pg_create_migrated(&pg);
    test_pg_run(&pg, "insert into automation.tenants (tenant_id, name) values ('" A "', 'A'), ('" B "', 'B');"
                     "insert into automation.weddings (tenant_id, wedding_id, title, time_zone) select t.tenant_id,"
                     " gen_random_uuid(), t.name, 'UTC' from automation.tenants t, generate_series(1, 3) i"
                     " where t.name = 'A' or (t.name = 'B' and i < 3)");
}

POOLER_TEST(tenants_that_take_turns_on_one_server_connection_never_see_each_other)
{
    static const struct {
        const char *sql, *then;
    } ends[] = {{"commit", NULL}, {"rollback", NULL}, {"select 1 / 0", "rollback"}, {"select 1 / 0", "commit"}};
    static const struct db_stmt own = {"own", "select pg_backend_pid()"};

    if (!test_pg_available())
        return;
    add_tenants();
    pgbouncer_start(&pooler, pg.url, "transaction", 1, NULL);
    struct db_session *a = open_session(true), *b = open_session(true), *nobody = open_session(true);
    cr_assert_eq(ask(a, &own), ask(b, &own), "they share one server connection");
    for (size_t i = 0; i < 8; i++) {
        bool is_a = i % 2 == 0;
        struct db_session *s = is_a ? a : b;
        run_sql(s, is_a ? AS_API(A) : AS_API(B));
        expect_own(s, is_a);
        (void)try_sql(s, ends[i / 2].sql);
        if (ends[i / 2].then)
            (void)try_sql(s, ends[i / 2].then);
        expect_nothing_left(nobody, ends[i / 2].sql);
    }
    run_sql(a, AS_API(A));
    db_close(a); /* in the middle of its transaction */
    expect_nothing_left(nobody, "close");
    db_close(b);
    db_close(nobody);
}

POOLER_TEST(tenants_side_by_side_never_see_each_other)
{
    if (!test_pg_available())
        return;
    add_tenants();
    pgbouncer_start(&pooler, pg.url, "transaction", 2, NULL);
    struct db_session *s[3] = {open_session(true), open_session(true), open_session(true)};
    /* Three clients, two server connections: who is A and who is B changes, as does the connection that each is given. */
    for (int i = 0; i < 12; i++) {
        struct db_session *a = s[i % 3], *b = s[(i + 1) % 3];
        run_sql(a, AS_API(A));
        run_sql(b, AS_API(B));
        expect_own(a, true);
        expect_own(b, false);
        expect_own(a, true);
        run_sql(i % 2 ? a : b, "commit");
        expect_nothing_left(s[(i + 2) % 3], "beside an open transaction");
        run_sql(i % 2 ? b : a, "commit");
        expect_nothing_left(s[(i + 2) % 3], "after both");
    }
    for (int i = 0; i < 3; i++)
        db_close(s[i]);
}
