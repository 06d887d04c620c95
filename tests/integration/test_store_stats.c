/* Statistics of common/io/store_query.h, beside an oracle that goes over all rows in C (query_play.h); its percentiles are those of
 * common/core/hist.c. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/core/hist.h"
#include "common/core/outcome.h"
#include "common/io/store_query.h"
#include "tests/integration/query_play.h"

/* ---- statistics ------------------------------------------------------------------------------------------------------------------- */

struct figures {
    int64_t n, done, failed, dead, unrun, took_us;
    struct hist took, late;
};

static void count(struct figures *f, const struct row *r)
{
    bool ran = r->started_us != DB_NULL_TIME;

    f->n++;
    f->done += r->outcome == OUTCOME_DONE;
    f->failed += r->outcome == OUTCOME_FAILED;
    f->dead += r->outcome == OUTCOME_DEAD;
    f->unrun += !ran;
    f->took_us += r->took_us;
    if (!ran)
        return;
    hist_add(&f->took, r->took_us);
    hist_add(&f->late, r->started_us - r->due_us);
}

static void same_figures(const struct db_result *res, int at, const struct figures *f, const char *what)
{
    static const double shares[] = {0.5, 0.95, 0.99};

    cr_assert_eq(db_i64(res, at, STATS_N), f->n, "%s: %lld, expected %lld", what, (long long)db_i64(res, at, STATS_N),
                 (long long)f->n);
    cr_assert_eq(db_i64(res, at, STATS_DONE), f->done, "%s", what);
    cr_assert_eq(db_i64(res, at, STATS_FAILED), f->failed, "%s", what);
    cr_assert_eq(db_i64(res, at, STATS_DEAD), f->dead, "%s", what);
    cr_assert_eq(db_i64(res, at, STATS_UNRUN), f->unrun, "%s", what);
    if (f->n > f->unrun)
        cr_assert_eq(db_i64(res, at, STATS_MEAN), f->took_us / (f->n - f->unrun), "%s", what);
    for (int i = 0; i < 3 && f->took.n > 0; i++) {
        cr_assert_eq(db_i64(res, at, STATS_TOOK_P50 + i), hist_percentile(&f->took, shares[i]), "%s", what);
        cr_assert_eq(db_i64(res, at, STATS_LATE_P50 + i), hist_percentile(&f->late, shares[i]), "%s", what);
    }
}

static const struct store_span span = {FIRST_US + 10 * DAY_US, FIRST_US + 60 * DAY_US};

static bool in_span(const struct row *r, const struct id *tenant)
{
    return id_eq(&r->tenant, tenant) && r->at_us >= span.from_us && r->at_us < span.to_us;
}

QUERY_TEST(figures_of_rules_and_of_one_by_day_are_those_of_the_rows)
{
    struct db_result *res = NULL;

    cr_assert_eq(store_stats_rules(query_play_db, &query_play_tenants[0], &span, 50, &res, &query_play_info), ERR_OK,
                 "%s", query_play_info.text);
    cr_assert_eq(db_rows(res), 4, "three rules and free jobs, none of another tenant's");
    for (int at = 0; at < db_rows(res); at++) {
        const struct id rule = db_id(res, at, STATS_KEY);
        struct figures f = {0};
        for (int i = 0; i < ROWS; i++)
            if (in_span(&query_play_rows[i], &query_play_tenants[0]) && id_eq(&query_play_rows[i].rule, &rule))
                count(&f, &query_play_rows[i]);
        same_figures(res, at, &f, "rule");
        cr_assert(at == 0 || db_i64(res, at - 1, STATS_N) >= db_i64(res, at, STATS_N), "most active first");
        cr_assert_eq(db_null(res, at, STATS_KEY + 1), id_is_zero(&rule));
    }
    db_result_free(res);

    cr_assert_eq(store_stats_rule(query_play_db, &query_play_tenants[0], &query_play_rules[1], &span, STORE_PAGE_MAX,
                                  &res, &query_play_info),
                 ERR_OK, "%s", query_play_info.text);
    int64_t total = 0, expected = 0;
    for (int at = 0; at < db_rows(res); at++) {
        struct figures f = {0};
        int64_t day_us = 0;
        char text[40];
        snprintf(text, sizeof(text), "%.*sT00:00:00Z", (int)db_text(res, at, STATS_KEY).n, db_text(res, at, STATS_KEY).p);
        cr_assert_eq(str_to_time(str_of(text), &day_us), ERR_OK);
        for (int i = 0; i < ROWS; i++)
            if (in_span(&query_play_rows[i], &query_play_tenants[0]) &&
                id_eq(&query_play_rows[i].rule, &query_play_rules[1]) && query_play_rows[i].at_us >= day_us &&
                query_play_rows[i].at_us < day_us + DAY_US &&
                str_eq(db_text(res, at, STATS_KEY + 1), str_of(query_play_kinds[query_play_rows[i].kind])))
                count(&f, &query_play_rows[i]);
        same_figures(res, at, &f, text);
        total += f.n;
    }
    for (int i = 0; i < ROWS; i++)
        expected += in_span(&query_play_rows[i], &query_play_tenants[0]) &&
                    id_eq(&query_play_rows[i].rule, &query_play_rules[1]);
    cr_expect_eq(total, expected, "every day is there");
    db_result_free(res);
}

QUERY_TEST(figures_of_milestones_and_seasons_are_those_of_the_rows)
{
    struct db_result *res = NULL;

    cr_assert_eq(store_stats_milestones(query_play_db, &query_play_tenants[0], &span, 50, &res, &query_play_info),
                 ERR_OK, "%s", query_play_info.text);
    cr_assert_eq(db_rows(res), 3);
    for (int at = 0; at < 3; at++) {
        struct figures f = {0};
        for (int i = 0; i < ROWS; i++)
            for (int rule = 0; rule < RULES; rule++)
                if (in_span(&query_play_rows[i], &query_play_tenants[0]) &&
                    id_eq(&query_play_rows[i].rule, &query_play_rules[rule]) &&
                    str_eq(db_text(res, at, STATS_KEY), str_of(query_play_triggers[rule][0])) &&
                    str_eq(db_text(res, at, STATS_KEY + 1), str_of(query_play_triggers[rule][1])))
                    count(&f, &query_play_rows[i]);
        cr_assert_gt(f.n, 0);
        same_figures(res, at, &f, query_play_triggers[at][1]);
    }
    db_result_free(res);

    char text[ID_TEXT_SIZE], sql[200];
    snprintf(sql, sizeof(sql),
             "update automation.tenants set settings = '{\"season_months\": [3]}' where tenant_id = '%s';"
             "refresh materialized view automation_priv.stats_season",
             id_format(&query_play_tenants[0], text));
    test_pg_run(&query_play_pg, sql);
    cr_assert_eq(store_stats_seasons(query_play_db, &query_play_tenants[0], 50, &res, &query_play_info), ERR_OK, "%s",
                 query_play_info.text);
    cr_assert_eq(db_rows(res), 2);
    for (int at = 0; at < 2; at++) {
        struct figures f = {0};
        for (int i = 0; i < ROWS; i++) {
            bool march =
                query_play_rows[i].at_us >= FIRST_US + 28 * DAY_US && query_play_rows[i].at_us < FIRST_US + 59 * DAY_US;
            if (id_eq(&query_play_rows[i].tenant, &query_play_tenants[0]) && march == db_bool(res, at, STATS_KEY + 1))
                count(&f, &query_play_rows[i]);
        }
        same_figures(res, at, &f, "season");
        cr_expect_eq(db_i64(res, at, STATS_KEY), 2027);
    }
    db_result_free(res);
}

QUERY_TEST(answers_of_vendors_are_counted_by_month)
{
    struct db_result *res = NULL;
    struct hist answers = {0};
    static const int seconds[] = {60, 3600, 86400, 90000};
    struct buf sql = {0};
    char tenant[ID_TEXT_SIZE], vendor[ID_TEXT_SIZE];
    const struct id asked = query_play_id("v", 1);

    id_format(&query_play_tenants[0], tenant);
    id_format(&asked, vendor);
    buf_printf(
        &sql,
        "insert into automation.vendors (tenant_id, vendor_id, name, kind) values ('%s', '%s', 'Flora', 'florist');",
        tenant, vendor);
    for (int i = 0; i < 4; i++) {
        buf_printf(&sql,
                   "insert into automation_priv.vendor_deltas values ('%s', '%s', '2027-0%d-15', 2, 1, "
                   "automation_priv.hist_bucket(%d));",
                   tenant, vendor, 2 + (i == 3), seconds[i]);
        if (i < 3)
            hist_add(&answers, seconds[i]);
    }
    buf_put_str(&sql, "select automation_priv.fold_vendors(); refresh materialized view automation_priv.stats_vendor");
    test_pg_run(&query_play_pg, buf_text(&sql));
    buf_free(&sql);
    const struct store_span february = {FIRST_US, FIRST_US + 28 * DAY_US};
    cr_assert_eq(store_stats_vendors(query_play_db, &query_play_tenants[0], &february, 50, &res, &query_play_info),
                 ERR_OK, "%s", query_play_info.text);
    cr_assert_eq(db_rows(res), 1);
    cr_expect(str_is(db_text(res, 0, 1), "Flora"));
    cr_expect_eq(db_i64(res, 0, 2), 6);
    cr_expect_eq(db_i64(res, 0, 3), 3);
    cr_expect_eq(db_i64(res, 0, 4), hist_percentile(&answers, 0.5));
    cr_expect_eq(db_i64(res, 0, 5), hist_percentile(&answers, 0.95));
    db_result_free(res);
    cr_assert_eq(store_stats_vendors(query_play_db, &query_play_tenants[1], &february, 50, &res, &query_play_info),
                 ERR_OK);
    cr_expect_eq(db_rows(res), 0);
    db_result_free(res);
}

QUERY_TEST(usage_of_a_tenant_is_its_own)
{
    struct db_result *res = NULL;
    int64_t n = 0, worked_us = 0;
    char sql[600], tenant[ID_TEXT_SIZE];

    id_format(&query_play_tenants[0], tenant);
    snprintf(
        sql, sizeof(sql),
        "insert into automation.job_counts (tenant_id, day, outcome, n) values ('%s', '2027-02-20', 'accepted', 9), "
        "('%s', '2027-02-20', 'done', 5), ('%s', '2027-02-20', 'dead', 3), ('%s', '2027-01-20', 'done', 100), "
        "('%s', '2027-01-20', 'accepted', 102), ('%s', '2027-01-20', 'cancelled', 1)",
        tenant, tenant, tenant, tenant, tenant, tenant);
    test_pg_run(&query_play_pg, sql);
    for (int i = 0; i < ROWS; i++)
        if (in_span(&query_play_rows[i], &query_play_tenants[0])) {
            n++;
            worked_us += query_play_rows[i].took_us;
        }
    cr_assert_eq(store_stats_tenant(query_play_db, &query_play_tenants[0], &span, &res, &query_play_info), ERR_OK, "%s",
                 query_play_info.text);
    const int64_t expected[] = {3, 2, 0, 2, 0, 9, 5, 3, n, worked_us};
    for (int i = 0; i < 10; i++)
        cr_expect_eq(db_i64(res, 0, i), expected[i], "column %d: %lld, expected %lld", i, (long long)db_i64(res, 0, i),
                     (long long)expected[i]);
    db_result_free(res);
}
