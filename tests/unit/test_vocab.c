/* vocab: tables, their texts and codes, what is available, typing errors, and the shapes of event types and zones. */
#include <string.h>

#include <criterion/criterion.h>

#include "common/core/vocab.h"

Test(vocab, every_word_is_found_again_and_is_unique_in_its_table)
{
    for (int v = 0; v < VOCAB_COUNT; v++) {
        cr_assert_gt(vocab_count((enum vocab)v), 0);
        for (int i = 0; i < vocab_count((enum vocab)v); i++) {
            const char *text = vocab_text((enum vocab)v, i);

            cr_assert_not_null(text);
            cr_assert_eq(vocab_find((enum vocab)v, str_of(text)), i, "%s", text);
        }
    }
}

Test(vocab, refuses_codes_and_words_outside_its_tables)
{
    cr_assert_null(vocab_text(VOCAB_ACTION, -1));
    cr_assert_null(vocab_text(VOCAB_ACTION, ACTION_COUNT));
    cr_assert_not(vocab_available(VOCAB_ACTION, -1));
    cr_assert_not(vocab_available(VOCAB_ACTION, ACTION_COUNT));
    cr_assert_eq(vocab_find(VOCAB_ACTION, STR("")), -1);
    cr_assert_eq(vocab_find(VOCAB_ACTION, STR("send_emai")), -1);
    cr_assert_eq(vocab_find(VOCAB_ACTION, STR("send_emails")), -1);
    cr_assert_eq(vocab_find(VOCAB_ACTION, STR("SEND_EMAIL")), -1);
}

Test(vocab, enums_agree_with_the_texts)
{
    cr_assert_eq(vocab_count(VOCAB_ACTION), ACTION_COUNT);
    cr_assert_eq(vocab_find(VOCAB_ACTION, STR("send_email")), ACTION_SEND_EMAIL);
    cr_assert_eq(vocab_find(VOCAB_ACTION, STR("stop")), ACTION_STOP);
    cr_assert_eq(vocab_find(VOCAB_MILESTONE, STR("ceremony")), MILESTONE_CEREMONY);
    cr_assert_eq(vocab_find(VOCAB_MILESTONE, STR("anniversary")), MILESTONE_ANNIVERSARY);
    cr_assert_eq(vocab_count(VOCAB_MILESTONE), 30);
    cr_assert_eq(vocab_count(VOCAB_WEDDING_STATUS), 7);
    cr_assert_eq(vocab_find(VOCAB_WEEKDAY, STR("SU")), 6);
}

Test(vocab, milestones_may_carry_the_wedding_prefix)
{
    cr_assert_eq(vocab_find_milestone(STR("wedding.ceremony")), MILESTONE_CEREMONY);
    cr_assert_eq(vocab_find_milestone(STR("ceremony")), MILESTONE_CEREMONY);
    cr_assert_eq(vocab_find_milestone(STR("wedding.")), -1);
    cr_assert_eq(vocab_find_milestone(STR("weddings.ceremony")), -1);
}

Test(vocab, exactly_the_built_actions_are_available)
{
    static const char *const built[] = {"send_email", "call_webhook", "create_task", "set_field",  "move_stage",
                                        "add_tag",    "remove_tag",   "create_note", "emit_event", "notify_team",
                                        "wait",       "branch",       "for_each",    "stop",       "notify_vendor",
                                        "start_rule", "stop_rule"};
    int available = 0;

    for (int i = 0; i < ACTION_COUNT; i++)
        available += vocab_available(VOCAB_ACTION, i) ? 1 : 0;
    cr_assert_eq(available, (int)(sizeof(built) / sizeof(built[0])));
    for (size_t i = 0; i < sizeof(built) / sizeof(built[0]); i++)
        cr_assert(vocab_available(VOCAB_ACTION, vocab_find(VOCAB_ACTION, str_of(built[i]))), "%s", built[i]);
    cr_assert_not(vocab_available(VOCAB_TRIGGER, TRIGGER_SCHEDULE));
    cr_assert(vocab_available(VOCAB_TRIGGER, TRIGGER_MILESTONE));
}

Test(vocab, actions_have_an_effect_and_a_policy)
{
    cr_assert_eq(vocab_action_effect(ACTION_SEND_EMAIL), EFFECT_OUTWARD);
    cr_assert_eq(vocab_action_unknown(ACTION_SEND_EMAIL), UNKNOWN_RETRY);
    cr_assert_eq(vocab_action_unknown(ACTION_SEND_SMS), UNKNOWN_ASK);
    cr_assert_eq(vocab_action_effect(ACTION_SET_FIELD), EFFECT_DATABASE);
    cr_assert_eq(vocab_action_effect(ACTION_WAIT), EFFECT_CONTROL);
    cr_assert_str_eq(vocab_effect_text(EFFECT_DATABASE), "database");
    cr_assert_str_eq(vocab_unknown_text(UNKNOWN_ASK), "ask");
    for (int i = ACTION_WAIT; i < ACTION_COUNT; i++)
        cr_assert_eq(vocab_action_effect((enum action_type)i), EFFECT_CONTROL);
    cr_assert(vocab_milestone_has_time(MILESTONE_CEREMONY));
    cr_assert_not(vocab_milestone_has_time(MILESTONE_GALLERY_DUE));
}

Test(vocab, lists_what_is_available_as_a_sentence)
{
    struct buf b = {0};

    vocab_list(VOCAB_TRIGGER, &b);
    cr_assert_str_eq(buf_text(&b), "milestone, event or manual");
    buf_reset(&b);
    vocab_list(VOCAB_OUTSIDE, &b);
    cr_assert_str_eq(buf_text(&b), "next_open or skip");
    buf_free(&b);
}

Test(vocab, suggests_only_likely_typing_errors)
{
    static const struct {
        enum vocab v;
        const char *word;
        const char *nearest;
    } rows[] = {
        {VOCAB_ACTION, "send_mail", "send_email"},
        {VOCAB_ACTION, "sned_email", "send_email"},
        {VOCAB_ACTION, "create_taks", "create_task"},
        {VOCAB_ACTION, "Wait", "wait"},
        {VOCAB_ACTION, "archive", NULL},
        {VOCAB_ACTION, "st", NULL},
        {VOCAB_ACTION, "", NULL},
        {VOCAB_MILESTONE, "cermony", "ceremony"},
        {VOCAB_MILESTONE, "zzzzzzzz", NULL},
        {VOCAB_MILESTONE, "a_word_that_is_longer_than_any_word_of_any_table_here", NULL},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *found = vocab_nearest_in(rows[i].v, str_of(rows[i].word));

        if (rows[i].nearest == NULL)
            cr_assert_null(found, "%s: %s", rows[i].word, found);
        else
            cr_assert(found != NULL && strcmp(found, rows[i].nearest) == 0, "%s: %s", rows[i].word,
                      found == NULL ? "(none)" : found);
    }
}

Test(vocab, event_types_are_lower_case_words_with_dots)
{
    static const char *const good[] = {"a.b", "contract.signed", "form.timeline_2.submitted", "x9.y_"};
    static const char *const bad[] = {"",    "contract", ".a",  "a.",    "a..b",  "A.b",
                                      "a.B", "1a.b",     "a.1", "a-b.c", "a b.c", "_a.b"};
    char longest[VOCAB_EVENT_TYPE_MAX + 2];

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        cr_assert(vocab_event_type_valid(str_of(good[i])), "%s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_not(vocab_event_type_valid(str_of(bad[i])), "%s", bad[i]);
    memset(longest, 'a', sizeof(longest));
    longest[1] = '.';
    cr_assert(vocab_event_type_valid((struct str){longest, VOCAB_EVENT_TYPE_MAX}));
    cr_assert_not(vocab_event_type_valid((struct str){longest, VOCAB_EVENT_TYPE_MAX + 1}));
}

Test(vocab, zones_are_wedding_tenant_or_shaped_like_an_iana_name)
{
    static const struct {
        const char *text;
        int mode;
    } rows[] = {
        {"wedding", ZONE_WEDDING},
        {"tenant", ZONE_TENANT},
        {"Europe/Berlin", ZONE_NAMED},
        {"America/Argentina/Buenos_Aires", ZONE_NAMED},
        {"UTC", ZONE_NAMED},
        {"Etc/GMT+5", ZONE_NAMED},
        {"", -1},
        {"europe/berlin", -1},
        {"Europe/", -1},
        {"/Berlin", -1},
        {"Europe//Berlin", -1},
        {"Europe/Ber lin", -1},
        {"Europe|Berlin", -1},
        {"+02:00", -1},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_assert_eq(vocab_zone_mode(str_of(rows[i].text)), rows[i].mode, "%s", rows[i].text);
}
