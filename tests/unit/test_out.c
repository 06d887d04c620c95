#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "cli/out.h"
#include "common/base/mem.h"

static const struct out_column columns[] = {
    {"queue", OUT_TEXT}, {"backlog", OUT_INT}, {"paused", OUT_BOOL}, {"last_error", OUT_TEXT}, {"data", OUT_JSON},
};
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static void add(struct out *o, const char *queue, int64_t backlog, bool paused, const char *error, const char *data)
{
    out_text(o, queue);
    out_int(o, backlog);
    out_bool(o, paused);
    out_text(o, error);
    out_text(o, data);
}

static void expect_printed(const struct out *o, bool json, bool one, const char *expected)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    cr_assert_not_null(f);
    if (one)
        out_print_one(o, json, f);
    else
        out_print(o, json, f);
    (void)fclose(f);
    cr_expect_str_eq(text, expected);
    free(text);
}

Test(out, aligns_columns_by_characters)
{
    struct out *o = out_new(columns, N_COLUMNS);

    add(o, "default", 1200, false, NULL, "{}");
    add(o, "Größe", -3, true, "gone", "[1]");
    cr_expect_eq(out_rows(o), 2);
    expect_printed(o, false, false,
                   "QUEUE    BACKLOG  PAUSED  LAST ERROR  DATA\n"
                   "default     1200  false   -           {}\n"
                   "Größe         -3  true    gone        [1]\n");
    out_free(o);
}

Test(out, json_keeps_types_and_nulls)
{
    struct out *o = out_new(columns, N_COLUMNS);

    expect_printed(o, true, false, "[]\n");
    expect_printed(o, false, false, "");
    add(o, "a\"b\n", 1, true, NULL, "{\"x\":[1,2]}");
    expect_printed(
        o, true, true,
        "{\"queue\":\"a\\\"b\\n\",\"backlog\":1,\"paused\":true,\"last_error\":null,\"data\":{\"x\":[1,2]}}\n");
    add(o, "b", 2, false, "", "null");
    expect_printed(
        o, true, false,
        "[{\"queue\":\"a\\\"b\\n\",\"backlog\":1,\"paused\":true,\"last_error\":null,\"data\":{\"x\":[1,2]}},\n"
        "{\"queue\":\"b\",\"backlog\":2,\"paused\":false,\"last_error\":\"\",\"data\":null}]\n");
    out_free(o);
}

Test(out, control_characters_do_not_reach_the_terminal)
{
    static const struct out_column text[] = {{"title", OUT_TEXT}, {"at", OUT_TEXT}};
    struct out *o = out_new(text, 2);

    out_text(o, "a\x1b[31mb\r\n\t\x7f");
    out_text(o, "c\xc2\x9b"
                "d"); /* U+009B: the one-character form of ESC [ */
    expect_printed(o, false, false,
                   "TITLE        AT\n"
                   "a?[31mb????  c?d\n");
    out_free(o);
}

Test(out, one_record_as_lines_with_ids_and_times)
{
    static const struct out_column record[] = {
        {"id", OUT_TEXT}, {"none", OUT_TEXT}, {"due_at", OUT_TEXT}, {"ended", OUT_TEXT}};
    struct out *o = out_new(record, 4);
    struct id id = ID_ZERO;

    id.b[15] = 1;
    out_id(o, &id);
    out_id(o, &ID_ZERO);
    out_time(o, 0);
    out_time(o, INT64_MIN);
    expect_printed(o, false, true,
                   "id:     00000000-0000-0000-0000-000000000001\n"
                   "none:   -\n"
                   "due_at: 1970-01-01T00:00:00.000Z\n"
                   "ended:  -\n");
    out_free(o);
    out_free(NULL);
}

Test(out, json_in_memory_is_the_value_of_another_cell)
{
    struct out *o = out_new(columns, N_COLUMNS);
    char *json = out_json(o);

    cr_expect_str_eq(json, "[]");
    mem_free(json);
    add(o, "bulk", 7, false, NULL, "[1]");
    add(o, "q", -1, true, "\"", NULL);
    json = out_json(o);
    cr_expect_str_eq(json, "[{\"queue\":\"bulk\",\"backlog\":7,\"paused\":false,\"last_error\":null,\"data\":[1]},\n"
                           "{\"queue\":\"q\",\"backlog\":-1,\"paused\":true,\"last_error\":\"\\\"\",\"data\":null}]");
    mem_free(json);
    out_free(o);
}
