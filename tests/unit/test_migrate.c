/* Migration files without a database: where statements begin and end, which folders are refused. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/io/migrate_private.h"

/* The statements of `sql`, each in brackets. */
static const char *split(struct buf *out, const char *sql)
{
    struct str text = str_of(sql);
    struct str statement;
    size_t at = 0;
    buf_reset(out);
    while (migrate_sql_next(text, &at, &statement))
        buf_printf(out, "[%.*s]", (int)statement.n, statement.p);
    return buf_text(out);
}

Test(migrate_sql, statements_are_split_where_the_server_splits)
{
    static const struct {
        const char *sql;
        const char *want;
    } cases[] = {
        {"", ""},
        {" ; ;\n-- only ; a comment\n/* ; */", ""},
        {"SELECT 1", "[SELECT 1]"},
        {"SELECT 1;SELECT 2 ;\n", "[SELECT 1][SELECT 2]"},
        {"-- one;\nSELECT 1 /* a /* nested; */ ; */; -- two;\nSELECT 2 -- three;", "[SELECT 1][SELECT 2]"},
        {"SELECT ';', 'it''s;', \"a;\"\"b\"; X", "[SELECT ';', 'it''s;', \"a;\"\"b\"][X]"},
        {"SELECT 'back\\'; SELECT E'back\\';still'; X", "[SELECT 'back\\'][SELECT E'back\\';still'][X]"},
        {"DO $$ a; b $$; DO $x$ $$ ; $y$ $x$; X", "[DO $$ a; b $$][DO $x$ $$ ; $y$ $x$][X]"},
        {"SELECT $1; SELECT a$b$c; SELECT 1 d$;", "[SELECT $1][SELECT a$b$c][SELECT 1 d$]"},
        {"CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); X",
         "[CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)][X]"},
        {"CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; X",
         "[CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END][X]"},
        {"begin; end; X", "[begin][end][X]"},
        {"SELECT 'never ends; X", "[SELECT 'never ends; X]"},
        {"DO $$ never ends; X", "[DO $$ never ends; X]"},
        {"/* never ends; X", ""},
        {"SELECT E'\\", "[SELECT E'\\]"},
    };
    struct buf out = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_str_eq(split(&out, cases[i].sql), cases[i].want, "%s: %s", cases[i].sql, buf_text(&out));
    buf_free(&out);
}

Test(migrate_sql, no_prefix_is_read_beyond_its_end)
{
    static const char sql[] = "SELECT E'a\\'b', $x$ ; $x$ /* c /* d */ */ -- e\n; BEGIN ATOMIC CASE END";
    for (size_t n = 0; n < sizeof(sql); n++) {
        char *copy = n > 0 ? memcpy(mem_alloc(n), sql, n) : NULL; /* the sanitizer guards its end */
        struct str text = {copy ? copy : "", n};
        struct str statement;
        size_t at = 0;
        while (migrate_sql_next(text, &at, &statement))
            cr_expect(statement.p >= text.p && statement.p + statement.n <= text.p + n);
        cr_expect_leq(at, n);
        mem_free(copy);
    }
}

Test(migrate_sql, positions_count_characters)
{
    const struct str text = STR("ä\nbé\nc");
    static const struct {
        int position;
        size_t offset;
        int line;
    } cases[] = {{1, 0, 1}, {2, 2, 1}, {3, 3, 2}, {4, 4, 2}, {5, 6, 2}, {6, 7, 3}, {99, 8, 3}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        size_t offset = migrate_sql_offset(text, cases[i].position);
        cr_expect_eq(offset, cases[i].offset, "position %d: %zu", cases[i].position, offset);
        cr_expect_eq(migrate_sql_line(text, offset), cases[i].line, "position %d", cases[i].position);
    }
}

Test(migrate_sql, what_ends_a_transaction_is_known)
{
    static const struct {
        const char *statement;
        bool ends;
    } cases[] = {
        {"COMMIT", true},
        {"begin", true},
        {"END", true},
        {"Rollback", true},
        {"ROLLBACK TO x", false},
        {"ROLLBACK /* all */ AND CHAIN", true},
        {"START TRANSACTION", true},
        {"ABORT", true},
        {"PREPARE TRANSACTION 'x'", true},
        {"PREPARE x AS SELECT 1", false},
        {"SAVEPOINT x", false},
        {"SELECT 'COMMIT'", false},
        {"COMMITTED", false},
        {"COMMENT ON", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(migrate_sql_ends_transaction(str_of(cases[i].statement)), cases[i].ends, "%s", cases[i].statement);
}

/* ---- the folder ---------------------------------------------------------------------------------------------------------- */
static char dir[] = "/tmp/usher-migrate-XXXXXX";

static void put_file(const char *name, const char *text, size_t n)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f);
    cr_assert(fwrite(text, 1, n, f) == n && fclose(f) == 0);
}

static void remove_file(const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    cr_assert_eq(unlink(path), 0);
}

static void want_refused(enum err want, const char *says)
{
    struct migrate_dir d = {0};
    struct err_info info = {0};
    enum err err = migrate_dir_load(&d, dir, &info);
    cr_expect(err == want && strstr(info.text, says), "%s: %s", err_name(err), info.text);
    migrate_dir_free(&d);
}

Test(migrate_dir, files_that_can_not_run_are_refused_with_their_place)
{
    static const struct {
        const char *name;
        struct str text;
        const char *says;
    } cases[] = {
        {"030_a.sql", {"", 0}, "/030_a.sql: no statement"},
        {"030_a.sql", STR("-- nothing\n;;"), "/030_a.sql: no statement"},
        {"030_a.sql", STR("SELECT '\xff'"), "/030_a.sql: not valid UTF-8"},
        {"030_a.sql", STR("SELECT 1;\0"), "/030_a.sql: not valid UTF-8"},
        {"030_a.sql", STR("SELECT 1;\nCOMMIT;"), "/030_a.sql:2: a migration runs in a transaction"},
        {"030_a.sql", STR("BEGIN; SELECT 1;"), "/030_a.sql:1: a migration runs in a transaction"},
        {"030_a.sql", STR("-- no-transaction\nSELECT 1;\n\nSELECT 2;"), "/030_a.sql:4: a no-transaction file holds one"},
        {"30_a.sql", STR("SELECT 1"), "/30_a.sql: the name is not of the form"},
        {"030a.sql", STR("SELECT 1"), "the name is not of the form"},
        {"030_.sql", STR("SELECT 1"), "the name is not of the form"},
        {"030_A.sql", STR("SELECT 1"), "the name is not of the form"},
        {"000_a.sql", STR("SELECT 1"), "the name is not of the form"},
        {"1234567890_a.sql", STR("SELECT 1"), "the name is not of the form"},
        {"README.md", STR("SELECT 1"), "no migration files"},
    };
    cr_assert_not_null(mkdtemp(dir));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        put_file(cases[i].name, cases[i].text.p, cases[i].text.n);
        want_refused(ERR_INVALID, cases[i].says);
        remove_file(cases[i].name);
    }
    size_t n = MIGRATE_MAX_FILE_BYTES + 1;
    char *big = mem_alloc(n);
    memset(big, ' ', n);
    put_file("030_a.sql", big, n);
    mem_free(big);
    want_refused(ERR_LIMIT, "/030_a.sql: larger than");
    remove_file("030_a.sql");
    cr_assert_eq(rmdir(dir), 0);
    want_refused(ERR_IO, "No such file");
}

Test(migrate_dir, files_come_in_the_order_of_their_numbers)
{
    static const char *const names[] = {"1000_d.sql", "030_a.sql", "999_c.sql", "031_b-2.sql"};
    static const int want[] = {30, 31, 999, 1000};
    struct migrate_dir d = {0};
    struct err_info info = {0};
    cr_assert_not_null(mkdtemp(dir));
    for (size_t i = 0; i < 4; i++)
        put_file(names[i], "-- no-transaction\nSELECT 1", 26);
    cr_assert_eq(migrate_dir_load(&d, dir, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(d.n, 4);
    for (int i = 0; i < 4; i++)
        cr_expect(d.files[i].version == want[i] && d.files[i].no_transaction, "%d", d.files[i].version);
    cr_expect_str_eq(migrate_dir_find(&d, 31)->name, "031_b-2.sql");
    cr_expect_null(migrate_dir_find(&d, 32));
    migrate_dir_free(&d);
    put_file("0030_again.sql", "SELECT 1", 8);
    want_refused(ERR_INVALID, "0030_again.sql and 030_a.sql have the same number");
    remove_file("0030_again.sql");
    for (size_t i = 0; i < 4; i++)
        remove_file(names[i]);
    rmdir(dir);
}
