/* The life of the log's months: detached, exported, verified, dropped, restored; when; and what stands in the way. */
#include <stdio.h>
#include <string.h>

#include <criterion/criterion.h>

#include "common/io/store_archive.h"
#include "tests/support/months.h"

#define DATA MONTHS_LEAF ".csv.zst"
#define MANIFEST MONTHS_LEAF ".json"

static void expect(struct months *t, months_call call, const char *leaf, enum err wanted, const char *says)
{
    struct err_info info = {0};
    enum err err = months_do(t, call, leaf, &info);

    cr_expect_eq(err, wanted, "%s: %s", err_name(err), info.text);
    cr_expect_not_null(strstr(info.text, says), "%s", info.text);
}

Test(archive, a_month_leaves_as_a_file_and_comes_back_the_same)
{
    struct months t;
    int64_t digest;

    if (!months_open(&t))
        return;
    digest = months_digest(&t, MONTHS_LEAF);
    cr_expect_eq(months_rows(&t, MONTHS_LEAF), MONTHS_ROWS);
    expect(&t, archive_run, MONTHS_LEAF, ERR_OK, "");
    cr_expect(months_in(&t, MONTHS_LEAF, "verified"));
    cr_expect(months_has(&t, DATA));
    cr_expect(months_has(&t, MANIFEST));
    cr_expect_eq(months_files(&t), 2, "nothing else is left in the folder");
    cr_expect_eq(months_rows(&t, MONTHS_LEAF), 0);
    cr_expect_eq(test_pg_i64(&t.pg, "select count(*) from pg_class where relname like 'verify_%'"), 0);
    expect(&t, archive_run, MONTHS_LEAF, ERR_OK, "");
    expect(&t, archive_drop, MONTHS_LEAF, ERR_OK, "");
    cr_expect(months_in(&t, MONTHS_LEAF, "dropped"));
    cr_expect_eq(test_pg_i64(&t.pg, "select count(*) from pg_class where relname = '" MONTHS_LEAF "'"), 0);
    expect(&t, months_verify, MONTHS_LEAF, ERR_OK, "");
    expect(&t, months_restore, MONTHS_LEAF, ERR_OK, "");
    cr_expect(months_in(&t, MONTHS_LEAF, "restored"));
    cr_expect_eq(months_rows(&t, MONTHS_LEAF), MONTHS_ROWS);
    cr_expect_eq(months_digest(&t, MONTHS_LEAF), digest);
    months_close(&t);
}

Test(archive, a_restored_month_is_like_a_fresh_one)
{
    struct months t;

    if (!months_open(&t))
        return;
    cr_expect_eq(months_differences(&t), 0, "two fresh ones are alike");
    expect(&t, archive_run, MONTHS_LEAF, ERR_OK, "");
    expect(&t, archive_drop, MONTHS_LEAF, ERR_OK, "");
    expect(&t, months_restore, MONTHS_LEAF, ERR_OK, "");
    cr_expect_eq(months_differences(&t), 0);
    months_close(&t);
}

Test(archive, a_detached_month_that_is_still_there_is_only_attached)
{
    struct months t;
    int64_t digest;

    if (!months_open(&t))
        return;
    digest = months_digest(&t, MONTHS_LEAF);
    expect(&t, archive_detach, MONTHS_LEAF, ERR_OK, "");
    cr_expect(months_in(&t, MONTHS_LEAF, "detached"));
    expect(&t, months_verify, MONTHS_LEAF, ERR_NOTFOUND, "has no archive");
    expect(&t, archive_drop, MONTHS_LEAF, ERR_STATE, "only what is verified is dropped");
    expect(&t, months_restore, MONTHS_LEAF, ERR_OK, "");
    expect(&t, months_restore, MONTHS_LEAF, ERR_STATE, "is restored");
    cr_expect_eq(months_digest(&t, MONTHS_LEAF), digest);
    cr_expect_eq(months_files(&t), 0);
    months_close(&t);
}

/* ---- when ---------------------------------------------------------------------------------------------------------------- */

static size_t due(struct months *t, struct archive_part *first)
{
    struct err_info info = {0};
    struct archive *a = NULL;
    struct archive_part *parts = NULL;
    size_t n = 0;

    cr_assert_eq(archive_open(&t->config, &a, &info), ERR_OK, "%s", info.text);
    cr_assert_eq(archive_due(a, &parts, &n, &info), ERR_OK, "%s", info.text);
    if (n > 0)
        *first = parts[0];
    mem_free(parts);
    archive_close(a);
    return n;
}

Test(archive, due_are_old_months_then_their_next_steps)
{
    struct months t;
    struct archive_part part = {0};
    struct err_info info = {0};
    struct archive *a = NULL;

    if (!months_open(&t))
        return;
    cr_expect_eq(due(&t, &part), 3);
    cr_expect_str_eq(part.leaf, "execution_logs_2024_01");
    cr_expect_str_eq(part.step, "archive");
    cr_assert_eq(archive_open(&t.config, &a, &info), ERR_OK, "%s", info.text);
    for (int i = 0; i < 2; i++)
        cr_expect_eq(archive_step(a, &part, &info), ERR_OK, "%s", info.text);
    archive_close(a);
    cr_expect(months_in(&t, part.leaf, "verified"), "an empty month, too");
    t.config.grace_ms = 60000;
    cr_expect_eq(due(&t, &part), 2, "the grace period has begun");
    t.config.grace_ms = 0;
    cr_expect_eq(due(&t, &part), 3);
    cr_expect_str_eq(part.step, "drop");
    expect(&t, archive_drop, part.leaf, ERR_OK, "");
    cr_expect_eq(due(&t, &part), 2, "what is dropped is done");
    expect(&t, months_restore, "execution_logs_2024_01", ERR_OK, "");
    cr_expect_eq(due(&t, &part), 2, "what was restored is left alone");
    test_pg_run(&t.pg, "update automation_priv.log_partitions set hold_until = now()");
    cr_expect_eq(due(&t, &part), 3, "for as long as was said");
    t.config.after_months = 1200;
    cr_expect_eq(due(&t, &part), 0);
    months_close(&t);
}

Test(archive, a_stepped_clock_and_a_second_archiver_are_refused)
{
    struct months t;
    struct err_info info = {0};
    struct archive *a = NULL;

    if (!months_open(&t))
        return;
    cr_assert_eq(archive_open(&t.config, &a, &info), ERR_OK, "%s", info.text);
    expect(&t, archive_run, MONTHS_LEAF, ERR_BUSY, "another archiver");
    archive_close(a);
    expect(&t, archive_run, "execution_logs_2024_13", ERR_INVALID, "expected a partition");
    expect(&t, archive_run, "execution_logs_2020_01", ERR_NOTFOUND, "no such partition");
    test_pg_run(&t.pg, "update automation_priv.log_partitions set state = 'detached' where leaf = '" MONTHS_LEAF "'");
    expect(&t, archive_run, MONTHS_LEAF, ERR_STATE, "the book says detached, and the table is attached");
    test_pg_run(&t.pg, "select automation_priv.clock_set(now())");
    expect(&t, archive_run, MONTHS_LEAF, ERR_STATE, "stepped");
    t.config.dir = NULL;
    test_pg_run(&t.pg, "select automation_priv.clock_set(null)");
    expect(&t, archive_run, MONTHS_LEAF, ERR_INVALID, "USHER_ARCHIVE_DIR");
    months_close(&t);
}

/* ---- rows that come late, readers that stay long ------------------------------------------------------------------------------ */

Test(archive, rows_that_come_late_wait_in_quarantine_and_are_replayed)
{
    static const char late[] =
        "copy automation_priv.log_stage (batch_id, tenant_id, queued_at, execution_id, job_id, duration_us, attempt, "
        "outcome, kind, queue) "
        "from program 'echo 10000000-0000-0000-0000-000000000001,20000000-0000-0000-0000-000000000001,2024-02-10 "
        "00:00:00+00,"
        "30000000-0000-0000-0000-000000000001,40000000-0000-0000-0000-000000000001,5,1,1,noop,default' (format csv);"
        "select automation_priv.merge_logs('10000000-0000-0000-0000-000000000001')";
    struct months t;
    struct err_info info = {0};
    int64_t replayed = 0, repeated = 0;
    struct db_session *db = NULL;

    if (!months_open(&t))
        return;
    test_pg_run(&t.pg, "update automation_priv.log_partitions set state = 'detaching' where leaf = '" MONTHS_LEAF "'");
    test_pg_run(&t.pg, late);
    cr_expect_eq(test_pg_i64(&t.pg, "select count(*) from automation_priv.log_quarantine"), 1,
                 "also while it is being detached");
    expect(&t, archive_run, MONTHS_LEAF, ERR_OK, "");
    expect(&t, archive_drop, MONTHS_LEAF, ERR_OK, "");
    test_pg_run(&t.pg, late);
    db = test_pg_session(&t.pg);
    cr_expect_eq(store_archive_replay(db, 100, &replayed, &repeated, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(replayed + repeated, 0, "there is still no partition");
    cr_expect_eq(test_pg_i64(&t.pg, "select count(*) from automation_priv.log_quarantine"), 2);
    expect(&t, months_restore, MONTHS_LEAF, ERR_OK, "");
    cr_expect_eq(store_archive_replay(db, 100, &replayed, &repeated, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(replayed, 1);
    cr_expect_eq(repeated, 1, "it came twice, and is one row");
    cr_expect_eq(months_rows(&t, MONTHS_LEAF), MONTHS_ROWS + 1);
    cr_expect_eq(test_pg_i64(&t.pg, "select count(*) from automation_priv.log_quarantine"), 0);
    test_pg_run(&t.pg, late);
    cr_expect_eq(test_pg_i64(&t.pg, "select count(*) from automation_priv.log_quarantine"), 0,
                 "a restored month takes rows");
    db_close(db);
    months_close(&t);
}

/* DETACH CONCURRENTLY waits for readers; the one that gives up leaves a pending detach, which is then finalized. */
Test(archive, a_detach_that_was_cut_off_is_finalized)
{
    struct months t;
    struct err_info info = {0};
    struct db_session *reader = NULL, *other = NULL;

    if (!months_open(&t))
        return;
    reader = test_pg_session(&t.pg);
    other = test_pg_session(&t.pg);
    cr_assert_eq(db_exec(reader, "begin; select count(*) from automation.execution_logs", NULL, &info), ERR_OK);
    cr_assert_eq(db_exec(other, "set statement_timeout = 300", NULL, &info), ERR_OK);
    test_pg_run(&t.pg, "update automation_priv.log_partitions set state = 'detaching' where leaf = '" MONTHS_LEAF "'");
    cr_expect_eq(db_exec(other,
                         "alter table automation.execution_logs detach partition automation_part." MONTHS_LEAF
                         " concurrently",
                         NULL, &info),
                 ERR_TIMEOUT);
    cr_expect_eq(test_pg_i64(&t.pg, "select (automation_priv.leaf_actual('" MONTHS_LEAF "') = 'pending')::int"), 1);
    db_close(reader);
    db_close(other);
    expect(&t, archive_run, MONTHS_LEAF, ERR_OK, "");
    cr_expect(months_in(&t, MONTHS_LEAF, "verified"));
    months_close(&t);
}

/* Two who make the same partition: one makes it, the other waits for it or gives up for now, and there is one. */
Test(archive, partitions_that_are_made_twice_at_once_are_made_once)
{
    struct months t;
    struct err_info info = {0};
    struct db_session *one = NULL, *other = NULL;
    int64_t made = -1;

    if (!months_open(&t))
        return;
    one = test_pg_session(&t.pg);
    other = test_pg_session(&t.pg);
    cr_assert_eq(db_exec(one, "begin; select automation_priv.ensure_partition('2041-01-01')", NULL, &info), ERR_OK);
    cr_expect_eq(db_exec(other, "select automation_priv.ensure_partition('2041-01-01')", NULL, &info), ERR_DB_LOCK,
                 "%s", info.text);
    cr_assert_eq(db_exec(one, "commit", NULL, &info), ERR_OK);
    cr_assert_eq(db_exec(other, "select automation_priv.ensure_partition('2041-01-01')", NULL, &info), ERR_OK, "%s",
                 info.text);
    cr_expect_eq(
        test_pg_i64(&t.pg, "select count(*) from automation_priv.log_partitions where leaf = 'execution_logs_2041_01'"),
        1);
    cr_expect_eq(store_archive_ensure(one, 6, &made, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(made, 3, "three months ahead are there");
    cr_expect_eq(store_archive_ensure(one, 6, &made, &info), ERR_OK, "%s", info.text);
    cr_expect_eq(made, 0);
    db_close(one);
    db_close(other);
    months_close(&t);
}

/* The server's own zone and date style are not those of the archive: rows and bounds come back the same. */
Test(archive, the_database_s_time_zone_changes_nothing)
{
    struct months t;
    char sql[256];

    if (!months_open(&t))
        return;
    const int64_t digest = months_digest(&t, MONTHS_LEAF);
    (void)snprintf(sql, sizeof(sql),
                   "alter database %s set timezone = 'America/New_York'; alter database %s set datestyle = 'SQL, DMY'",
                   t.pg.name, t.pg.name);
    test_pg_run(&t.pg, sql);
    expect(&t, archive_run, MONTHS_LEAF, ERR_OK, "");
    (void)snprintf(sql, sizeof(sql), "alter database %s set timezone = 'Asia/Kolkata'", t.pg.name);
    test_pg_run(&t.pg, sql);
    expect(&t, archive_drop, MONTHS_LEAF, ERR_OK, "");
    expect(&t, months_restore, MONTHS_LEAF, ERR_OK, "");
    cr_expect_eq(months_digest(&t, MONTHS_LEAF), digest);
    months_close(&t);
}
