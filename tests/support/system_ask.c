/* system: questions to the servers, waits, and the judge. */
#include <criterion/criterion.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/base/clock.h"
#include "common/core/outcome.h"
#include "common/io/queue_admin.h"
#include "tests/support/system.h"

#define POLL_MS 30

/* A session for each question: whoever kills servers would have to know which ones died. */
static enum err ask(const char *sql, int64_t *out, struct err_info *info)
{
    const struct db_session_config config = {.url = sys.pg.url, .name = "test"};
    const struct db_stmt stmt = {"question", sql};
    struct db_session *s = NULL;
    struct db_result *r = NULL;
    enum err err = db_open(&config, &s, info);

    if (err == ERR_OK)
        err = db_query(s, &stmt, NULL, &r, info);
    if (err == ERR_OK)
        *out = db_rows(r) == 0 ? 0 : db_text(r, 0, 0).n == 1 ? db_bool(r, 0, 0) : db_i64(r, 0, 0);
    db_result_free(r);
    db_close(s);
    return err;
}

static PRINTF_LIKE(1, 0) char *format(const char *fmt, va_list ap)
{
    char *sql = NULL;

    cr_assert_geq(vasprintf(&sql, fmt, ap), 0);
    return sql;
}

bool system_ask(const char *sql, int64_t *out)
{
    return ask(sql, out, NULL) == ERR_OK;
}

int64_t system_i64(const char *fmt, ...)
{
    struct err_info info = {0};
    int64_t v = 0;
    va_list ap;

    va_start(ap, fmt);
    char *sql = format(fmt, ap);
    va_end(ap);
    enum err err = ask(sql, &v, &info);
    cr_assert_eq(err, ERR_OK, "%s: %s", sql, info.text);
    free(sql);
    return v;
}

void system_sql(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    char *sql = format(fmt, ap);
    va_end(ap);
    test_pg_run(&sys.pg, sql);
    free(sql);
}

static void show_state(void)
{
    static const char *const streams[] = {SYSTEM_Q, SYSTEM_IN};
    int64_t v[4] = {-1, -1, -1, -1};

    (void)ask("select count(*) from automation_priv.ledger", &v[0], NULL);
    (void)ask("select count(*) from automation_priv.ledger where owner is not null", &v[1], NULL);
    (void)ask("select count(*) from automation.execution_logs", &v[2], NULL);
    (void)ask("select count(*) from automation.dead_letters", &v[3], NULL);
    fprintf(stderr, "ledger %lld, owned %lld, log %lld, dead %lld", (long long)v[0], (long long)v[1], (long long)v[2],
            (long long)v[3]);
    for (int i = 0; i < 2 && sys.redis.pid != 0; i++)
        fprintf(stderr, ", %s %lld", streams[i], (long long)system_backlog(streams[i]));
    fprintf(stderr, "\n");
}

void system_until_holds(bool (*holds)(void *arg), void *arg, const char *what)
{
    const int64_t deadline = clock_mono_ms() + SYSTEM_PATIENCE_S * 1000;

    while (!holds(arg)) {
        if (clock_mono_ms() > deadline) {
            system_show_logs();
            show_state();
            cr_assert_fail("did not come true: %s", what);
        }
        (void)poll(NULL, 0, POLL_MS);
    }
}

static bool sql_holds(void *arg)
{
    int64_t v = 0;

    return ask(arg, &v, NULL) == ERR_OK && v != 0;
}

void system_until(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    char *sql = format(fmt, ap);
    va_end(ap);
    system_until_holds(sql_holds, sql, sql);
    free(sql);
}

struct logged {
    int process;
    const char *holding;
};

static bool log_holds(void *arg)
{
    const struct logged *l = arg;

    return system_logged(l->process, l->holding) > 0;
}

void system_until_logged(int process, const char *holding)
{
    struct logged l = {process, holding};

    system_until_holds(log_holds, &l, holding);
}

int64_t system_redis(const char *command)
{
    struct rsession *s = redis_session(sys.redis.url);
    const int64_t v = redis_run(s, command)->i;

    rsession_close(s);
    return v;
}

int64_t system_backlog(const char *key)
{
    struct rsession *s = redis_session(sys.redis.url);
    struct queue_info q;
    struct err_info info = {0};
    char length[64];
    int64_t n = -1;

    snprintf(length, sizeof(length), "XLEN %s", key);
    if (queue_admin_info(s, key, &q, &info) == ERR_OK && q.group.exists && q.group.lag >= 0)
        n = q.group.pending + q.group.lag;
    else if (redis_run(s, length)->i == 0)
        n = 0;
    rsession_close(s);
    return n;
}

static bool all_done(void *arg)
{
    int64_t left = 1;

    (void)arg;
    /* In this order: an entry that is adopted between the two questions is a row before it is acknowledged. */
    return system_backlog(SYSTEM_IN) == 0 &&
           ask("select (select count(*) from automation_priv.ledger) + (select count(*) from automation_priv.outbox)"
               " + (select count(*) from automation.runs where state = 'running')",
               &left, NULL) == ERR_OK &&
           left == 0 && system_backlog(SYSTEM_Q) == 0;
}

void system_until_done(void)
{
    system_until_holds(all_done, NULL, "everything is done");
}

static bool ended_or_done(void *arg)
{
    const int *process = arg;
    int status = 0;

    if (sys.processes[*process].pid != 0 && waitpid(sys.processes[*process].pid, &status, WNOHANG) > 0)
        sys.processes[*process].pid = 0;
    return sys.processes[*process].pid == 0 || all_done(NULL);
}

bool system_until_done_or_ended(int process)
{
    system_until_holds(ended_or_done, &process, "everything is done, or the process has ended");
    return sys.processes[process].pid == 0;
}

int64_t system_outcomes(const char *word)
{
    for (enum outcome o = 0; o < OUTCOME_COUNT; o++) {
        if (strcmp(outcome_word(o), word) == 0)
            return system_i64("select count(*) from automation.execution_logs where outcome = %d", (int)o);
    }
    cr_assert_fail("no such outcome: %s", word);
    return -1;
}

int64_t system_dead(const char *reason)
{
    return system_i64("select count(*) from automation.dead_letters where reason = '%s'", reason);
}

void system_judge(void)
{
    const char *const per_job =
        "with rows as (select job_id, outcome from automation.execution_logs where outcome in (0, 2, 3, 4, 5)"
        "  union all select job_id, (row_data ->> 'outcome')::smallint from automation_priv.log_quarantine),"
        " per as (select a.id, count(r.outcome) as n from unnest('{%s}'::uuid[]) as a(id) left join rows r on r.job_id "
        "= a.id"
        "  group by 1) select count(*) from per where n %s";

    cr_expect_eq(system_i64(per_job, buf_text(&sys.accepted), "= 0"), 0, "jobs lost");
    cr_expect_eq(system_i64(per_job, buf_text(&sys.accepted), "> 1"), 0, "jobs ended twice");
    cr_expect_eq(system_i64("select coalesce(sum(abs(unaccounted)), 0)::bigint from automation_priv.audit()"), 0,
                 "unaccounted");
    cr_expect_eq(system_i64("select coalesce(sum(in_flight + waiting), 0)::bigint from automation_priv.audit()"), 0,
                 "unfinished");
    cr_expect_eq(system_i64(
                     "select (select count(*) from automation.execution_logs)"
                     " - (select coalesce(sum(n), 0)::bigint from automation.execution_rollup)"
                     " - (select coalesce(sum(c), 0)::bigint from automation_priv.rollup_deltas, unnest(counts) c)"),
                 0, "log rows that the rollups miss, or count twice (below 0)");
}
