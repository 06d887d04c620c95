/* rule: a stored rule, parsed and checked: {schema_version, name, trigger, conditions, actions[], settings}.
 *
 * rule_parse is the full validator: a revision becomes active only after it accepted the document, and everything that runs
 * (matching, planning, previews) works on its result. All errors of a document are collected, each with the JSON pointer of the
 * place, what was found and what is allowed. The result is immutable and deterministic: the same document gives the same
 * steps and indexes, whatever the order of its keys. */
#ifndef COMMON_CORE_RULE_H
#define COMMON_CORE_RULE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/base/str.h"
#include "common/core/logic.h"
#include "common/core/offset.h"
#include "common/core/program.h"
#include "common/core/vocab.h"

/* Limits on a document. Those of conditions (depth, operators, leaves, budget) are in logic.h, those of the actions in
 * program.h, those of templates in template.h. */
#define RULE_SCHEMA_VERSION 1
#define RULE_JSON_MAX_BYTES ((size_t)64 * 1024) /* rules.md 3d; compact encoding */
#define RULE_TEXT_MAX_BYTES                                                                                            \
    (4 * RULE_JSON_MAX_BYTES) /* as it is written, with blanks: PostgreSQL and people put some */
#define RULE_NAME_MAX_BYTES 200
#define RULE_STRING_MAX_BYTES ((size_t)4 * 1024) /* short strings; message bodies have the template's limit */
#define RULE_ERRORS_MAX 50
#define RULE_WARNINGS_MAX 20
#define RULE_PRIORITY_MAX 1000
#define RULE_PRIORITY_DEFAULT 100
#define RULE_MAX_RUNS_LIMIT 1000000
#define RULE_YEARLY_MAX 60
#define RULE_JITTER_MAX_S 3600
#define RULE_AT_DEFAULT_MINUTE (9 * 60) /* 09:00 */
#define RULE_GRACE_DEFAULT ((struct offset){.days = 1})

struct rule_error {
    const char *pointer; /* RFC 6901; "" is the whole document */
    const char *message;
};

/* Zero-initialise ({0}) before use. */
struct rule_errors {
    struct arena arena;
    size_t n;    /* stored */
    size_t more; /* found beyond RULE_ERRORS_MAX and only counted */
    struct rule_error items[RULE_ERRORS_MAX];
    size_t n_warnings; /* what is allowed and yet likely a mistake; beyond RULE_WARNINGS_MAX dropped */
    struct rule_error warnings[RULE_WARNINGS_MAX];
};

struct rule_window {
    bool set;
    uint8_t days; /* bit n = weekday n, Monday = bit 0; never 0 */
    int32_t from_minute;
    int32_t to_minute; /* from < to; 1440 is the end of the day ("24:00") */
    enum outside_window outside;
};

struct rule_trigger {
    enum trigger_type type;
    const char *event_type;   /* event: "contract.signed"; else NULL */
    enum milestone milestone; /* milestone: anchor, and the four below */
    struct offset offset;
    int32_t at_minute; /* minute of the local day; -1 when the offset is exact: it then counts from the anchor's instant */
    enum zone_mode zone_mode; /* of `at`, of waits and of send_window; default the wedding's */
    const char *zone;         /* "wedding", "tenant" or the IANA name: the text of timing keys */
    int32_t yearly;           /* milestone: so many firings, a year apart; 0: one */
    struct rule_window window; /* milestone: the settings' window where it moves the instant itself: not `skip`, no urgent step */
};

struct rule_settings {
    enum run_mode mode;              /* default single */
    enum late_policy late;           /* default skip */
    struct offset late_grace;        /* default P1D; not negative */
    enum date_change on_date_change; /* default reschedule_pending */
    int64_t max_runs_per_wedding; /* 0 = no limit (default); "reenrollment": "once_per_wedding" is another way to write 1 */
    int32_t priority;             /* 0 (first) … 1000, default 100 */
    enum on_error on_action_error; /* default retry_then_continue */
    struct logic *exit_when;       /* or NULL: checked before every step; true ends the run */
    struct rule_window window;     /* when steps that reach people may run; local to the trigger's zone */
    int32_t jitter_s;              /* how far a run's beginning may be moved on: spread.h; 0 (default): not at all */
    bool no_smear;                 /* "smear": false: keeps its moment also when more falls due than can be sent */
};

struct rule {
    struct arena arena; /* strings and steps */
    const char *name;
    const char *template_key; /* or NULL */
    struct rule_trigger trigger;
    struct logic *conditions; /* or NULL: always true */
    struct program program;
    struct rule_settings settings;
};

/* Checks `document` and compiles it against `fields`, which must outlive the rule and is shared by all rules that are matched
 * together. The rule keeps references to the parameters of its actions, which must not be changed afterwards; the rest of the
 * document is not held, since rules are many and JSON is large. Returns the rule, or NULL with at least one error in `errors`
 * (never NULL; reset first). Warnings are looked for once all parts are good. */
struct rule *rule_parse(json_t *document, struct logic_fields *fields, struct rule_errors *errors) MUST_USE;

/* The same from text: refuses more than RULE_TEXT_MAX_BYTES, invalid UTF-8, duplicate keys and anything after the
 * document. */
struct rule *rule_parse_text(struct str text, struct logic_fields *fields, struct rule_errors *errors) MUST_USE;

void rule_free(struct rule *r);

/* Memory held, in bytes, with an estimate for the parameters' JSON (jansson does not tell): for cache accounting. */
size_t rule_bytes(const struct rule *r);

void rule_errors_free(struct rule_errors *e); /* back to {0} */
void rule_errors_add(struct rule_errors *e, const char *pointer, const char *fmt, ...) PRINTF_LIKE(3, 4);
void rule_errors_warn(struct rule_errors *e, const char *pointer, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* [{"pointer": …, "message": …}, …], a new reference; what was only counted becomes a last entry with pointer "". */
json_t *rule_errors_json(const struct rule_errors *e);
/* The same of the warnings; NULL when there are none. */
json_t *rule_errors_warnings_json(const struct rule_errors *e);

#endif
