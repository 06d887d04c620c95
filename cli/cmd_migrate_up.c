#include <string.h>

#include "cli/migrations.h"
#include "common/base/mem.h"

static void report(void *arg, const char *line)
{
    (void)arg;
    (void)fprintf(stderr, "%s\n", line);
}

static void count_applied(void *arg, const struct migrate_entry *entry)
{
    int *applied = arg;

    *applied += entry->state == MIGRATE_APPLIED;
}

static int run_up(struct cmd_run *run)
{
    struct migrate_config config = {.report = report};
    struct err_info info = {0};
    char *dir = NULL;
    int applied = 0;
    int code = migrations_config(run, &config, &dir);

    if (code != EXIT_OK)
        goto out;
    if (migrate_up(&config, &info) != ERR_OK || migrate_status(&config, count_applied, &applied, NULL, &info) != ERR_OK)
        code = migrations_fail(run, &info);
    else
        (void)printf(run->json ? "{\"applied\":%d,\"pending\":0}\n" : "%d migrations are applied, none is pending\n",
                     applied);
out:
    mem_free(dir);
    return code;
}

const struct cmd cmd_migrate_up = {
    .path = "migrate up",
    .summary = "apply the migrations that are missing",
    .details = "Uses USHER_MAINT_DATABASE_URL where it is set, else DATABASE_URL. Two runners at once are safe.",
    .examples = "usher migrate up\nusher migrate up --migrations supabase/migrations\n",
    .run = run_up,
};
