/* usher archive restore: a month becomes a part of the log again. */
#include "cli/archiver.h"
#include "cli/out.h"

struct restore_options {
    int64_t keep_ms;
    bool dry_run;
};

#define AT(field) offsetof(struct restore_options, field)
static const struct conf_key options[] = {
    SETTING_MS("keep", AT(keep_ms), NULL, "30d", 0, INT64_C(315360000000), "how long it is not archived again"),
    SETTING_BOOL("dry-run", AT(dry_run), NULL, "only verify the archive"),
    {.name = NULL},
};
static const struct out_column columns[] = {
    {"partition", OUT_TEXT}, {"was", OUT_TEXT}, {"done", OUT_BOOL}, {"rows", OUT_INT}};

static int run_restore(struct cmd_run *run)
{
    const struct restore_options *opts = run->options;
    struct progress progress = {0};
    struct archive *a = NULL;
    struct archive_part part = {0};
    struct err_info info = {0};
    char leaf[MANIFEST_LEAF_SIZE];
    int code = archiver_operands(run);

    if (code == EXIT_OK)
        code = archiver_open(run, &progress, &a);
    if (code != EXIT_OK)
        return code;
    archiver_leaf(run->operands[0], leaf);
    enum err err = archive_look(a, leaf, &part, &info);
    if (err == ERR_OK)
        err = opts->dry_run ? archive_verify(a, leaf, NULL, &info) : archive_restore(a, leaf, opts->keep_ms, &info);
    archiver_close(a, &progress);
    if (err != ERR_OK)
        return archiver_end(run, err, &info);
    struct out *o = out_new(columns, sizeof(columns) / sizeof(columns[0]));
    out_text(o, leaf);
    out_text(o, part.state);
    out_bool(o, !opts->dry_run);
    if (part.n_rows < 0)
        out_null(o);
    else
        out_int(o, part.n_rows);
    out_print_one(o, run->json, stdout);
    out_free(o);
    return EXIT_OK;
}

const struct cmd cmd_archive_restore = {
    .path = "archive restore",
    .summary = "make an archived month a part of the log again",
    .operands = "MONTH",
    .min_operands = 1,
    .max_operands = 1,
    .options = options,
    .options_size = sizeof(struct restore_options),
    .details = "From the table where it has not been dropped yet, else from the archive, in one transaction: it is all "
               "there and equal to the manifest, or nothing "
               "changes. Then `usher partition replay` adds rows that came late.",
    .examples = "usher archive restore 2031-05\nusher archive restore 2031-05 --keep 90d\n",
    .run = run_restore,
};
