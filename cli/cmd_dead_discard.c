/* usher dead discard: closes dead letters that nobody will try again. */
#include "cli/dead_act.h"

static const struct conf_key options[] = {
    DEAD_ACT_OPTIONS,
    {.name = NULL},
};

static int run_discard(struct cmd_run *run)
{
    static const struct dead_act discard = {"discard", "discarded", store_dead_discard};

    return dead_act_run(run, &discard);
}

const struct cmd cmd_dead_discard = {
    .path = "dead discard",
    .summary = "close dead letters without another try",
    .operands = "[ID...]",
    .max_operands = -1,
    .options = options,
    .options_size = sizeof(struct dead_options),
    .details =
        "They stay to be read, but can not be retried. Exit code 4 when some were refused, 3 when some do not exist.",
    .examples = "usher dead discard 8d03ae6f-055f-823e-b840-51066c04214b\n"
                "usher dead discard --reason malformed --until 30d --yes\n",
    .check = dead_act_check,
    .run = run_discard,
};
