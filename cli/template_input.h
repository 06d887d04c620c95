/* template_input: what the commands on one rule template take: KEY, --tenant, --params, --version. */
#ifndef CLI_TEMPLATE_INPUT_H
#define CLI_TEMPLATE_INPUT_H

#include "cli/cmd.h"
#include "cli/store_template.h"

struct template_options {
    char *tenant;
    char *params;
    int64_t version;
    char *name;  /* instantiate */
    bool active; /* instantiate */
};
#define TEMPLATE_AT(field) offsetof(struct template_options, field)

void template_input_check(const void *opts, struct buf *errors);

/* Reads operand and options; `text` holds the parameters and must outlive *out. ERR_INVALID with the option's name. */
enum err template_input(const struct cmd_run *run, struct store_template *out, struct buf *text,
                        struct err_info *info) MUST_USE;

#endif
