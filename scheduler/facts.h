/* facts: the document that conditions are evaluated on, and its surroundings, made from what SQL returns: the wedding's facts
 * (automation_priv.facts), and for events "event": the payload with "type" and "id". */
#ifndef SCHEDULER_FACTS_H
#define SCHEDULER_FACTS_H

#include <jansson.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/id.h"
#include "common/base/str.h"
#include "common/core/context.h"
#include "common/core/logic.h"

struct facts {
    json_t *root;
    struct logic_env env; /* points into root and changes */
    struct logic_change changes[CONTEXT_CHANGES_MAX];
};

/* `document`: the wedding's facts, or p == NULL for none. Zeroed or freed before use. ERR_MALFORMED when it is no JSON object. */
enum err facts_init(struct facts *f, struct str document, int64_t now_us, struct err_info *info) MUST_USE;
/* Sets the event in place of an earlier one: `payload` is an object, kept by a new reference's copy. */
void facts_set_event(struct facts *f, const json_t *payload, struct str type, struct str id);
/* The event as set, borrowed: what waits are woken with and runs remember. NULL when there is none. */
const json_t *facts_event(const struct facts *f);
void facts_free(struct facts *f);

#endif
