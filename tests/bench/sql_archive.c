/* sql_archive: the oldest month, of half a million rows at least, leaves the log as a file and comes back (sql_load.h). */
#include "tests/bench/sql_load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/io/archive.h"

#define MONTH_ROWS 500000
#define CHUNK_ROWS 10000

static void check(enum err err, const struct err_info *info)
{
    if (err == ERR_OK)
        return;
    (void)fprintf(stderr, "bench_sql: archive: %s\n", info->text);
    exit(2);
}

static double rate(int64_t rows, int64_t began_us)
{
    return (double)rows * 1e6 / (double)(clock_mono_us() - began_us);
}

static void remove_files(const char *dir, const char *leaf)
{
    static const char *const ends[] = {".csv.zst", ".json"};
    char path[256];

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s%s", dir, leaf, ends[i]);
        (void)unlink(path);
    }
    (void)rmdir(dir);
}

/* Detach, two files and their fsyncs, and attach take as long whatever the month holds: few rows would measure those. */
static void fill(const struct sql_data *data)
{
    const int64_t month_us = INT64_C(28) * 86400 * 1000000, more = MONTH_ROWS - data->rows / 13;
    const double step_us = (double)month_us / MONTH_ROWS;
    struct db_session *s = sql_plain(data);
    struct buf copy = {0};

    sql_run(s, "set synchronous_commit = off");
    for (int64_t i = 0; i < more; i += CHUNK_ROWS) {
        sql_rows((uint64_t)(data->rows + i), CHUNK_ROWS, data->from_us + (int64_t)((double)i * step_us), step_us, &copy,
                 NULL);
        sql_copy(s, SQL_COPY_LOG("automation.execution_logs"), &copy);
    }
    sql_run(s, "checkpoint");
    buf_free(&copy);
    db_close(s);
}

/* ---- where the time goes ---- */

enum { PHASES_MAX = 16 };

struct phases {
    int64_t began_us;
    size_t n;
    struct {
        const char *name;
        double s;
    } of[PHASES_MAX];
};

/* The time since the last look is the phase's that went on until now. */
static void look(struct phases *p)
{
    const int64_t now_us = clock_mono_us();

    if (p->n > 0)
        p->of[p->n - 1].s += (double)(now_us - p->began_us) / 1e6;
    p->began_us = now_us;
}

static void on_progress(void *arg, const struct archive_progress *progress)
{
    struct phases *p = arg;

    look(p);
    if (p->n < PHASES_MAX && (p->n == 0 || strcmp(p->of[p->n - 1].name, progress->phase) != 0))
        p->of[p->n++].name = progress->phase;
}

static void show_phases(struct phases *p)
{
    look(p);
    (void)fprintf(stderr, "-- seconds of the archive's phases:");
    for (size_t i = 0; i < p->n; i++)
        (void)fprintf(stderr, " %s %.2f", p->of[i].name, p->of[i].s);
    (void)fprintf(stderr, "\n");
}

void sql_archive(const struct sql_data *data, double *archive_rows_per_s, double *restore_rows_per_s)
{
    char dir[] = "/tmp/usher-archive.XXXXXX", leaf[MANIFEST_LEAF_SIZE];
    const time_t from = (time_t)(data->from_us / 1000000);
    struct phases phases = {0};
    struct archive *a = NULL;
    struct archive_part part;
    struct err_info info = {0};
    struct tm tm;

    if (mkdtemp(dir) == NULL || strftime(leaf, sizeof(leaf), "execution_logs_%Y_%m", gmtime_r(&from, &tm)) == 0)
        exit(2);
    const struct archive_config config = {
        .url = data->server.url, .dir = dir, .after_months = 12, .progress = on_progress, .arg = &phases};
    fill(data);
    check(archive_open(&config, &a, &info), &info);
    int64_t began_us = clock_mono_us();
    check(archive_run(a, leaf, &info), &info);
    check(archive_look(a, leaf, &part, &info), &info);
    *archive_rows_per_s = rate(part.n_rows, began_us);
    check(archive_drop(a, leaf, &info), &info);
    began_us = clock_mono_us();
    check(archive_restore(a, leaf, 3600000, &info), &info);
    *restore_rows_per_s = rate(part.n_rows, began_us);
    show_phases(&phases);
    (void)fprintf(stderr, "   %s: %lld rows, %lld bytes\n", leaf, (long long)part.n_rows, (long long)part.bytes);
    archive_close(a);
    remove_files(dir, leaf);
}
