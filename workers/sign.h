/* sign: the headers of Standard Webhooks on a request of ours: id, timestamp (machine time: receivers compare it with
 * their clocks), and, when a
 * secret is set, the signature. The id is the job's effect key: receivers drop repeats by it. */
#ifndef WORKERS_SIGN_H
#define WORKERS_SIGN_H

#include <stddef.h>

#include "common/base/str.h"
#include "common/io/outbound.h"
#include "workers/job.h"

#define SIGN_HEADERS 3

/* Fills up to SIGN_HEADERS headers, whose texts live in the job's arena; returns how many. */
size_t sign_headers(struct job *job, struct str body, struct outbound_header headers[SIGN_HEADERS]);

#endif
