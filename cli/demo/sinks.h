/* sinks: the demo's mail relay and webhook receiver (the Python programs of examples/season/), as helpers of the
 * development system, and what
 * they received. */
#ifndef CLI_DEMO_SINKS_H
#define CLI_DEMO_SINKS_H

#include <stdint.h>

#include "common/base/err.h"
#include "common/base/id.h"

struct dev;

#define SINKS_PATH_MAX 1024

struct sinks {
    char folder[SINKS_PATH_MAX]; /* data/sinks */
    char smtp_url[64];
    char webhook_url[64];
};

/* A fixed secret: both ends are on this machine and live for minutes. */
#define SINKS_SECRET "whsec_dXNoZXItc2FtcGxlLXNlYXNvbi1vbmx5LTAwMDE="

/* Starts both and waits until they listen. `programs` is the folder that holds them. */
enum err sinks_start(struct dev *dev, const char *programs, struct sinks *out, struct err_info *info) MUST_USE;

struct sinks_count {
    int64_t accepted;   /* distinct */
    int64_t duplicates; /* accepted again */
    struct id digest;   /* of the distinct ids, sorted: equal for equal sets */
};
struct sinks_count sinks_mails(const struct sinks *s);
struct sinks_count sinks_webhooks(const struct sinks *s);

#endif
