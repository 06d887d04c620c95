/* usher approval revoke: a rule asks for approval again. */
#include "cli/preapproval_act.h"

static const struct conf_key options[] = {PREAPPROVAL_OPTIONS, {.name = NULL}};

static int run_revoke(struct cmd_run *run)
{
    return preapproval_act_run(run, false);
}

const struct cmd cmd_approval_revoke = {
    .path = "approval revoke",
    .summary = "let a rule that was approved ahead ask again",
    .operands = "RULE",
    .min_operands = 1,
    .max_operands = 1,
    .options = options,
    .options_size = sizeof(struct preapproval_options),
    .details = "The word for one wedding and that for all stand each by itself: the other one goes on. Steps that "
               "acted on it stay as they are.\n"
               "Exit code 3 when there was no such word.",
    .examples = "usher approval revoke 8d03ae6f-055f-823e-b840-51066c04214b "
                "--tenant 10000000-0000-4000-8000-000000000001\n",
    .check = preapproval_act_check,
    .run = run_revoke,
};
