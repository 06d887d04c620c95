/* rule_check: reading the parts of a rule document, with every error reported where it is (private to rule*.c and program*.c).
 *
 * All readers take the object, its JSON pointer `at` and the key. They report what is wrong and return a value that is safe to go on
 * with, so that one pass finds all errors. */
#ifndef COMMON_CORE_RULE_CHECK_H
#define COMMON_CORE_RULE_CHECK_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/core/rule.h"

struct rule_check {
    struct rule_errors *errors;
    struct logic_fields *fields;
    struct arena *arena; /* of the rule: for what must live as long */
    const struct rule_trigger *trigger;
};

/* `at` and `key` joined as RFC 6901 says; in the rule's arena. */
const char *rule_check_join(struct rule_check *c, const char *at, const char *key);
const char *rule_check_join_index(struct rule_check *c, const char *at, size_t index);

/* Reports an error at `at`/`key`, or at `at` when key is NULL. */
void rule_check_error(struct rule_check *c, const char *at, const char *key, const char *fmt, ...) PRINTF_LIKE(4, 5);

/* "found" for messages: the type and, of scalars, the beginning of the value. Returns out. */
#define RULE_CHECK_SHOW_SIZE 96
const char *rule_check_show(const json_t *v, char out[RULE_CHECK_SHOW_SIZE]);

/* Reports every key of `obj` that is not in `known` with the nearest one. */
void rule_check_keys(struct rule_check *c, const json_t *obj, const char *at, const char *const *known, size_t n);

/* An object member, or NULL: absent (reported when required) or no object (reported). */
const json_t *rule_check_object(struct rule_check *c, const json_t *obj, const char *at, const char *key, bool required);

/* Text of min … max bytes without control characters other than (when `lines`) tab and line ends. NULL when absent or wrong. */
struct rule_check_text {
    size_t min;
    size_t max;
    bool required;
    bool lines;
    bool is_template; /* syntax is checked too */
};
const char *rule_check_string(struct rule_check *c, const json_t *obj, const char *at, const char *key,
                              const struct rule_check_text *rules);

int64_t rule_check_int(struct rule_check *c, const json_t *obj, const char *at, const char *key, int64_t min,
                       int64_t max, int64_t otherwise);

/* A word of a table; unavailable ones are refused. Returns `otherwise` (-1 = required) when absent or wrong. */
int rule_check_word(struct rule_check *c, const json_t *obj, const char *at, const char *key, enum vocab v,
                    int otherwise);

/* A duration; `required` or *out stays as it is. Returns true when one was read. */
enum rule_check_sign { SIGN_ANY, SIGN_NOT_NEGATIVE, SIGN_POSITIVE };
bool rule_check_offset(struct rule_check *c, const json_t *obj, const char *at, const char *key, bool required,
                       enum rule_check_sign sign, struct offset *out);

/* "HH:MM" to minutes of the day; `end` also takes "24:00". Returns `otherwise` when absent or wrong; -1 = required. */
int32_t rule_check_minute(struct rule_check *c, const json_t *obj, const char *at, const char *key, bool end,
                          int32_t otherwise);

/* {milestone, offset, at} of triggers and waits. */
void rule_check_anchor(struct rule_check *c, const json_t *obj, const char *at, enum milestone *milestone,
                       struct offset *offset, int32_t *at_minute);

/* An event type under `key` (required), in the arena; NULL when wrong. */
const char *rule_check_event_type(struct rule_check *c, const json_t *obj, const char *at, const char *key);

/* Compiles obj[key]; NULL when absent or wrong. `own_event`: event.* means the event waited for, so it may be used whatever the
 * trigger. */
struct logic *rule_check_condition(struct rule_check *c, const json_t *obj, const char *at, const char *key,
                                   bool own_event);

/* The parameters of an action that is not control: rule_params.c. */
void rule_params_check(struct rule_check *c, enum action_type type, const json_t *params, const char *at);

/* The parts of a document: rule_trigger.c, rule_settings.c. */
void rule_trigger_read(struct rule_check *c, const json_t *obj, const char *at, struct rule_trigger *out);
void rule_settings_read(struct rule_check *c, const json_t *obj, const char *at, struct rule_settings *out);

/* What can only be said about a whole rule without errors: rule_lint.c. Reports errors and warnings. */
void rule_lint(struct rule_check *c, const struct rule *r);
/* The same of the names in a step's templates: rule_lint_template.c. */
void rule_lint_templates(struct rule_check *c, const struct rule *r, const struct step *s);

/* For rule_lint*.c. True when `from` can have run before `to` does. */
bool rule_lint_precedes(const struct program *p, const struct step *from, const struct step *to);
/* Warns of a path that the facts of a wedding never have ("wedding.guest_cuont", "timeline.cermony"), or that the step it names
 * never leaves ("steps.a.timed_out" of a mail). */
void rule_lint_path(struct rule_check *c, const struct program *p, struct str path, const char *at);
/* The event that a step publishes by changing the wedding ("stage.changed"), or NULL. */
const char *rule_lint_change(const struct step *s);

#endif
