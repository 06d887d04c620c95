/* The plans of the statements that the store really sends (store_query.h), over the rows of tests/sql/plans.psql, as a person of one
 * of 20 tenants: auto_explain writes what ran into the log of a server of our own. */
#include <criterion/criterion.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/io/store_query.h"
#include "tests/support/pg.h"
#include "tests/support/postgres.h"

#define DAY_US INT64_C(86400000000)
#define JANUARY_US INT64_C(1924992000000000) /* 2031-01-01, the first of the log's five months */
#define LEAF "execution_logs_2031_"

static struct postgres server;
static struct test_pg pg;
static struct db_session *db;
static struct db_result *rows;
static struct err_info info;
static struct id tenant;

/* ---- the frame ------------------------------------------------------------------------------------------------------------ */

static void read_file(const char *path, long from, struct buf *out)
{
    FILE *f = fopen(path, "r");
    char piece[4096];
    size_t n;

    cr_assert(f != NULL && fseek(f, from, SEEK_SET) == 0, "%s", path);
    while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
        buf_put(out, piece, n);
    (void)fclose(f);
}

static struct id id_of(int kind, int n)
{
    char sql[64];
    struct db_stmt stmt = {"plans_id", sql};
    struct db_session *s = test_pg_session(&pg);
    struct db_result *r = NULL;

    (void)snprintf(sql, sizeof(sql), "select plans.id(%d, %d)", kind, n);
    cr_assert_eq(db_query_once(s, &stmt, NULL, &r, &info), ERR_OK, "%s", info.text);
    struct id id = db_id(r, 0, 0);
    db_result_free(r);
    db_close(s);
    return id;
}

static void begin(void)
{
    struct buf sql = {0};

    postgres_start(&server);
    test_pg_create_migrated(&pg);
    read_file("tests/sql/plans.psql", 0, &sql);
    test_pg_run(&pg, buf_text(&sql));
    buf_free(&sql);
    test_pg_run(&pg, "vacuum analyze automation.rules");
    test_pg_run(&pg, "vacuum analyze automation.execution_logs");
    tenant = id_of(1, 7);
    db = test_pg_session(&pg);
    static const char watched[] =
        "load 'auto_explain'; set jit = off; set auto_explain.log_min_duration = 0; set auto_explain.log_analyze = on;"
        "set auto_explain.log_timing = off; do $$ begin perform set_config('request.jwt.claims', "
        "json_build_object('sub', "
        "plans.id(1, 7), 'app_metadata', json_build_object('tenant_id', plans.id(1, 7)))::text, false); end $$;"
        "set role authenticated";
    cr_assert_eq(db_exec(db, watched, NULL, &info), ERR_OK, "%s", info.text);
}

static void end(void)
{
    db_close(db);
    test_pg_drop(&pg);
    postgres_stop(&server);
}

/* ---- the questions -------------------------------------------------------------------------------------------------------- */

static struct store_page days(int from, int to)
{
    return (struct store_page){.from_us = JANUARY_US + from * DAY_US,
                               .to_us = JANUARY_US + to * DAY_US,
                               .after_us = DB_NULL_TIME};
}

static enum err ask_live(void)
{
    return store_rules_live(db, &tenant, "event", "a.e9", &rows, &info);
}
static enum err ask_set(void)
{
    return store_rules_set(db, &tenant, "event", "a.e9", &rows, &info);
}
static enum err ask_names(void)
{
    return store_rules_list(db, &tenant, NULL, NULL, NULL, 50, &rows, &info);
}
static enum err ask_bodies(void)
{
    const struct id rule = id_of(2, 4006);
    return store_rules_bodies(db, &tenant, &rule, 1, &rows, &info);
}
static enum err ask_list(void)
{
    const struct store_page page = days(31, 59);
    return store_history_list(db, &tenant, &page, &rows, &info);
}
static enum err ask_rule(void)
{
    const struct id rule = id_of(2, 4006);
    const struct store_page page = days(0, 150);
    return store_history_rule(db, &tenant, &rule, &page, &rows, &info);
}
static enum err ask_failures(void)
{
    const struct store_page page = days(59, 90);
    return store_history_failures(db, &tenant, &page, &rows, &info);
}
static enum err ask_run(void)
{
    const struct id run = id_of(4, 5006);
    return store_history_run(db, &tenant, &run, &rows, &info);
}
static enum err ask_job(void)
{
    const struct id job = id_of(3, 12006);
    return store_history_job(db, &tenant, &job, JANUARY_US + 32 * DAY_US, JANUARY_US + 34 * DAY_US, &rows, &info);
}

/* The index as the plan names it, after the leaf's name if it is the log's; leaves: how many are read. */
static const struct question {
    const char *name;
    enum err (*ask)(void);
    const char *index;
    bool alone; /* from the index alone */
    int leaves;
} questions[] = {
    {"rules in force", ask_live, "rules_live", true, 0},
    {"rules in force, whole", ask_set, "rules_live", false, 0},
    {"rules by name", ask_names, "rules_name", false, 0},
    {"bodies", ask_bodies, "rules_pkey", false, 0},
    {"list", ask_list, "_pkey", false, 1},
    {"by rule", ask_rule, "_tenant_id_rule_id_queued_at_run_id_idx", false, 5},
    {"failures", ask_failures, "_tenant_id_queued_at_execution_id_idx", false, 1},
    {"by run", ask_run, "_tenant_id_rule_id_queued_at_run_id_idx", false, 4},
    {"by job", ask_job, "_pkey", true, 1},
};

/* ---- the plans ------------------------------------------------------------------------------------------------------------ */

/* The line at p says that its node ran. */
static bool ran(const char *p)
{
    const char *end = strchr(p, '\n'), *never = strstr(p, "never executed");

    return never == NULL || (end != NULL && never > end);
}

/* Leaves of the plan's text that were read, each once. */
static int leaves_of(const char *plan)
{
    bool seen[13] = {false};
    int n = 0;

    for (const char *p = plan; (p = strstr(p, " on " LEAF)) != NULL; p++) {
        const char *digits = p + strlen(" on " LEAF);
        const int month = (digits[0] - '0') * 10 + digits[1] - '0';
        cr_assert(month >= 1 && month <= 12, "%.60s", p);
        n += ran(p) && !seen[month];
        seen[month] |= ran(p);
    }
    return n;
}

static bool reads_all(const char *plan)
{
    for (const char *p = plan; (p = strstr(p, "Seq Scan")) != NULL; p++)
        if (ran(p))
            return true;
    return false;
}

/* The plan's nodes read `index` of rules or of leaves, and of these no other. */
static void look_at_indexes(const struct question *q, const char *plan)
{
    int n = 0;

    for (const char *p = plan; (p = strstr(p, q->leaves > 0 ? LEAF : "rules_")) != NULL; p++) {
        const char *name = q->leaves > 0 ? p + strlen(LEAF "01") : p;
        if (q->leaves > 0 && *name != '_')
            continue; /* the table */
        n++;
        cr_expect(strncmp(name, q->index, strlen(q->index)) == 0, "%s: %.60s instead of %s", q->name, p, q->index);
    }
    cr_expect_gt(n, 0, "%s: by no index\n%s", q->name, plan);
}

static void look_at(const struct question *q)
{
    char path[128];
    struct buf before = {0}, plan = {0};

    (void)snprintf(path, sizeof(path), "%s/log", server.dir);
    read_file(path, 0, &before);
    cr_assert_eq(q->ask(), ERR_OK, "%s: %s", q->name, info.text);
    cr_expect_gt(db_rows(rows), 0, "%s: finds something", q->name);
    db_result_free(rows);
    read_file(path, (long)before.len, &plan);
    const char *text = buf_text(&plan);
    cr_expect_not_null(strstr(text, "Query Text:"), "%s: no plan", q->name);
    cr_expect_not(reads_all(text), "%s: %s", q->name, text);
    look_at_indexes(q, text);
    cr_expect_eq(leaves_of(text), q->leaves, "%s: %d leaves instead of %d\n%s", q->name, leaves_of(text), q->leaves,
                 text);
    if (q->alone)
        cr_expect_not_null(strstr(text, "Index Only Scan"), "%s: %s", q->name, text);
    buf_free(&before);
    buf_free(&plan);
}

Test(plans, the_statements_of_the_store_go_by_their_indexes, .init = begin, .fini = end, .timeout = 240)
{
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
        look_at(&questions[i]);
}
