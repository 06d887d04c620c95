/* usher archive run: what the leader's archiver would do now, or named months whatever their age. */
#include "cli/archiver.h"
#include "cli/out.h"
#include "common/base/mem.h"

struct run_options {
    bool dry_run;
};

static const struct conf_key options[] = {
    SETTING_BOOL("dry-run", offsetof(struct run_options, dry_run), NULL, "only say what would be done"),
    {.name = NULL},
};
static const struct out_column columns[] = {
    {"partition", OUT_TEXT}, {"step", OUT_TEXT}, {"was", OUT_TEXT},
    {"done", OUT_BOOL},      {"rows", OUT_INT},  {"bytes", OUT_INT},
};

static enum err named(const struct cmd_run *run, struct archive *a, struct archive_part **parts, size_t *n,
                      struct err_info *info)
{
    enum err err = ERR_OK;

    *parts = mem_zalloc(((size_t)run->n_operands + 1) * sizeof(**parts));
    for (int i = 0; i < run->n_operands && err == ERR_OK; i++) {
        char leaf[MANIFEST_LEAF_SIZE];
        archiver_leaf(run->operands[i], leaf);
        err = archive_look(a, leaf, &(*parts)[i], info);
    }
    *n = (size_t)run->n_operands;
    return err;
}

static void put(struct out *o, const struct archive_part *was, const struct archive_part *is, bool done)
{
    out_text(o, was->leaf);
    out_text(o, was->step);
    out_text(o, was->state);
    out_bool(o, done);
    for (int i = 0; i < 2; i++) {
        const int64_t v = i == 0 ? is->n_rows : is->bytes;
        if (v < 0)
            out_null(o);
        else
            out_int(o, v);
    }
}

static int work(struct cmd_run *run, struct archive *a, struct progress *progress, const struct archive_part *parts,
                size_t n, struct out *o)
{
    const struct run_options *opts = run->options;
    int code = EXIT_OK;

    for (size_t i = 0; i < n; i++) {
        struct err_info info = {0};
        struct archive_part is = parts[i];
        enum err err = opts->dry_run ? ERR_OK : archive_step(a, &parts[i], &info);
        if (err == ERR_OK && !opts->dry_run)
            err = archive_look(a, parts[i].leaf, &is, &info);
        put(o, &parts[i], &is, err == ERR_OK && !opts->dry_run);
        if (err != ERR_OK)
            code = archiver_fail(run, progress, code, err, &info);
        if (err != ERR_OK && !archiver_go_on(err))
            break;
    }
    return code;
}

static int run_run(struct cmd_run *run)
{
    struct progress progress = {0};
    struct archive *a = NULL;
    struct archive_part *parts = NULL;
    struct err_info info = {0};
    size_t n = 0;
    int code = archiver_operands(run);

    if (code == EXIT_OK)
        code = archiver_open(run, &progress, &a);
    if (code != EXIT_OK)
        return code;
    enum err err = run->n_operands > 0 ? named(run, a, &parts, &n, &info) : archive_due(a, &parts, &n, &info);
    struct out *o = out_new(columns, sizeof(columns) / sizeof(columns[0]));
    code = err == ERR_OK ? work(run, a, &progress, parts, n, o) : archiver_end(run, err, &info);
    archiver_close(a, &progress);
    if (err == ERR_OK)
        out_print(o, run->json, stdout);
    out_free(o);
    mem_free(parts);
    return code;
}

const struct cmd cmd_archive_run = {
    .path = "archive run",
    .summary = "archive the months of the log that are old enough, or those named",
    .operands = "[MONTH...]",
    .max_operands = -1,
    .options = options,
    .options_size = sizeof(struct run_options),
    .details = "Each is detached, exported to --archive-dir, read back and compared, and dropped when --archive-grace "
               "has passed since then (a later run). Killed "
               "at any time, the next run goes on. Named months are archived whatever their age; they too are dropped "
               "only after the grace period.",
    .examples = "usher archive run --dry-run\nusher archive run --archive-dir archive\nusher archive run 2031-05\n",
    .run = run_run,
};
