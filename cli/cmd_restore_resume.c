/* usher restore resume: goes on with a database that was restored to an earlier time. */
#include <string.h>

#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/input.h"
#include "cli/out.h"
#include "cli/store_restore.h"

struct options {
    char *since;
    char *outward;
    char *by;
};

static const struct conf_key options[] = {
    SETTING_STR("since", offsetof(struct options, since), NULL, NULL, 0,
                "to which time it was restored, or how long ago that is"),
    SETTING_STR("outward", offsetof(struct options, outward), NULL, NULL, 0,
                "ask, rerun or skip what acts outward and was due since"),
    SETTING_STR("by", offsetof(struct options, by), NULL, NULL, 0,
                "who, for the audit trail; unset: the user of the operating system"),
    {.name = NULL},
};

static const struct out_column columns[] = {{"epoch", OUT_TEXT}, {"freed", OUT_INT}, {"doubtful", OUT_INT}};

static void check(const void *values, struct buf *errors)
{
    static const char *const words[] = {"ask", "rerun", "skip"};
    const struct options *o = values;
    bool known = false;

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        known = known || (o->outward != NULL && strcmp(o->outward, words[i]) == 0);
    if (!known)
        buf_put_str(errors, "--outward: ask, rerun or skip is expected\n");
    if (o->since == NULL)
        buf_put_str(errors, "--since: the time to which the database was restored is expected\n");
    input_check_when("--since", o->since, errors);
}

static void print(const struct cmd_run *run, const struct db_result *rows)
{
    struct out *o = out_new(columns, sizeof(columns) / sizeof(columns[0]));
    const struct id epoch = db_id(rows, 0, 0);

    out_id(o, &epoch);
    out_int(o, db_i64(rows, 0, 1));
    out_int(o, db_i64(rows, 0, 2));
    out_print(o, run->json, stdout);
    out_free(o);
}

static int run_resume(struct cmd_run *run)
{
    const struct options *o = run->options;
    struct input_when since;
    struct db_session *db = NULL;
    struct db_result *rows = NULL;
    struct buf by = {0};
    struct err_info info = {0};
    int code = connect_db(run, &db);

    if (code != EXIT_OK)
        return code;
    if (o->by == NULL)
        input_user(&by);
    enum err err = input_when("--since", o->since, &since, &info);
    if (err == ERR_OK)
        err = store_restore_resume(db, &since, o->outward, o->by == NULL ? buf_text(&by) : o->by, &rows, &info);
    if (err == ERR_OK)
        print(run, rows);
    else
        code = cmd_fail(run, cmd_exit_code(err), "%s", info.text);
    db_result_free(rows);
    db_close(db);
    buf_free(&by);
    return code;
}

const struct cmd cmd_restore_resume = {
    .path = "restore resume",
    .summary = "go on with a database that was restored to an earlier time",
    .options = options,
    .options_size = sizeof(struct options),
    .details = "The leader finds Redis ahead of the database and stops. What this database has as unfinished may have "
               "been done since.\n"
               "--outward decides for jobs that act outward (mail, webhooks, HTTP kinds, and runs of rules that have "
               "such an action)\n"
               "and were due by now: ask parks them for a person, rerun runs them with the same effect keys, skip ends "
               "them. All\n"
               "other jobs run. Exit code 4 when the database is not behind.",
    .examples = "usher restore resume --since 2026-05-02T09:30:00Z --outward ask\n"
                "usher restore resume --since 45m --outward rerun --by ops@example.com\n",
    .check = check,
    .run = run_resume,
};
