/* approval_act: what `usher approval approve`, `reject` and `edit` have in common. */
#ifndef CLI_APPROVAL_ACT_H
#define CLI_APPROVAL_ACT_H

#include "cli/cmd.h"

struct approval_options {
    char *by;
    char *note;
};

/* clang-format off */
#define APPROVAL_ACT_OPTIONS                                                                                           \
    SETTING_STR("by", offsetof(struct approval_options, by), NULL, NULL, 0,                                            \
                "who; unset: the user of the operating system"),                                                       \
    SETTING_STR("note", offsetof(struct approval_options, note), NULL, NULL, 0, "why, kept with the item")
/* clang-format on */

/* The run of such a command: `word` is the decision. A second operand is the content that changes, a JSON object. */
int approval_act_run(struct cmd_run *run, const char *word);

#endif
