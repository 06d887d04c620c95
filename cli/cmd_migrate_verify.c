#include "cli/migrations.h"
#include "common/base/mem.h"

static int run_verify(struct cmd_run *run)
{
    struct migrate_config config = {0};
    struct err_info info = {0};
    char fingerprint[MIGRATE_FINGERPRINT_SIZE] = "";
    char *dir = NULL;
    int code = migrations_config(run, &config, &dir);

    if (code != EXIT_OK)
        goto out;
    if (migrate_verify(&config, fingerprint, &info) != ERR_OK)
        code = migrations_fail(run, &info);
    else
        (void)printf(run->json ? "{\"fingerprint\":\"%s\"}\n" : "%s\n", fingerprint);
out:
    mem_free(dir);
    return code;
}

const struct cmd cmd_migrate_verify = {
    .path = "migrate verify",
    .summary = "check that all is applied and print the schema's fingerprint",
    .details = "Two databases with the same schema have the same fingerprint.",
    .examples = "usher migrate verify\n",
    .run = run_verify,
};
