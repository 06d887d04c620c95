/* usher approval edit: change what a waiting step will say. */
#include "cli/approval_act.h"

static const struct conf_key options[] = {APPROVAL_ACT_OPTIONS, {.name = NULL}};

static int run_edit(struct cmd_run *run)
{
    return approval_act_run(run, "edited");
}

const struct cmd cmd_approval_edit = {
    .path = "approval edit",
    .summary = "change what a waiting step will say",
    .operands = "ID CONTENT",
    .min_operands = 2,
    .max_operands = 2,
    .options = options,
    .options_size = sizeof(struct approval_options),
    .details = "CONTENT is a JSON object with the keys of the content that change, `-` or `@FILE`; the item stays to "
               "be decided.",
    .examples = "usher approval edit 8d03ae6f-055f-823e-b840-51066c04214b '{\"subject\":\"Dear Ana\"}'\n",
    .run = run_edit,
};
