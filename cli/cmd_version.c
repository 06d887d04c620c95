#include "cli/cmd.h"

static int run_version(struct cmd_run *run)
{
    (void)printf(run->json ? "{\"version\":\"%s\"}\n" : "usher %s\n", USHER_VERSION);
    return EXIT_OK;
}

const struct cmd cmd_version = {
    .flags = CMD_NO_SETTINGS,
    .path = "version",
    .summary = "show the version",
    .run = run_version,
};
