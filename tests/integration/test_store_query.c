/* Every function of common/io/store_query.h over the log and rules, beside an oracle that goes over all rows in C (query_play.h). */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "common/core/outcome.h"
#include "common/io/store_query.h"
#include "tests/integration/query_play.h"

/* ---- the oracle ------------------------------------------------------------------------------------------------------------------- */

struct want {
    const struct id *tenant, *rule, *run, *job;
    const char *kind;
    bool failed;
    int64_t from_us, to_us;
};

static bool is_failure(int outcome)
{
    const char *word = outcome_word((enum outcome)outcome);
    return !strcmp(word, "failed") || !strcmp(word, "dead") || !strcmp(word, "parked") || !strcmp(word, "lost_lease");
}

static bool fits(const struct row *r, const struct want *w)
{
    return (!w->tenant || id_eq(&r->tenant, w->tenant)) && (!w->rule || id_eq(&r->rule, w->rule)) &&
           (!w->run || id_eq(&r->run, w->run)) && (!w->job || id_eq(&r->job, w->job)) &&
           (!w->kind || !strcmp(query_play_kinds[r->kind], w->kind)) && (!w->failed || is_failure(r->outcome)) &&
           r->at_us >= w->from_us && r->at_us < w->to_us;
}

static int newest_first(const void *a, const void *b)
{
    const struct row *x = *(const struct row *const *)a, *y = *(const struct row *const *)b;
    if (x->at_us != y->at_us)
        return x->at_us < y->at_us ? 1 : -1;
    return id_cmp(&y->execution, &x->execution);
}

static int select_rows(const struct want *w, const struct row **out)
{
    int n = 0;
    for (int i = 0; i < ROWS; i++)
        if (fits(&query_play_rows[i], w))
            out[n++] = &query_play_rows[i];
    qsort(out, (size_t)n, sizeof(*out), newest_first);
    return n;
}

static void same_row(const struct db_result *res, int at, const struct row *r)
{
    struct id execution = db_id(res, at, HISTORY_EXECUTION), tenant = db_id(res, at, HISTORY_TENANT);
    struct id job = db_id(res, at, HISTORY_JOB);

    cr_assert(id_eq(&execution, &r->execution) && id_eq(&tenant, &r->tenant) && id_eq(&job, &r->job), "row %d", at);
    cr_assert_eq(db_time(res, at, HISTORY_QUEUED_AT), r->at_us);
    cr_assert_eq(db_i64(res, at, HISTORY_OUTCOME), r->outcome);
    cr_assert_eq(db_i64(res, at, HISTORY_DURATION), r->took_us);
    cr_assert(str_eq(db_text(res, at, HISTORY_KIND), str_of(query_play_kinds[r->kind])));
    cr_assert_eq(db_null(res, at, HISTORY_RULE), id_is_zero(&r->rule));
    cr_assert_eq(db_null(res, at, HISTORY_STARTED_AT), r->started_us == DB_NULL_TIME);
}

static enum err ask_page(const struct want *w, const struct store_page *page, struct db_result **res)
{
    if (w->failed)
        return w->tenant ? store_history_failures(query_play_db, w->tenant, page, res, &query_play_info)
                         : store_history_failures_all(query_play_db, page, res, &query_play_info);
    return w->rule ? store_history_rule(query_play_db, w->tenant, w->rule, page, res, &query_play_info)
                   : store_history_list(query_play_db, w->tenant, page, res, &query_play_info);
}

/* All pages one after another are the oracle's rows, none missing, none twice. */
static void pages_are(const struct want *w, int limit)
{
    static const struct row *expected[ROWS];
    int n = select_rows(w, expected), seen = 0, got = limit;
    struct store_page page = {
        .from_us = w->from_us, .to_us = w->to_us, .after_us = DB_NULL_TIME, .limit = limit, .kind = w->kind};

    while (got == limit) {
        struct db_result *res = NULL;
        cr_assert_eq(ask_page(w, &page, &res), ERR_OK, "%s", query_play_info.text);
        got = db_rows(res);
        cr_assert_leq(seen + got, n, "more rows than there are");
        for (int i = 0; i < got; i++)
            same_row(res, i, expected[seen + i]);
        seen += got;
        if (got > 0) {
            page.after_us = db_time(res, got - 1, HISTORY_QUEUED_AT);
            page.after = db_id(res, got - 1, HISTORY_EXECUTION);
        }
        db_result_free(res);
    }
    cr_expect_eq(seen, n, "%d of %d rows", seen, n);
}

/* ---- the log ---------------------------------------------------------------------------------------------------------------------- */

QUERY_TEST(pages_of_the_log_are_all_of_its_rows_in_order)
{
    const int64_t end = FIRST_US + SPAN_US, middle = FIRST_US + 40 * DAY_US;
    const struct want wants[] = {
        {.tenant = &query_play_tenants[0], .to_us = end},
        {.tenant = &query_play_tenants[2], .to_us = end},
        {.tenant = &query_play_tenants[0], .kind = "send_email", .to_us = end},
        {.tenant = &query_play_tenants[0], .kind = "nobody", .to_us = end},
        {.tenant = &query_play_tenants[0], .from_us = middle, .to_us = end}, /* many share this instant: inclusive … */
        {.tenant = &query_play_tenants[0], .from_us = FIRST_US, .to_us = middle}, /* … and exclusive */
        {.tenant = &query_play_tenants[0], .rule = &query_play_rules[1], .to_us = end},
        {.tenant = &query_play_tenants[0], .rule = &query_play_rules[1], .kind = "noop", .from_us = middle, .to_us = end},
        {.tenant = &query_play_tenants[0], .rule = &query_play_rules[3], .to_us = end}, /* another tenant's rule: nothing */
        {.tenant = &query_play_tenants[0], .failed = true, .to_us = end},
        {.tenant = &query_play_tenants[1], .failed = true, .kind = "noop", .to_us = end},
        {.failed = true, .to_us = end},
    };

    for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++) {
        pages_are(&wants[i], 7);
        pages_are(&wants[i], STORE_PAGE_MAX);
    }
}

QUERY_TEST(attempts_of_a_job_and_of_a_run_are_told_oldest_first)
{
    const struct row *expected[ROWS];
    struct db_result *res = NULL;
    const struct want of_job = {.tenant = &query_play_tenants[0], .job = &query_play_rows[7].job, .to_us = INT64_MAX};

    int n = select_rows(&of_job, expected);
    cr_assert_eq(n, 3);
    cr_assert_eq(store_history_job(query_play_db, &query_play_tenants[0], &query_play_rows[7].job, FIRST_US,
                                   FIRST_US + SPAN_US, &res, &query_play_info),
                 ERR_OK, "%s", query_play_info.text);
    cr_assert_eq(db_rows(res), n);
    for (int i = 0; i < n; i++)
        same_row(res, i, expected[n - 1 - i]);
    db_result_free(res);
    cr_assert_eq(store_history_job(query_play_db, &query_play_tenants[1], &query_play_rows[7].job, FIRST_US,
                                   FIRST_US + SPAN_US, &res, &query_play_info),
                 ERR_OK);
    cr_expect_eq(db_rows(res), 0, "another tenant's");
    db_result_free(res);
    cr_assert_eq(store_history_job(query_play_db, &query_play_tenants[0], &query_play_rows[7].job,
                                   query_play_rows[8].at_us, query_play_rows[9].at_us, &res, &query_play_info),
                 ERR_OK);
    cr_expect_eq(db_rows(res), 1, "from inclusive, to exclusive");
    db_result_free(res);
}

QUERY_TEST(attempts_of_a_run_are_told_oldest_first)
{
    for (int run = 0; run < RUNS; run++) {
        const struct row *expected[ROWS];
        struct db_result *res = NULL;
        const struct want want = {.tenant = &query_play_tenants[0], .run = &query_play_runs[run], .to_us = INT64_MAX};
        int n = select_rows(&want, expected);
        cr_assert_gt(n, 10);
        cr_assert_eq(store_history_run(query_play_db, &query_play_tenants[0], &query_play_runs[run], &res,
                                       &query_play_info),
                     ERR_OK, "%s", query_play_info.text);
        cr_assert_eq(db_rows(res), n);
        for (int i = 0; i < n; i++)
            same_row(res, i, expected[n - 1 - i]);
        db_result_free(res);
        cr_assert_eq(store_history_run(query_play_db, &query_play_tenants[1], &query_play_runs[run], &res,
                                       &query_play_info),
                     ERR_OK);
        cr_expect_eq(db_rows(res), 0, "another tenant's");
        db_result_free(res);
    }
}

/* ---- rules ------------------------------------------------------------------------------------------------------------------------ */

/* The rules' names, in the order in which they come. */
static void names_are(const char *status, const char *expected)
{
    char names[RULES * 2 + 1] = "";
    char after_name[8] = "";
    struct id after = ID_ZERO;

    for (int got = 1; got == 1;) { /* pages of one */
        struct db_result *res = NULL;
        cr_assert_eq(store_rules_list(query_play_db, &query_play_tenants[0], status, after_name[0] ? after_name : NULL,
                                      &after, 1, &res, &query_play_info),
                     ERR_OK, "%s", query_play_info.text);
        got = db_rows(res);
        if (got == 1) {
            cr_assert_lt(strlen(names), sizeof(names) - 1);
            str_copy(after_name, sizeof(after_name), db_text(res, 0, 1).p);
            names[strlen(names)] = after_name[0]; /* zero-filled */
            after = db_id(res, 0, 0);
        }
        db_result_free(res);
    }
    cr_expect_str_eq(names, expected);
}

QUERY_TEST(rules_are_listed_by_name_a_page_at_a_time)
{
    names_are(NULL, "Baa"); /* in the order of bytes; two of one name */
    names_are("active", "Baa");
    names_are("paused", "");
}

static void one_rule(struct db_result *res, const struct id *expected)
{
    cr_assert_eq(db_rows(res), expected != NULL);
    if (expected) {
        const struct id found = db_id(res, 0, 0);
        cr_expect(id_eq(&found, expected));
        cr_expect_eq(db_i64(res, 0, 1), 1);
    }
    db_result_free(res);
}

QUERY_TEST(rules_in_force_are_found_by_trigger_and_their_bodies_by_id)
{
    const struct {
        const struct id *tenant;
        const char *type, *event;
        const struct id *rule;
    } cases[] = {
        {&query_play_tenants[0], "milestone", NULL, &query_play_rules[0]},
        {&query_play_tenants[1], "milestone", NULL, &query_play_rules[3]},
        {&query_play_tenants[0], "event", "payment.received", &query_play_rules[1]},
        {&query_play_tenants[1], "event", "payment.received", NULL},
        {&query_play_tenants[0], "event", "form.submitted", NULL}, /* not validated */
        {&query_play_tenants[0], "event", NULL, NULL},
    };
    struct db_result *res = NULL;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_assert_eq(store_rules_live(query_play_db, cases[i].tenant, cases[i].type, cases[i].event, &res,
                                      &query_play_info),
                     ERR_OK, "%s", query_play_info.text);
        one_rule(res, cases[i].rule);
        cr_assert_eq(store_rules_set(query_play_db, cases[i].tenant, cases[i].type, cases[i].event, &res,
                                     &query_play_info),
                     ERR_OK, "%s", query_play_info.text);
        cr_expect(db_rows(res) == 0 || strstr(db_text(res, 0, 2).p, "schema_version"));
        one_rule(res, cases[i].rule);
    }
    cr_assert_eq(store_rules_bodies(query_play_db, &query_play_tenants[0], query_play_rules, RULES, &res,
                                    &query_play_info),
                 ERR_OK, "%s", query_play_info.text);
    cr_expect_eq(db_rows(res), 3, "none of another tenant's");
    db_result_free(res);
    cr_assert_eq(store_rules_bodies(query_play_db, &query_play_tenants[0], &query_play_rules[2], 1, &res,
                                    &query_play_info),
                 ERR_OK, "%s", query_play_info.text);
    cr_expect(strstr(db_text(res, 0, 2).p, "form.submitted"));
    one_rule(res, &query_play_rules[2]);
}
