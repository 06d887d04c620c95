/* usher season generate: a season of any size from a seed. */
#include <stdio.h>

#include "cli/cmd.h"
#include "cli/season/generate.h"
#include "cli/season/load.h"

struct generate_options {
    int64_t seed;
    int64_t weddings;
    int64_t tenants;
    char *start;
};

#define AT(field) offsetof(struct generate_options, field)
static const struct conf_key options[] = {
    SETTING_INT("seed", AT(seed), NULL, "2026", 1, INT32_MAX, "the same seed gives the same season"),
    SETTING_INT("weddings", AT(weddings), NULL, "120", 1, 100000, "weddings, over 14 months"),
    SETTING_INT("tenants", AT(tenants), NULL, "3", 3, 10000, "photographers, planners and venues in turn"),
    SETTING_STR("start", AT(start), NULL, "2026-01-05", 0, "first day"),
    {.name = NULL},
};

static int run_generate(struct cmd_run *run)
{
    const struct generate_options *o = run->options;
    struct season_plan plan = {
        .seed = (uint64_t)o->seed, .weddings = (int)o->weddings, .tenants = (int)o->tenants, .start = o->start};
    struct err_info info = {0};
    char home[SEASON_PATH_MAX];
    enum err err = season_home(run->settings, home, &info);
    if (err == ERR_OK)
        err = season_generate(&plan, home, run->operands[0], &info);
    if (err != ERR_OK)
        return cmd_fail(run, cmd_exit_code(err), "%s", info.text);
    return EXIT_OK;
}

const struct cmd cmd_season_generate = {
    .path = "season generate",
    .summary = "write a season of weddings, rules and events from a seed",
    .operands = "FOLDER",
    .min_operands = 1,
    .max_operands = 1,
    .options = options,
    .options_size = sizeof(struct generate_options),
    .examples = "usher season generate /var/tmp/season --weddings 1000 --tenants 30 --seed 7\n",
    .run = run_generate,
};
