/* archiver: what the commands of partitions and archives share: the archiver with its progress on standard error, and operands
 * that name months of the log as "2031-05" or as the partition, execution_logs_2031_05. */
#ifndef CLI_ARCHIVER_H
#define CLI_ARCHIVER_H

#include "cli/cmd.h"
#include "cli/progress.h"
#include "common/io/archive.h"

/* EXIT_OK and an open archiver of the maintenance login, or the code to end with, printed. `progress` is borrowed until
 * archiver_close. */
int archiver_open(const struct cmd_run *run, struct progress *progress, struct archive **out) MUST_USE;
void archiver_close(struct archive *a, struct progress *progress);

/* EXIT_OK: all operands are months; else EXIT_USAGE, printed. Asked before anything else is done. */
int archiver_operands(const struct cmd_run *run) MUST_USE;
/* The partition that such an operand names. */
void archiver_leaf(const char *operand, char leaf[MANIFEST_LEAF_SIZE]);

/* Prints the error and returns its code; EXIT_OK for ERR_OK. */
int archiver_end(const struct cmd_run *run, enum err err, const struct err_info *info) MUST_USE;

/* Prints the error of a leaf and returns the code for it, or `code` if that is an error already: a command that goes on ends with
 * its first. */
int archiver_fail(const struct cmd_run *run, struct progress *progress, int code, enum err err,
                  const struct err_info *info) MUST_USE;
/* Does it make sense to go on with other months? */
bool archiver_go_on(enum err err);

#endif
