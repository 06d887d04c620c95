/* usher migrate down: removes everything that the migrations made. */
#include "cli/migrations.h"
#include "common/base/mem.h"

struct options {
    char *delete_all_data;
};

static const struct conf_key options[] = {
    SETTING_STR("delete-all-data", offsetof(struct options, delete_all_data), NULL, NULL, 0,
                "the name of the database whose rules, weddings, jobs and logs are to be deleted"),
    {.name = NULL},
};

static int run_down(struct cmd_run *run)
{
    const struct options *o = run->options;
    struct migrate_config config = {0};
    struct err_info info = {0};
    char *dir = NULL;
    int code = migrations_config(run, &config, &dir);

    if (code != EXIT_OK)
        goto out;
    enum err err = migrate_down(&config, o->delete_all_data, &info);
    if (err == ERR_STATE)
        code = cmd_fail(run, EXIT_CONFLICT, "%s%s", info.text, o->delete_all_data ? "" : ": --delete-all-data NAME");
    else if (err != ERR_OK)
        code = migrations_fail(run, &info);
    else
        (void)printf(run->json ? "{\"down\":\"%s\"}\n" : "everything that the migrations made in %s is gone\n",
                     o->delete_all_data);
out:
    mem_free(dir);
    return code;
}

const struct cmd cmd_migrate_down = {
    .path = "migrate down",
    .summary = "delete everything that the migrations made, with all data",
    .options = options,
    .options_size = sizeof(struct options),
    .details =
        "Without --delete-all-data it changes nothing and says what would be lost. Roles stay. Refused while a worker "
        "or "
        "scheduler is\n"
        "connected, and while views or foreign keys of the host need our tables; triggers of attached tables are "
        "removed.",
    .examples = "usher migrate down\nusher migrate down --delete-all-data weddings\n",
    .run = run_down,
};
