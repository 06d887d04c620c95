/* The text of migration files: where statements begin and end. */
#include <criterion/criterion.h>

#include <string.h>

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
        {"CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2); X", "[CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)][X]"},
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
        {"COMMIT", true}, {"begin", true}, {"END", true}, {"Rollback", true}, {"ROLLBACK TO x", false},
        {"ROLLBACK /* all */ AND CHAIN", true}, {"START TRANSACTION", true}, {"ABORT", true}, {"PREPARE TRANSACTION 'x'", true},
        {"PREPARE x AS SELECT 1", false}, {"SAVEPOINT x", false}, {"SELECT 'COMMIT'", false}, {"COMMITTED", false}, {"COMMENT ON", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        cr_expect_eq(migrate_sql_ends_transaction(str_of(cases[i].statement)), cases[i].ends, "%s", cases[i].statement);
}
