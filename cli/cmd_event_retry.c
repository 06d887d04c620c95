/* usher event retry: quarantined events, back into the outbox. */
#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/input.h"
#include "cli/out.h"
#include "cli/store_event.h"
#include "common/base/mem.h"
#include "common/io/db.h"

#define EVENTS_MAX 5000

struct retry_options {
    char *by;
    bool all;
};

static const struct conf_key options[] = {
    SETTING_STR("by", offsetof(struct retry_options, by), NULL, NULL, 0,
                "who, for the audit trail; unset: the user of the operating system"),
    SETTING_BOOL("all", offsetof(struct retry_options, all), NULL, "every one"),
    {.name = NULL},
};

static enum err read_ids(const struct cmd_run *run, struct id *ids, struct err_info *info)
{
    enum err err = ERR_OK;

    for (int i = 0; err == ERR_OK && i < run->n_operands; i++)
        err = input_id("EVENT", run->operands[i], &ids[i], info);
    return err;
}

static int retry(const struct cmd_run *run, const struct id *ids, const char *by)
{
    static const struct out_column columns[] = {{"retried", OUT_INT}};
    struct db_session *db = NULL;
    struct err_info info = {0};
    int64_t done = 0;
    int code = connect_db(run, &db);

    if (code != EXIT_OK)
        return code;
    enum err err = store_event_retry(db, ids, (size_t)run->n_operands, by, &done, &info);
    if (err == ERR_OK) {
        struct out *o = out_new(columns, 1);
        out_int(o, done);
        out_print_one(o, run->json, stdout);
        out_free(o);
        if (done < run->n_operands)
            code = cmd_fail(run, EXIT_NOT_FOUND, "%lld of %d events are not in quarantine",
                            (long long)(run->n_operands - done), run->n_operands);
    } else {
        code = cmd_fail(run, cmd_exit_code(err), "%s", info.text);
    }
    db_close(db);
    return code;
}

static int run_retry(struct cmd_run *run)
{
    const struct retry_options *o = run->options;
    struct err_info info = {0};
    struct buf by = {0};

    if ((run->n_operands > 0) == o->all)
        return cmd_fail(run, EXIT_USAGE, "name events by their ids, or take --all");
    if (run->n_operands > EVENTS_MAX)
        return cmd_fail(run, EXIT_USAGE, "at most %d ids are taken at a time", EVENTS_MAX);
    struct id *ids = mem_alloc(((size_t)run->n_operands + 1) * sizeof(*ids));
    int code = EXIT_USAGE;
    if (o->by == NULL)
        input_user(&by);
    if (read_ids(run, ids, &info) == ERR_OK)
        code = retry(run, ids, o->by == NULL ? buf_text(&by) : o->by);
    else
        (void)cmd_fail(run, EXIT_USAGE, "%s", info.text);
    buf_free(&by);
    mem_free(ids);
    return code;
}

const struct cmd cmd_event_retry = {
    .path = "event retry",
    .summary = "dispatch quarantined events again",
    .operands = "[EVENT...]",
    .max_operands = -1,
    .options = options,
    .options_size = sizeof(struct retry_options),
    .details = "Mend first what they failed of. Rules that start are those that are active by then. Exit code 3 when "
               "some are not in\nquarantine.",
    .examples = "usher event retry 8d03ae6f-055f-823e-b840-51066c04214b\nusher event retry --all --by ana\n",
    .run = run_retry,
};
