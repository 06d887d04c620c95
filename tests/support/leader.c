/* leader: see leader.h. A failure of the frame is none of the code under test: it prints and aborts. */
#include "tests/support/leader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/io/store_lead.h"

#define ROUNDS_MAX 200

static void die(const char *what, const char *why)
{
    fprintf(stderr, "test leader: %s: %s\n", what, why);
    abort();
}

static void begin_term(struct leader *t)
{
    struct db_session *s = test_pg_session(&t->pg);
    struct err_info info = {0};
    int64_t term = 0;

    if (store_lead_take(s, "test", &term, &info) != ERR_OK)
        die("term", info.text);
    db_close(s);
    lead_init(&t->lead, &t->settings, &t->wake, term);
    if (lead_connect(&t->lead, &info) != ERR_OK || t->lead.redis == NULL)
        die("connect", info.text);
}

static void seed(struct leader *t)
{
    leader_sql(t, "select automation_priv.clock_set('" LEADER_NOON "');"
                  "insert into automation.tenants (tenant_id, name) values ('" LEADER_TENANT "', 'A'), ('" LEADER_OTHER
                  "', 'B');"
                  "insert into automation.weddings (tenant_id, wedding_id, title, status, ceremony_date, "
                  "ceremony_time, time_zone, guest_count)"
                  " values ('" LEADER_TENANT "', '" LEADER_WEDDING
                  "', 'W', 'booked', '2026-08-01', '15:00', 'Europe/Lisbon', 120)");
}

bool leader_open(struct leader *t)
{
    memset(t, 0, sizeof(*t));
    if (!test_pg_available() || !redis_test_db(t->redis_url))
        return false;
    log_init("test", LOG_ERROR, LOG_LOGFMT);
    test_pg_create_migrated(&t->pg);
    t->settings.common.database_url = t->pg.url;
    t->settings.common.redis_url = t->redis_url;
    t->settings.common.environment = SETTINGS_DEVELOPMENT;
    t->settings.queues = mem_strdup("default");
    t->settings.window = 10000;
    t->settings.direct_max = 100000;
    t->settings.tick_ms = 1000;
    t->settings.dispatch_batch = 200;
    wake_init(&t->wake);
    t->redis = redis_session(t->redis_url);
    seed(t);
    begin_term(t);
    return true;
}

void leader_close(struct leader *t)
{
    lead_fini(&t->lead);
    rsession_close(t->redis);
    wake_fini(&t->wake);
    mem_free(t->settings.queues);
    test_pg_drop(&t->pg);
}

void leader_takeover(struct leader *t)
{
    lead_fini(&t->lead);
    begin_term(t);
}

void leader_sql(struct leader *t, const char *fmt, ...)
{
    char *sql = NULL;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&sql, fmt, ap) < 0)
        abort();
    va_end(ap);
    test_pg_run(&t->pg, sql);
    free(sql);
}

int64_t leader_i64(struct leader *t, const char *fmt, ...)
{
    char *sql = NULL;
    int64_t v;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&sql, fmt, ap) < 0)
        abort();
    va_end(ap);
    v = test_pg_i64(&t->pg, sql);
    free(sql);
    return v;
}

void leader_rule(struct leader *t, const char *nn, const char *rest)
{
    leader_sql(t,
               "insert into automation.rules (tenant_id, rule_id, name, status, definition) values"
               " ('" LEADER_TENANT
               "', '00000000-0000-0000-0000-0000000000%s', 'r', 'active', '{\"schema_version\":1,\"name\":\"r\",%s}')",
               nn, rest);
}

void leader_event(struct leader *t, const char *nn, const char *type, const char *payload)
{
    leader_sql(t,
               "select automation.publish_event('" LEADER_TENANT "', '%s', '" LEADER_WEDDING "', '%s',"
               " '00000000-0000-0000-0000-0000000000%s')",
               type, payload, nn);
}

void leader_job(struct leader *t, const char *tenant, const char *nn)
{
    leader_sql(t,
               "select automation.enqueue_job('noop', '{}', '%s', p_job_id => '00000000-0000-0000-0000-0000000000%s')",
               tenant, nn);
}

void leader_work(struct leader *t)
{
    bool more = true;

    /* The frame's clock does not wait: duties that run once a second run in every call. */
    for (size_t i = 0; i < LEAD_DUTIES_MAX; i++)
        t->lead.duties[i].next_ms = 0;
    for (int i = 0; i < ROUNDS_MAX && more; i++) {
        if (lead_round(&t->lead, &more) != ERR_OK)
            die("round", "the term has ended");
    }
    if (more)
        die("rounds", "there is always more to do");
}

int64_t leader_stream(struct leader *t)
{
    return redis_run(t->redis, "XLEN usher:{0}:q:default")->i;
}
