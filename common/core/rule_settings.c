/* rule_settings: how a rule runs (rule.h). Every setting has a default, so an empty object is valid. */
#include "common/core/rule_check.h"

static void read_late(struct rule_check *c, const json_t *settings, const char *at, struct rule_settings *out)
{
    static const char *const keys[] = {"policy", "grace"};
    const json_t *late = rule_check_object(c, settings, at, "late", false);

    if (late == NULL)
        return;
    if (c->trigger->type == TRIGGER_EVENT)
        rule_check_error(c, at, "late", "not available with an event trigger in this version: an event always fires");
    at = rule_check_join(c, at, "late");
    rule_check_keys(c, late, at, keys, 2);
    out->late = (enum late_policy)rule_check_word(c, late, at, "policy", VOCAB_LATE, LATE_SKIP);
    rule_check_offset(c, late, at, "grace", false, SIGN_NOT_NEGATIVE, &out->late_grace);
}

static uint8_t read_days(struct rule_check *c, const json_t *window, const char *at)
{
    const json_t *days = json_object_get(window, "days");
    uint8_t set = 0;
    struct buf list = {0};

    if (days == NULL)
        return (1U << WEEKDAY_COUNT) - 1;
    at = rule_check_join(c, at, "days");
    for (size_t i = 0; i < json_array_size(days); i++) {
        const char *day = json_string_value(json_array_get(days, i));
        int code = day == NULL ? -1 : vocab_find(VOCAB_WEEKDAY, str_of(day));

        if (code >= 0)
            set |= (uint8_t)(1U << (unsigned)code);
        if (code >= 0 || buf_text(&list)[0] != '\0')
            continue;
        vocab_list(VOCAB_WEEKDAY, &list);
        rule_check_error(c, rule_check_join_index(c, at, i), NULL, "not a weekday; allowed: %s", buf_text(&list));
    }
    if (!json_is_array(days) || json_array_size(days) == 0)
        rule_check_error(c, at, NULL, "must be a list of at least one weekday, such as [\"MO\", \"TU\"]");
    buf_free(&list);
    return set;
}

static void read_window(struct rule_check *c, const json_t *settings, const char *at, struct rule_settings *out)
{
    static const char *const keys[] = {"days", "from", "to", "outside"};
    const json_t *window = rule_check_object(c, settings, at, "send_window", false);
    struct rule_window *w = &out->window;

    if (window == NULL)
        return;
    at = rule_check_join(c, at, "send_window");
    rule_check_keys(c, window, at, keys, 4);
    w->set = true;
    w->days = read_days(c, window, at);
    w->from_minute = rule_check_minute(c, window, at, "from", false, -1);
    w->to_minute = rule_check_minute(c, window, at, "to", true, -1);
    w->outside = (enum outside_window)rule_check_word(c, window, at, "outside", VOCAB_OUTSIDE, OUTSIDE_NEXT_OPEN);
    if (w->from_minute >= 0 && w->to_minute >= 0 && w->from_minute >= w->to_minute)
        rule_check_error(c, at, "to", "must be later than \"from\"; a window over midnight is not available");
}

/* "once_per_wedding" is the field's word for a limit of one run. */
static void read_reenrollment(struct rule_check *c, const json_t *settings, const char *at, struct rule_settings *out)
{
    const json_t *v = json_object_get(settings, "reenrollment");
    const char *text = json_string_value(v);
    char shown[RULE_CHECK_SHOW_SIZE];

    if (v == NULL || (text != NULL && str_is(str_of(text), "per_occurrence")))
        return;
    if (text == NULL || !str_is(str_of(text), "once_per_wedding")) {
        rule_check_error(c, at, "reenrollment", "found %s; allowed: \"once_per_wedding\" or \"per_occurrence\"",
                         rule_check_show(v, shown));
        return;
    }
    if (out->max_runs_per_wedding > 1)
        rule_check_error(c, at, "max_runs_per_wedding", "is %lld, but \"reenrollment\" allows one run per wedding",
                         (long long)out->max_runs_per_wedding);
    out->max_runs_per_wedding = 1;
}

/* Below a day, so that it stays within a milestone's day and far from the next occurrence. */
static void read_jitter(struct rule_check *c, const json_t *settings, const char *at, struct rule_settings *out)
{
    const json_t *smear = json_object_get(settings, "smear");
    struct offset jitter = {0};
    char shown[RULE_CHECK_SHOW_SIZE];

    if (smear != NULL && !json_is_boolean(smear))
        rule_check_error(c, at, "smear", "found %s; it must be true or false", rule_check_show(smear, shown));
    out->no_smear = json_is_false(smear);
    if (!rule_check_offset(c, settings, at, "jitter", false, SIGN_POSITIVE, &jitter))
        return;
    if (!jitter.exact || jitter.months != 0 || jitter.days != 0 || jitter.seconds > RULE_JITTER_MAX_S)
        rule_check_error(c, at, "jitter", "found %s; it must be at most an hour, such as \"PT10M\"",
                         rule_check_show(json_object_get(settings, "jitter"), shown));
    else if (c->trigger->type != TRIGGER_MILESTONE)
        rule_check_error(c, at, "jitter", "only with a milestone trigger: everything else is answered at once");
    else
        out->jitter_s = (int32_t)jitter.seconds;
}

void rule_settings_read(struct rule_check *c, const json_t *obj, const char *at, struct rule_settings *out)
{
    static const char *const keys[] = {"mode",         "late",        "on_date_change",
                                       "reenrollment", "send_window", "max_runs_per_wedding",
                                       "exit_when",    "priority",    "on_action_error",
                                       "jitter",       "smear"};

    out->late_grace = RULE_GRACE_DEFAULT;
    rule_check_keys(c, obj, at, keys, sizeof(keys) / sizeof(keys[0]));
    out->mode = (enum run_mode)rule_check_word(c, obj, at, "mode", VOCAB_MODE, MODE_SINGLE);
    read_late(c, obj, at, out);
    out->on_date_change = (enum date_change)rule_check_word(c, obj, at, "on_date_change", VOCAB_DATE_CHANGE,
                                                            DATE_CHANGE_RESCHEDULE_PENDING);
    out->max_runs_per_wedding = rule_check_int(c, obj, at, "max_runs_per_wedding", 0, RULE_MAX_RUNS_LIMIT, 0);
    read_reenrollment(c, obj, at, out);
    out->priority = (int32_t)rule_check_int(c, obj, at, "priority", 0, RULE_PRIORITY_MAX, RULE_PRIORITY_DEFAULT);
    out->on_action_error =
        (enum on_error)rule_check_word(c, obj, at, "on_action_error", VOCAB_ON_ERROR, ON_ERROR_CONTINUE);
    out->exit_when = rule_check_condition(c, obj, at, "exit_when", false);
    read_window(c, obj, at, out);
    read_jitter(c, obj, at, out);
}
