/* usher partition replay: log rows that came when their month had no partition, into the log. */
#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/out.h"
#include "common/io/store_archive.h"

#define BATCH 5000

static const struct out_column columns[] = {{"replayed", OUT_INT}, {"repeated", OUT_INT}};

static int run_replay(struct cmd_run *run)
{
    struct db_session *db = NULL;
    struct err_info info = {0};
    int64_t replayed = 0, repeated = 0, all_replayed = 0, all_repeated = 0;
    enum err err = ERR_OK;
    int code = connect_maint_db(run, &db);

    if (code != EXIT_OK)
        return code;
    do {
        err = store_archive_replay(db, BATCH, &replayed, &repeated, &info);
        all_replayed += replayed;
        all_repeated += repeated;
    } while (err == ERR_OK && replayed + repeated == BATCH);
    if (err == ERR_OK) {
        struct out *out = out_new(columns, 2);
        out_int(out, all_replayed);
        out_int(out, all_repeated);
        out_print_one(out, run->json, stdout);
        out_free(out);
    } else {
        code = cmd_fail(run, cmd_exit_code(err), "%s", info.text);
    }
    db_close(db);
    return code;
}

const struct cmd cmd_partition_replay = {
    .path = "partition replay",
    .summary = "put quarantined log rows into the log, where their month has a partition by now",
    .details = "A row that is in the log already is `repeated` and goes. Rows whose month still has no partition stay: "
               "`usher archive restore` or `usher partition "
               "ensure` first.",
    .examples = "usher partition replay\n",
    .run = run_replay,
};
