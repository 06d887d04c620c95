/* migrations: what the three `usher migrate` commands share. */
#ifndef CLI_MIGRATIONS_H
#define CLI_MIGRATIONS_H

#include "cli/cmd.h"
#include "common/io/migrate.h"

/* The database and folder that the settings name. EXIT_OK, or an error that was printed. *dir is freed by the caller. */
int migrations_config(const struct cmd_run *run, struct migrate_config *config, char **dir) MUST_USE;

/* Prints the error and returns the exit code that fits it. */
int migrations_fail(const struct cmd_run *run, const struct err_info *info);

#endif
