/* recipient: whom a mail of a rule goes to. Worker and preview both ask here, so that a preview shows the address that the
 * mail would have. */
#ifndef COMMON_CORE_RECIPIENT_H
#define COMMON_CORE_RECIPIENT_H

#include <jansson.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/core/vocab.h"

/* Appends the address to `to`. send_email takes params.to: "client" (also when absent), "team", "vendor:<role>" or a template;
 * notify_team the business's own address; notify_vendor the first vendor with params.role that has an address. On error `to`
 * is as it was, `info` names what is missing, and *reason is the word that a dead letter carries: "no_recipient",
 * "missing_variable" or "template". ERR_STATE: the action sends no mail (*reason "no_recipient"). */
enum err recipient_find(enum action_type type, const json_t *params, const json_t *context, struct buf *to,
                        const char **reason, struct err_info *info) MUST_USE;

#endif
