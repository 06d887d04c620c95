/* dev_record: which processes run, written down in data/processes, so that the start after a crash can end what is left. */
#ifndef CLI_DEV_DEV_RECORD_H
#define CLI_DEV_DEV_RECORD_H

#include "cli/dev/dev_folder.h"
#include "cli/dev/dev_proc.h"
#include "common/base/buf.h"
#include "common/base/err.h"

void dev_record_put(struct buf *lines, const struct dev_proc *p, const char *name);
void dev_record_write(const struct dev_folder *f, const struct buf *lines); /* a failure is logged */
void dev_record_remove(const struct dev_folder *f);

/* Waits for, then ends, what the record names and every server that sits on the folder's data. The caller holds the
 * folder's lock, so that all of it is left over. ERR_BUSY when something does not end. */
enum err dev_record_end_leftovers(const struct dev_folder *f, struct err_info *info) MUST_USE;

#endif
