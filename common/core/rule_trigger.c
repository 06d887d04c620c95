/* rule_trigger: what starts a rule (rule.h). Which keys are allowed depends on the type; when the type is wrong only it is
 * reported, since nothing can be said about the rest. */
#include "common/core/rule_check.h"

static void check_trigger_keys(struct rule_check *c, const json_t *obj, const char *at, enum trigger_type type)
{
    static const char *const milestone[] = {"type", "milestone", "offset", "at", "time_zone", "weekend", "yearly"};
    static const char *const manual[] = {"type", "time_zone"};
    static const char *const event[] = {"type", "event", "time_zone"};

    switch (type) {
    case TRIGGER_MILESTONE: rule_check_keys(c, obj, at, milestone, 7); break;
    case TRIGGER_EVENT: rule_check_keys(c, obj, at, event, 3); break;
    case TRIGGER_MANUAL: rule_check_keys(c, obj, at, manual, 2); break;
    case TRIGGER_SCHEDULE:
    case TRIGGER_WEBHOOK:
    case TRIGGER_COUNT: break;
    }
}

static void read_zone(struct rule_check *c, const json_t *obj, const char *at, struct rule_trigger *out)
{
    const json_t *v = json_object_get(obj, "time_zone");
    char shown[RULE_CHECK_SHOW_SIZE];
    int mode = -1;

    if (v == NULL)
        return;
    if (json_is_string(v))
        mode = vocab_zone_mode((struct str){json_string_value(v), json_string_length(v)});
    if (mode < 0) {
        rule_check_error(c, at, "time_zone",
                         "found %s; allowed: \"wedding\", \"tenant\" or an IANA name such as \"Europe/Berlin\"",
                         rule_check_show(v, shown));
        return;
    }
    if (mode != ZONE_WEDDING && out->type != TRIGGER_MILESTONE) {
        rule_check_error(c, at, "time_zone",
                         "\"%s\" is not available with this kind of trigger in this version; available: \"wedding\"",
                         json_string_value(v));
        return;
    }
    out->zone_mode = (enum zone_mode)mode;
    out->zone = arena_strdup(c->arena, json_string_value(v));
}

static void read_weekend(struct rule_check *c, const json_t *obj, const char *at)
{
    const json_t *v = json_object_get(obj, "weekend");
    char shown[RULE_CHECK_SHOW_SIZE];

    if (v != NULL && !(json_is_string(v) && str_is(str_of(json_string_value(v)), "as_is")))
        rule_check_error(c, at, "weekend", "found %s; available: \"as_is\"", rule_check_show(v, shown));
}

void rule_trigger_read(struct rule_check *c, const json_t *obj, const char *at, struct rule_trigger *out)
{
    int type = rule_check_word(c, obj, at, "type", VOCAB_TRIGGER, -1);

    out->zone_mode = ZONE_WEDDING;
    out->zone = vocab_text(VOCAB_ZONE_MODE, ZONE_WEDDING);
    out->at_minute = RULE_AT_DEFAULT_MINUTE;
    out->type = TRIGGER_MANUAL;
    if (type < 0)
        return;
    out->type = (enum trigger_type)type;
    check_trigger_keys(c, obj, at, out->type);
    read_zone(c, obj, at, out);
    if (out->type == TRIGGER_EVENT)
        out->event_type = rule_check_event_type(c, obj, at, "event");
    if (out->type != TRIGGER_MILESTONE)
        return;
    rule_check_anchor(c, obj, at, &out->milestone, &out->offset, &out->at_minute);
    read_weekend(c, obj, at);
    out->yearly = (int32_t)rule_check_int(c, obj, at, "yearly", 1, RULE_YEARLY_MAX, 0);
}
