/* preview_private: one preview under way (private to preview*.c). Each part adds its members to `out` and its remarks to
 * `warnings`. */
#ifndef COMMON_IO_PREVIEW_PRIVATE_H
#define COMMON_IO_PREVIEW_PRIVATE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/core/context.h"
#include "common/core/rule.h"
#include "common/io/preview.h"

struct preview {
    struct db_session *db;
    const struct preview_request *request;
    struct err_info *info;
    json_t *out;
    json_t *warnings;

    struct logic_fields *fields;
    struct logic_facts *facts;
    struct rule *rule;
    struct id timing; /* zero: no milestone trigger */

    int64_t as_of_us;
    int64_t due_us; /* DB_NULL_TIME: no instant */
    int64_t at_us;  /* when the rule is decided */
    bool zone_known;
    bool scheduled; /* false: the trigger can not fire for this wedding */
    bool active;    /* the stored rule's status */
    int occurrence; /* of its timing: the next, or where `fired` the last */
    bool fired;
    json_t *approved_by; /* ahead, or JSON null */
    int64_t limit_us;    /* instant of the milestone before which it must be done; DB_NULL_TIME: none */
    char run_id[ID_TEXT_SIZE];

    json_t *context; /* of the wedding at at_us */
    struct logic_change changes[CONTEXT_CHANGES_MAX];
    enum logic_truth truth;
    char reason[LOGIC_REASON_SIZE]; /* why it is unknown */
};

void preview_warn(struct preview *p, const char *code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* "2026-03-28T09:00:00Z", "2026-03-28T10:00:00+01:00"; JSON null for DB_NULL_TIME. New references. */
json_t *preview_utc(int64_t us);
json_t *preview_local(int64_t us, int32_t offset_s);

/* Adds the event to a context when the rule's trigger is one. */
void preview_set_event(const struct preview *p, json_t *context);

json_t *preview_text(struct str s); /* p == NULL: JSON null */

/* {"from_utc", "from_local", "to_utc", "to_local", "open", "why"}: what the window did to an instant. Local times are UTC plus an
 * offset each, in seconds. */
json_t *preview_window(const struct rule_window *w, int64_t from_us, int64_t to_us, int32_t from_offset_s,
                       int32_t to_offset_s);

/* preview_standing.c: earlier runs and what else planning asks; the verdict. */
enum err preview_standing(struct preview *p) MUST_USE;

/* preview_run.c: conditions, steps. */
enum err preview_run_conditions(struct preview *p) MUST_USE;
enum err preview_run_steps(struct preview *p) MUST_USE;

/* preview_season.c: conflicts with other rules, and the tenant's other weddings. */
enum err preview_season_conflicts(struct preview *p) MUST_USE;
enum err preview_season_matches(struct preview *p) MUST_USE;

#endif
