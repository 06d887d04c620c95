/* outcome: one table, and PROTOCOL.md lists it. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/core/outcome.h"

Test(outcome, codes_and_words_are_stored_and_never_change)
{
    static const struct {
        int code;
        const char *word;
        bool final;
    } wanted[] = {{0, "done", true},      {1, "failed", false},    {2, "dead", true},
                  {3, "cancelled", true}, {4, "superseded", true}, {5, "skipped", true},
                  {6, "snoozed", false},  {7, "parked", false},    {8, "lost_lease", false}};

    cr_assert_eq(sizeof(wanted) / sizeof(wanted[0]), OUTCOME_COUNT);
    for (int i = 0; i < OUTCOME_COUNT; i++) {
        cr_expect_str_eq(outcome_word((enum outcome)wanted[i].code), wanted[i].word);
        cr_expect_eq(outcome_final((enum outcome)wanted[i].code), wanted[i].final, "%s", wanted[i].word);
    }
}

Test(outcome, the_protocol_lists_every_one)
{
    struct buf text = {0};
    char piece[4096], row[160];
    size_t n;
    FILE *f = fopen("PROTOCOL.md", "r");

    cr_assert_not_null(f, "tests run in the repository's root");
    while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
        buf_put(&text, piece, n);
    fclose(f);
#define EXPECT_ROW(name, code, word, final, meaning)                                                                   \
    snprintf(row, sizeof(row), "\n| %d | `%s` |%s | %s |\n", code, word, final ? " yes" : " ", meaning);               \
    cr_expect_not_null(strstr(buf_text(&text), row), "%s", row);
    OUTCOME_MAP(EXPECT_ROW)
#undef EXPECT_ROW
    buf_free(&text);
}
