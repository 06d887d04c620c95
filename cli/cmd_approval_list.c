/* usher approval list: what waits for a person, or what need not wait. */
#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/input.h"
#include "cli/out.h"
#include "cli/store_approval.h"
#include "common/io/db.h"

struct list_options {
    char *tenant;
    int64_t limit;
    bool preapprovals;
};

static const struct conf_key options[] = {
    SETTING_STR("tenant", offsetof(struct list_options, tenant), NULL, NULL, 0, "of this tenant only"),
    SETTING_INT("limit", offsetof(struct list_options, limit), NULL, "100", 1, STORE_APPROVAL_MAX,
                "most items, oldest first"),
    SETTING_BOOL("preapprovals", offsetof(struct list_options, preapprovals), NULL,
                 "the words given ahead that hold, instead"),
    {.name = NULL},
};

static void print(const struct cmd_run *run, const struct db_result *r)
{
    static const struct out_column columns[] = {
        {"id", OUT_TEXT},   {"tenant_id", OUT_TEXT}, {"wedding", OUT_TEXT},      {"rule", OUT_TEXT},
        {"kind", OUT_TEXT}, {"content", OUT_TEXT},   {"requested_at", OUT_TEXT}, {"expires_at", OUT_TEXT},
    };
    struct out *o = out_new(columns, sizeof(columns) / sizeof(columns[0]));

    for (int row = 0; row < db_rows(r); row++) {
        struct id approval = db_id(r, row, 0), tenant = db_id(r, row, 1);
        out_id(o, &approval);
        out_id(o, &tenant);
        for (int col = 2; col < 6; col++)
            out_str(o, db_text(r, row, col));
        out_time(o, db_time(r, row, 6));
        out_time(o, db_time(r, row, 7));
    }
    out_print(o, run->json, stdout);
    out_free(o);
}

static void print_ahead(const struct cmd_run *run, const struct db_result *r)
{
    static const struct out_column columns[] = {
        {"tenant_id", OUT_TEXT}, {"rule_id", OUT_TEXT},    {"rule", OUT_TEXT},       {"wedding_id", OUT_TEXT},
        {"wedding", OUT_TEXT},   {"granted_by", OUT_TEXT}, {"granted_at", OUT_TEXT},
    };
    struct out *o = out_new(columns, sizeof(columns) / sizeof(columns[0]));

    for (int row = 0; row < db_rows(r); row++) {
        for (int col = 0; col < 6; col++)
            out_str(o, db_text(r, row, col));
        out_time(o, db_time(r, row, 6));
    }
    out_print(o, run->json, stdout);
    out_free(o);
}

static void check(const void *given, struct buf *errors)
{
    const struct list_options *o = given;

    input_check_id("tenant", o->tenant, errors);
}

static int run_list(struct cmd_run *run)
{
    const struct list_options *o = run->options;
    struct db_session *db = NULL;
    struct db_result *r = NULL;
    struct err_info info = {0};
    struct id tenant;

    if (input_id("tenant", o->tenant, &tenant, &info) != ERR_OK)
        return cmd_fail(run, EXIT_USAGE, "%s", info.text);
    int code = connect_db(run, &db);
    if (code != EXIT_OK)
        return code;
    enum err err = o->preapprovals ? store_approval_list_ahead(db, &tenant, o->limit, &r, &info)
                                   : store_approval_list(db, &tenant, o->limit, &r, &info);
    if (err == ERR_OK)
        (o->preapprovals ? print_ahead : print)(run, r);
    db_result_free(r);
    db_close(db);
    return err == ERR_OK ? EXIT_OK : cmd_fail(run, cmd_exit_code(err), "%s", info.text);
}

const struct cmd cmd_approval_list = {
    .path = "approval list",
    .summary = "list the steps that wait for a person's approval, or the words given ahead",
    .options = options,
    .options_size = sizeof(struct list_options),
    .details =
        "Oldest first, with what would go out. An item is reminded of after a day and expires with its milestone.\n"
        "--preapprovals: what rules need not ask for, by whose word; without wedding it is for all of the tenant's.",
    .examples = "usher approval list\nusher approval list --preapprovals\n",
    .check = check,
    .run = run_list,
};
