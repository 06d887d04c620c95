/* timeline_data: see timeline_data.h. */
#include "tests/bench/timeline_data.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/postgres.h"
#include "tests/support/redis.h"

#define ROUNDS_MAX 100000

/* Rule i of a tenant: one of 60 timings from 12 months before to 8 weeks after, a condition on the wedding, one task. */
#define RULE                                                                                                           \
    "jsonb_build_object('schema_version', 1, 'name', 'rule ' || i, 'trigger', jsonb_build_object('type', "             \
    "'milestone', 'milestone', 'ceremony', 'offset', case when i %% 60 < 52 then '-P' || (i %% 60) * 7 || 'D' else "   \
    "'P' || (i %% 60 - 51) * 7 || 'D' end, 'at', '09:00'), 'conditions', jsonb_build_object('>=', "                    \
    "jsonb_build_array(jsonb_build_object('var', 'wedding.guest_count'), 20 + i %% 50)), 'actions', "                  \
    "jsonb_build_array(jsonb_build_object('type', 'create_task', 'params', jsonb_build_object('title', 'Call'))))"
#define WEDDINGS                                                                                                       \
    "insert into automation.weddings (tenant_id, wedding_id, title, status, ceremony_date, ceremony_time, time_zone, " \
    "guest_count) select t.tenant_id, automation_priv.derive('bench_wedding', t.tenant_id::text, i::text), "           \
    "'Wedding ' || i, 'booked', date '2026-05-09' + 7 * (i * 37 %% 104), '15:00', "                                    \
    "(array['Europe/Lisbon', 'Europe/Vienna', 'America/New_York', 'Asia/Tokyo'])[1 + i %% 4], 70 + i %% 100 "          \
    "from automation.tenants t cross join generate_series(1, %d) i where t.name = 'Model'"
#define RULES                                                                                                          \
    "insert into automation.rules (tenant_id, rule_id, name, status, definition) select t.tenant_id, "                 \
    "automation_priv.derive('bench_rule', t.tenant_id::text, i::text), 'rule ' || i, 'active', " RULE                  \
    " from automation.tenants t cross join generate_series(0, %d - 1) i where t.name = 'Model'"

/* One tenant, the model, comes in by the front door: triggers check its rules and make its timings, the engine stamps the rules. The
 * others are copies of what then stands, for at a millisecond a rule a thousand tenants would take longer than what is measured. */
#define COPIES                                                                                                         \
    "create temporary table w on commit drop as select t.tenant_id, m.wedding_id as of, "                              \
    "automation_priv.derive('bench_wedding', t.tenant_id::text, substr(m.title, 9)) as wedding_id "                    \
    "from automation.tenants t join automation.tenants x on x.name = 'Model' join automation.weddings m on "           \
    "m.tenant_id = x.tenant_id where t.name ~ '^(Tenant|Big)';"                                                        \
    "create temporary table u on commit drop as select t.tenant_id, m.rule_id as of, 'rule ' || i as name, "           \
    "automation_priv.derive('bench_rule', t.tenant_id::text, i::text) as rule_id from automation.tenants t "           \
    "cross join generate_series(0, %2$d - 1) i join automation.tenants x on x.name = 'Model' "                         \
    "join automation.rules m on m.tenant_id = x.tenant_id and m.name = 'rule ' || i %% %1$d "                          \
    "where t.name = 'Big' or t.name ~ '^Tenant' and i < %1$d;"                                                         \
    "analyze w, u;"                                                                                                    \
    "set local session_replication_role = replica;"                                                                    \
    "insert into automation.weddings select r.* from w join automation.weddings m on m.wedding_id = w.of cross join "  \
    "lateral jsonb_populate_record(m, jsonb_build_object('tenant_id', w.tenant_id, 'wedding_id', w.wedding_id)) r;"    \
    "insert into automation.milestones select r.* from w join automation.milestones m on m.wedding_id = w.of cross "   \
    "join lateral jsonb_populate_record(m, jsonb_build_object('tenant_id', w.tenant_id, 'wedding_id', "                \
    "w.wedding_id)) r;"                                                                                                \
    "insert into automation.timings (tenant_id, wedding_id, timing_id, state, due_at, revision, occurrence) "          \
    "select w.tenant_id, w.wedding_id, m.timing_id, m.state, m.due_at, m.revision, m.occurrence from w "               \
    "join automation.timings m on m.wedding_id = w.of;"                                                                \
    "insert into automation.rules select r.* from u join automation.rules m on m.rule_id = u.of cross join lateral "   \
    "jsonb_populate_record(m, jsonb_build_object('tenant_id', u.tenant_id, 'rule_id', u.rule_id, 'name', u.name)) r;"  \
    "insert into automation.rule_versions select r.* from u join automation.rule_versions m on m.rule_id = u.of "      \
    "cross join lateral jsonb_populate_record(m, jsonb_build_object('tenant_id', u.tenant_id, 'rule_id', "             \
    "u.rule_id)) r;"                                                                                                   \
    "insert into automation.ruleset_state select t.tenant_id, s.version, s.updated_at from automation.ruleset_state "  \
    "s join automation.tenants x on x.name = 'Model' and x.tenant_id = s.tenant_id join automation.tenants t on "      \
    "t.name ~ '^(Tenant|Big)';"                                                                                        \
    "insert into automation.timing_keys select r.* from automation.timing_keys k join automation.tenants t on "        \
    "t.name ~ '^(Tenant|Big)' cross join lateral jsonb_populate_record(k, jsonb_build_object('tenant_id', "            \
    "t.tenant_id)) r"

static struct postgres postgres;
static struct redis_server redis;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench timeline: %s: %s\n", what, why);
    exit(1);
}

void timeline_servers_start(void)
{
    static const char *const options[] = {"-c", "shared_buffers=1GB",        "-c", "max_wal_size=8GB",
                                          "-c", "track_commit_timestamp=on", NULL};

    postgres_start_with(&postgres, options);
    redis_server_start(&redis, NULL);
    setenv("USHER_TEST_REDIS_URL", redis.url, 1);
}

void timeline_servers_stop(void)
{
    redis_server_stop(&redis);
    postgres_stop(&postgres);
}

void timeline_sql(struct timeline *t, const char *fmt, ...)
{
    struct err_info info = {0};
    char *sql = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&sql, fmt, ap) < 0)
        abort();
    va_end(ap);
    if (db_exec(t->db, sql, NULL, &info) != ERR_OK)
        die(sql, info.text);
    free(sql);
}

int64_t timeline_i64(struct timeline *t, const char *sql)
{
    return test_pg_i64(&t->leader.pg, sql);
}

void timeline_settle(struct timeline *t)
{
    timeline_sql(t, "delete from automation_priv.wedding_changes");
    timeline_sql(t, "delete from automation_priv.outbox");
    timeline_sql(t, "vacuum (analyze)");
    timeline_sql(t, "checkpoint");
}

/* The engine stamps every rule, as in a live system. */
static void stamp_rules(struct timeline *t)
{
    struct err_info info = {0};
    bool more = true;

    for (int i = 0; i < ROUNDS_MAX && more; i++) {
        if (check_run(&t->leader.lead, &more, &info) != ERR_OK)
            die("check", info.text);
    }
    if (timeline_i64(t, "select count(*) from automation.rules where validated_revision is distinct from revision") > 0)
        die("check", "the engine refuses rules");
}

void timeline_open(struct timeline *t, int tenants)
{
    t->tenants = tenants;
    if (!leader_open(&t->leader))
        die("leader", "no servers");
    t->db = test_pg_session(&t->leader.pg);
    timeline_sql(t,
                 "insert into automation.tenants (tenant_id, name) select automation_priv.derive('bench_tenant', "
                 "i::text), 'Tenant ' || i from generate_series(1, %d) i",
                 tenants);
    timeline_sql(t, "insert into automation.tenants (tenant_id, name) values ('" TIMELINE_BIG "', 'Big')");
    timeline_sql(t, "insert into automation.tenants (tenant_id, name) select gen_random_uuid(), 'Model'");
    timeline_sql(t, WEDDINGS, TIMELINE_WEDDINGS);
    timeline_sql(t, RULES, TIMELINE_TIMINGS);
    stamp_rules(t);
    timeline_sql(t, COPIES, TIMELINE_TIMINGS, TIMELINE_BIG_RULES);
    /* What is already past when the bench begins is none of its business. */
    timeline_sql(t, "update automation.timings set state = 'fired' where state = 'pending' and due_at <= "
                    "automation.now()");
    timeline_settle(t);
}

void timeline_close(struct timeline *t)
{
    db_close(t->db);
    leader_close(&t->leader);
}
