/* usher approval preapprove: a rule may act without asking. */
#include "cli/preapproval_act.h"

static const struct conf_key options[] = {PREAPPROVAL_OPTIONS, {.name = NULL}};

static int run_preapprove(struct cmd_run *run)
{
    return preapproval_act_run(run, true);
}

const struct cmd cmd_approval_preapprove = {
    .path = "approval preapprove",
    .summary = "let a rule act without asking for approval",
    .operands = "RULE",
    .min_operands = 1,
    .max_operands = 1,
    .options = options,
    .options_size = sizeof(struct preapproval_options),
    .details = "For one wedding or for all, also after the rule is edited, until it is revoked. What waits already "
               "still waits: approve it.\n"
               "Exit code 4 when it is approved ahead already.",
    .examples = "usher approval preapprove 8d03ae6f-055f-823e-b840-51066c04214b "
                "--tenant 10000000-0000-4000-8000-000000000001\n",
    .check = preapproval_act_check,
    .run = run_preapprove,
};
