/* cmd: the command tree as data. One file per command exports one `const struct cmd`; cli/table.c lists them; usage,
 * help, the list of commands and suggestions come from the table.
 *
 * A command's options are rows of the settings engine (common/base/conf.h) with offsets in the command's own options
 * struct. They are flags only: a row without `env` has no variable. The settings common to all programs and --json and
 * --help are added to every command. Data goes to standard output, everything else to standard error. */
#ifndef CLI_CMD_H
#define CLI_CMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "cli/exit.h"
#include "common/base/buf.h"
#include "common/base/conf.h"
#include "common/io/settings.h"

struct cmd;

/* The rows that every command has: settings_common_keys, --json and --help. Offsets in struct cmd_common. */
struct cmd_common {
    struct settings settings;
    bool json;
};
extern const struct conf_key cmd_common_keys[]; /* only --json and --help; the others are settings_common_keys */

/* Beside enum conf_flag in conf_key.flags: a CONF_STR that may be given many times; the values arrive joined by newlines
 * (split them with cmd_split). */
#define CMD_MANY 0x100u

/* For struct cmd.flags: the command reads neither environment nor file, so that it works when they are wrong. */
#define CMD_NO_SETTINGS 1u

/* What a running command is given. Borrowed; valid until run returns. */
struct cmd_run {
    const struct cmd *cmd;
    const struct cmd *const *table; /* all commands, NULL-terminated */
    const struct settings *settings;
    const void *options; /* the command's struct, NULL without options */
    bool json;           /* --json: exactly one JSON document on standard output */
    int n_operands;
    char **operands; /* NULL-terminated */
};

struct cmd {
    unsigned flags;                 /* CMD_… */
    const char *path;               /* words separated by one blank: "queue list" */
    const char *summary;            /* one line, lower case, no full stop */
    const char *operands;           /* as in the usage line: "KIND [PAYLOAD]"; NULL: none */
    int min_operands, max_operands; /* max -1: any number */
    const struct conf_key *options; /* NULL: none; ends with a NULL name */
    size_t options_size;
    const char *details;                                    /* paragraphs for the help text, or NULL */
    const char *examples;                                   /* lines, each ending with a newline, or NULL */
    void (*check)(const void *options, struct buf *errors); /* what a table can not say: a line per error; may be NULL */
    int (*run)(struct cmd_run *run); /* returns an enum exit_code, or the code of a program that it ran */
};

/* The settings file of a running `usher dev` in the working folder: used when no file, no database and no Redis is named. */
#define CMD_DEV_FOLDER ".usher"
#define CMD_DEV_FILE "usher.conf"

/* Finds the command that argv (main's) names, loads its options and runs it. Returns the exit code. */
int cmd_main(const struct cmd *const *table, int argc, char **argv);

/* The command whose path is exactly `words`; *used is their number. NULL when there is none. */
const struct cmd *cmd_find(const struct cmd *const *table, int n, char *const *words, int *used);

/* Prints "usher <path>: <text>" and a newline on standard error; returns `code`, so that a command can end with it. */
int cmd_fail(const struct cmd_run *run, enum exit_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* The exit code that fits an error of the layers below. */
enum exit_code cmd_exit_code(enum err err);

/* Splits the value of a CMD_MANY option into a NULL-terminated array, freed by the caller with one mem_free; *n may be NULL. */
char **cmd_split(const char *joined, size_t *n);

#endif
