/* usher partition detach: takes a month out of the log, without blocking readers or writers. */
#include "cli/archiver.h"
#include "cli/out.h"

struct detach_options {
    bool dry_run;
};

static const struct conf_key options[] = {
    SETTING_BOOL("dry-run", offsetof(struct detach_options, dry_run), NULL, "only say what would be done"),
    {.name = NULL},
};
static const struct out_column columns[] = {{"partition", OUT_TEXT}, {"was", OUT_TEXT}, {"done", OUT_BOOL}};

static int run_detach(struct cmd_run *run)
{
    const struct detach_options *o = run->options;
    struct progress progress = {0};
    struct archive *a = NULL;
    struct archive_part part;
    struct err_info info = {0};
    char leaf[MANIFEST_LEAF_SIZE];
    int code = archiver_operands(run);

    if (code == EXIT_OK)
        code = archiver_open(run, &progress, &a);
    if (code != EXIT_OK)
        return code;
    archiver_leaf(run->operands[0], leaf);
    enum err err = archive_look(a, leaf, &part, &info);
    if (err == ERR_OK && !o->dry_run)
        err = archive_detach(a, leaf, &info);
    archiver_close(a, &progress);
    if (err != ERR_OK)
        return archiver_end(run, err, &info);
    struct out *out = out_new(columns, sizeof(columns) / sizeof(columns[0]));
    out_text(out, leaf);
    out_text(out, part.state);
    out_bool(out, !o->dry_run);
    out_print_one(out, run->json, stdout);
    out_free(out);
    return EXIT_OK;
}

const struct cmd cmd_partition_detach = {
    .path = "partition detach",
    .summary = "take a month out of the log without blocking it",
    .operands = "MONTH",
    .min_operands = 1,
    .max_operands = 1,
    .options = options,
    .options_size = sizeof(struct detach_options),
    .details = "Its rows are then in no query of the log, and rows that come late go to quarantine. The next archiver "
               "run exports it and, after the grace period, "
               "drops it; `usher archive restore` puts it back.",
    .examples = "usher partition detach 2031-05 --dry-run\nusher partition detach 2031-05\n",
    .run = run_detach,
};
