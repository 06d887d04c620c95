#include "cli/migrations.h"
#include "cli/out.h"
#include "common/base/mem.h"

static const struct out_column columns[] = {
    {"version", OUT_INT}, {"name", OUT_TEXT}, {"state", OUT_TEXT}, {"finished_at", OUT_TEXT}, {"duration_ms", OUT_INT},
};

static void add_row(void *arg, const struct migrate_entry *entry)
{
    struct out *o = arg;

    out_int(o, entry->version);
    out_text(o, entry->name);
    out_text(o, migrate_state_text(entry->state));
    out_time(o, entry->finished_at_us);
    if (entry->state == MIGRATE_APPLIED)
        out_int(o, entry->duration_ms);
    else
        out_null(o);
}

static int run_status(struct cmd_run *run)
{
    struct migrate_config config = {0};
    struct out *o = out_new(columns, sizeof(columns) / sizeof(columns[0]));
    struct err_info info = {0};
    char *dir = NULL;
    int pending = 0;
    int code = migrations_config(run, &config, &dir);

    if (code != EXIT_OK)
        goto out;
    enum err err = migrate_status(&config, add_row, o, &pending, &info);
    if (err == ERR_OK || out_rows(o) > 0)
        out_print(o, run->json, stdout);
    if (err != ERR_OK)
        code = migrations_fail(run, &info);
    else if (pending > 0)
        (void)fprintf(stderr, "%d pending; `usher migrate up` applies them\n", pending);
out:
    out_free(o);
    mem_free(dir);
    return code;
}

const struct cmd cmd_migrate_status = {
    .path = "migrate status",
    .summary = "list the migrations and their state",
    .details = "Changes nothing. Exit code 4 when folder and database disagree.",
    .examples = "usher migrate status\nusher migrate status --json\n",
    .run = run_status,
};
