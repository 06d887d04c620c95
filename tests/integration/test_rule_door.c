/* The door of rules in SQL says what the validator says: same words, same places, same messages. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/core/logic_priv.h"
#include "common/core/rule.h"
#include "tests/support/pg.h"

#define HEAD "{\"schema_version\":1,\"name\":\"r\",\"trigger\":{\"type\":\"event\",\"event\":\"a.b\"},"
#define ACTIONS "\"actions\":[{\"type\":\"stop\"}]"
#define WITH(conditions) HEAD "\"conditions\":" conditions "," ACTIONS "}"

/* Each with one fault that SQL knows. */
static const char *const bad[] = {
    "{\"schema_version\":2,\"name\":\"r\",\"trigger\":{\"type\":\"manual\"}," ACTIONS "}",
    "{\"schema_version\":1,\"name\":\"\",\"trigger\":{\"type\":\"manual\"}," ACTIONS "}",
    "{\"schema_version\":1,\"name\":7,\"trigger\":{\"type\":\"manual\"}," ACTIONS "}",
    "{\"schema_version\":1,\"name\":\"r\"," ACTIONS "}",
    "{\"schema_version\":1,\"name\":\"r\",\"trigger\":[]," ACTIONS "}",
    "{\"schema_version\":1,\"name\":\"r\",\"trigger\":{\"type\":\"evnt\",\"event\":\"a.b\"}," ACTIONS "}",
    "{\"schema_version\":1,\"name\":\"r\",\"trigger\":{\"type\":\"webhook\"}," ACTIONS "}",
    "{\"schema_version\":1,\"name\":\"r\",\"trigger\":{\"type\":\"tomorrow\"}," ACTIONS "}",
    "{\"schema_version\":1,\"name\":\"r\",\"trigger\":{\"type\":\"event\",\"event\":\"Signed\"}," ACTIONS "}",
    HEAD "\"actoins\":[]," ACTIONS "}",
    HEAD "\"zzz/~q\":[]," ACTIONS "}",
    HEAD "\"actions\":[]}",
    HEAD "\"actions\":{}}",
    HEAD "\"actions\":[7]}",
    HEAD "\"actions\":[{\"type\":\"send_emial\",\"params\":{}}]}",
    HEAD "\"actions\":[{\"type\":\"send_sms\",\"params\":{}}]}",
    HEAD "\"actions\":[{\"type\":\"create_note\"}]}",
    HEAD "\"actions\":[{\"type\":\"create_note\",\"params\":[]}]}",
    HEAD "\"actions\":[{\"type\":\"branch\",\"then\":[{\"type\":\"stop\"}]}]}",
    HEAD "\"actions\":[{\"type\":\"branch\",\"if\":true,\"else\":[{\"type\":\"stop\"}]}]}",
    HEAD "\"actions\":[{\"type\":\"branch\",\"if\":{\"eq\":[1,2]},\"then\":[{\"type\":\"stop\"}]}]}",
    HEAD ACTIONS ",\"settings\":[]}",
    HEAD ACTIONS ",\"settings\":{\"exit_when\":{\"==\":[1]}}}",
    WITH("{\"and\":[{\"eqals\":[{\"var\":\"a\"},1]}]}"),
    WITH("{\"and\":[{\"==\":[{\"var\":\"a\"},1]},{\"==\":[1]}]}"),
    WITH("{\"==\":{\"var\":\"a\"}}"),
    WITH("{\"<\":[1,2,3,4]}"),
    WITH("{\"and\":[]}"),
    WITH("{\"and\":[{}]}"),
    WITH("{\"and\":[{\"==\":[1,2],\"in\":[1,[2]]}]}"),
    WITH("{\"!\":{\"!\":{\"!\":{\"!\":{\"!\":{\"!\":{\"!\":{\"!\":{\"!\":true}}}}}}}}}"),
};

/* "pointer\nmessage" of what SQL answers; "" when it takes the document. */
static char *ask_sql(struct db_session *s, const char *document)
{
    static const struct db_stmt stmt = {"ask", "select pg_temp.ask($1::jsonb)"};
    struct arena arena = {0};
    struct db_args args;
    struct db_result *res = NULL;
    struct err_info info = {0};

    db_args_init(&args, &arena);
    db_arg_cstr(&args, document);
    cr_assert_eq(db_query(s, &stmt, &args, &res, &info), ERR_OK, "%s", info.text);
    char *out = strdup(db_text(res, 0, 0).p);
    db_result_free(res);
    arena_free(&arena);
    return out;
}

static void make_ask(struct db_session *s)
{
    struct err_info info = {0};
    cr_assert_eq(
        db_exec(s,
                "create function pg_temp.ask(d jsonb) returns text language plpgsql as $$ declare v text; begin "
                "perform automation_priv.rule_check(d); return ''; exception when sqlstate '22023' then "
                "get stacked diagnostics v = pg_exception_detail; "
                "return (v::jsonb #>> '{0,pointer}') || E'\\n' || (v::jsonb #>> '{0,message}'); end $$",
                NULL, &info),
        ERR_OK, "%s", info.text);
}

static bool says(const struct rule_errors *errors, const char *answer)
{
    struct buf line = {0};
    bool found = false;

    for (size_t i = 0; i < errors->n && !found; i++) {
        buf_reset(&line);
        buf_printf(&line, "%s\n%s", errors->items[i].pointer, errors->items[i].message);
        found = strcmp(buf_text(&line), answer) == 0;
    }
    buf_free(&line);
    return found;
}

Test(rule_door, says_what_the_validator_says, .timeout = 120)
{
    struct test_pg pg;
    if (!test_pg_available())
        return;
    test_pg_create_migrated(&pg);
    struct db_session *s = test_pg_session(&pg);
    make_ask(s);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct logic_fields *fields = logic_fields_new();
        struct rule_errors errors = {0};
        struct rule *r = rule_parse_text((struct str){bad[i], strlen(bad[i])}, fields, &errors);
        char *answer = ask_sql(s, bad[i]);

        cr_expect_null(r, "%s", bad[i]);
        cr_expect(answer[0] != '\0' && says(&errors, answer), "%s\nSQL says %s\nand C %s: %s", bad[i], answer,
                  errors.n > 0 ? errors.items[0].pointer : "-", errors.n > 0 ? errors.items[0].message : "-");
        free(answer);
        rule_free(r);
        rule_errors_free(&errors);
        logic_free(NULL);
        logic_fields_free(fields);
    }
    db_close(s);
    test_pg_drop(&pg);
}

/* What repeats: before, once or many times, after; a nest has `close` as often as `item`. */
static const struct bound {
    const char *code; /* in the message of both */
    const char *head, *item, *close, *tail;
    int most; /* accepted; one more is refused */
    bool nest;
} bounds[] = {
    {"limit_group_depth", HEAD "\"conditions\":", "{\"!\":", "}", "," ACTIONS "}", LOGIC_GROUP_DEPTH_MAX, true},
    {"limit_depth", HEAD "\"conditions\":{\"==\":[1,", "{\"-\":", "}", "]}," ACTIONS "}", LOGIC_DEPTH_MAX - 1, true},
    {"limit_leaves", HEAD "\"conditions\":{\"or\":[", "{\"==\":[{\"var\":\"a\"},1]}", "", "]}," ACTIONS "}",
     LOGIC_LEAVES_MAX, false},
    {"limit_list", HEAD "\"conditions\":{\"in\":[{\"var\":\"a\"},[", "7", "", "]]}," ACTIONS "}", LOGIC_LIST_MAX, false},
    {"limit_list", HEAD "\"conditions\":{\"or\":[", "true", "", "]}," ACTIONS "}", LOGIC_LIST_MAX, false},
    {"lists of actions are more than 5 deep", HEAD "\"actions\":",
     "[{\"type\":\"branch\",\"if\":{\"==\":[{\"var\":\"a\"},1]},\"then\":", "}]", "}", PROGRAM_DEPTH_MAX, true},
    {"actions", HEAD "\"actions\":[", "{\"type\":\"create_note\",\"params\":{\"text\":\"t\"}}", "", "]}",
     PROGRAM_STEPS_MAX, false},
};

static void write_bound(struct buf *b, const struct bound *bound, int n)
{
    const bool lists = bound->nest && strstr(bound->item, "branch") != NULL;

    buf_reset(b);
    buf_put_str(b, bound->head);
    for (int i = 0; i < n; i++)
        buf_printf(b, "%s%s", !bound->nest && i > 0 ? "," : "", bound->item);
    if (bound->nest)
        buf_put_str(b, lists ? "[{\"type\":\"stop\"}]" : "true");
    for (int i = 0; i < n; i++)
        buf_put_str(b, bound->close);
    buf_put_str(b, bound->tail);
}

/* A text of the document; `n` bytes of it are one literal, or fill the document up to `n`. */
static void write_text(struct buf *b, bool whole, size_t n)
{
    const char *head =
        whole ? HEAD "\"actions\":[{\"type\":\"send_email\",\"params\":{\"to\":\"client\",\"subject\":\"s\",\"text\":\""
              : HEAD "\"conditions\":{\"==\":[{\"var\":\"a\"},\"";
    const char *tail = whole ? "\"}}]}" : "\"]}," ACTIONS "}";
    size_t fill = whole ? n - strlen(head) - strlen(tail) : n;

    buf_reset(b);
    buf_put_str(b, head);
    for (size_t i = 0; i < fill; i++)
        buf_put_char(b, 'x');
    buf_put_str(b, tail);
}

/* Both accept it, or both refuse it with the same words at the same place. */
static void expect_bound(struct db_session *s, const struct buf *document, const char *code, bool within)
{
    struct logic_fields *fields = logic_fields_new();
    struct rule_errors errors = {0};
    struct rule *r = rule_parse_text((struct str){buf_text(document), document->len}, fields, &errors);
    char *answer = ask_sql(s, buf_text(document));

    cr_expect_eq(r != NULL, within, "%s: C %s: %s", code, within ? "refuses" : "accepts",
                 errors.n > 0 ? errors.items[0].message : "-");
    if (within)
        cr_expect_str_eq(answer, "", "%s: SQL refuses: %s", code, answer);
    else
        cr_expect(strstr(answer, code) != NULL && says(&errors, answer), "%s: SQL says %s, and C %s: %s", code, answer,
                  errors.n > 0 ? errors.items[0].pointer : "-", errors.n > 0 ? errors.items[0].message : "-");
    free(answer);
    rule_free(r);
    rule_errors_free(&errors);
    logic_fields_free(fields);
}

Test(rule_door, draws_each_limit_where_the_validator_does, .timeout = 120)
{
    struct test_pg pg;
    struct buf b = {0};

    if (!test_pg_available())
        return;
    test_pg_create_migrated(&pg);
    struct db_session *s = test_pg_session(&pg);
    make_ask(s);
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
        for (int more = 0; more <= 1; more++) {
            write_bound(&b, &bounds[i], bounds[i].most + more);
            expect_bound(s, &b, bounds[i].code, more == 0);
        }
    }
    for (size_t more = 0; more <= 1; more++) {
        write_text(&b, false, LOGIC_STRING_MAX_BYTES + more);
        expect_bound(s, &b, "limit_string", more == 0);
        write_text(&b, true, RULE_JSON_MAX_BYTES + more);
        expect_bound(s, &b, "bytes; allowed are 65536", more == 0);
    }
    write_text(&b, true, RULE_JSON_MAX_BYTES);
    for (int i = 0; i < 1000; i++)
        buf_put_char(&b, ' ');
    expect_bound(s, &b, "blanks do not count", true);
    buf_free(&b);
    db_close(s);
    test_pg_drop(&pg);
}

static void expect_words(const struct test_pg *pg, const char *name, enum vocab v)
{
    struct buf sql = {0};

    for (int i = 0; i < vocab_count(v); i++) {
        buf_reset(&sql);
        buf_printf(&sql, "select (automation_priv.rule_words() -> '%s' -> '%s' = '%s')::int", name, vocab_text(v, i),
                   vocab_available(v, i) ? "true" : "false");
        cr_expect_eq(test_pg_i64(pg, buf_text(&sql)), 1, "%s", buf_text(&sql));
    }
    buf_reset(&sql);
    buf_printf(&sql, "select count(*) from jsonb_object_keys(automation_priv.rule_words() -> '%s')", name);
    cr_expect_eq(test_pg_i64(pg, buf_text(&sql)), vocab_count(v), "%s", name);
    buf_free(&sql);
}

Test(rule_door, knows_the_words_of_the_validator, .timeout = 120)
{
    struct test_pg pg;
    struct buf sql = {0};
    int n = 0;

    if (!test_pg_available())
        return;
    test_pg_create_migrated(&pg);
    expect_words(&pg, "trigger", VOCAB_TRIGGER);
    expect_words(&pg, "action", VOCAB_ACTION);
    for (int op = 0; op < LOGIC_OP_COUNT; op++) {
        const struct logic_row *row = &logic_rows[op];
        if (row->flags & OP_INNER)
            continue;
        n++;
        buf_reset(&sql);
        buf_printf(&sql,
                   "select (automation_priv.rule_words() -> 'operator' -> '%s' = '[%d, %d]' and "
                   "(automation_priv.rule_words() -> 'group' ? '%s') = %s)::int",
                   row->name, (int)row->least, (int)row->most, row->name, row->flags & OP_GROUP ? "true" : "false");
        cr_expect_eq(test_pg_i64(&pg, buf_text(&sql)), 1, "%s", buf_text(&sql));
    }
    cr_expect_eq(test_pg_i64(&pg, "select count(*) from jsonb_object_keys(automation_priv.rule_words() -> 'operator')"),
                 n);
    buf_free(&sql);
    test_pg_drop(&pg);
}
