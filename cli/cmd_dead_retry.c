/* usher dead retry: new jobs of dead letters. */
#include "cli/dead_act.h"

static const struct conf_key options[] = {
    DEAD_ACT_OPTIONS,
    SETTING_MS("spread", offsetof(struct dead_options, spread_ms), NULL, "0", 0, 604800000,
               "make them due one after another within this time"),
    SETTING_INT("replays", offsetof(struct dead_options, most_replays), NULL, "5", 0, 1000,
                "leave those alone that were replayed so often already; 0: none"),
    {.name = NULL},
};

static int run_retry(struct cmd_run *run)
{
    static const struct dead_act retry = {"retry", "replayed", store_dead_replay};

    return dead_act_run(run, &retry);
}

const struct cmd cmd_dead_retry = {
    .path = "dead retry",
    .summary = "try dead letters again, as new jobs",
    .operands = "[ID...]",
    .max_operands = -1,
    .options = options,
    .options_size = sizeof(struct dead_options),
    .details =
        "Each becomes a new job with all its attempts and the effect key of the old one, so that receivers see the "
        "same\n"
        "message again. A run that stopped at the step goes on when the new job succeeds; one that went on without it "
        "is\n"
        "left alone. What has been replayed is not replayed again, unless the new job died too, and five times at "
        "most\n"
        "(--replays), whichever letter of it is named. Exit code 4 when some were refused, 3 when some do not exist.",
    .examples = "usher dead retry 8d03ae6f-055f-823e-b840-51066c04214b\n"
                "usher dead retry --kind send_email --like 'connection refused' --since 2h --spread 10m --dry-run\n",
    .check = dead_act_check,
    .run = run_retry,
};
