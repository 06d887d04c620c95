/* Archives that are not what they should be, disks that are full, processes that are killed: nothing of it is ever trusted or lost. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <criterion/criterion.h>

#include "common/io/archive_file.h"
#include "tests/support/months.h"

#define DATA MONTHS_LEAF ".csv.zst"
#define MANIFEST MONTHS_LEAF ".json"

static void expect(struct months *t, months_call call, enum err wanted, const char *says, const char *about)
{
    struct err_info info = {0};
    enum err err = months_do(t, call, MONTHS_LEAF, &info);

    cr_expect_eq(err, wanted, "%s: %s: %s", about, err_name(err), info.text);
    cr_expect_not_null(strstr(info.text, says), "%s: %s", about, info.text);
}

/* ---- killed -------------------------------------------------------------------------------------------------------------- */

/* Wherever the process dies, the next run comes to the same end: each row is once in the log or once in the archive. */
Test(archive_faults, a_killed_archiver_is_followed_by_one_that_goes_on, .timeout = 300)
{
    static const struct {
        const char *point;
        months_call call;
    } cases[] = {
        {"archive_marked", archive_run},      {"archive_detached", archive_run},
        {"archive_exporting", archive_run},   {"archive_exporting:3", archive_run},
        {"archive_synced", archive_run},      {"archive_renamed", archive_run},
        {"archive_synced:2", archive_run},    {"archive_manifest", archive_run},
        {"archive_exported", archive_run},    {"archive_loading", archive_run},
        {"archive_checked", archive_run},     {"archive_verified", archive_run},
        {"archive_dropping", archive_drop},   {"archive_dropped", archive_drop},
        {"archive_loading", months_restore},  {"archive_restoring", months_restore},
        {"archive_restored", months_restore},
    };
    struct months t;
    int64_t digest;

    if (!months_open(&t))
        return;
    digest = months_digest(&t, MONTHS_LEAF);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const bool drops = cases[i].call != archive_run, restores = cases[i].call == months_restore;
        if (drops)
            expect(&t, archive_run, ERR_OK, "", cases[i].point);
        if (restores)
            expect(&t, archive_drop, ERR_OK, "", cases[i].point);
        cr_assert_eq(months_die(&t, cases[i].call, MONTHS_LEAF, cases[i].point), 137, "%s: not passed", cases[i].point);
        if (!drops)
            expect(&t, archive_run, ERR_OK, "", cases[i].point);
        if (!restores && !months_in(&t, MONTHS_LEAF, "dropped"))
            expect(&t, archive_drop, ERR_OK, "", cases[i].point);
        if (!restores) {
            cr_expect_eq(months_files(&t), 2, "%s", cases[i].point);
            cr_expect_eq(months_rows(&t, MONTHS_LEAF), 0, "%s", cases[i].point);
        }
        if (!months_in(&t, MONTHS_LEAF, "restored"))
            expect(&t, months_restore, ERR_OK, "", cases[i].point);
        cr_expect_eq(months_rows(&t, MONTHS_LEAF), MONTHS_ROWS, "%s", cases[i].point);
        cr_expect_eq(months_digest(&t, MONTHS_LEAF), digest, "%s", cases[i].point);
        cr_expect_eq(test_pg_i64(&t.pg, "select count(*) from pg_class where relname like 'verify_%'"), 0);
    }
    months_close(&t);
}

/* ---- forged, rotten, cut ------------------------------------------------------------------------------------------------------- */

static void read_all(struct months *t, struct buf *csv)
{
    struct archive_reader *r = NULL;
    const char *p = NULL;
    size_t n = 1;

    cr_assert_eq(archive_reader_open(t->dir, DATA, &r, NULL), ERR_OK);
    while (n > 0) {
        cr_assert_eq(archive_reader_next(r, &p, &n, NULL), ERR_OK);
        buf_put(csv, p, n);
    }
    archive_reader_close(r);
}

/* An archive that is whole in itself: file, manifest and the book agree about its SHA-256, and only its rows are wrong. */
static void forge(struct months *t, const struct buf *csv)
{
    struct archive_writer *w = NULL;
    struct manifest m = {0};
    struct buf text = {0};
    char sql[256];

    cr_assert_eq(archive_file_get(t->dir, MANIFEST, 1 << 20, &text, NULL), ERR_OK);
    cr_assert_eq(manifest_parse((struct str){text.data, text.len}, &m, NULL), ERR_OK);
    cr_assert_eq(archive_writer_open(t->dir, DATA, &w, NULL), ERR_OK);
    cr_assert_eq(archive_writer_put(w, csv->data, csv->len, NULL), ERR_OK);
    cr_assert_eq(archive_writer_finish(w, m.sha256, &m.bytes, NULL), ERR_OK);
    archive_writer_close(w);
    buf_reset(&text);
    manifest_format(&m, &text);
    cr_assert_eq(archive_file_put(t->dir, MANIFEST, &text, NULL), ERR_OK);
    (void)snprintf(sql, sizeof(sql),
                   "update automation_priv.log_partitions set sha256 = '%s' where leaf = '" MONTHS_LEAF "'", m.sha256);
    test_pg_run(&t->pg, sql);
    manifest_free(&m);
    buf_free(&text);
}

static void edit(struct months *t, const char *from, const char *to)
{
    struct buf csv = {0}, other = {0};

    read_all(t, &csv);
    char *at = strstr(csv.data, from);
    cr_assert_not_null(at, "%s", from);
    buf_put(&other, csv.data, (size_t)(at - csv.data));
    buf_put_str(&other, to);
    buf_put_str(&other, at + strlen(from));
    forge(t, &other);
    buf_free(&csv);
    buf_free(&other);
}

static void flip_first(struct months *t)
{
    months_flip(t, DATA, 0);
}

static void flip_middle(struct months *t)
{
    months_flip(t, DATA, 20000);
}

static void flip_last(struct months *t)
{
    months_flip(t, DATA, -1);
}

static void cut_last(struct months *t)
{
    months_cut(t, DATA, -1);
}

static void cut_most(struct months *t)
{
    months_cut(t, DATA, -20000);
}

static void append_byte(struct months *t)
{
    months_cut(t, DATA, 1);
}

/* An empty frame: the rows are the same, the file is not. */
static void append_frame(struct months *t)
{
    static const char frame[] = {0x28, (char)0xb5, 0x2f, (char)0xfd, 0x20, 0x00, 0x01, 0x00, 0x00};
    char path[128];
    FILE *f = NULL;

    (void)snprintf(path, sizeof(path), "%s/" DATA, t->dir);
    f = fopen(path, "a");
    cr_assert(f != NULL && fwrite(frame, 1, sizeof(frame), f) == sizeof(frame) && fclose(f) == 0);
}

static void remove_data(struct months *t)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/" DATA, t->dir);
    cr_assert_eq(remove(path), 0);
}

static void remove_manifest(struct months *t)
{
    char path[128];

    (void)snprintf(path, sizeof(path), "%s/" MANIFEST, t->dir);
    cr_assert_eq(remove(path), 0);
}

static void cut_manifest(struct months *t)
{
    months_cut(t, MANIFEST, -3);
}

static void miss_a_row(struct months *t)
{
    struct buf csv = {0};

    read_all(t, &csv);
    size_t end = csv.len - 1;
    while (csv.data[end - 1] != '\n')
        end--;
    csv.len = end;
    forge(t, &csv);
    buf_free(&csv);
}

static void double_a_row(struct months *t)
{
    struct buf csv = {0};

    read_all(t, &csv);
    size_t from = csv.len - 1;
    while (csv.data[from - 1] != '\n')
        from--;
    char *last = mem_strndup(csv.data + from, csv.len - from);
    buf_put_str(&csv, last);
    forge(t, &csv);
    mem_free(last);
    buf_free(&csv);
}

static void change_a_value(struct months *t)
{
    edit(t, ",noop,", ",nope,");
}

static void empty_becomes_null(struct months *t)
{
    edit(t, ",\"\",", ",,");
}

static void rename_a_column(struct months *t)
{
    edit(t, "worker_id", "other_id_");
}

static void swap_columns(struct months *t)
{
    edit(t, "job_id,run_id", "run_id,job_id");
}

static void change_a_type(struct months *t)
{
    edit(t, ",noop,", ",noop,surplus,");
}

static const struct {
    const char *about;
    void (*spoil)(struct months *t);
    const char *says;
    enum err err;
} spoils[] = {
    {"first byte", flip_first, "", ERR_MALFORMED},
    {"middle byte", flip_middle, "", ERR_MALFORMED},
    {"last byte", flip_last, "", ERR_MALFORMED},
    {"without its end", cut_last, "ends after", ERR_MALFORMED},
    {"half of it", cut_most, "ends after", ERR_MALFORMED},
    {"a byte more", append_byte, "", ERR_MALFORMED},
    {"an empty frame more", append_frame, "SHA-256", ERR_MALFORMED},
    {"no file", remove_data, "No such file", ERR_NOTFOUND},
    {"no manifest", remove_manifest, "No such file", ERR_NOTFOUND},
    {"half a manifest", cut_manifest, "manifest", ERR_MALFORMED},
    {"a row missing", miss_a_row, "has 2999 rows", ERR_MALFORMED},
    {"a row twice", double_a_row, "has 3001 rows", ERR_MALFORMED},
    {"another value", change_a_value, "digest", ERR_MALFORMED},
    {"null for empty", empty_becomes_null, "digest", ERR_MALFORMED},
    {"a column renamed", rename_a_column, "can not be loaded", ERR_MALFORMED},
    {"columns swapped", swap_columns, "can not be loaded", ERR_MALFORMED},
    {"a field more", change_a_type, "can not be loaded", ERR_MALFORMED},
};
#define N_SPOILS (sizeof(spoils) / sizeof(spoils[0]))
#define N_WHOLE 10 /* those before "a row missing" change a file alone, and not the book */

/* Spoiled between export and verification: never verified, exported again. */
Test(archive_faults, what_does_not_compare_equal_is_exported_again, .timeout = 300)
{
    struct months t;
    int64_t digest;

    if (!months_open(&t))
        return;
    digest = months_digest(&t, MONTHS_LEAF);
    for (size_t i = 0; i < N_SPOILS; i++) {
        cr_assert_eq(months_die(&t, archive_run, MONTHS_LEAF, "archive_exported"), 137);
        spoils[i].spoil(&t);
        expect(&t, archive_run, spoils[i].err, spoils[i].says, spoils[i].about);
        cr_expect(months_in(&t, MONTHS_LEAF, "detached"), "%s", spoils[i].about);
        expect(&t, archive_run, ERR_OK, "", spoils[i].about);
        cr_expect(months_in(&t, MONTHS_LEAF, "verified"), "%s", spoils[i].about);
        expect(&t, months_restore, ERR_OK, "", spoils[i].about);
        cr_expect_eq(months_digest(&t, MONTHS_LEAF), digest);
    }
    months_close(&t);
}

/* Spoiled within the grace period: never dropped. */
Test(archive_faults, what_changed_after_it_was_verified_is_not_dropped, .timeout = 300)
{
    struct months t;

    if (!months_open(&t))
        return;
    for (size_t i = 0; i < N_WHOLE; i++) {
        expect(&t, archive_run, ERR_OK, "", spoils[i].about);
        spoils[i].spoil(&t);
        expect(&t, archive_drop, spoils[i].err, "", spoils[i].about);
        cr_expect(months_in(&t, MONTHS_LEAF, "detached"), "%s", spoils[i].about);
        cr_expect_eq(test_pg_i64(&t.pg, "select count(*) from automation_part." MONTHS_LEAF), MONTHS_ROWS, "%s",
                     spoils[i].about);
    }
    expect(&t, archive_run, ERR_OK, "", "at last");
    expect(&t, archive_drop, ERR_OK, "", "at last");
    months_close(&t);
}

/* Spoiled when the database has the month no more: found by verify, refused by restore, and nothing half-restored stays. */
Test(archive_faults, a_spoiled_archive_is_never_restored, .timeout = 300)
{
    struct months t;

    if (!months_open(&t))
        return;
    for (size_t i = 0; i < N_SPOILS; i++) {
        expect(&t, archive_run, ERR_OK, "", spoils[i].about);
        expect(&t, archive_drop, ERR_OK, "", spoils[i].about);
        struct buf data = {0}, manifest = {0};
        cr_assert_eq(archive_file_get(t.dir, DATA, 1 << 24, &data, NULL), ERR_OK);
        cr_assert_eq(archive_file_get(t.dir, MANIFEST, 1 << 20, &manifest, NULL), ERR_OK);
        test_pg_run(&t.pg, "create table public.book as select * from automation_priv.log_partitions");
        spoils[i].spoil(&t);
        expect(&t, months_verify, spoils[i].err, spoils[i].says, spoils[i].about);
        expect(&t, months_restore, spoils[i].err, spoils[i].says, spoils[i].about);
        cr_expect(months_in(&t, MONTHS_LEAF, "dropped"), "%s", spoils[i].about);
        cr_expect_eq(test_pg_i64(&t.pg, "select (automation_priv.leaf_actual('" MONTHS_LEAF "') = 'gone')::int"), 1,
                     "%s", spoils[i].about);
        cr_assert_eq(archive_file_put(t.dir, DATA, &data, NULL), ERR_OK);
        cr_assert_eq(archive_file_put(t.dir, MANIFEST, &manifest, NULL), ERR_OK);
        test_pg_run(
            &t.pg,
            "update automation_priv.log_partitions p set sha256 = b.sha256 from public.book b where b.leaf = p.leaf; "
            "drop table public.book");
        expect(&t, months_restore, ERR_OK, "", "the good copy");
        buf_free(&data);
        buf_free(&manifest);
    }
    months_close(&t);
}

/* The tenants' counts are compared on their own: a manifest that tells another tenant's rows is refused. */
Test(archive_faults, counts_of_tenants_are_compared)
{
    struct months t;
    struct buf text = {0}, other = {0};

    if (!months_open(&t))
        return;
    cr_assert_eq(months_die(&t, archive_run, MONTHS_LEAF, "archive_exported"), 137);
    cr_assert_eq(archive_file_get(t.dir, MANIFEST, 1 << 20, &text, NULL), ERR_OK);
    char *at = strstr(text.data, "\"tenants\"");
    cr_assert_not_null(at);
    at = strstr(at, "1000");
    cr_assert_not_null(at);
    at[3] = '1';
    cr_assert_eq(archive_file_put(t.dir, MANIFEST, &text, NULL), ERR_OK);
    expect(&t, archive_run, ERR_MALFORMED, "tenants' rows", "counts");
    cr_expect(months_in(&t, MONTHS_LEAF, "detached"));
    buf_free(&text);
    buf_free(&other);
    months_close(&t);
}

/* ---- the log's columns change ------------------------------------------------------------------------------------------------ */

Test(archive_faults, an_archive_of_other_columns_is_refused_unless_the_log_only_has_more)
{
    static const struct {
        const char *sql, *says;
        enum err err;
    } cases[] = {
        {"alter table automation.execution_logs drop column error", "column error is not in the log any more", ERR_STATE},
        {"alter table automation.execution_logs alter column kind type varchar(64)", "column kind was text", ERR_STATE},
        {"alter table automation.execution_logs add column region text", "", ERR_OK},
    };
    struct months t;

    for (size_t i = 0; i < 3; i++) {
        if (!months_open(&t))
            return;
        expect(&t, archive_run, ERR_OK, "", cases[i].sql);
        expect(&t, archive_drop, ERR_OK, "", cases[i].sql);
        test_pg_run(&t.pg, cases[i].sql);
        expect(&t, months_verify, cases[i].err, cases[i].says, cases[i].sql);
        expect(&t, months_restore, cases[i].err, cases[i].says, cases[i].sql);
        cr_expect_eq(months_rows(&t, MONTHS_LEAF), cases[i].err == ERR_OK ? MONTHS_ROWS : 0);
        months_close(&t);
    }
}

/* ---- no room, no folder, no time ------------------------------------------------------------------------------------------------ */

Test(archive_faults, a_full_disk_leaves_the_month_where_it_was_and_no_file)
{
    struct months t;
    struct rlimit all, little = {.rlim_cur = 16384, .rlim_max = RLIM_INFINITY};

    if (!months_open(&t))
        return;
    (void)signal(SIGXFSZ, SIG_IGN);
    cr_assert_eq(getrlimit(RLIMIT_FSIZE, &all), 0);
    little.rlim_max = all.rlim_max;
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &little), 0);
    expect(&t, archive_run, ERR_IO, "write: File too large", "full");
    cr_assert_eq(setrlimit(RLIMIT_FSIZE, &all), 0);
    cr_expect_eq(months_files(&t), 0);
    cr_expect(months_in(&t, MONTHS_LEAF, "detached"));
    expect(&t, archive_run, ERR_OK, "", "room again");
    cr_expect(months_in(&t, MONTHS_LEAF, "verified"));
    months_close(&t);
}

Test(archive_faults, without_its_folder_nothing_is_exported)
{
    struct months t;

    if (!months_open(&t))
        return;
    t.config.dir = "/nowhere/at/all";
    expect(&t, archive_run, ERR_NOTFOUND, "/nowhere/at/all/.execution_logs_2024_02.csv.zst.tmp: open: No such file",
           "no folder");
    cr_expect(months_in(&t, MONTHS_LEAF, "detached"));
    t.config.dir = t.dir;
    expect(&t, archive_run, ERR_OK, "", "with it");
    months_close(&t);
}

struct stopper {
    atomic_bool stop;
    const char *phase;
};

static void stop_at(void *arg, const struct archive_progress *p)
{
    struct stopper *s = arg;

    if (strcmp(p->phase, s->phase) == 0)
        atomic_store(&s->stop, true);
}

Test(archive_faults, an_archiver_that_is_asked_to_stop_stops_and_leaves_nothing_half_done)
{
    static const struct {
        const char *phase, *state;
        int files;
    } cases[] = {{"count", "detached", 0}, {"export", "detached", 0}, {"load", "exported", 2}};
    struct months t;

    if (!months_open(&t))
        return;
    for (size_t i = 0; i < 3; i++) {
        struct stopper s = {.phase = cases[i].phase};
        t.config.progress = stop_at;
        t.config.arg = &s;
        t.config.stop = &s.stop;
        expect(&t, archive_run, ERR_CANCELED, "stopped", cases[i].phase);
        cr_expect(months_in(&t, MONTHS_LEAF, cases[i].state), "%s", cases[i].phase);
        cr_expect_eq(months_files(&t), cases[i].files, "%s", cases[i].phase);
    }
    t.config.progress = NULL;
    t.config.stop = NULL;
    expect(&t, archive_run, ERR_OK, "", "then on");
    months_close(&t);
}
