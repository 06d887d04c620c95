/* query_play: see query_play.h. */
#include "tests/integration/query_play.h"

#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/core/key.h"
#include "common/core/outcome.h"

const char *const query_play_kinds[KINDS] = {"noop", "send_email", "create_task"};
const char *const query_play_triggers[RULES][2] = {
    {"milestone", "ceremony"}, {"event", "payment.received"}, {"event", "form.submitted"}, {"milestone", "ceremony"}};

struct test_pg query_play_pg;
struct db_session *query_play_db;
struct err_info query_play_info;
struct row query_play_rows[ROWS];
struct id query_play_tenants[TENANTS], query_play_rules[RULES], query_play_runs[RUNS];
static uint64_t seed = 88172645463325252u;

static int64_t pick(int64_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (int64_t)(seed % (uint64_t)n);
}

struct id query_play_id(const char *domain, int i)
{
    struct id id;
    char text[16];
    snprintf(text, sizeof(text), "%d", i);
    struct str part = str_of(text);
    key_derive(&id, domain, &part, 1);
    return id;
}

/* Rule 3 belongs to tenant 1, the others to tenant 0; runs are of rule 0. Some instants are shared, so that ids decide. */
static void make_row(struct row *r, int i)
{
    int rule = (int)pick(RULES + 2);

    *r = (struct row){.execution = query_play_id("x", i),
                      .job = query_play_id("j", i),
                      .kind = (int)pick(KINDS),
                      .outcome = (int)pick(9)};
    r->tenant = query_play_tenants[rule < 3 ? 0 : rule == 3 ? 1 : (int)pick(TENANTS)];
    r->rule = rule < RULES ? query_play_rules[rule] : ID_ZERO;
    r->run = rule == 0 ? query_play_runs[pick(RUNS)] : ID_ZERO;
    r->at_us = FIRST_US + (i % 10 == 0 ? DAY_US * 40 : pick(SPAN_US) / 1000 * 1000 + pick(1000));
    bool ran = r->outcome != OUTCOME_CANCELLED && r->outcome != OUTCOME_SUPERSEDED && r->outcome != OUTCOME_SKIPPED;
    r->started_us = ran ? r->at_us : DB_NULL_TIME;
    r->due_us = r->at_us - pick(i % 3 ? 5000 : 90000000);
    r->took_us = ran ? pick(i % 4 ? 3000 : 40000000) : 0;
}

/* A job of three attempts: its keys are derived from the job and the claim's number. */
static void make_attempts(struct row *r, int n)
{
    struct id job = query_play_id("retried", 1);
    char text[ID_TEXT_SIZE], claim[8];

    id_format(&job, text);
    for (int i = 0; i < n; i++) {
        snprintf(claim, sizeof(claim), "%d", i + 1);
        struct str parts[] = {str_of(text), str_of(claim)};
        r[i].job = job;
        r[i].tenant = query_play_tenants[0];
        r[i].rule = query_play_rules[1];
        r[i].run = ID_ZERO;
        r[i].at_us = FIRST_US + 50 * DAY_US + i * HOUR_US;
        key_derive(&r[i].execution, "attempt", parts, 2);
    }
}

static void put_id(struct buf *sql, const struct id *id)
{
    char text[ID_TEXT_SIZE];
    if (id_is_zero(id))
        buf_put_str(sql, "null,");
    else
        buf_printf(sql, "'%s',", id_format(id, text));
}

static void put_time(struct buf *sql, int64_t us)
{
    if (us == DB_NULL_TIME)
        buf_put_str(sql, "null,");
    else
        buf_printf(sql, "timestamptz 'epoch' + %lld * interval '1 us',", (long long)us);
}

static void store_rows(void)
{
    struct buf sql = {0};

    buf_put_str(&sql, "select automation_priv.ensure_partitions('2027-01-01', '2027-06-01');"
                      "insert into automation_priv.log_stage (batch_id, tenant_id, queued_at, execution_id, job_id, "
                      "run_id, rule_id, due_at, started_at, duration_us, attempt, outcome, kind, queue) values ");
    for (int i = 0; i < ROWS; i++) {
        const struct row *r = &query_play_rows[i];
        buf_put_str(&sql, i ? ",('00000000-0000-0000-0000-0000000000bb'," : "('00000000-0000-0000-0000-0000000000bb',");
        put_id(&sql, &r->tenant);
        put_time(&sql, r->at_us);
        put_id(&sql, &r->execution);
        put_id(&sql, &r->job);
        put_id(&sql, &r->run);
        put_id(&sql, &r->rule);
        put_time(&sql, r->due_us);
        put_time(&sql, r->started_us);
        buf_printf(&sql, "%lld,1,%d,'%s','default')", (long long)r->took_us, r->outcome, query_play_kinds[r->kind]);
    }
    buf_put_str(&sql, "; select automation_priv.merge_logs('00000000-0000-0000-0000-0000000000bb');"
                      "select automation_priv.fold_rollups(1000000);");
    test_pg_run(&query_play_pg, buf_text(&sql));
    test_pg_run(&query_play_pg, "refresh materialized view automation_priv.stats_rule;"
                                "refresh materialized view automation_priv.stats_milestone;"
                                "refresh materialized view automation_priv.stats_season;");
    buf_free(&sql);
}

static void store_rules(void)
{
    struct buf sql = {0};
    char text[ID_TEXT_SIZE], tenant[ID_TEXT_SIZE], rule[ID_TEXT_SIZE];

    for (int i = 0; i < TENANTS; i++)
        buf_printf(&sql, "insert into automation.tenants (tenant_id, name) values ('%s', 'T%d');",
                   id_format(&query_play_tenants[i], text), i);
    for (int i = 0; i < RULES; i++) {
        const char *key = query_play_triggers[i][0][0] == 'm' ? "milestone" : "event";
        id_format(&query_play_tenants[i == 3], tenant);
        id_format(&query_play_rules[i], rule);
        buf_printf(&sql,
                   "insert into automation.rules (tenant_id, rule_id, name, status, definition) values ('%s', '%s', "
                   "'%c', 'active', '{\"schema_version\": 1, \"name\": \"r\", \"trigger\": {\"type\": \"%s\", \"%s\": "
                   "\"%s\"}, \"actions\": [{\"type\": \"stop\"}]}');"
                   "update automation.rules set trigger_type = '%s', event_type = %s%s%s where rule_id = '%s';"
                   "update automation.rules set validated_revision = %s where rule_id = '%s';",
                   tenant, rule, "Baab"[i], query_play_triggers[i][0], key, query_play_triggers[i][1],
                   query_play_triggers[i][0], *key == 'e' ? "'" : "", *key == 'e' ? query_play_triggers[i][1] : "null",
                   *key == 'e' ? "'" : "", rule, i == 2 ? "null" : "revision", rule);
    }
    for (int i = 0; i < RUNS; i++)
        buf_printf(&sql,
                   "insert into automation.runs (tenant_id, run_id, rule_id, rule_revision, trigger_type, trigger_ref, "
                   "due_at, state, started_at) values ('%s', '%s', '%s', 1, 'milestone', gen_random_uuid(), "
                   "'2027-02-01', 'succeeded', '2027-02-01');",
                   id_format(&query_play_tenants[0], tenant), id_format(&query_play_runs[i], text),
                   id_format(&query_play_rules[0], rule));
    test_pg_run(&query_play_pg, buf_text(&sql));
    buf_free(&sql);
}

void query_play_open(void)
{
    if (!test_pg_available())
        cr_skip("no server");
    for (int i = 0; i < TENANTS; i++)
        query_play_tenants[i] = query_play_id("t", i);
    for (int i = 0; i < RULES; i++)
        query_play_rules[i] = query_play_id("r", i);
    for (int i = 0; i < RUNS; i++)
        query_play_runs[i] = query_play_id("run", i);
    for (int i = 0; i < ROWS; i++)
        make_row(&query_play_rows[i], i);
    make_attempts(&query_play_rows[7], 3);
    test_pg_create_migrated(&query_play_pg);
    store_rules();
    store_rows();
    query_play_db = test_pg_session(&query_play_pg);
}

void query_play_close(void)
{
    db_close(query_play_db);
    test_pg_drop(&query_play_pg);
}
