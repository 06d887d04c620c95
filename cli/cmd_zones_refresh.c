/* usher zones refresh: instants after an update of the time zone database. */
#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/out.h"
#include "cli/store_wedding.h"
#include "common/io/db.h"

static int run_refresh(struct cmd_run *run)
{
    static const struct out_column columns[] = {{"zone", OUT_TEXT}};
    struct db_session *db = NULL;
    struct db_result *r = NULL;
    struct err_info info = {0};
    int code = connect_db(run, &db);

    if (code != EXIT_OK)
        return code;
    enum err err = store_wedding_zones(db, &r, &info);
    struct out *o = out_new(columns, 1);
    for (int row = 0; err == ERR_OK && row < db_rows(r); row++)
        out_str(o, db_text(r, row, 0));
    if (err == ERR_OK)
        out_print(o, run->json, stdout);
    out_free(o);
    db_result_free(r);
    db_close(db);
    return err == ERR_OK ? EXIT_OK : cmd_fail(run, cmd_exit_code(err), "%s", info.text);
}

const struct cmd cmd_zones_refresh = {
    .path = "zones refresh",
    .summary = "derive instants anew after an update of the time zone database",
    .details =
        "Prints the zones whose rules have changed since the last look; weddings and tenants in them have their\n"
        "instants derived anew from their local times. The leader looks by itself when it takes over and every hour.",
    .examples = "usher zones refresh\n",
    .run = run_refresh,
};
