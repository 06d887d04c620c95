/* The leader's slow work: months are archived and dropped by themselves, and whoever stops the leader does not wait for it. */
#include <string.h>

#include <criterion/criterion.h>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "scheduler/upkeep.h"
#include "tests/support/months.h"

static struct scheduler_settings settings_of(struct months *t)
{
    return (struct scheduler_settings){
        .common = {.database_url = t->pg.url, .archive_dir = t->dir, .archive_after_months = 12}};
}

static int round_of(struct months *t, const struct scheduler_settings *settings)
{
    struct upkeep u;
    struct err_info info = {0};
    int done = -1;

    (void)t;
    upkeep_init(&u, settings);
    cr_expect_eq(upkeep_round(&u, &done, &info), ERR_OK, "%s", info.text);
    upkeep_fini(&u);
    return done;
}

Test(scheduler_upkeep, old_months_are_archived_then_dropped)
{
    struct months t;

    if (!months_open(&t))
        return;
    struct scheduler_settings settings = settings_of(&t);
    settings.common.archive_grace_ms = 3600000;
    cr_expect_eq(round_of(&t, &settings), 3);
    cr_expect(months_in(&t, MONTHS_LEAF, "verified"));
    cr_expect_eq(round_of(&t, &settings), 0, "the grace period");
    settings.common.archive_grace_ms = 0;
    cr_expect_eq(round_of(&t, &settings), 3);
    cr_expect(months_in(&t, MONTHS_LEAF, "dropped"));
    cr_expect_eq(months_files(&t), 6);
    cr_expect_eq(round_of(&t, &settings), 0, "all is done");
    cr_expect_eq(test_pg_i64(&t.pg, "select count(*) from pg_statistic where starelid = "
                                    "'automation.execution_logs'::regclass and stainherit limit 1") > 0,
                 1);
    months_close(&t);
}

Test(scheduler_upkeep, jobs_that_nobody_knows_of_are_told)
{
    struct months t;
    struct upkeep u;
    struct err_info info = {0};
    int done;

    if (!months_open(&t))
        return;
    const struct scheduler_settings settings = {.common = {.database_url = t.pg.url}};
    log_init("test", LOG_ERROR + 1, LOG_LOGFMT);
    upkeep_init(&u, &settings);
    cr_expect_eq(upkeep_round(&u, &done, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(u.unaccounted, 0);
    test_pg_run(&t.pg,
                "insert into automation_priv.job_deltas values (gen_random_uuid(), current_date, 'accepted', 2)");
    cr_expect_eq(upkeep_round(&u, &done, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(u.unaccounted, 2);
    upkeep_fini(&u);
    months_close(&t);
}

Test(scheduler_upkeep, host_tables_that_want_a_person_are_told)
{
    struct months t;
    struct upkeep u;
    struct err_info info = {0};
    int done;

    if (!months_open(&t))
        return;
    const struct scheduler_settings settings = {.common = {.database_url = t.pg.url}};
    log_init("test", LOG_ERROR + 1, LOG_LOGFMT);
    upkeep_init(&u, &settings);
    test_pg_run(&t.pg, "create table public.studios (id uuid primary key, name text);"
                       "grant select on public.studios to automation_owner;"
                       "select automation.attach_source('public.studios', '{\"tenant\":{\"column\":\"id\"},"
                       "\"events\":[{\"on\":\"insert\",\"type\":\"studio.opened\"}]}')");
    cr_expect_eq(upkeep_round(&u, &done, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(u.sources, 0);
    test_pg_run(&t.pg, "update automation_priv.sources set state = 'off'");
    cr_expect_eq(upkeep_round(&u, &done, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(u.sources, 1);
    test_pg_run(&t.pg, "update automation_priv.sources set state = 'on', backfilled = false");
    cr_expect_eq(upkeep_round(&u, &done, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(u.sources, 1);
    test_pg_run(&t.pg,
                "update automation_priv.sources set backfilled = true; insert into automation_priv.source_errors"
                " (source_id, sqlstate, message) select source_id, '55P03', 'locked' from automation_priv.sources");
    cr_expect_eq(upkeep_round(&u, &done, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(u.sources, 1);
    upkeep_fini(&u);
    months_close(&t);
}

Test(scheduler_upkeep, without_a_folder_nothing_is_archived)
{
    struct months t;

    if (!months_open(&t))
        return;
    struct scheduler_settings settings = settings_of(&t);
    settings.common.archive_dir = NULL;
    cr_expect_eq(round_of(&t, &settings), 0);
    cr_expect(months_in(&t, MONTHS_LEAF, "attached"));
    months_close(&t);
}

/* A month that can not be archived does not hold up the others. */
Test(scheduler_upkeep, one_month_that_fails_does_not_stop_the_rest)
{
    struct months t;

    if (!months_open(&t))
        return;
    log_init("test", LOG_ERROR + 1, LOG_LOGFMT);
    test_pg_run(&t.pg,
                "update automation_priv.log_partitions set state = 'detached' where leaf = 'execution_logs_2024_01'");
    struct scheduler_settings settings = settings_of(&t);
    cr_expect_eq(round_of(&t, &settings), 2);
    cr_expect(months_in(&t, MONTHS_LEAF, "verified"));
    months_close(&t);
}

/* DETACH waits for a reader that does not end; stopping does not. */
Test(scheduler_upkeep, stopping_cancels_what_waits)
{
    struct months t;
    struct upkeep u;
    struct err_info info = {0};

    if (!months_open(&t))
        return;
    log_init("test", LOG_ERROR + 1, LOG_LOGFMT);
    struct scheduler_settings settings = settings_of(&t);
    struct db_session *reader = test_pg_session(&t.pg);
    cr_assert_eq(db_exec(reader, "begin; select count(*) from automation.execution_logs", NULL, &info), ERR_OK);
    upkeep_start(&u, &settings);
    while (test_pg_i64(
               &t.pg,
               "select count(*) from pg_stat_activity where application_name = 'usher archive' and state = 'active' "
               "and query like '%concurrently' and wait_event_type = 'Lock'") == 0)
        test_pg_run(&t.pg, "select pg_sleep(0.01)");
    const int64_t before_ms = clock_mono_ms();
    upkeep_stop(&u);
    cr_expect_lt(clock_mono_ms() - before_ms, 10000);
    db_close(reader);
    cr_expect(months_in(&t, "execution_logs_2024_01", "detaching"));
    cr_expect_eq(round_of(&t, &settings), 3, "the next one goes on");
    months_close(&t);
}
