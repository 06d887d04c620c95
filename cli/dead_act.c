/* dead_act: see dead_act.h. */
#include "cli/dead_act.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/connect.h"
#include "cli/input.h"
#include "cli/out.h"
#include "common/base/mem.h"

#define US_PER_MS 1000

static const struct out_column columns[] = {
    {"job_id", OUT_TEXT}, {"tenant_id", OUT_TEXT}, {"result", OUT_TEXT}, {"replay", OUT_TEXT}};

void dead_act_check(const void *options, struct buf *errors)
{
    const struct dead_options *o = options;

    input_check_id("--tenant", o->tenant, errors);
    input_check_when("--since", o->since, errors);
    input_check_when("--until", o->until, errors);
}

/* ---- which ------------------------------------------------------------------------------------------------------------- */

static bool filtered(const struct dead_options *o)
{
    return o->tenant || o->kind || o->reason || o->since || o->until || o->like;
}

static int check_operands(const struct cmd_run *run, const struct dead_options *o)
{
    const bool by_filter = o->kind || o->reason || o->since || o->until || o->like || o->all;

    if (run->n_operands > 0 && by_filter)
        return cmd_fail(run, EXIT_USAGE, "name dead letters by their ids or by filters, not both");
    if (run->n_operands == 0 && !filtered(o) && !o->all)
        return cmd_fail(run, EXIT_USAGE, "name dead letters by their ids or by filters; --all takes every one");
    if (run->n_operands > STORE_DEAD_MAX)
        return cmd_fail(run, EXIT_USAGE, "at most %d ids are taken at a time", STORE_DEAD_MAX);
    return EXIT_OK;
}

static enum err read_ids(const struct cmd_run *run, struct id **out, size_t *n, struct err_info *info)
{
    struct id *ids = mem_alloc((size_t)run->n_operands * sizeof(*ids));
    enum err err = ERR_OK;

    for (int i = 0; err == ERR_OK && i < run->n_operands; i++)
        err = input_id("ID", run->operands[i], &ids[i], info);
    *out = ids;
    *n = (size_t)run->n_operands;
    return err;
}

static enum err pick(struct db_session *db, const struct dead_options *o, struct id **out, size_t *n,
                     struct err_info *info)
{
    struct store_dead_pick filter = {.kind = o->kind, .reason = o->reason, .like = o->like, .limit = o->limit};
    struct db_result *rows = NULL;
    enum err err = input_id("--tenant", o->tenant, &filter.tenant, info);

    if (err == ERR_OK)
        err = input_when("--since", o->since, &filter.since, info);
    if (err == ERR_OK)
        err = input_when("--until", o->until, &filter.until, info);
    if (err == ERR_OK)
        err = store_dead_pick(db, &filter, &rows, info);
    if (err != ERR_OK)
        return err;
    *n = (size_t)db_rows(rows);
    *out = mem_alloc(*n * sizeof(**out) + 1);
    for (size_t i = 0; i < *n; i++)
        (*out)[i] = db_id(rows, (int)i, 0);
    db_result_free(rows);
    return ERR_OK;
}

/* ---- who asks, and for what -------------------------------------------------------------------------------------------- */

static void put_filter(struct buf *out, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buf_printf(out, "%s\"%s\":", out->len > 1 ? "," : "", name);
    buf_put_json(out, value, strlen(value));
}

static void describe(const struct dead_options *o, struct buf *out)
{
    buf_put_char(out, '{');
    put_filter(out, "tenant", o->tenant);
    put_filter(out, "kind", o->kind);
    put_filter(out, "reason", o->reason);
    put_filter(out, "since", o->since);
    put_filter(out, "until", o->until);
    put_filter(out, "like", o->like);
    buf_put_char(out, '}');
}

static int confirm(const struct cmd_run *run, const struct dead_act *act, size_t n)
{
    const struct dead_options *o = run->options;
    char answer[8] = "";

    if (o->yes || o->dry_run)
        return EXIT_OK;
    if (isatty(STDIN_FILENO) != 1)
        return cmd_fail(run, EXIT_USAGE,
                        "%zu dead letters chosen; without a terminal to ask on, --yes or --dry-run is needed", n);
    (void)fprintf(stderr, "%s %zu dead letters? [y/N] ", act->verb, n);
    if (fgets(answer, sizeof(answer), stdin) == NULL || (answer[0] != 'y' && answer[0] != 'Y'))
        return cmd_fail(run, EXIT_FAILED, "nothing was changed");
    return EXIT_OK;
}

/* ---- acting ------------------------------------------------------------------------------------------------------------ */

static enum err act_once(struct db_session *db, const struct dead_act *act, const struct store_dead_act *what,
                         bool dry_run, struct db_result **out, struct err_info *info)
{
    enum err err = db_exec(db, "begin", NULL, info);

    if (err == ERR_OK)
        err = act->act(db, what, out, info);
    if (err == ERR_OK)
        err = db_exec(db, dry_run ? "rollback" : "commit", NULL, info);
    return err;
}

/* Returns how many it was done with; *unknown: some do not exist. */
static int print(const struct cmd_run *run, const struct dead_act *act, const struct db_result *rows, bool *unknown)
{
    struct out *o = out_new(columns, sizeof(columns) / sizeof(columns[0]));
    char text[ID_TEXT_SIZE];
    int done = 0;

    for (int row = 0; row < db_rows(rows); row++) {
        struct id job = db_id(rows, row, 0), tenant = db_id(rows, row, 1), replay = db_id(rows, row, 2);
        out_id(o, &job);
        out_text(o, db_null(rows, row, 1) ? NULL : id_format(&tenant, text));
        out_str(o, db_text(rows, row, 3));
        out_id(o, &replay);
        done += str_is(db_text(rows, row, 3), act->done);
        *unknown = *unknown || str_is(db_text(rows, row, 3), "unknown");
    }
    out_print(o, run->json, stdout);
    out_free(o);
    return done;
}

static int report(const struct cmd_run *run, const struct dead_act *act, const struct db_result *rows)
{
    const struct dead_options *o = run->options;
    bool unknown = false;
    const int done = print(run, act, rows, &unknown), refused = db_rows(rows) - done;

    if (!run->json)
        (void)printf("%s: %d, refused: %d%s\n", act->done, done, refused,
                     o->dry_run ? " (dry run: nothing was changed)" : "");
    return refused == 0 ? EXIT_OK : unknown ? EXIT_NOT_FOUND : EXIT_CONFLICT;
}

static int act_on(const struct cmd_run *run, const struct dead_act *act, struct db_session *db, const struct id *ids,
                  size_t n)
{
    const struct dead_options *o = run->options;
    struct store_dead_act what = {
        .jobs = ids, .n = n, .spread_us = o->spread_ms * US_PER_MS, .most_replays = (int32_t)o->most_replays};
    struct buf by = {0}, filter = {0};
    struct db_result *rows = NULL;
    struct err_info info = {0};
    int code;

    describe(o, &filter);
    if (o->by == NULL)
        input_user(&by);
    what.by = o->by == NULL ? buf_text(&by) : o->by;
    what.filter = (struct str){filter.data, filter.len};
    enum err err = input_id("--tenant", o->tenant, &what.tenant, &info);
    if (err == ERR_OK)
        err = act_once(db, act, &what, o->dry_run, &rows, &info);
    code = err == ERR_OK ? report(run, act, rows) : cmd_fail(run, cmd_exit_code(err), "%s", info.text);
    db_result_free(rows);
    buf_free(&by);
    buf_free(&filter);
    return code;
}

int dead_act_run(struct cmd_run *run, const struct dead_act *act)
{
    const struct dead_options *o = run->options;
    struct db_session *db = NULL;
    struct id *ids = NULL;
    size_t n = 0;
    struct err_info info = {0};
    enum err err = ERR_OK;
    int code = check_operands(run, o);

    if (code == EXIT_OK && run->n_operands > 0 && read_ids(run, &ids, &n, &info) != ERR_OK)
        code = cmd_fail(run, EXIT_USAGE, "%s", info.text);
    if (code == EXIT_OK)
        code = connect_db(run, &db);
    if (code != EXIT_OK)
        goto out;
    if (run->n_operands == 0)
        err = pick(db, o, &ids, &n, &info);
    if (err != ERR_OK)
        code = cmd_fail(run, cmd_exit_code(err), "%s", info.text);
    else if (n > 0)
        code = confirm(run, act, n);
    if (err == ERR_OK && code == EXIT_OK)
        code = act_on(run, act, db, ids, n);
out:
    db_close(db);
    mem_free(ids);
    return code;
}
