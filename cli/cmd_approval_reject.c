/* usher approval reject: let a waiting step not act. */
#include "cli/approval_act.h"

static const struct conf_key options[] = {APPROVAL_ACT_OPTIONS, {.name = NULL}};

static int run_reject(struct cmd_run *run)
{
    return approval_act_run(run, "rejected");
}

const struct cmd cmd_approval_reject = {
    .path = "approval reject",
    .summary = "let a waiting step not act",
    .operands = "ID",
    .min_operands = 1,
    .max_operands = 1,
    .options = options,
    .options_size = sizeof(struct approval_options),
    .details = "The step is skipped and its run goes on. Exit code 4 when it is decided already or its run has ended, "
               "3 when there is no\n"
               "such item.",
    .examples = "usher approval reject 8d03ae6f-055f-823e-b840-51066c04214b --note 'called them'\n",
    .run = run_reject,
};
