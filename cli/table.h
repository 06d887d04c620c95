/* table: every command of the program. */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "cli/cmd.h"

/* NULL-terminated, in the order of the help text. */
extern const struct cmd *const table_commands[];

#endif
