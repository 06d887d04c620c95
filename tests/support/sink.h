/* sink: the sample season's peers (examples/season/smtp_sink.py, webhook_sink.py) as children of a test. They end with the test,
 * however it ends: their standard input closes, and the kernel signals them. */
#ifndef TESTS_SUPPORT_SINK_H
#define TESTS_SUPPORT_SINK_H

#include <stddef.h>
#include <sys/types.h>

#include "common/base/buf.h"

struct sink {
    pid_t pid;
    int hold; /* the write end of the child's standard input */
    int port;
    char dir[64]; /* where it writes; removed by sink_stop */
};

/* Starts `script` (a name in examples/season/) with --dir and up to four further words (NULL-terminated), and waits for its
 * port. With s->dir set the folder is kept from an earlier start. Failures end the test. */
void sink_start(struct sink *s, const char *script, const char *const *args);
void sink_halt(struct sink *s); /* ends the process, keeps the folder */
void sink_stop(struct sink *s); /* ends the process, removes the folder */

/* The content of a file in the sink's folder; empty when there is none. */
void sink_read(const struct sink *s, const char *file, struct buf *out);
size_t sink_lines(const struct sink *s, const char *file, const char *holding); /* lines that hold the text */

#endif
