#include "cli/migrations.h"

int migrations_config(const struct cmd_run *run, struct migrate_config *config, char **dir)
{
    const struct settings *s = run->settings;
    struct err_info info = {0};

    *dir = settings_find_migrations(s, &info);
    if (*dir == NULL)
        return cmd_fail(run, EXIT_CONFIG, "%s", info.text);
    config->dir = *dir;
    config->url = s->maint_database_url != NULL ? s->maint_database_url : s->database_url;
    if (config->url == NULL)
        config->url = "";
    return EXIT_OK;
}

int migrations_fail(const struct cmd_run *run, const struct err_info *info)
{
    /* A folder that is not as it should be is neither usage nor a lack of service. */
    return cmd_fail(run, info->code == ERR_TIMEOUT ? EXIT_TEMPORARY : cmd_exit_code(info->code), "%s", info->text);
}
