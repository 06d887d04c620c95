/* sql_data: see sql_data.h. */
#include "tests/bench/sql_data.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/io/migrate.h"

static const char *const server_options[] = {"-c", "shared_buffers=1GB",
                                             "-c", "max_wal_size=8GB",
                                             "-c", "maintenance_work_mem=256MB",
                                             "-c", "work_mem=16MB",
                                             "-c", "autovacuum_vacuum_cost_delay=0",
                                             NULL};

/* Beside `authenticated`, which row-level security binds: one that it does not bind, and one that may COPY into the log. Each
 * tenant has one
 * member, of the tenant's own id. */
static const char roles[] =
    "insert into automation.members (tenant_id, user_id) select tenant_id, tenant_id from automation.tenants;\n"
    "analyze automation.members;\n"
    "create role bench_engine bypassrls; create role bench_worker bypassrls in role automation_worker;\n"
    "grant usage on schema automation to bench_engine;\n"
    "grant select on automation.rules, automation.rule_versions, automation.runs, automation.execution_logs to "
    "bench_engine;\n";

static void check(enum err err, const struct err_info *info, const char *what)
{
    if (err == ERR_OK)
        return;
    (void)fprintf(stderr, "bench_sql: %.200s: %s\n", what, info->text);
    exit(2);
}

static struct db_session *open_session(const struct sql_data *d, const char *role, bool plain)
{
    const struct db_session_config config = {
        .url = d->server.url, .name = "bench_sql", .role = role, .statement_ms = INT64_C(3600000), .pooled = plain};
    struct db_session *s = NULL;
    struct err_info info = {0};

    check(db_open(&config, &s, &info), &info, "connect");
    return s;
}

struct db_session *sql_session(const struct sql_data *d, const char *role)
{
    return open_session(d, role, false);
}

struct db_session *sql_plain(const struct sql_data *d)
{
    return open_session(d, NULL, true);
}

void sql_run(struct db_session *s, const char *sql)
{
    struct err_info info = {0};

    check(db_exec(s, sql, NULL, &info), &info, sql);
}

struct db_result *sql_ask(struct db_session *s, const char *sql)
{
    const struct db_stmt stmt = {"bench", sql};
    struct err_info info = {0};
    struct arena arena = {0};
    struct db_result *r = NULL;
    struct db_args a;

    db_args_init(&a, &arena);
    check(db_query(s, &stmt, &a, &r, &info), &info, sql);
    return r;
}

void sql_show(struct db_session *s, const char *title, const char *sql)
{
    struct db_result *r = sql_ask(s, sql);

    (void)fprintf(stderr, "-- %s\n", title);
    for (int row = 0; row < db_rows(r); row++)
        (void)fprintf(stderr, "   %s\n", db_text(r, row, 0).p);
    db_result_free(r);
}

void sql_copy(struct db_session *s, const char *sql, const struct buf *copy)
{
    struct err_info info = {0};

    check(db_copy_in(s, sql, copy, &info), &info, sql);
}

/* ---- numbers become rows -------------------------------------------------------------------------------------------------------- */

/* splitmix64 (G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators", 2014) */
static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

enum what { TENANT = 1, RULE, RUN, WEDDING, JOB, EXECUTION, WORKER };

static struct id id_of(enum what what, uint64_t number)
{
    uint64_t halves[2] = {mix(number * 8 + what), mix(mix(number * 8 + what) + what)};
    struct id id;

    memcpy(id.b, halves, sizeof(id.b));
    return id;
}

static uint32_t rules_of(uint32_t tenant)
{
    return tenant == 0 ? 50000 : tenant <= 20 ? 10000 : 100;
}

static struct id rule_of(uint32_t tenant, uint32_t rule)
{
    return id_of(RULE, (uint64_t)tenant << 32 | rule);
}

/* The run, or the three free jobs, of a number. */
struct group {
    uint64_t nr, h;
    uint32_t tenant, rule;
    bool of_rule;
};

static struct group group_of(uint64_t number)
{
    struct group g = {.nr = number / 3, .h = mix(number / 3) >> 16};
    uint64_t class = g.h % 10;

    g.tenant = class < 3 ? 0 : class < 7 ? 1 + (uint32_t)(g.h / 10 % 20) : 21 + (uint32_t)(g.h / 10 % 179);
    g.rule = g.h / 7 % 50 == 0 ? 0 : (uint32_t)(g.h / 1000 % rules_of(g.tenant));
    g.of_rule = g.nr % 10 < 7;
    return g;
}

void sql_row(uint64_t number, int64_t at_us, struct store_log *out)
{
    struct group g = group_of(number);
    uint64_t luck = mix(number) % 100;

    *out = (struct store_log){.tenant_id = id_of(TENANT, g.tenant),
                              .queued_at_us = at_us,
                              .execution_id = id_of(EXECUTION, number),
                              .job_id = id_of(JOB, number),
                              .worker_id = id_of(WORKER, 0),
                              .due_at_us = at_us - 1000000,
                              .started_at_us = at_us,
                              .duration_us = 1000 + (int64_t)(g.h % 50000),
                              .step = (int)(number % 3),
                              .attempt = 1,
                              .outcome = luck < 94   ? OUTCOME_DONE
                                         : luck < 98 ? OUTCOME_FAILED
                                         : luck < 99 ? OUTCOME_DEAD
                                                     : OUTCOME_SKIPPED,
                              .kind = g.of_rule ? "send_email" : "noop",
                              .queue = "default",
                              .reason = luck < 94 ? NULL : "refused",
                              .error = luck < 94 ? NULL : "the other side answered 550: no such mailbox here"};
    if (!g.of_rule)
        return;
    out->rule_id = rule_of(g.tenant, g.rule);
    out->run_id = id_of(RUN, g.nr);
    out->wedding_id = id_of(WEDDING, (uint64_t)g.tenant << 32 | g.h / 100 % 500);
    out->rule_revision = 1;
}

static int by_key(const void *a, const void *b)
{
    return store_log_cmp(a, b);
}

void sql_rows(uint64_t first, size_t n, int64_t at_us, double step_us, struct buf *copy, struct store_rollup *counts)
{
    struct store_log *rows = mem_alloc(n * sizeof(*rows));

    for (size_t i = 0; i < n; i++)
        sql_row(first + i, at_us + (int64_t)((double)i * step_us), &rows[i]);
    qsort(rows, n, sizeof(*rows), by_key);
    buf_reset(copy);
    db_copy_begin(copy);
    for (size_t i = 0; i < n; i++)
        store_log_row(copy, &rows[i], NULL);
    for (size_t i = 0; counts != NULL && i < n; i++)
        store_rollup_add(counts, &rows[i]);
    db_copy_end(copy);
    mem_free(rows);
}

/* ---- tenants and rules
 * ------------------------------------------------------------------------------------------------------------ */

static void fill_tenants(struct db_session *s)
{
    struct buf copy = {0};
    char name[32];

    db_copy_begin(&copy);
    for (uint32_t t = 0; t < SQL_TENANTS; t++) {
        struct id id = id_of(TENANT, t);
        (void)snprintf(name, sizeof(name), "Tenant %u", t);
        db_copy_row(&copy, 2);
        db_copy_id(&copy, &id);
        db_copy_text(&copy, str_of(name));
    }
    db_copy_end(&copy);
    sql_copy(s, "copy automation.tenants (tenant_id, name) from stdin (format binary)", &copy);
    buf_free(&copy);
}

static void put_definition(struct buf *out, uint32_t rule)
{
    buf_reset(out);
    buf_printf(
        out,
        "{\"schema_version\":1,\"name\":\"Rule %u\",\"trigger\":{\"type\":\"event\",\"event\":\"bench.event_%u\"},"
        "\"conditions\":{\"and\":[{\"==\":[{\"var\":\"wedding.status\"},\"booked\"]},"
        "{\">=\":[{\"var\":\"wedding.guest_count\"},%u]}]},"
        "\"actions\":[{\"id\":\"note\",\"type\":\"create_note\",\"params\":{\"body\":\"",
        rule, rule % 50, rule % 300);
    for (int i = 0; i < 12; i++)
        buf_printf(out, "%016" PRIx64 " of what is to be remembered; ", mix(rule * 12 + (uint64_t)i));
    buf_put_str(out, "\"}}]}");
}

/* Of a rule's two tables the columns begin alike. */
static void put_rule(struct buf *copy, uint32_t tenant, uint32_t rule, bool version, struct buf *definition)
{
    struct id of = id_of(TENANT, tenant), id = rule_of(tenant, rule);
    char text[32];

    put_definition(definition, rule);
    db_copy_row(copy, version ? 4 : 8);
    db_copy_id(copy, &of);
    db_copy_id(copy, &id);
    db_copy_i64(copy, 1);
    db_copy_jsonb(copy, (struct str){definition->data, definition->len});
    if (version)
        return;
    (void)snprintf(text, sizeof(text), "Rule %u", rule);
    db_copy_text(copy, str_of(text));
    db_copy_text(copy, str_of("active"));
    db_copy_text(copy, str_of("event"));
    (void)snprintf(text, sizeof(text), "bench.event_%u", rule % 50);
    db_copy_text(copy, str_of(text));
}

static void fill_rules(struct db_session *s, bool versions)
{
    struct buf copy = {0}, definition = {0};

    for (uint32_t t = 0; t < SQL_TENANTS; t++) {
        buf_reset(&copy);
        db_copy_begin(&copy);
        for (uint32_t r = 0; r < rules_of(t); r++)
            put_rule(&copy, t, r, versions, &definition);
        db_copy_end(&copy);
        sql_copy(
            s,
            versions
                ? "copy automation.rule_versions (tenant_id, rule_id, revision, definition) from stdin (format binary)"
                : "copy automation.rules (tenant_id, rule_id, validated_revision, definition, name, status, "
                  "trigger_type, event_type) from stdin (format binary)",
            &copy);
    }
    buf_free(&copy);
    buf_free(&definition);
}

/* ---- the log
 * ------------------------------------------------------------------------------------------------------------------------ */

static void read_bounds(struct sql_data *d, struct db_session *s)
{
    struct db_result *r = sql_ask(s, "select b.lo, now(), automation_priv.ensure_partitions(b.lo, now()) from (\n"
                                     "    select date_trunc('month', now() at time zone 'UTC') at time zone 'UTC' - "
                                     "interval '12 months' as lo) b");

    d->from_us = db_time(r, 0, 0);
    d->to_us = db_time(r, 0, 1);
    db_result_free(r);
}

static double step_us(const struct sql_data *d)
{
    return (double)(d->to_us - d->from_us) / (double)d->rows;
}

static void fill_log(const struct sql_data *d, struct db_session *s)
{
    const int64_t chunk = 10000;
    int64_t began_ms = clock_mono_ms();
    struct buf copy = {0};

    sql_run(s, "set synchronous_commit = off");
    for (int64_t i = 0; i < d->rows; i += chunk) {
        int64_t n = d->rows - i < chunk ? d->rows - i : chunk;
        sql_rows((uint64_t)i, (size_t)n, d->from_us + (int64_t)((double)i * step_us(d)), step_us(d), &copy, NULL);
        sql_copy(s, SQL_COPY_LOG("automation.execution_logs"), &copy);
        if (i / chunk % 50 == 49)
            (void)fprintf(stderr, "   log: %" PRId64 " rows after %" PRId64 " ms\n", i + n, clock_mono_ms() - began_ms);
    }
    buf_free(&copy);
}

/* Runs of rules, spread over the log, of each kind of tenant in turn. */
static void choose_samples(struct sql_data *d)
{
    uint64_t number = 0;

    for (uint32_t i = 0; i < SQL_SAMPLES; i++) {
        struct group g;
        struct store_log row;
        for (number = mix(number + i);; number++) {
            number %= (uint64_t)d->rows / 3 * 3;
            g = group_of(number);
            uint32_t class = g.tenant == 0 ? 0 : g.tenant <= 20 ? 1 : 2;
            if (g.of_rule && class == i % 3 && number % 3 == 0)
                break;
        }
        sql_row(number, d->from_us + (int64_t)((double)number * step_us(d)), &row);
        d->samples[i] = (struct sql_sample){
            .tenant = row.tenant_id, .rule = row.rule_id, .run = row.run_id, .at_us = row.queued_at_us};
        (void)snprintf(d->samples[i].event, sizeof(d->samples[i].event), "bench.event_%u", g.rule % 50);
    }
}

/* The runs that samples are of. */
static void fill_runs(const struct sql_data *d, struct db_session *s)
{
    struct buf copy = {0};

    sql_run(s,
            "create unlogged table if not exists automation_priv.bench_runs (like automation.runs including defaults)");
    db_copy_begin(&copy);
    for (int i = 0; i < SQL_SAMPLES; i++) {
        const struct sql_sample *x = &d->samples[i];
        db_copy_row(&copy, 9);
        db_copy_id(&copy, &x->tenant);
        db_copy_id(&copy, &x->run);
        db_copy_id(&copy, &x->rule);
        db_copy_i64(&copy, 1);
        db_copy_text(&copy, str_of("event"));
        db_copy_id(&copy, &x->run);
        db_copy_time(&copy, x->at_us);
        db_copy_text(&copy, str_of("succeeded"));
        db_copy_time(&copy, x->at_us);
    }
    db_copy_end(&copy);
    sql_copy(s,
             "copy automation_priv.bench_runs (tenant_id, run_id, rule_id, rule_revision, trigger_type, trigger_ref, "
             "due_at, state, "
             "started_at) from stdin (format binary)",
             &copy);
    sql_run(s, "insert into automation.runs select * from automation_priv.bench_runs on conflict do nothing;"
               "drop table automation_priv.bench_runs; analyze automation.runs");
    buf_free(&copy);
}

void sql_data_make(struct sql_data *d, int64_t rows)
{
    struct err_info info = {0};

    d->rows = rows;
    postgres_start_with(&d->server, server_options);
    const struct migrate_config config = {.url = d->server.url};
    check(migrate_up(&config, &info), &info, "migrate");
    struct db_session *s = sql_plain(d);
    read_bounds(d, s);
    choose_samples(d);
    fill_tenants(s);
    /* Without the triggers, which take a row at a time; that the rules are whole is asked of a thousand. */
    sql_run(s, "alter table automation.rules disable trigger user");
    fill_rules(s, false);
    fill_rules(s, true);
    sql_run(s, "alter table automation.rules enable trigger user");
    sql_run(s,
            "do $$ begin perform automation_priv.rule_check(r.definition) from automation.rules r limit 1000; end $$");
    fill_log(d, s);
    fill_runs(d, s);
    sql_run(s, "vacuum (analyze) automation.rules");
    sql_run(s, "vacuum (analyze) automation.rule_versions");
    sql_run(s, "vacuum (analyze) automation.execution_logs");
    sql_run(s, roles);
    db_close(s);
}

void sql_data_drop(struct sql_data *d)
{
    postgres_stop(&d->server);
}
