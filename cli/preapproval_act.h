/* preapproval_act: what `usher approval preapprove` and `usher approval revoke` have in common. */
#ifndef CLI_PREAPPROVAL_ACT_H
#define CLI_PREAPPROVAL_ACT_H

#include "cli/cmd.h"

struct preapproval_options {
    char *tenant;
    char *wedding;
    char *by;
};

/* clang-format off */
#define PREAPPROVAL_OPTIONS                                                                                            \
    SETTING_STR("tenant", offsetof(struct preapproval_options, tenant), NULL, NULL, 0, "whose rule"),                  \
    SETTING_STR("wedding", offsetof(struct preapproval_options, wedding), NULL, NULL, 0,                               \
                "for this wedding; unset: the word for all"),                                                          \
    SETTING_STR("by", offsetof(struct preapproval_options, by), NULL, NULL, 0,                                         \
                "who; unset: the user of the operating system")
/* clang-format on */

/* The options' check. */
void preapproval_act_check(const void *options, struct buf *errors);

/* The run of such a command, whose operand is the rule. */
int preapproval_act_run(struct cmd_run *run, bool grant);

#endif
