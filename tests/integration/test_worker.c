/* worker: real workers (and, where the ledger is needed, a scheduler) on real servers: what becomes of entries and jobs of each sort. */
#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/redis.h"
#include "tests/support/sink.h"
#include "tests/support/system.h"

TestSuite(worker, .fini = system_close, .timeout = 240);

static struct sink web; /* where kind `hook` goes */

static void stop_web(void)
{
    sink_stop(&web);
    system_close();
}

/* Kind `hook` posts to the sink's path; ready again after a second. */
static void hook(const char *path, int max_attempts)
{
    if (web.pid == 0)
        sink_start(&web, "webhook_sink.py", NULL);
    system_sql("insert into automation.kinds (kind, class, handler, url, max_attempts, retry_base_ms, retry_cap_ms)"
               " values ('hook%s', 'free', 'http', 'http://127.0.0.1:%d/%s', %d, 1000, 1000)",
               path, web.port, path, max_attempts);
}

static void entry(const char *kind, const char *payload)
{
    const char *const fields[] = {"kind", kind, "payload", payload, NULL};

    (void)system_entry("*", fields);
}

Test(worker, a_bare_entry_is_executed_logged_under_its_key_and_acknowledged)
{
    char id[ID_TEXT_SIZE];
    const char *const fields[] = {"kind", "noop", "payload", "{\"a\":1}", "tenant", SYSTEM_TENANT, NULL};

    if (!system_open(false))
        return;
    system_worker(NULL);
    struct id key = system_entry("*", fields);
    system_until("select count(*) from automation.execution_logs");
    cr_expect_eq(
        system_i64("select count(*) from automation.execution_logs where execution_id = '%s' and job_id = execution_id"
                   " and tenant_id = '" SYSTEM_TENANT "' and outcome = 0 and attempt = 1 and kind = 'noop'"
                   " and queue = 'default' and abs(extract(epoch from queued_at - now())) < 60",
                   id_format(&key, id)),
        1);
    system_until_done();
    cr_expect_eq(system_backlog(SYSTEM_IN), 0);
    cr_expect_eq(system_i64("select count(*) from automation_priv.job_deltas"), 0, "no ledger row was ever there");
    system_judge();
}

Test(worker, two_thousand_entries_are_each_logged_once)
{
    if (!system_open(false))
        return;
    system_worker(NULL);
    system_entries(2000);
    system_until_done();
    cr_expect_eq(system_outcomes("done"), 2000);
    system_judge();
}

/* ---- entries that are not plain ---- */

Test(worker, unreadable_and_forged_entries_are_dead_letters_with_their_bytes)
{
    if (!system_open(false))
        return;
    system_worker(NULL);
    entry("noop", "\xff\xfe no map");
    entry("noop", "{\"broken\":\xff}");
    entry("No Kind", "{}");
    entry("send_email", "{}");
    const char *const no_kind[] = {"payload", "{}", NULL};
    (void)system_entry("*", no_kind);
    entry("noop", "{}");
    system_until_done();
    cr_expect_eq(system_dead("malformed"), 4);
    cr_expect_eq(system_dead("forged"), 1);
    cr_expect_eq(system_outcomes("dead"), 5);
    cr_expect_eq(system_outcomes("done"), 1, "what stood behind them is not held up");
    cr_expect_eq(system_i64("select count(*) from automation.dead_letters where reason = 'malformed'"
                            " and position('\\xfffe206e6f206d6170'::bytea in source_raw) > 0"
                            " and error like '%%payload%%' and source_entry like '" SYSTEM_IN " %%'"),
                 1);
    cr_expect_eq(system_i64("select count(*) from automation.dead_letters where source_raw is not null"), 4);
    system_judge();
}

Test(worker, an_unknown_kind_waits_in_the_ledger_for_a_worker_that_knows_it)
{
    if (!system_open(false))
        return;
    int old = system_worker(NULL);
    system_scheduler(NULL);
    entry("thumbnail.render", "{\"id\":7}");
    system_until("select count(*) from automation_priv.ledger where snoozes = 1 and owner is null and attempt = 1");
    system_sql("update automation_priv.ledger set snoozes = 9, due_at = now()");
    system_until("select count(*) from automation_priv.ledger where snoozes = 10 and owner is null and attempt = 1");
    cr_expect_geq(system_i64("select extract(epoch from due_at - now())::bigint from automation_priv.ledger"), 300);
    cr_expect_eq(system_i64("select count(*) from automation.execution_logs"), 0);
    system_signal(old, SIGTERM);
    cr_expect_eq(system_wait(old), 0);
    system_sql("insert into automation.kinds (kind, class, handler) values ('thumbnail.render', 'free', 'noop')");
    system_worker(NULL);
    system_sql("update automation_priv.ledger set due_at = now()");
    system_until_done();
    cr_expect_eq(system_outcomes("done"), 1);
    system_judge();
}

Test(worker, an_unknown_kind_is_dead_after_a_day_of_snoozing)
{
    if (!system_open(false))
        return;
    system_worker(NULL);
    system_scheduler(NULL);
    entry("thumbnail.render", "{\"id\":7}");
    system_until("select count(*) from automation_priv.ledger where snoozes = 1 and owner is null");
    system_sql("update automation_priv.ledger set snoozes = 149, due_at = now()");
    system_until("select count(*) from automation_priv.ledger where snoozes = 150 and owner is null");
    system_sql("update automation_priv.ledger set due_at = now()");
    system_until_done();
    cr_expect_eq(system_dead("unknown_kind"), 1);
    system_judge();
}

/* A kind whose handler this release does not have. */
Test(worker, an_unknown_action_is_dead_after_a_day_of_snoozing_too)
{
    if (!system_open(false))
        return;
    system_sql("alter table automation.kinds drop constraint kinds_handler_check");
    system_sql("insert into automation.kinds (kind, class, handler) values ('thumbnail.render', 'free', 'thumbnails')");
    system_worker(NULL);
    system_scheduler(NULL);
    system_enqueue("thumbnail.render", "{\"id\":7}", 1);
    system_until("select count(*) from automation_priv.ledger where snoozes = 1 and owner is null");
    system_sql("update automation_priv.ledger set snoozes = 150, due_at = now()");
    system_until_done();
    cr_expect_eq(system_dead("unknown_action"), 1);
    system_judge();
}

Test(worker, entries_with_ties_go_through_the_ledger_and_keep_their_log_key)
{
    const char *const wedding[] = {"kind",        "noop",    "payload",      "{}", "tenant",
                                   SYSTEM_TENANT, "wedding", SYSTEM_WEDDING, NULL};
    const char *const late[] = {"kind", "noop", "payload", "{}", "deadline", "2026-01-01T00:00:00Z", NULL};
    const char *const later[] = {"kind", "noop", "payload", "{}", "at", "2099-01-01T00:00:00Z", NULL};
    const char *const keyed[] = {"kind", "noop", "payload", "{}", "key", "k1", NULL};
    char id[ID_TEXT_SIZE];

    if (!system_open(false))
        return;
    system_worker(NULL);
    system_scheduler(NULL);
    struct id tied = system_entry("*", wedding);
    struct id expired = system_entry("*", late);
    struct id future = system_entry("*", later);
    (void)system_entry("*", keyed);
    (void)system_redis("XADD " SYSTEM_IN " * kind noop payload {\"second\":1} key k1");
    system_until("select count(*) = 3 from automation.execution_logs");
    system_until(
        "select count(*) = 1 from automation_priv.ledger where job_id = '%s' and due_at = '2099-01-01T00:00:00Z'",
        id_format(&future, id));
    cr_expect_eq(
        system_i64("select count(*) from automation.execution_logs where execution_id = '%s' and outcome = 0 and"
                   " wedding_id is not null",
                   id_format(&tied, id)),
        1);
    cr_expect_eq(system_i64("select count(*) from automation.execution_logs where execution_id = '%s' and outcome = 5"
                            " and reason = 'expired'",
                            id_format(&expired, id)),
                 1);
    system_sql("update automation_priv.ledger set due_at = now()");
    system_until_done();
    cr_expect_eq(system_i64("select sum(accepted)::bigint from automation_priv.audit()"), 4,
                 "the second of a key was not accepted");
    cr_expect_eq(system_i64("select count(*) from automation_priv.unique_keys where held_until > now()"), 1);
    system_judge();
}

Test(worker, entries_with_absurd_ids_are_adopted_and_their_log_rows_kept)
{
    const char *const fields[] = {"kind", "noop", "payload", "{}", NULL};

    if (!system_open(false))
        return;
    (void)system_entry("1-1", fields);
    (void)system_entry("99999999999999-1", fields);       /* the year 5138 */
    (void)system_entry("18446744073709551600-1", fields); /* beyond every calendar */
    system_worker(NULL);
    system_scheduler(NULL);
    system_until_done();
    cr_expect_eq(system_i64("select sum(done)::bigint from automation_priv.audit()"), 3);
    cr_expect_eq(system_i64("select count(*) from automation_priv.log_quarantine"), 3);
    system_judge();
}

/* ---- retries ---- */

Test(worker, a_job_that_fails_twice_has_two_failed_rows_and_one_done)
{
    if (!system_open(false))
        return;
    system_worker(NULL);
    system_scheduler(NULL);
    (void)system_enqueue_one("drill", "{\"fail\":2}");
    entry("drill", "{\"fail\":2,\"bare\":1}");
    system_until_done();
    cr_expect_eq(system_outcomes("failed"), 4);
    cr_expect_eq(system_outcomes("done"), 2);
    cr_expect_eq(system_i64("select count(*) from (select job_id from automation.execution_logs group by job_id having"
                            " count(distinct execution_id) = 3 and array_agg(attempt order by attempt) = '{1,2,3}') x"),
                 2);
    system_judge();
}

Test(worker, attempts_run_out_and_refusals_are_final)
{
    if (!system_open(false))
        return;
    system_sql("update automation.kinds set max_attempts = 2 where kind = 'drill'");
    system_worker(NULL);
    system_scheduler(NULL);
    (void)system_enqueue_one("drill", "{\"fail\":9}");
    (void)system_enqueue_one("drill", "{\"dead\":true}");
    entry("drill", "{\"dead\":true}");
    system_until_done();
    cr_expect_eq(system_dead("exhausted"), 1);
    cr_expect_eq(system_dead("drill"), 2);
    cr_expect_eq(system_outcomes("failed"), 1);
    cr_expect_eq(system_outcomes("dead"), 3);
    system_judge();
}

Test(worker, http_kinds_follow_the_answer, .fini = stop_web, .timeout = 240)
{
    if (!system_open(false))
        return;
#define TRACE "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333"
    const char *const traced[] = {"kind", "hookok", "payload", "{}", "traceparent", TRACE "1-01", NULL};

    hook("ok", 3);
    hook("fail-once", 3);
    hook("gone", 3);
    system_worker(NULL);
    system_scheduler(NULL);
    (void)system_entry("*", traced);
    system_sql("select automation.enqueue_job('hookok', '{}', p_traceparent => '" TRACE "2-00')");
    (void)system_enqueue_one("hookfail-once", "{}");
    (void)system_enqueue_one("hookgone", "{}");
    system_until_done();
    cr_expect_eq(sink_lines(&web, "received.jsonl", "\"/ok\", \"status\": 204"), 2);
    cr_expect_eq(sink_lines(&web, "received.jsonl", TRACE "1-01"), 1, "of an entry");
    cr_expect_eq(sink_lines(&web, "received.jsonl", TRACE "2-00"), 1, "of a job");
    cr_expect_eq(sink_lines(&web, "received.jsonl", "\"/fail-once\", \"status\": 503"), 1);
    cr_expect_eq(sink_lines(&web, "received.jsonl", "\"/fail-once\", \"status\": 204"), 1);
    cr_expect_eq(sink_lines(&web, "received.jsonl", "\"/gone\", \"status\": 410"), 1);
    cr_expect_eq(system_dead("permanent"), 1);
    cr_expect_eq(system_outcomes("failed"), 1);
    cr_expect_eq(system_outcomes("done"), 3);
    system_judge();
}

Test(worker, a_slow_entry_is_adopted_by_its_executor_and_settles_once)
{
    char id[ID_TEXT_SIZE];
    const char *const fields[] = {"kind", "drill", "payload", "{\"take_ms\":9500}", NULL};

    if (!system_open(false))
        return;
    system_worker(NULL);
    struct id key = system_entry("*", fields);
    system_until(
        "select count(*) from automation_priv.ledger where job_id = '%s' and owner is not null and claim_no = 1",
        id_format(&key, id));
    system_until_done();
    cr_expect_eq(system_i64("select count(*) from automation.execution_logs where execution_id = '%s' and outcome = 0"
                            " and duration_us >= 9000000",
                            id_format(&key, id)),
                 1);
    cr_expect_eq(system_i64("select count(*) from automation.execution_logs"), 1);
    cr_expect_eq(system_i64("select sum(accepted)::bigint from automation_priv.audit()"), 1);
    system_judge();
}

/* More than a connection takes statements at a time. */
Test(worker, many_late_jobs_are_looked_at_again_before_they_act)
{
    const char *const env[] = {"USHER_CONCURRENCY=100", NULL};

    if (!system_open(false))
        return;
    int w = system_worker(env);
    system_scheduler(NULL);
    system_enqueue("drill", "{\"take_ms\":2200}", 220);
    system_until_done();
    cr_expect_eq(system_outcomes("done"), 220);
    cr_expect_eq(system_i64("select count(distinct worker_id) from automation.execution_logs"), 1);
    system_signal(w, SIGTERM);
    cr_expect_eq(system_wait(w), 0);
    system_judge();
}

Test(worker, many_slow_entries_are_adopted_together)
{
    const char *const env[] = {"USHER_CONCURRENCY=200", NULL};
    const char *const fields[] = {"kind", "drill", "payload", "{\"take_ms\":8800}", NULL};

    if (!system_open(false))
        return;
    int w = system_worker(env);
    for (int i = 0; i < 150; i++)
        (void)system_entry("*", fields);
    system_until_done();
    cr_expect_eq(system_outcomes("done"), 150);
    cr_expect_eq(system_i64("select sum(accepted)::bigint from automation_priv.audit()"), 150);
    system_signal(w, SIGTERM);
    cr_expect_eq(system_wait(w), 0);
    system_judge();
}

/* ---- rights, stopping, keys ---- */

Test(worker, a_login_without_bypassrls_logs_through_staging)
{
    setenv("USHER_TEST_STAGING", "1", 1);
    if (!system_open(false))
        return;
    int w = system_worker(NULL);
    system_scheduler(NULL);
    system_entries(50);
    system_enqueue("drill", "{\"fail\":1}", 2);
    system_until_done();
    cr_expect_eq(system_logged(w, "settle.staging"), 1);
    cr_expect_eq(system_outcomes("done"), 52);
    cr_expect_eq(system_i64("select count(*) from automation_priv.log_stage"), 0);
    system_judge();
}

#define KEYED                                                                                                          \
    "select count(*) from automation.enqueue_job('noop', '{}', '" SYSTEM_TENANT "', p_unique_key => 'u',"              \
    " p_job_id => '00000000-0000-0000-0000-0000000000%s') x where x.created = %s and"                                  \
    " x.job_id = '00000000-0000-0000-0000-0000000000d1'"

Test(worker, a_held_unique_key_returns_the_job_that_holds_it)
{
    if (!system_open(false))
        return;
    cr_expect_eq(system_i64(KEYED, "d1", "true"), 1);
    cr_expect_eq(system_i64(KEYED, "d2", "false"), 1, "while it waits");
    system_worker(NULL);
    system_scheduler(NULL);
    system_until_done();
    cr_expect_eq(system_i64(KEYED, "d3", "false"), 1, "and a day after it was done");
    system_sql("update automation_priv.unique_keys set held_until = now()");
    cr_expect_eq(system_i64("select count(*) from automation.enqueue_job('noop', '{}', '" SYSTEM_TENANT
                            "', p_unique_key => 'u') x"
                            " where x.created"),
                 1);
    system_until_done();
    cr_expect_eq(system_outcomes("done"), 2);
    cr_expect_eq(system_i64("select sum(accepted)::bigint from automation_priv.audit()"), 2);
    system_judge();
}

/* The rules of deploy/redis/usher.acl, with this password. */
static void make_redis_login(const char *password)
{
    char line[1024], command[1200];
    FILE *f = fopen("deploy/redis/usher.acl", "r");

    cr_assert(f != NULL && fgets(line, sizeof(line), f) != NULL && strncmp(line, "user ", 5) == 0);
    (void)fclose(f);
    line[strcspn(line, "\n")] = '\0';
    snprintf(command, sizeof(command), "ACL SETUSER %s >%s", line + 5, password);
    system_redis(command);
}

static bool stream_is_gone(void *arg)
{
    (void)arg;
    return system_redis("EXISTS " SYSTEM_IN) == 0;
}

static bool nothing_denied(void)
{
    struct rsession *s = redis_session(sys.redis.url);
    const struct reply *log = redis_run(s, "ACL LOG");
    const bool none = log->n == 0;

    for (size_t i = 0; i < log->n; i++)
        fprintf(stderr, "denied: %s\n", log->items[i]->items[7]->s.p); /* the value of `object` */
    rsession_close(s);
    return none;
}

/* Over TCP, with the commands and keys that the documents name, and no others. */
Test(worker, a_redis_login_with_the_documented_rights_is_enough)
{
    char url[128];
    const char *const env[] = {url, NULL};

    if (!system_open(false))
        return;
    redis_server_stop(&sys.redis);
    redis_server_start_tcp(&sys.redis, NULL);
    make_redis_login("s3cret");
    snprintf(url, sizeof(url), "REDIS_URL=redis://usher:s3cret@127.0.0.1:%d", sys.redis.port);
    system_worker(env);
    system_scheduler(env);
    system_enqueue("noop", "{}", 20);
    system_enqueue("drill", "{\"dead\":true}", 1);
    system_entries(20);
    system_until("select count(*) = 41 from automation.execution_logs");
    system_redis("XGROUP DESTROY " SYSTEM_IN " workers");
    system_redis("XADD " SYSTEM_IN " 18446744073709551615-18446744073709551615 kind noop payload {}");
    system_until("select count(*) = 1 from automation.dead_letters where fed");
    system_until_holds(stream_is_gone, NULL, "the stream whose ids are used up is deleted");
    system_until_done();
    cr_expect(nothing_denied());
    cr_expect_eq(system_redis("XLEN usher:{0}:dlq"), 1);
}
