/* usher approval show: one item with its whole content. */
#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/input.h"
#include "cli/out.h"
#include "cli/store_approval.h"
#include "common/base/mem.h"
#include "common/io/db.h"

static void print(const struct cmd_run *run, const struct id *approval, const struct db_result *r)
{
    static const struct out_column columns[] = {
        {"id", OUT_TEXT},           {"tenant_id", OUT_TEXT},  {"wedding_id", OUT_TEXT}, {"wedding", OUT_TEXT},
        {"rule_id", OUT_TEXT},      {"rule", OUT_TEXT},       {"kind", OUT_TEXT},       {"state", OUT_TEXT},
        {"requested_at", OUT_TEXT}, {"expires_at", OUT_TEXT}, {"decided_at", OUT_TEXT}, {"decided_by", OUT_TEXT},
        {"edited_by", OUT_TEXT},    {"note", OUT_TEXT},       {"content", OUT_JSON},
    };
    struct out *o = out_new(columns, sizeof(columns) / sizeof(columns[0]));
    struct id tenant = db_id(r, 0, 0), wedding = db_id(r, 0, 1), rule = db_id(r, 0, 3);

    out_id(o, approval);
    out_id(o, &tenant);
    out_id(o, &wedding);
    out_str(o, db_text(r, 0, 2));
    out_id(o, &rule);
    for (int col = 4; col < 7; col++)
        out_str(o, db_text(r, 0, col));
    for (int col = 7; col < 10; col++)
        out_time(o, db_time(r, 0, col));
    for (int col = 10; col < 14; col++)
        out_str(o, db_text(r, 0, col));
    out_print_one(o, run->json, stdout);
    out_free(o);
}

static int run_show(struct cmd_run *run)
{
    struct db_session *db = NULL;
    struct db_result *r = NULL;
    struct err_info info = {0};
    struct id id;

    if (input_id("ID", run->operands[0], &id, &info) != ERR_OK)
        return cmd_fail(run, EXIT_USAGE, "%s", info.text);
    int code = connect_db(run, &db);
    if (code != EXIT_OK)
        return code;
    enum err err = store_approval_show(db, &id, &r, &info);
    if (err == ERR_OK && db_rows(r) == 0)
        err = err_set(&info, ERR_NOTFOUND, "no such approval");
    if (err == ERR_OK)
        print(run, &id, r);
    db_result_free(r);
    db_close(db);
    return err == ERR_OK ? EXIT_OK : cmd_fail(run, cmd_exit_code(err), "%s", info.text);
}

const struct cmd cmd_approval_show = {
    .path = "approval show",
    .summary = "show what waits for approval, with its whole content",
    .operands = "ID",
    .min_operands = 1,
    .max_operands = 1,
    .details = "State `ended`: its run ended or was planned anew before anybody decided. Exit code 3 when there is no "
               "such item.",
    .examples = "usher approval show 8d03ae6f-055f-823e-b840-51066c04214b\n",
    .run = run_show,
};
