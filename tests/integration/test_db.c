/* Sessions: every call against a real server. Connections on the loop: test_db_conn.c. */
#include <criterion/criterion.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/io/db.h"
#include "tests/support/pg.h"

static struct test_pg pg;
static struct db_session *s;
static struct arena arena;
static struct db_args args;
static struct err_info info;
static bool ready;

static void setup(void)
{
    ready = test_pg_available();
    if (!ready)
        return;
    test_pg_create(&pg, NULL);
    s = test_pg_session(&pg);
    db_args_init(&args, &arena);
}

static void teardown(void)
{
    if (!ready)
        return;
    db_close(s);
    arena_free(&arena);
    test_pg_drop(&pg);
}

#define SERVER_TEST(name) Test(db_session, name, .init = setup, .fini = teardown, .timeout = 60)
#define NEED_SERVER()                                                                                                  \
    if (!ready)                                                                                                        \
    cr_skip("no server")

static struct db_result *query(const char *sql)
{
    /* A statement's address is its identity, so each text needs one of its own. */
    static struct db_stmt stmts[64];
    static int n;
    struct db_result *res = NULL;
    cr_assert_lt(n, 64);
    stmts[n] = (struct db_stmt){"t", sql};
    enum err err = db_query(s, &stmts[n++], &args, &res, &info);
    cr_assert_eq(err, ERR_OK, "%s: %s", sql, info.text);
    db_args_init(&args, &arena);
    return res;
}

static void exec(const char *sql)
{
    cr_assert_eq(db_exec(s, sql, NULL, &info), ERR_OK, "%s: %s", sql, info.text);
}

SERVER_TEST(scalars_come_back_as_they_were_sent)
{
    NEED_SERVER();
    const struct id id = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 255}};
    db_arg_bool(&args, true);
    db_arg_i32(&args, INT32_MIN);
    db_arg_i64(&args, INT64_MAX);
    db_arg_double(&args, -1.5e300);
    db_arg_text(&args, STR("Müller"));
    db_arg_cstr(&args, "");
    db_arg_bytes(&args, (struct str){"\0\xff", 2});
    db_arg_id(&args, &id);
    db_arg_time(&args, 1775034000123456);
    db_arg_json(&args, STR("{\"a\": [1, null]}"));
    struct db_result *r = query("SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $2::int::text, $9::text, $10::text, "
                                "7::smallint, 1.5::real");
    cr_assert_eq(db_rows(r), 1);
    cr_assert(db_bool(r, 0, 0));
    cr_assert_eq(db_i64(r, 0, 1), INT32_MIN);
    cr_assert_eq(db_i64(r, 0, 2), INT64_MAX);
    cr_assert_eq(db_double(r, 0, 3), -1.5e300);
    cr_assert(str_is(db_text(r, 0, 4), "Müller"));
    cr_assert(!db_null(r, 0, 5) && db_text(r, 0, 5).p && db_text(r, 0, 5).n == 0, "an empty text is not NULL");
    cr_assert(str_eq(db_text(r, 0, 6), (struct str){"\0\xff", 2}));
    const struct id back = db_id(r, 0, 7);
    cr_assert(id_eq(&back, &id));
    cr_assert_eq(db_time(r, 0, 8), 1775034000123456);
    cr_assert(str_is(db_text(r, 0, 9), "{\"a\": [1, null]}"), "jsonb without its version byte");
    cr_assert(str_is(db_text(r, 0, 10), "-2147483648"));
    cr_assert(str_is(db_text(r, 0, 11), "2026-04-01 09:00:00.123456+00"), "in UTC, ISO: %s", db_text(r, 0, 11).p);
    cr_assert(str_is(db_text(r, 0, 12), "{\"a\": [1, null]}"));
    cr_assert_eq(db_i64(r, 0, 13), 7);
    cr_assert_eq(db_double(r, 0, 14), 1.5);
    db_result_free(r);
}

SERVER_TEST(nulls_and_infinite_times_are_told_apart)
{
    NEED_SERVER();
    db_arg_null(&args);
    db_arg_cstr(&args, NULL);
    db_arg_id(&args, NULL);
    db_arg_time(&args, DB_NULL_TIME);
    db_arg_json(&args, (struct str){NULL, 0});
    db_arg_bytes(&args, (struct str){NULL, 0});
    db_arg_time(&args, INT64_MAX);
    struct db_result *r = query("SELECT $1::bool, $2, $3, $4, $5, $6, $7 = 'infinity', 'infinity'::timestamptz, "
                                "'-infinity'::timestamptz, NULL::bigint, NULL::float8");
    for (int col = 0; col < 6; col++)
        cr_assert(db_null(r, 0, col), "column %d", col);
    const struct id none = db_id(r, 0, 2);
    cr_assert(!db_bool(r, 0, 0) && !db_text(r, 0, 1).p && id_is_zero(&none));
    cr_assert_eq(db_time(r, 0, 3), DB_NULL_TIME);
    cr_assert(db_bool(r, 0, 6));
    cr_assert_eq(db_time(r, 0, 7), INT64_MAX);
    cr_assert_eq(db_time(r, 0, 8), INT64_MIN + 1);
    cr_assert(db_i64(r, 0, 9) == 0 && db_double(r, 0, 10) == 0);
    db_result_free(r);
}

SERVER_TEST(arrays_come_back_as_they_were_sent)
{
    NEED_SERVER();
    const struct id ids[] = {{{1}}, ID_ZERO};
    const struct str texts[] = {STR("a\"b"), {NULL, 0}, STR("")};
    const struct str bytes[] = {{"\0\1", 2}, {NULL, 0}};
    const int64_t times[] = {0, DB_NULL_TIME};
    db_arg_ids(&args, ids, 2);
    db_arg_i32s(&args, (const int32_t[]){-1, 2}, 2);
    db_arg_i64s(&args, (const int64_t[]){INT64_MIN}, 1);
    db_arg_texts(&args, texts, 3);
    db_arg_bytess(&args, bytes, 2);
    db_arg_times(&args, times, 2);
    db_arg_bools(&args, (const bool[]){true, false}, 2);
    db_arg_texts(&args, NULL, 0);
    struct db_result *r =
        query("SELECT $1::text, $2::text, $3::text, $4::text, $5::text, $6::text, $7::text, $8::text");
    const char *want[] = {"{01000000-0000-0000-0000-000000000000,00000000-0000-0000-0000-000000000000}",
                          "{-1,2}",
                          "{-9223372036854775808}",
                          "{\"a\\\"b\",NULL,\"\"}",
                          "{\"\\\\x0001\",NULL}",
                          "{\"1970-01-01 00:00:00+00\",NULL}",
                          "{t,f}",
                          "{}"};
    for (int col = 0; col < 8; col++)
        cr_assert_str_eq(db_text(r, 0, col).p, want[col]);
    db_result_free(r);
}

SERVER_TEST(a_statement_may_be_called_with_other_types_than_the_first_time)
{
    NEED_SERVER();
    static const struct db_stmt stmt = {"typed", "SELECT coalesce($1::int8, -1)"};
    static const int64_t want[] = {-1, 7, -1, 9};
    for (int i = 0; i < 4; i++) {
        struct db_result *r = NULL;
        db_args_init(&args, &arena);
        if (i == 0 || i == 2)
            db_arg_null(&args);
        else if (i == 1)
            db_arg_i32(&args, 7);
        else
            db_arg_i64(&args, 9);
        cr_assert_eq(db_query(s, &stmt, &args, &r, &info), ERR_OK, "%d: %s", i, info.text);
        cr_assert_eq(db_i64(r, 0, 0), want[i]);
        db_result_free(r);
    }
    db_args_init(&args, &arena);
    struct db_result *r = query("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'typed%'");
    cr_assert_eq(db_i64(r, 0, 0), 3, "unknown, int4 and int8; an untyped NULL takes any of them");
    db_result_free(r);
}

SERVER_TEST(every_sqlstate_has_its_error)
{
    NEED_SERVER();
    exec("CREATE TABLE t (id int PRIMARY KEY, n int CHECK (n > 0)); INSERT INTO t VALUES (1, 1); CREATE ROLE "
         "nobody_much");
    static const struct {
        const char *sql;
        enum err err;
    } cases[] = {
        {"INSERT INTO t VALUES (1, 1)", ERR_DB_UNIQUE},
        {"INSERT INTO t VALUES (2, 0)", ERR_DB_DATA},
        {"SELECT 1/0", ERR_DB_DATA},
        {"SELECT 'x'::int", ERR_DB_DATA},
        {"SELECT nothing FROM nowhere", ERR_DB_BROKEN},
        {"SELEC", ERR_DB_BROKEN},
        {"DO $$ BEGIN RAISE SQLSTATE '40001'; END $$", ERR_DB_LOCK},
        {"DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$", ERR_DB_LOCK},
        {"DO $$ BEGIN RAISE SQLSTATE '55P03'; END $$", ERR_DB_LOCK},
        {"DO $$ BEGIN RAISE SQLSTATE '0A000'; END $$", ERR_DB_FEATURE},
        {"DO $$ BEGIN RAISE SQLSTATE 'P0002'; END $$", ERR_NOTFOUND},
        {"DO $$ BEGIN RAISE SQLSTATE 'U0001'; END $$", ERR_STATE},
        {"DO $$ BEGIN RAISE SQLSTATE '53100'; END $$", ERR_BUSY},
        {"DO $$ BEGIN RAISE SQLSTATE '08P01'; END $$", ERR_DB},
        {"SET ROLE nobody_much; SELECT * FROM t", ERR_DENIED},
        {"RESET ROLE; SET statement_timeout = 20; SELECT pg_sleep(5)", ERR_TIMEOUT},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        enum err err = db_exec(s, cases[i].sql, NULL, &info);
        cr_assert_eq(err, cases[i].err, "%s: %s %s", cases[i].sql, err_name(err), info.text);
        cr_assert_eq(info.code, err);
        cr_assert(db_alive(s));
    }
    exec("DROP OWNED BY nobody_much; DROP ROLE nobody_much");
}

SERVER_TEST(an_error_is_told_with_state_detail_and_hint_on_one_line)
{
    NEED_SERVER();
    exec("CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
    int position = -1;
    cr_assert_eq(db_exec(s, "INSERT INTO t VALUES (1)", &position, &info), ERR_DB_UNIQUE);
    cr_assert_str_eq(info.text, "duplicate key value violates unique constraint \"t_pkey\" (23505) DETAIL Key (id)=(1) "
                                "already exists.");
    cr_assert_eq(position, 0);
    cr_assert_eq(db_exec(s, "SELECT 1;\nSELECT ä, lenght('x')", &position, NULL), ERR_DB_BROKEN);
    cr_assert_eq(position, 18, "characters, not bytes: %d", position);
    cr_assert_eq(db_exec(s, "DO $$ BEGIN RAISE 'a\nb' USING HINT = 'c'; END $$", NULL, &info), ERR_DB);
    cr_assert_str_eq(info.text, "a b (P0001) HINT c");
}

SERVER_TEST(a_commit_that_rolled_back_is_an_error)
{
    NEED_SERVER();
    exec("BEGIN");
    cr_assert_eq(db_exec(s, "SELECT 1/0", NULL, &info), ERR_DB_DATA);
    cr_assert_eq(db_exec(s, "commit", NULL, &info), ERR_DB);
    cr_assert(strstr(info.text, "rolled it back"));
    exec("BEGIN");
    exec("COMMIT");
}

SERVER_TEST(affected_rows_are_counted)
{
    NEED_SERVER();
    exec("CREATE TABLE t (id int)");
    struct db_result *r = query("INSERT INTO t SELECT generate_series(1, 12345)");
    cr_assert_eq(db_affected(r), 12345);
    cr_assert_eq(db_rows(r), 0);
    db_result_free(r);
    r = query("CREATE TABLE u ()");
    cr_assert_eq(db_affected(r), 0);
    db_result_free(r);
    db_result_free(NULL);
}

static void copy_rows(struct buf *b, int from, int to)
{
    db_copy_begin(b);
    for (int i = from; i <= to; i++) {
        const struct id id = {{(uint8_t)i}};
        db_copy_row(b, 10);
        db_copy_i32(b, i);
        db_copy_id(b, i % 2 ? &id : NULL);
        db_copy_i16(b, (int16_t)-i);
        db_copy_i64(b, (int64_t)i << 40);
        db_copy_bool(b, i % 2);
        db_copy_time(b, i % 2 ? 1000000 * (int64_t)i : DB_NULL_TIME);
        db_copy_text(b, i % 2 ? STR("Zoë") : (struct str){NULL, 0});
        db_copy_bytes(b, STR("\1\2"));
        db_copy_jsonb(b, i % 2 ? STR("{\"k\": 1}") : (struct str){NULL, 0});
        db_copy_null(b);
    }
    db_copy_end(b);
}

#define COPY_TABLE                                                                                                     \
    "CREATE TABLE t (a int PRIMARY KEY, b uuid, c smallint, d bigint, e bool, f timestamptz, g text, h bytea, i "      \
    "jsonb, j int)"
#define COPY_SQL "COPY t FROM STDIN (FORMAT binary)"

SERVER_TEST(copy_stores_what_was_encoded)
{
    NEED_SERVER();
    struct buf b = {0};
    exec(COPY_TABLE);
    copy_rows(&b, 1, 20000);
    cr_assert_gt(b.len, 10 * 65536, "many chunks");
    cr_assert_eq(db_copy_in(s, COPY_SQL, &b, &info), ERR_OK, "%s", info.text);
    struct db_result *r =
        query("SELECT count(*), sum(d >> 40)::int8, min(t::text), max(t::text) FILTER (WHERE a = 2) FROM t "
              "WHERE a IN (1, 2) OR a > 2");
    cr_assert_eq(db_i64(r, 0, 0), 20000);
    cr_assert_eq(db_i64(r, 0, 1), 20000LL * 20001 / 2);
    db_result_free(r);
    r = query("SELECT t::text FROM t WHERE a <= 2 ORDER BY a");
    cr_assert_str_eq(db_text(r, 0, 0).p,
                     "(1,01000000-0000-0000-0000-000000000000,-1,1099511627776,t,\"1970-01-01 00:00:01+00\","
                     "Zoë,\"\\\\x0102\",\"{\"\"k\"\": 1}\",)");
    cr_assert_str_eq(db_text(r, 1, 0).p, "(2,,-2,2199023255552,f,,,\"\\\\x0102\",,)");
    db_result_free(r);
    buf_free(&b);
}

SERVER_TEST(a_refused_copy_leaves_the_session_usable)
{
    NEED_SERVER();
    struct buf b = {0};
    exec(COPY_TABLE);
    exec("INSERT INTO t VALUES (7)");
    copy_rows(&b, 1, 20000);
    cr_assert_eq(db_copy_in(s, COPY_SQL, &b, &info), ERR_DB_UNIQUE, "%s", info.text);
    cr_assert_eq(db_copy_in(s, "COPY missing FROM STDIN (FORMAT binary)", &b, &info), ERR_DB_BROKEN, "%s", info.text);
    b.len -= 3; /* the trailer and a byte of the last row */
    cr_assert_eq(db_copy_in(s, "COPY t FROM STDIN (FORMAT binary)", &b, &info), ERR_DB_UNIQUE, "%s", info.text);
    exec("TRUNCATE t");
    cr_assert_eq(db_copy_in(s, COPY_SQL, &b, &info), ERR_DB_DATA, "%s", info.text);
    cr_assert(strstr(info.text, "22P04"), "%s", info.text);
    struct db_result *r = query("SELECT count(*) FROM t");
    cr_assert_eq(db_i64(r, 0, 0), 0);
    db_result_free(r);
    buf_free(&b);
}

SERVER_TEST(copy_through_another_call_is_refused)
{
    NEED_SERVER();
    cr_assert_eq(db_exec(s, "CREATE TABLE t (a int); COPY t FROM STDIN", NULL, &info), ERR_STATE);
    cr_assert(!db_alive(s));
    cr_assert_eq(db_exec(s, "SELECT 1", NULL, &info), ERR_CONN_LOST);
}

SERVER_TEST(a_statement_that_lost_its_columns_or_name_works_again)
{
    NEED_SERVER();
    static const struct db_stmt stmt = {"star", "SELECT * FROM t"};
    struct db_result *r = NULL;
    exec("CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
    cr_assert_eq(db_query(s, &stmt, NULL, &r, &info), ERR_OK);
    db_result_free(r);
    exec("ALTER TABLE t ADD b text DEFAULT 'x'");
    cr_assert_eq(db_query(s, &stmt, NULL, &r, &info), ERR_DB_LOCK, "%s", info.text);
    cr_assert_null(r);
    cr_assert_eq(db_query(s, &stmt, NULL, &r, &info), ERR_OK, "%s", info.text);
    cr_assert(str_is(db_text(r, 0, 1), "x"));
    db_result_free(r);
    exec("DEALLOCATE ALL");
    cr_assert_eq(db_query(s, &stmt, NULL, NULL, &info), ERR_DB_LOCK, "%s", info.text);
    cr_assert_eq(db_query(s, &stmt, NULL, NULL, &info), ERR_OK, "%s", info.text);
}

SERVER_TEST(a_prepare_that_failed_is_tried_again)
{
    NEED_SERVER();
    static const struct db_stmt stmt = {"later", "SELECT a FROM t"};
    cr_assert_eq(db_query(s, &stmt, NULL, NULL, &info), ERR_DB_BROKEN);
    exec("CREATE TABLE t (a int)");
    cr_assert_eq(db_query(s, &stmt, NULL, NULL, &info), ERR_OK, "%s", info.text);
}

static void terminate(int pid)
{
    struct buf sql = {0};
    buf_printf(&sql, "SELECT pg_terminate_backend(%d, 5000)", pid);
    test_pg_run(&pg, buf_text(&sql));
    buf_free(&sql);
}

SERVER_TEST(a_terminated_session_is_lost_and_says_so)
{
    NEED_SERVER();
    terminate(db_backend_pid(s));
    cr_assert_eq(db_exec(s, "SELECT 1", NULL, &info), ERR_CONN_LOST);
    cr_assert(strstr(info.text, "57P01") || strstr(info.text, "closed"), "%s", info.text);
    cr_assert(!db_alive(s));
    cr_assert_eq(db_exec(s, "SELECT 1", NULL, &info), ERR_CONN_LOST);
    cr_assert(!db_wait_notify(s, 0));
}

SERVER_TEST(a_session_that_the_server_ended_is_lost_and_says_why)
{
    NEED_SERVER();
    struct buf sql = {0};
    int64_t there = 1;
    exec("SET idle_in_transaction_session_timeout = 20");
    exec("BEGIN");
    buf_printf(&sql, "SELECT count(*) FROM pg_stat_activity WHERE pid = %d", db_backend_pid(s));
    while (there > 0)
        there = test_pg_i64(&pg, buf_text(&sql));
    buf_free(&sql);
    cr_assert_eq(db_exec(s, "SELECT 1", NULL, &info), ERR_CONN_LOST, "%s", info.text);
    cr_assert(strstr(info.text, "idle-in-transaction timeout"), "%s", info.text);
    cr_assert(!db_alive(s));
}

SERVER_TEST(notifications_wake_the_waiting)
{
    NEED_SERVER();
    exec("LISTEN news");
    cr_assert(!db_wait_notify(s, 0));
    test_pg_run(&pg, "NOTIFY news");
    cr_assert(db_wait_notify(s, 20000));
    cr_assert(!db_wait_notify(s, 0), "taken once");
    test_pg_run(&pg, "NOTIFY news; NOTIFY other");
    exec("SELECT 1"); /* reads the notification on the way */
    cr_assert(db_wait_notify(s, 20000));
}

SERVER_TEST(settings_of_a_session_are_as_promised)
{
    NEED_SERVER();
    struct db_session *other = NULL;
    exec("CREATE ROLE \"odd \"\"role\"");
    const struct db_session_config config = {
        .url = pg.url, .name = "usher-test", .role = "odd \"role", .statement_ms = 1234};
    cr_assert_eq(db_open(&config, &other, &info), ERR_OK, "%s", info.text);
    static const struct db_stmt stmt = {"settings", "SELECT concat_ws('|', current_setting('TimeZone'), "
                                                    "current_setting('DateStyle'), current_setting('client_encoding'), "
                                                    "current_setting('application_name'), "
                                                    "current_setting('statement_timeout'), current_user)"};
    struct db_result *r = NULL;
    cr_assert_eq(db_query(other, &stmt, NULL, &r, &info), ERR_OK);
    cr_assert_str_eq(db_text(r, 0, 0).p, "UTC|ISO, MDY|UTF8|usher-test|1234ms|odd \"role");
    db_result_free(r);
    db_close(other);
    exec("DROP ROLE \"odd \"\"role\"");
}

SERVER_TEST(a_frozen_server_does_not_hang_the_caller)
{
    NEED_SERVER();
    struct db_session *other = NULL;
    const struct db_session_config config = {.url = pg.url, .statement_ms = 50};
    cr_assert_eq(db_open(&config, &other, &info), ERR_OK);
    int pid = db_backend_pid(other);
    cr_assert_eq(kill(pid, SIGSTOP), 0);
    int64_t before_ms = clock_mono_ms();
    enum err err = db_exec(other, "SELECT 1", NULL, &info);
    int64_t took_ms = clock_mono_ms() - before_ms;
    kill(pid, SIGCONT);
    cr_assert_eq(err, ERR_TIMEOUT, "%s", info.text);
    cr_assert(took_ms >= 5050 && took_ms < 15000, "%" PRId64, took_ms);
    cr_assert(!db_alive(other));
    db_close(other);
}

SERVER_TEST(connecting_fails_with_a_reason)
{
    NEED_SERVER();
    char missing[600];
    snprintf(missing, sizeof(missing), "%s&dbname=missing_db", pg.url);
    const struct {
        const char *url;
        const char *role;
        enum err err;
        const char *text;
    } cases[] = {
        {"postgresql://user:se%cret@host/x", NULL, ERR_INVALID, "neither"},
        {"postgresql:///x?host=/nonexistent", NULL, ERR_CONN_LOST, "No such file"},
        {"host=127.0.0.1 port=1", NULL, ERR_CONN_LOST, "refused"},
        {missing, NULL, ERR_DB_BROKEN, "database \"missing_db\" does not exist (3D000)"},
        {pg.url, "missing_role", ERR_DB_DATA, "missing_role"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct db_session *other = s;
        const struct db_session_config config = {.url = cases[i].url, .role = cases[i].role};
        enum err err = db_open(&config, &other, &info);
        cr_assert_eq(err, cases[i].err, "%s: %s %s", cases[i].url, err_name(err), info.text);
        cr_assert(strstr(info.text, cases[i].text) && !strstr(info.text, "se%cret"), "%s", info.text);
        cr_assert_null(other);
    }
}

SERVER_TEST(a_server_that_never_answers_is_given_up)
{
    NEED_SERVER();
    char dir[] = "/tmp/usher-db-XXXXXX";
    char url[128];
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    cr_assert_not_null(mkdtemp(dir));
    snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/.s.PGSQL.5432", dir);
    snprintf(url, sizeof(url), "host=%s port=5432 user=x dbname=x", dir);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    cr_assert_eq(listen(fd, 1), 0);
    struct db_session *other = NULL;
    const struct db_session_config config = {.url = url, .connect_ms = 100};
    enum err err = db_open(&config, &other, &info);
    unlink(addr.sun_path);
    rmdir(dir);
    close(fd);
    cr_assert_eq(err, ERR_TIMEOUT, "%s", info.text);
}
