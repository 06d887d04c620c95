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
    "from automation.tenants t cross join generate_series(1, %d) i where "
#define RULES                                                                                                          \
    "insert into automation.rules (tenant_id, rule_id, name, status, definition) select t.tenant_id, "                 \
    "automation_priv.derive('bench_rule', t.tenant_id::text, i::text), 'rule ' || i, 'active', " RULE                  \
    " from automation.tenants t cross join generate_series(0, %d - 1) i where "

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
    timeline_sql(t, WEDDINGS "t.name ~ '^(Tenant|Big)'", TIMELINE_WEDDINGS);
    timeline_sql(t, RULES "t.name ~ '^Tenant'", TIMELINE_TIMINGS);
    timeline_sql(t, RULES "t.tenant_id = '" TIMELINE_BIG "'", TIMELINE_BIG_RULES);
    stamp_rules(t);
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
