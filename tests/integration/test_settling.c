/* settling: a worker's transactions fail for all sorts of reasons that are not the jobs': no job dies of it, and none holds up others. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/support/pg.h"
#include "tests/support/redis.h"
#include "tests/support/system.h"

TestSuite(settling, .fini = system_close, .timeout = 240);

#define OTHER_TENANT "00000000-0000-0000-0000-0000000000a2"
#define NO_DEAD "select count(*) = 0 from automation.dead_letters"

static void keyed_entry(const char *key)
{
    const char *const fields[] = {"kind", "noop", "payload", "{}", "key", key, NULL};

    (void)system_entry("*", fields);
}

static void ends_well(int64_t done)
{
    system_until_done();
    cr_expect_eq(system_outcomes("done"), done);
    cr_expect(system_i64(NO_DEAD), "nothing is a dead letter");
    system_judge();
}

/* A statement that is cancelled leaves its session in a transaction that has failed: the next one is not to begin in there. */
Test(settling, a_cancelled_copy_is_made_again)
{
    if (!system_open(false))
        return;
    system_worker(NULL);
    system_scheduler(NULL);
    system_entries(1);
    system_until("select count(*) = 1 from automation.execution_logs");
    struct db_session *other = system_hold("lock table automation.execution_logs in access exclusive mode");
    system_enqueue("noop", "{}", 1);
    for (int i = 0; i < 3; i++)
        system_until("select bool_or(pg_cancel_backend(pid)) from pg_stat_activity where wait_event_type = 'Lock'"
                     " and application_name like '%%settle%%' and datname = current_database()");
    system_let_go(other, "commit");
    system_enqueue("noop", "{}", 3);
    ends_well(5);
}

/* As long as it lasts, everything waits; then everything is done. */
Test(settling, no_room_is_waited_for)
{
    if (!system_open(false))
        return;
    int w = system_worker(NULL);
    system_scheduler(NULL);
    system_sql("create function public.full() returns trigger language plpgsql as $$ begin"
               " raise exception 'could not extend file: No space left on device' using errcode = '53100'; end $$");
    system_sql("create trigger full_disk before insert on automation_priv.job_deltas for each row when (new.outcome <> "
               "'accepted')"
               " execute function public.full()");
    system_sql("create trigger full_disk before insert on automation_priv.rollup_deltas for each row execute function "
               "public.full()");
    system_enqueue("noop", "{}", 40);
    system_entries(40);
    keyed_entry("k");
    system_until_logged(w, "failures=4");
    cr_expect_geq(system_logged(w, "53100"), 1, "the log says why, also where it shows at the commit alone");
    cr_expect_leq(system_logged(w, "settle.failed"), 20, "and not again and again");
    system_sql("drop trigger full_disk on automation_priv.job_deltas");
    system_sql("drop trigger full_disk on automation_priv.rollup_deltas");
    ends_well(81);
    cr_expect_geq(system_logged(w, "settle.works_again"), 1);
}

/* What no repetition mends and no smaller batch: that one waits, the others are done. */
Test(settling, one_job_that_can_not_be_settled_waits_by_itself)
{
    char id[ID_TEXT_SIZE];

    if (!system_open(false))
        return;
    int w = system_worker(NULL);
    system_scheduler(NULL);
    system_enqueue("drill", "{\"take_ms\":300}", 1);
    system_until("select count(*) = 1 from automation_priv.ledger where owner is not null");
    system_sql("create function public.damaged() returns trigger language plpgsql as $$ begin"
               " raise exception 'invalid page in block 7' using errcode = 'XX001'; end $$");
    system_sql("create trigger damaged before delete on automation_priv.ledger for each row when (old.kind = 'drill')"
               " execute function public.damaged()");
    struct id one = system_enqueue_one("noop", "{}");
    system_enqueue("noop", "{}", 200);
    system_until_logged(w, "XX001");
    system_until("select count(*) = 201 from automation.execution_logs");
    cr_expect_eq(system_i64("select count(*) from automation.execution_logs where job_id = '%s'", id_format(&one, id)),
                 1);
    system_sql("drop trigger damaged on automation_priv.ledger");
    ends_well(202);
}

/* A host's transaction that holds many weddings of a tenant: their jobs wait, and nobody else's. */
Test(settling, locked_weddings_hold_up_their_own_jobs_alone)
{
    enum { LOCKED = 150, OTHERS = 8, TIMES = 5 };

    if (!system_open(false))
        return;
    system_rule("[{\"type\":\"add_tag\",\"params\":{\"tag\":\"vip\"}}]");
    system_events(LOCKED);
    struct db_session *host = system_hold("select from automation.weddings for update");
    system_worker(NULL);
    system_scheduler(NULL);
    system_until("select count(*) = %d from automation_priv.ledger where owner is not null", LOCKED);
    for (int i = 1; i <= TIMES; i++) { /* as those are tried again and again */
        system_events(OTHERS);
        system_until("select count(*) = %d from automation.runs where state = 'succeeded'", i * OTHERS);
    }
    cr_expect_eq(system_i64("select count(*) from automation_priv.ledger where owner is not null"), LOCKED);
    system_let_go(host, "commit");
    system_until_done();
    cr_expect_eq(system_i64("select count(*) from automation.weddings where tags = '{vip}'"), LOCKED + TIMES * OTHERS);
    system_judge();
}

/* What can not be settled is kept, payloads and all: the worker stops reading before that is too much. */
Test(settling, payloads_in_hand_are_bounded)
{
    enum { ENTRIES = 400, BYTES = 250000 };
    static char payload[BYTES + 1];
    const char *const fields[] = {"kind", "noop", "payload", payload, NULL};
    const char *const env[] = {"USHER_BATCH=50", NULL};

    if (!system_open(false))
        return;
    memset(payload, 'x', BYTES);
    memcpy(payload, "{\"x\":\"", 6);
    memcpy(payload + BYTES - 2, "\"}", 2);
    struct db_session *other = system_hold("lock table automation.execution_logs in access exclusive mode");
    for (int i = 0; i < ENTRIES; i++)
        (void)system_entry("*", fields);
    int w = system_worker(env);
    system_until_logged(w, "worker.full");
    struct rsession *redis = redis_session(sys.redis.url);
    cr_expect_leq(redis_run(redis, "XPENDING " SYSTEM_IN " workers")->items[0]->i, (64 << 20) / BYTES + 51);
    rsession_close(redis);
    system_let_go(other, "commit");
    system_until_done();
    cr_expect_eq(system_outcomes("done"), ENTRIES);
    system_judge();
}

/* Slow entries that are adopted together: one that the database refuses holds up none of the others, and ends as a dead letter. */
Test(settling, a_refused_value_among_slow_entries_holds_up_none)
{
    const char *const slow[] = {"kind", "drill", "payload", "{\"take_ms\":13000}", NULL};
    const char *const bad[] = {"kind", "drill", "payload", "{\"take_ms\":13001}", NULL};

    if (!system_open(false))
        return;
    int w = system_worker(NULL);
    system_sql("create function public.refused() returns trigger language plpgsql as $$ begin"
               " raise exception 'no such value' using errcode = '22003'; end $$");
    system_sql(
        "create trigger refused before insert on automation_priv.ledger for each row when (position('13001'::bytea in"
        " new.payload) > 0) execute function public.refused()");
    for (int i = 0; i < 6; i++)
        (void)system_entry("*", i == 2 ? bad : slow);
    system_until("select count(*) = 5 from automation_priv.ledger where owner is not null");
    system_until_done();
    cr_expect_eq(system_outcomes("done"), 6, "also the one that could not be adopted: it is logged as a quick one is");
    cr_expect_geq(system_logged(w, "bare.adopt"), 1);
    system_judge();
}

/* ---- unique keys that a transaction has not yet decided on ---- */

/* The host's transaction was told that the key is held, and stays open: the holder ends, and so do other tenants' jobs. */
Test(settling, asking_for_a_held_key_stops_nobody)
{
    if (!system_open(false))
        return;
    system_worker(NULL);
    system_scheduler(NULL);
    system_sql("insert into automation.tenants (tenant_id, name) values ('" OTHER_TENANT "', 'Other')");
    system_sql("select automation.enqueue_job('drill', '{\"take_ms\":200}', '" SYSTEM_TENANT "', p_unique_key => 'k',"
               " p_run_at => now() + interval '1 second')");
    struct db_session *host =
        system_hold("select automation.enqueue_job('drill', '{}', '" SYSTEM_TENANT "', p_unique_key => 'k')");
    system_sql("select automation.enqueue_job('noop', '{}', '" OTHER_TENANT "') from generate_series(1, 20)");
    system_until("select count(*) = 21 from automation.execution_logs");
    system_let_go(host, "commit");
    system_until_done();
    cr_expect_eq(system_outcomes("done"), 21, "the host's was none");
    cr_expect(system_i64(NO_DEAD));
}

/* An entry's key may be free or not: only that entry waits for the answer. */
Test(settling, an_entry_waits_for_its_key_alone)
{
    if (!system_open(false))
        return;
    int w = system_worker(NULL);
    system_scheduler(NULL);
    struct db_session *taker = system_hold("select automation.enqueue_job('noop', '{}', p_unique_key => 'k1')");
    struct db_session *giver = system_hold("select automation.enqueue_job('noop', '{}', p_unique_key => 'k2')");
    keyed_entry("k1");
    keyed_entry("k2");
    for (int i = 0; i < 30; i++) {
        char key[16];
        snprintf(key, sizeof(key), "other %d", i);
        keyed_entry(key);
    }
    system_until("select count(*) = 30 from automation.execution_logs");
    cr_expect_eq(system_backlog(SYSTEM_IN), 2, "they are not acknowledged either");
    system_let_go(giver, "rollback");
    system_until("select count(*) = 31 from automation.execution_logs");
    system_let_go(taker, "commit");
    system_until_done();
    cr_expect_eq(system_outcomes("done"), 32, "30, the one whose key came free, and the taker's");
    cr_expect(system_i64(NO_DEAD));
    cr_expect_eq(system_logged(w, "55P03"), 0);
    cr_expect_eq(system_i64("select sum(accepted)::bigint from automation_priv.audit()"), 32);
}

/* ---- what others left behind ---- */

#define LEFT 3000
#define TAKEN_MAX 1000 /* a batch and what one step brings */

static int64_t left_behind(void)
{
    struct rsession *s = redis_session(sys.redis.url);
    const int64_t n = (int64_t)redis_run(s, "XPENDING " SYSTEM_IN " workers - + 10000 gone")->n;

    rsession_close(s);
    return n;
}

/* Many idle entries are taken over as they can be adopted, not all into this worker's memory. */
Test(settling, idle_entries_are_taken_over_in_turn)
{
    if (!system_open(false))
        return;
    system_redis("XGROUP CREATE " SYSTEM_IN " workers 0 MKSTREAM");
    system_entries(LEFT);
    system_redis("XREADGROUP GROUP workers gone COUNT 10000 STREAMS " SYSTEM_IN " >");
    system_idle_passes();
    cr_assert_eq(left_behind(), LEFT);
    struct db_session *other = system_hold("lock table automation_priv.ledger in share mode");
    system_worker(NULL);
    system_until("select count(*) > 0 from pg_stat_activity where wait_event_type = 'Lock' and application_name like "
                 "'%%settle%%'"
                 " and datname = current_database()");
    const int64_t now_us = system_i64("select (extract(epoch from clock_timestamp()) * 1000000)::bigint");
    system_until("select count(*) = 1 from automation_priv.workers where beat_at > to_timestamp(%lld / 1000000.0)",
                 (long long)now_us);
    cr_expect_geq(left_behind(), LEFT - TAKEN_MAX);
    system_let_go(other, "commit");
    system_scheduler(NULL);
    ends_well(LEFT);
}

/* What a worker has in hand for long comes to itself as an idle entry, and is not another job: beside one whose reader is gone, which is
 * adopted. Reading the log is possible all the time, so nothing but the worker keeps the first one from that. */
Test(settling, an_idle_entry_of_its_own_is_not_taken_over)
{
    const char *const fields[] = {"kind", "drill", "payload", "{\"take_ms\":1000}", NULL};

    if (!system_open(false))
        return;
    system_redis("XGROUP CREATE " SYSTEM_IN " workers 0 MKSTREAM");
    system_entries(1);
    system_redis("XREADGROUP GROUP workers gone COUNT 1 STREAMS " SYSTEM_IN " >");
    struct db_session *other = system_hold("lock table automation.execution_logs in share row exclusive mode");
    int w = system_worker(NULL);
    (void)system_entry("*", fields);
    system_until("select count(*) > 0 from pg_stat_activity where wait_event_type = 'Lock' and application_name like "
                 "'%%settle%%'"
                 " and datname = current_database()");
    system_idle_passes();
    system_until("select count(*) > 0 from automation_priv.ledger");
    cr_expect_eq(system_i64("select count(*) from automation_priv.ledger"), 1, "its own becomes a ledger job");
    system_scheduler(NULL);
    system_let_go(other, "commit");
    ends_well(2);
    cr_expect_eq(system_i64("select coalesce(sum(accepted), 0)::bigint from automation_priv.audit()"), 1,
                 "its own was accepted as a ledger job");
    cr_expect_eq(system_logged(w, "job.lost_lease"), 0);
}
