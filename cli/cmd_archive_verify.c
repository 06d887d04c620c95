/* usher archive verify: reads archives back into a table that is thrown away, and compares. */
#include "cli/archiver.h"
#include "cli/connect.h"
#include "cli/out.h"
#include "common/base/mem.h"
#include "common/io/store_archive.h"

static const struct out_column columns[] = {
    {"partition", OUT_TEXT}, {"ok", OUT_BOOL},     {"rows", OUT_INT},
    {"bytes", OUT_INT},      {"sha256", OUT_TEXT}, {"error", OUT_TEXT},
};

static int check_one(struct cmd_run *run, struct archive *a, struct progress *progress, const char *leaf, struct out *o,
                     int code)
{
    struct manifest m = {0};
    struct err_info info = {0};
    enum err err = archive_verify(a, leaf, &m, &info);

    out_text(o, leaf);
    out_bool(o, err == ERR_OK);
    out_int(o, m.n_rows);
    out_int(o, m.bytes);
    out_text(o, m.sha256);
    out_text(o, err == ERR_OK ? NULL : info.text);
    manifest_free(&m);
    return err == ERR_OK ? code : archiver_fail(run, progress, code, err, &info);
}

/* Every month that has an archive. */
static int check_all(struct cmd_run *run, struct archive *a, struct progress *progress, struct out *o)
{
    struct db_session *db = NULL;
    struct db_result *rows = NULL;
    struct err_info info = {0};
    int n = 0;
    int code = connect_db(run, &db);

    if (code != EXIT_OK)
        return code;
    enum err err = store_archive_list(db, &rows, &info);
    for (int row = 0; err == ERR_OK && row < db_rows(rows); row++) {
        char *leaf = mem_strndup(db_text(rows, row, 0).p, db_text(rows, row, 0).n);
        if (!db_null(rows, row, 6)) {
            code = check_one(run, a, progress, leaf, o, code);
            n++;
        }
        mem_free(leaf);
    }
    if (err == ERR_OK && n == 0)
        code = cmd_fail(run, EXIT_NOT_FOUND, "no month has an archive; nothing was verified");
    db_result_free(rows);
    db_close(db);
    return err == ERR_OK ? code : archiver_end(run, err, &info);
}

static int run_verify(struct cmd_run *run)
{
    struct progress progress = {0};
    struct archive *a = NULL;
    char leaf[MANIFEST_LEAF_SIZE];
    int code = archiver_operands(run);

    if (code == EXIT_OK)
        code = archiver_open(run, &progress, &a);
    if (code != EXIT_OK)
        return code;
    struct out *o = out_new(columns, sizeof(columns) / sizeof(columns[0]));
    if (run->n_operands == 0)
        code = check_all(run, a, &progress, o);
    for (int i = 0; i < run->n_operands; i++) {
        archiver_leaf(run->operands[i], leaf);
        code = check_one(run, a, &progress, leaf, o, code);
    }
    archiver_close(a, &progress);
    out_print(o, run->json, stdout);
    out_free(o);
    return code;
}

const struct cmd cmd_archive_verify = {
    .path = "archive verify",
    .summary = "read archives back and compare them with what they should hold",
    .operands = "[MONTH...]",
    .max_operands = -1,
    .details = "Without operands all of them. Compared are the file's SHA-256, its columns, the number of rows, their "
               "digest and the rows of each tenant. Nothing "
               "is changed. Exit code 1 when one is not what it was, 3 when there is none.",
    .examples = "usher archive verify\nusher archive verify 2031-05 --json\n",
    .run = run_verify,
};
