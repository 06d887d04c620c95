/* usher partition ensure: makes the partitions that are missing ahead. The leader does the same every minute. */
#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/out.h"
#include "common/base/buf.h"
#include "common/io/store_archive.h"

struct ensure_options {
    int64_t months;
};

static const struct conf_key options[] = {
    SETTING_INT("months", offsetof(struct ensure_options, months), NULL, "3", 0, 120, "months beyond the present one"),
    {.name = NULL},
};
static const struct out_column columns[] = {{"made", OUT_INT}, {"missing", OUT_TEXT}};

/* Months that are still no part of the log, each with what keeps it out: "2031-05 (detached)". */
static enum err look_for_gaps(struct db_session *db, int64_t months, struct buf *gaps, struct err_info *info)
{
    struct db_result *rows = NULL;
    enum err err = store_archive_gaps(db, months, &rows, info);

    for (int row = 0; err == ERR_OK && row < db_rows(rows); row++) {
        const struct str month = db_text(rows, row, 0), state = db_text(rows, row, 1);
        buf_printf(gaps, "%s%.*s (%.*s)", row > 0 ? ", " : "", (int)month.n, month.p, (int)state.n, state.p);
    }
    db_result_free(rows);
    return err;
}

static int run_ensure(struct cmd_run *run)
{
    const struct ensure_options *o = run->options;
    struct db_session *db = NULL;
    struct err_info info = {0};
    struct buf gaps = {0};
    int64_t made = 0;
    int code = connect_maint_db(run, &db);

    if (code != EXIT_OK)
        return code;
    enum err err = store_archive_ensure(db, o->months, &made, &info);
    if (err == ERR_OK)
        err = look_for_gaps(db, o->months, &gaps, &info);
    if (err == ERR_OK) {
        struct out *out = out_new(columns, sizeof(columns) / sizeof(columns[0]));
        out_int(out, made);
        out_text(out, gaps.len > 0 ? buf_text(&gaps) : NULL);
        out_print_one(out, run->json, stdout);
        out_free(out);
        if (gaps.len > 0)
            code = cmd_fail(run, EXIT_CONFLICT,
                            "no part of the log: %s; its rows go to quarantine. `usher archive restore MONTH` puts "
                            "back what was taken out",
                            buf_text(&gaps));
    } else {
        code = cmd_fail(run, cmd_exit_code(err), "%s", info.text);
    }
    buf_free(&gaps);
    db_close(db);
    return code;
}

const struct cmd cmd_partition_ensure = {
    .path = "partition ensure",
    .summary = "make the partitions of the log that are missing ahead",
    .options = options,
    .options_size = sizeof(struct ensure_options),
    .details =
        "The leader makes three months ahead by itself. What was archived is not made again. Running it twice, "
        "or twice at once, is harmless. Exit code 4 when a month from the present one on is still missing: it was "
        "taken out, or its table is gone.",
    .examples = "usher partition ensure\nusher partition ensure --months 12\n",
    .run = run_ensure,
};
