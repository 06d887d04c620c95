/* pg: each test gets a database of its own, so tests can run beside each other and leave nothing to the next. A failure
 * here is none of the code under test, hence it prints and aborts. */
#include "tests/support/pg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/str.h"
#include "common/io/migrate.h"

#define MIGRATED "usher_migrated"

static const char *server_url(void)
{
    return getenv("USHER_TEST_DATABASE_URL");
}

bool test_pg_available(void)
{
    if (server_url())
        return true;
    fprintf(stderr, "skipped: USHER_TEST_DATABASE_URL is not set (run it under tests/support/with-servers.sh)\n");
    return false;
}

static void die(const char *what, const struct err_info *info)
{
    fprintf(stderr, "test database: %s: %s\n", what, info->text);
    abort();
}

static struct db_session *open_url(const char *url)
{
    struct err_info info = {0};
    struct db_session *s = NULL;
    const struct db_session_config config = {.url = url, .name = "test"};
    if (db_open(&config, &s, &info) != ERR_OK)
        die(url, &info);
    return s;
}

static void run_url(const char *url, const char *sql)
{
    struct err_info info = {0};
    struct db_session *s = open_url(url);
    if (db_exec(s, sql, NULL, &info) != ERR_OK)
        die(sql, &info);
    db_close(s);
}

/* The server's URL with another database: its path is /postgres. */
static void url_of(char *out, size_t size, const char *name)
{
    const char *url = server_url();
    const char *query = strchr(url, '?');
    if (snprintf(out, size, "postgresql:///%s%s", name, query ? query : "") >= (int)size)
        abort();
}

void test_pg_create(struct test_pg *pg, const char *template)
{
    static int counter;
    struct buf sql = {0};
    snprintf(pg->name, sizeof(pg->name), "t_%d_%d", (int)getpid(), ++counter);
    url_of(pg->url, sizeof(pg->url), pg->name);
    buf_printf(&sql, "CREATE DATABASE %s TEMPLATE %s", pg->name, template ? template : "template0");
    run_url(server_url(), buf_text(&sql));
    buf_free(&sql);
}

void test_pg_drop(struct test_pg *pg)
{
    struct buf sql = {0};
    buf_printf(&sql, "DROP DATABASE IF EXISTS %s WITH (FORCE)", pg->name);
    run_url(server_url(), buf_text(&sql));
    buf_free(&sql);
}

static bool database_exists(struct db_session *s, const char *name)
{
    static const struct db_stmt stmt = {"test_database_exists", "SELECT 1 FROM pg_database WHERE datname = $1"};
    struct arena arena = {0};
    struct db_args args;
    struct db_result *res = NULL;
    struct err_info info = {0};
    db_args_init(&args, &arena);
    db_arg_cstr(&args, name);
    if (db_query(s, &stmt, &args, &res, &info) != ERR_OK)
        die(stmt.name, &info);
    bool exists = db_rows(res) > 0;
    db_result_free(res);
    arena_free(&arena);
    return exists;
}

/* Built under another name first: a crash in between must not leave half a template. */
static void build_migrated(struct db_session *s)
{
    struct err_info info = {0};
    struct migrate_config config = {.dir = "migrations"};
    char url[512];
    url_of(url, sizeof(url), MIGRATED "_new");
    config.url = url;
    if (db_exec(s, "DROP DATABASE IF EXISTS " MIGRATED "_new WITH (FORCE)", NULL, &info) != ERR_OK ||
        db_exec(s, "CREATE DATABASE " MIGRATED "_new TEMPLATE template0", NULL, &info) != ERR_OK ||
        migrate_up(&config, &info) != ERR_OK ||
        db_exec(s, "ALTER DATABASE " MIGRATED "_new RENAME TO " MIGRATED, NULL, &info) != ERR_OK)
        die("migrations/", &info);
}

void test_pg_create_migrated(struct test_pg *pg)
{
    struct err_info info = {0};
    struct db_session *s = open_url(server_url());
    if (db_exec(s, "SELECT pg_advisory_lock(4711)", NULL, &info) != ERR_OK)
        die("lock", &info);
    if (!database_exists(s, MIGRATED))
        build_migrated(s);
    db_close(s);
    test_pg_create(pg, MIGRATED);
}

struct db_session *test_pg_session(const struct test_pg *pg)
{
    return open_url(pg->url);
}

void test_pg_run(const struct test_pg *pg, const char *sql)
{
    run_url(pg->url, sql);
}

void test_pg_run_server(const char *sql)
{
    run_url(server_url(), sql);
}

int64_t test_pg_i64(const struct test_pg *pg, const char *sql)
{
    struct err_info info = {0};
    const struct db_stmt stmt = {"test_i64", sql};
    struct db_session *s = test_pg_session(pg);
    struct db_result *res = NULL;
    if (db_query(s, &stmt, NULL, &res, &info) != ERR_OK || db_rows(res) < 1)
        die(sql, &info);
    int64_t v = db_i64(res, 0, 0);
    db_result_free(res);
    db_close(s);
    return v;
}

static void *run_beside(void *arg)
{
    struct test_pg_beside *b = arg;

    b->err = db_exec(b->s, b->sql, NULL, &b->info);
    atomic_store(&b->done, true);
    return NULL;
}

void test_pg_beside(const struct test_pg *pg, struct test_pg_beside *b)
{
    struct err_info info = {0};
    char waits[96];

    snprintf(waits, sizeof(waits), "select cardinality(pg_blocking_pids(%d))::int8", db_backend_pid(b->s));
    if (pthread_create(&b->thread, NULL, run_beside, b) != 0)
        die("thread", &info);
    while (!atomic_load(&b->done) && test_pg_i64(pg, waits) == 0)
        continue;
}

void test_pg_join(struct test_pg_beside *b)
{
    pthread_join(b->thread, NULL);
}
