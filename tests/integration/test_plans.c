/* The plans of the statements that the store really sends (store_query.h, store_preview.h), over the rows of tests/sql/plans.psql and
 * plans_stats.psql, as a person of one of 50 tenants, and what only operators ask as the leader's login: auto_explain writes what ran
 * into the log of a server of our own. Each statement of common/io/store*.c has its plan here, or a reason why it has none. With
 * 10,000 rules for each of the 50 (plans.rules, by hand: it takes minutes) all of them are the same. */
#include <criterion/criterion.h>

#include <ctype.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/str.h"
#include "common/io/store_preview.h"
#include "common/io/store_query.h"
#include "tests/support/pg.h"
#include "tests/support/postgres.h"

#define DAY_US INT64_C(86400000000)
#define JANUARY_US INT64_C(1924992000000000) /* 2031-01-01, the first of the log's five months */
#define LEAF "execution_logs_2031_"

static struct postgres server;
static struct test_pg pg;
static struct db_session *person, *operator, * db; /* db: of the question that is asked */
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

static void run_file(const char *path)
{
    struct buf sql = {0};

    read_file(path, 0, &sql);
    test_pg_run(&pg, buf_text(&sql));
    buf_free(&sql);
}

static struct db_session *watched(const char *role)
{
    static const char watch[] =
        "load 'auto_explain'; set jit = off; set auto_explain.log_min_duration = 0; set auto_explain.log_analyze = on;"
        "set auto_explain.log_timing = off; do $$ begin perform set_config('request.jwt.claims', "
        "json_build_object('sub', "
        "plans.id(1, 7), 'app_metadata', json_build_object('tenant_id', plans.id(1, 7)))::text, false); end $$;"
        "set role ";
    struct db_session *s = test_pg_session(&pg);
    struct buf sql = {0};

    buf_put_str(&sql, watch);
    buf_put_str(&sql, role);
    cr_assert_eq(db_exec(s, buf_text(&sql), NULL, &info), ERR_OK, "%s", info.text);
    buf_free(&sql);
    return s;
}

static void begin(void)
{
    static const char *const tables[] = {"automation.rules",
                                         "automation.execution_logs",
                                         "automation.execution_rollup",
                                         "automation.job_counts",
                                         "automation.weddings",
                                         "automation.vendors",
                                         "automation.timings",
                                         "automation.dead_letters",
                                         "automation_priv.ledger",
                                         "automation_priv.stats_rule",
                                         "automation_priv.stats_milestone",
                                         "automation_priv.stats_season",
                                         "automation_priv.stats_vendor"};
    char sql[80];

    postgres_start(&server);
    test_pg_create_migrated(&pg);
    run_file("tests/sql/plans.psql");
    run_file("tests/sql/plans_stats.psql");
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
        (void)snprintf(sql, sizeof(sql), "vacuum analyze %s", tables[i]);
        test_pg_run(&pg, sql);
    }
    tenant = id_of(1, 7);
    person = watched("authenticated");
    operator= watched("automation_scheduler");
}

static void end(void)
{
    db_close(person);
    db_close(operator);
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
    const struct id rule = id_of(2, 10006);
    return store_rules_bodies(db, &tenant, &rule, 1, &rows, &info);
}
static enum err ask_list(void)
{
    const struct store_page page = days(31, 59);
    return store_history_list(db, &tenant, &page, &rows, &info);
}
static enum err ask_rule(void)
{
    const struct id rule = id_of(2, 10006);
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
    const struct id run = id_of(4, 7356);
    return store_history_run(db, &tenant, &run, &rows, &info);
}
static enum err ask_job(void)
{
    const struct id job = id_of(3, 18006);
    return store_history_job(db, &tenant, &job, JANUARY_US + 32 * DAY_US, JANUARY_US + 34 * DAY_US, &rows, &info);
}

static enum err ask_live_any(void)
{
    return store_rules_live(db, &tenant, "milestone", NULL, &rows, &info);
}
static enum err ask_set_any(void)
{
    return store_rules_set(db, &tenant, "milestone", NULL, &rows, &info);
}
static enum err ask_failures_all(void)
{
    const struct store_page page = days(59, 60);
    return store_history_failures_all(db, &page, &rows, &info);
}

static struct store_span span(int from, int to)
{
    return (struct store_span){.from_us = JANUARY_US + from * DAY_US, .to_us = JANUARY_US + to * DAY_US};
}

static enum err ask_stats_rule(void)
{
    const struct id rule = id_of(2, 10006);
    const struct store_span year = span(0, 365);
    return store_stats_rule(db, &tenant, &rule, &year, 50, &rows, &info);
}
static enum err ask_stats_rules(void)
{
    const struct store_span month = span(31, 59);
    return store_stats_rules(db, &tenant, &month, 50, &rows, &info);
}
static enum err ask_stats_milestones(void)
{
    const struct store_span month = span(31, 59);
    return store_stats_milestones(db, &tenant, &month, 50, &rows, &info);
}
static enum err ask_stats_vendors(void)
{
    const struct store_span half = span(0, 181);
    return store_stats_vendors(db, &tenant, &half, 50, &rows, &info);
}
static enum err ask_stats_tenant(void)
{
    const struct store_span month = span(31, 59);
    return store_stats_tenant(db, &tenant, &month, &rows, &info);
}
static enum err ask_conflicts(void)
{
    const struct id wedding = id_of(6, 57), rule = id_of(2, 10006);
    return store_preview_conflicts(db, &tenant, &wedding, &rule, JANUARY_US + 152 * DAY_US, &rows, &info);
}

/* name: the statement's. index: as the plan names it, after `of`, or after the leaf's name; leaves: how many of the log are read. */
static const struct question {
    const char *name;
    enum err (*ask)(void);
    struct db_session **as;
    const char *of, *index;
    bool alone; /* from the index alone */
    int leaves;
    bool none; /* finds nothing */
} questions[] = {
    {"rules_live_event", ask_live, &person, "rules_", "live", true, 0, false},
    {"rules_live", ask_live_any, &person, "rules_", "live", true, 0, true},
    {"rules_set_event", ask_set, &person, "rules_", "live", false, 0, false},
    {"rules_set", ask_set_any, &person, "rules_", "live", false, 0, true},
    {"rules_list", ask_names, &person, "rules_", "name", false, 0, false},
    {"rules_bodies", ask_bodies, &person, "rules_", "pkey", false, 0, false},
    {"history_list", ask_list, &person, LEAF, "_pkey", false, 1, false},
    {"history_rule", ask_rule, &person, LEAF, "_tenant_id_rule_id_queued_at_run_id_idx", false, 5, false},
    {"history_failures", ask_failures, &person, LEAF, "_tenant_id_queued_at_execution_id_idx", false, 1, false},
    {"history_failures_all", ask_failures_all, &operator, LEAF, "_tenant_id_queued_at_execution_id_idx", false, 1, false},
    {"history_run", ask_run, &person, LEAF, "_tenant_id_rule_id_queued_at_run_id_idx", false, 4, false},
    {"history_job", ask_job, &person, LEAF, "_pkey", true, 1, false},
    {"stats_rule", ask_stats_rule, &operator, "execution_rollup_", "pkey", false, 0, false},
    {"stats_rules", ask_stats_rules, &operator, "stats_rule_", "key", false, 0, false},
    {"stats_milestones", ask_stats_milestones, &operator, "stats_milestone_", "key", false, 0, false},
    {"stats_vendors", ask_stats_vendors, &operator, "stats_vendor_", "key", false, 0, false},
    {"stats_tenant", ask_stats_tenant, &operator, "job_counts_", "pkey", false, 0, false},
    {"preview_conflicts", ask_conflicts, &operator, "timings_", "pkey", false, 0, true},
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

/* The plan's nodes read `index` of what begins with `of`, and of these no other. */
static void look_at_indexes(const struct question *q, const char *plan)
{
    int n = 0;

    for (const char *p = plan; (p = strstr(p, q->of)) != NULL; p++) {
        const char *name = p + strlen(q->of) + (q->leaves > 0 ? strlen("01") : 0);
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
    db = *q->as;
    cr_assert_eq(q->ask(), ERR_OK, "%s: %s", q->name, info.text);
    cr_expect_eq(db_rows(rows) == 0, q->none, "%s: finds something", q->name);
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

/* ---- the statements ---------------------------------------------------------------------------------------------------------- */

/* Statements without a plan above, and why. */
static const struct excuse {
    const char *why, *statements;
} excuses[] = {
    {"calls a function, which PL/pgSQL plans: tests/sql/due_cost.sql, bulk.sql, settle_done.sql and `make bench` tell "
     "what they read",
     "activate_rules adopt_entries analyze_logs archive_attach archive_due archive_drop archive_facts archive_make "
     "archive_move beacon_next beacon_raise claim_jobs count_rule_cache dead_fed dead_unfed due_herds due_jobs "
     "due_timings fold_deltas fold_rollups lead_beat lead_take lead_zones load_ruleset log_runway mark_event "
     "merge_logs missing_messages partition_ensure partitions plan_runs preview_facts preview_herd preview_messages "
     "purge quarantine_replay recheck_jobs release_queued relieve_entries replan_weddings rules_beside rules_to_check "
     "settle_done settle_jobs shape_load stamp_rule stats_refresh still_waiting sweep_ledger sweep_workers take_events "
     "take_wait_checks tenant_ids timing_facts timing_keys unmark_event wake_waits worker_beat worker_leave "
     "worker_register"},
    {"one row by its whole key, or rows of one wedding by its key",
     "archive_exported archive_leaf archive_restored later_timing preview_due preview_fire preview_occurrences "
     "preview_rule preview_spread preview_standing preview_version preview_wedding unknown_workers"},
    {"a table of a few rows: a row a kind, a month, or two a tenant and year; or the server's catalog",
     "archive_clock archive_columns archive_lock archive_same archive_unlock beacon kinds lead_clock lead_holder "
     "lead_lock lead_terminate partition_gaps partition_list rule_kinds sources stats_seasons"},
    {"writes what it was given", "log_quarantine rollup_deltas"},
    {"counts the whole ledger, every ten minutes on a session of its own", "unaccounted_jobs"},
    {"asks whether there is a first row of indexes and short queues", "lead_work queues"},
    {"reads a page of a tenant's weddings, each with its facts, which cost more", "preview_season"},
};

/* `word` stands in `words` by itself. */
static bool has_word(const char *words, const char *word)
{
    const size_t n = strlen(word);

    for (const char *p = words; (p = strstr(p, word)) != NULL; p += n)
        if ((p == words || p[-1] == ' ') && (p[n] == ' ' || p[n] == '\0'))
            return true;
    return false;
}

/* How often the statement has a plan or an excuse: once is right. */
static int known(const char *name)
{
    int n = 0;

    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
        n += strcmp(questions[i].name, name) == 0;
    for (size_t i = 0; i < sizeof(excuses) / sizeof(excuses[0]); i++)
        n += has_word(excuses[i].statements, name);
    return n;
}

/* A statement's name at p: the first string in its braces. */
static bool read_name(const char *from, const char *p, char *name, size_t size)
{
    const size_t n = strspn(p + 1, "abcdefghijklmnopqrstuvwxyz_");
    const char *before = p;

    while (before > from && isspace((unsigned char)before[-1]))
        before--;
    return n > 0 && before > from && before[-1] == '{' && p[1 + n] == '"' && p[2 + n] == ',' &&
           str_copy_n(name, size, p + 1, n);
}

static int look_at_names(const char *path)
{
    struct buf file = {0};
    char name[64];
    int n = 0;

    read_file(path, 0, &file);
    for (const char *text = buf_text(&file), *p = text; (p = strchr(p, '"')) != NULL; p++)
        if (read_name(text, p, name, sizeof(name))) {
            n++;
            cr_expect_eq(known(name), 1, "%s: \"%s\" has %d plans and reasons for none, expected one: see excuses",
                         path, name, known(name));
        }
    buf_free(&file);
    return n;
}

Test(plans, each_statement_of_the_store_has_a_plan_here_or_a_reason_why_not)
{
    glob_t files;
    int n = 0, said = 0;

    cr_assert_eq(glob("common/io/store*.c", 0, NULL, &files), 0);
    for (size_t i = 0; i < files.gl_pathc; i++)
        n += look_at_names(files.gl_pathv[i]);
    globfree(&files);
    for (size_t i = 0; i < sizeof(excuses) / sizeof(excuses[0]); i++)
        for (const char *p = excuses[i].statements; p != NULL; p = strchr(p + 1, ' '))
            said++;
    cr_expect_eq(said + (int)(sizeof(questions) / sizeof(questions[0])), n, "a statement that is gone has still a word");
}

Test(plans, the_statements_of_the_store_go_by_their_indexes, .init = begin, .fini = end, .timeout = 240)
{
    for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++)
        look_at(&questions[i]);
}
