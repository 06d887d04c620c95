/* usher partition ensure: makes the partitions that are missing ahead. The leader does the same every minute. */
#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/out.h"
#include "common/io/store_archive.h"

struct ensure_options {
    int64_t months;
};

static const struct conf_key options[] = {
    SETTING_INT("months", offsetof(struct ensure_options, months), NULL, "3", 0, 120, "months beyond the present one"),
    {.name = NULL},
};
static const struct out_column columns[] = {{"made", OUT_INT}};

static int run_ensure(struct cmd_run *run)
{
    const struct ensure_options *o = run->options;
    struct db_session *db = NULL;
    struct err_info info = {0};
    int64_t made = 0;
    int code = connect_maint_db(run, &db);

    if (code != EXIT_OK)
        return code;
    enum err err = store_archive_ensure(db, o->months, &made, &info);
    if (err == ERR_OK) {
        struct out *out = out_new(columns, 1);
        out_int(out, made);
        out_print_one(out, run->json, stdout);
        out_free(out);
    } else {
        code = cmd_fail(run, cmd_exit_code(err), "%s", info.text);
    }
    db_close(db);
    return code;
}

const struct cmd cmd_partition_ensure = {
    .path = "partition ensure",
    .summary = "make the partitions of the log that are missing ahead",
    .options = options,
    .options_size = sizeof(struct ensure_options),
    .details = "The leader makes three months ahead by itself. What was archived is not made again. Running it twice, "
               "or twice at once, is harmless.",
    .examples = "usher partition ensure\nusher partition ensure --months 12\n",
    .run = run_ensure,
};
