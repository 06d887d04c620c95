/* usage: help texts made from the table of commands, and suggestions for what was mistyped. */
#ifndef CLI_USAGE_H
#define CLI_USAGE_H

#include <stdbool.h>

#include "cli/cmd.h"
#include "common/base/buf.h"
#include "common/base/str.h"

/* Appends all commands whose path begins with the word `noun`, or all when it is NULL, with their summaries. */
void usage_put_list(const struct cmd *const *table, const char *noun, struct buf *out);

/* Appends the help text of one command: examples first. */
void usage_put_command(const struct cmd *cmd, struct buf *out);

/* Appends "Usage: usher queue list [options]" and a newline. */
void usage_put_line(const struct cmd *cmd, struct buf *out);

void usage_put_exit_codes(struct buf *out);

/* Appends the settings of the daemons: flag, variable, default. */
void usage_put_settings(struct buf *out);

/* Appends the same as Markdown: a table of what all programs share, then one of what each has besides. OPERATIONS.md holds it. */
void usage_put_settings_table(struct buf *out);

/* True when some command's path is longer than, and begins with, the word `noun`. */
bool usage_is_noun(const struct cmd *const *table, const char *noun);

/* The command, or first word of commands, nearest to what was typed; empty when none is near. Borrowed from the table. */
struct str usage_suggest(const struct cmd *const *table, const char *typed);

#endif
