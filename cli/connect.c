#include "cli/connect.h"

static int open_db(const struct cmd_run *run, const char *url, const char *variable, bool may_pool,
                   struct db_session **out)
{
    struct db_session_config config = {.url = url == NULL ? "" : url,
                                       .name = "usher",
                                       .pooled = may_pool && run->settings->database_pooled};
    struct err_info info = {0};

    *out = NULL;
    enum err err = db_open(&config, out, &info);
    if (err == ERR_OK)
        return EXIT_OK;
    if (err == ERR_STATE)
        return cmd_fail(run, EXIT_CONFLICT, "%s: %s%s", variable, info.text,
                        may_pool ? "; this command also works with DATABASE_POOLED=true" : "");
    return cmd_fail(run, EXIT_UNAVAILABLE, "PostgreSQL is not available (%s%s): %s", variable,
                    url == NULL ? ", which is not set" : "", info.text);
}

int connect_db(const struct cmd_run *run, struct db_session **out)
{
    return open_db(run, run->settings->database_url, "DATABASE_URL", true, out);
}

int connect_maint_db(const struct cmd_run *run, struct db_session **out)
{
    if (run->settings->maint_database_url == NULL)
        return open_db(run, run->settings->database_url, "DATABASE_URL", false, out);
    return open_db(run, run->settings->maint_database_url, "USHER_MAINT_DATABASE_URL", false, out);
}

int connect_redis(const struct cmd_run *run, struct rsession **out)
{
    struct rconn_config config = {.url = run->settings->redis_url, .name = "usher"};
    struct err_info info = {0};

    *out = NULL;
    if (config.url == NULL)
        return cmd_fail(run, EXIT_UNAVAILABLE, "no Redis is named; set REDIS_URL");
    if (rsession_open(&config, out, &info) == ERR_OK)
        return EXIT_OK;
    return cmd_fail(run, EXIT_UNAVAILABLE, "Redis is not available (REDIS_URL): %s", info.text);
}
