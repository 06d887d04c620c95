/* reason: one table, which SQL and the protocol share. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/core/reason.h"

#define FILE_MAX ((size_t)1 << 20)

/* The caller frees it. */
static char *content(const char *path)
{
    FILE *f = fopen(path, "re");
    char *text = malloc(FILE_MAX);
    size_t n;

    cr_assert(f != NULL && text != NULL, "%s", path);
    n = fread(text, 1, FILE_MAX - 1, f);
    text[n] = '\0';
    (void)fclose(f);
    return text;
}

/* Each word that `text` has behind `mark` and before a quote; returns how many. */
static int expect_known(const char *text, const char *end, const char *mark)
{
    int n = 0;

    for (const char *at = strstr(text, mark); at != NULL && at < end; at = strstr(at, mark)) {
        size_t length;

        at += strlen(mark);
        length = strcspn(at, "'");
        if (length == 0 || at[length - 1] == '_' || at[length - 1] == ':')
            continue; /* the rest of the word is a status */
        cr_expect_str_neq(reason_label((struct str){at, length}), "", "'%.*s' is not in the table", (int)length, at);
        n++;
    }
    return n;
}

Test(reason, labels_leave_the_detail_out)
{
    cr_expect_str_eq(reason_word(REASON_PAST_DUE), "past_due");
    cr_expect_str_eq(reason_label(STR("past_due")), "later than the rule's grace");
    cr_expect_str_eq(reason_label(STR("missing_field:wedding.venue")), reason_label(STR("missing_field")));
    cr_expect_str_eq(reason_label(STR("past")), "");
    cr_expect_str_eq(reason_label(STR("past_dues")), "");
    cr_expect_str_eq(reason_label(STR("")), "");
}

Test(reason, the_protocol_lists_every_one)
{
    char *text = content("PROTOCOL.md"), shown[64];

    for (int i = 0; i < REASON_COUNT; i++) {
        (void)snprintf(shown, sizeof(shown), "`%s", reason_word((enum reason)i));
        cr_expect(strstr(text, shown) != NULL, "PROTOCOL.md does not say anything of %s", shown);
    }
    free(text);
}

/* What SQL refuses runs with, and what the fence ends jobs with. */
Test(reason, sql_stores_no_other)
{
    char *log = content("migrations/031_automation_execution_logs.sql");
    char *plan = content("migrations/032_automation_triggers_events.sql");
    const char *fence = strstr(log, "create function automation_priv.fence(");
    const char *refuse = strstr(plan, "create function automation_priv.plan_runs(");

    cr_assert(fence != NULL && refuse != NULL && strstr(refuse, " end as why") != NULL);
    cr_expect_geq(expect_known(refuse, strstr(refuse, " end as why"), "then '"), 7);
    cr_expect_geq(expect_known(fence, strstr(fence, "end $$"), "'skipped:"), 1);
    cr_expect_geq(expect_known(fence, strstr(fence, "end $$"), "'cancelled:"), 2);
    cr_expect_geq(expect_known(fence, strstr(fence, "end $$"), "'superseded:"), 1);
    cr_expect_geq(expect_known(plan, plan + strlen(plan), "parked_reason = '"), 3);
    free(plan);
    free(log);
}
