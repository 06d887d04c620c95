/* usher approval approve: let a waiting step act. */
#include "cli/approval_act.h"

static const struct conf_key options[] = {APPROVAL_ACT_OPTIONS, {.name = NULL}};

static int run_approve(struct cmd_run *run)
{
    return approval_act_run(run, "approved");
}

const struct cmd cmd_approval_approve = {
    .path = "approval approve",
    .summary = "let a waiting step act",
    .operands = "ID [CONTENT]",
    .min_operands = 1,
    .max_operands = 2,
    .options = options,
    .options_size = sizeof(struct approval_options),
    .details = "CONTENT is a JSON object with the keys of the content that change, `-` or `@FILE`. Exit code 4 when it "
               "is decided already or\n"
               "its run has ended, 3 when there is no such item.",
    .examples = "usher approval approve 8d03ae6f-055f-823e-b840-51066c04214b\n",
    .run = run_approve,
};
