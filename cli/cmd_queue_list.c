/* usher queue list: what stands in each queue, from its two streams and the ledger. The two stores are read one after the other, so
 * a job on its way between them may show in both or in neither. */
#include "cli/cmd.h"
#include "cli/connect.h"
#include "cli/out.h"
#include "cli/store_show.h"
#include "common/io/queue_admin.h"

#define UNKNOWN (-1)

static const struct out_column columns[] = {
    {"queue", OUT_TEXT},    {"waiting", OUT_INT},   {"bare", OUT_INT},
    {"pending", OUT_INT},   {"in_flight", OUT_INT}, {"held", OUT_INT},
    {"scheduled", OUT_INT}, {"parked", OUT_INT},    {"oldest_due_ms", OUT_INT},
};

/* Of one stream. */
struct depth {
    int64_t waiting; /* UNKNOWN: Redis can not say */
    int64_t pending;
};

static enum err read_depth(struct rsession *redis, enum queue_kind kind, struct str queue, struct depth *out,
                           struct err_info *info)
{
    char key[QUEUE_KEY_SIZE];
    struct queue_info now = {0};

    *out = (struct depth){0};
    enum err err = queue_key(kind, queue, key, info);
    if (err == ERR_OK)
        err = queue_admin_info(redis, key, &now, info);
    if (err == ERR_REDIS_NOGROUP)
        return ERR_OK; /* no stream: nothing was ever added */
    out->waiting = now.group.exists ? now.group.lag : now.stream.length;
    out->pending = now.group.exists ? now.group.pending : 0;
    return err;
}

static void put_count(struct out *o, int64_t n)
{
    if (n < 0)
        out_null(o);
    else
        out_int(o, n);
}

static enum err add_row(struct out *o, struct rsession *redis, const struct db_result *rows, int row,
                        struct err_info *info)
{
    struct str queue = db_text(rows, row, 0);
    struct depth ledger, bare;
    enum err err = read_depth(redis, QUEUE_LEDGER, queue, &ledger, info);

    if (err == ERR_OK)
        err = read_depth(redis, QUEUE_BARE, queue, &bare, info);
    if (err != ERR_OK)
        return err;
    bool known = ledger.waiting != UNKNOWN && bare.waiting != UNKNOWN;
    /* What is due and unclaimed beyond what stands in q: has not been admitted. */
    int64_t held = db_i64(rows, row, 1) - ledger.waiting - ledger.pending;
    out_str(o, queue);
    put_count(o, known ? ledger.waiting + bare.waiting : UNKNOWN);
    put_count(o, bare.waiting);
    out_int(o, ledger.pending + bare.pending);
    out_int(o, db_i64(rows, row, 2));
    put_count(o, ledger.waiting == UNKNOWN ? UNKNOWN : held > 0 ? held : 0);
    out_int(o, db_i64(rows, row, 3));
    out_int(o, db_i64(rows, row, 4));
    if (db_null(rows, row, 5))
        out_null(o);
    else
        out_int(o, db_i64(rows, row, 5));
    return ERR_OK;
}

static int run_list(struct cmd_run *run)
{
    struct out *o = out_new(columns, sizeof(columns) / sizeof(columns[0]));
    struct db_session *db = NULL;
    struct rsession *redis = NULL;
    struct db_result *rows = NULL;
    struct err_info info = {0};
    int code = connect_db(run, &db);

    if (code == EXIT_OK)
        code = connect_redis(run, &redis);
    if (code != EXIT_OK)
        goto out;
    enum err err = store_show_queues(db, &rows, &info);
    for (int row = 0; err == ERR_OK && row < db_rows(rows); row++)
        err = add_row(o, redis, rows, row, &info);
    if (err == ERR_OK)
        out_print(o, run->json, stdout);
    else
        code = cmd_fail(run, cmd_exit_code(err), "%s", info.text);
out:
    db_result_free(rows);
    rsession_close(redis);
    db_close(db);
    out_free(o);
    return code;
}

const struct cmd cmd_queue_list = {
    .path = "queue list",
    .summary = "show each queue's backlog",
    .details =
        "waiting: entries that no worker has read (bare: those of them that other programs added); pending: read, not "
        "acknowledged;\n"
        "in flight: claimed jobs; held: due jobs that are not admitted yet; scheduled: due later; parked: waiting for "
        "a person or\n"
        "an event; oldest due: how long the job that has waited longest has been due. \"-\": Redis does not know.",
    .examples = "usher queue list\nusher queue list --json\n",
    .run = run_list,
};
